"""The playground in a notebook: `optviz.explore(...)`, in JupyterLab, VS Code, Colab and marimo.

The picture is drawn by the ES modules in `js/`, which the web app shares; Python computes what they ask for.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

try:
    import anywidget
    import traitlets
except ModuleNotFoundError as error:
    sentence = "optviz.explore needs anywidget: pip install 'optviz[notebook]'."
    raise ModuleNotFoundError(sentence, name=error.name) from error

from jaxtyping import ScalarLike

from optviz.playground import compute, service, settings, tuning, wire
from optviz.playground.errors import BadSettings
from optviz.playground.world import Box, World
from optviz.trace import OptimizerTrace, record
from optviz.widget.given import plain, world_and_settings
from surfaces.names import unknown_name

_PARTS = (
    "tools wire settings landscape plane relief overlays picture charts table fields controls playback gestures "
    "comparison playground"
)
MODULES = tuple(Path(__file__).parent / "js" / f"{name}.js" for name in _PARTS.split())
"""The ES modules that draw, each after those that it imports."""
STYLE = Path(__file__).parent / "playground.css"
_LONG = ("tune", "prepare")
"""What takes seconds, in which the sliders go on."""


def joined() -> str:
    """The modules as one, which is what anywidget takes: in their order, without imports and exports between them."""
    text = "\n".join(module.read_text() for module in MODULES)
    text = re.sub(r"^import [^;]*;\n", "", text, flags=re.MULTILINE)
    return re.sub(r"^export (?!default)({[^;]*;\n)?", "", text, flags=re.MULTILINE)


class Playground(anywidget.AnyWidget):
    """The widget. `settings` is its whole state as JSON data; each of them is an attribute too.

    What the hand changes is read here; what is assigned here is drawn. `widget.start = (0, 1)` moves the start,
    `widget.settings = {...}` changes everything.
    """

    _esm = joined()
    _css = STYLE
    settings: Any = traitlets.Dict().tag(sync=True)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute that there is: `widget.strat = (0, 1)` would else do nothing, without a word."""
        if not name.startswith("_") and not hasattr(type(self), name):
            known = [k for k, v in vars(Playground).items() if isinstance(v, property) and v.fset] + ["settings"]
            raise AttributeError(unknown_name("attribute of the playground", name, known))
        super().__setattr__(name, value)

    def __init__(self, world: World, chosen: Mapping[str, Any]):
        self._world = world
        self._stops: dict[str, threading.Event] = {}
        super().__init__(settings=settings.to_json(settings.from_json(chosen, world)))
        self.on_msg(self._asked)

    @property
    def start(self) -> tuple[float, float]:
        """Where all optimizers start, in parameter units."""
        return self._chosen.start

    @start.setter
    def start(self, value: Sequence[ScalarLike]) -> None:
        self._change(start=list(value))

    @property
    def num_steps(self) -> int:
        """How often each optimizer steps."""
        return self._chosen.num_steps

    @num_steps.setter
    def num_steps(self, value: ScalarLike) -> None:
        self._change(num_steps=value)

    @property
    def noise(self) -> float:
        """The standard deviation of the noise on each entry of the gradient."""
        return self._chosen.noise

    @noise.setter
    def noise(self, value: ScalarLike) -> None:
        self._change(noise=value)

    @property
    def seed(self) -> int:
        """The seed of the noise, the same for all optimizers."""
        return self._chosen.seed

    @seed.setter
    def seed(self, value: ScalarLike) -> None:
        self._change(seed=value)

    @property
    def surface(self) -> Any:
        """The surface that is drawn, a `LossSurface` with the coefficients chosen; takes what `explore` takes."""
        return compute.surface_of(self._chosen, self._world)

    @surface.setter
    def surface(self, value: Any) -> None:
        self._world, chosen = world_and_settings(value, None, {}, self._world)
        given = () if isinstance(value, str) else self._world.surfaces[chosen["surface"]].coefficients
        coefficients = {c.name: c.default for c in given}
        self._change(formula=None, coefficients=coefficients, start=None, view=None, **chosen)

    @property
    def view(self) -> Box | None:
        """The part of the plane that is looked at, x0, x1, y0, y1; None for the surface's own."""
        return self._chosen.view

    @view.setter
    def view(self, value: Sequence[ScalarLike] | None) -> None:
        self._change(view=value)

    @property
    def optimizers(self) -> list[dict[str, Any]]:
        """The list of optimizers as JSON data: `name`, `hyperparameters`, `schedule`, `on`, `color` of each."""
        return settings.to_json(self._chosen)["optimizers"]

    @optimizers.setter
    def optimizers(self, value: Sequence[Any]) -> None:
        self._world, chosen = world_and_settings(None, value, {}, self._world)
        self._change(**chosen)

    @property
    def traces(self) -> list[OptimizerTrace]:
        """The runs in the picture as `optviz.record` makes them, with every column."""
        chosen = self._chosen
        recorded = (compute.as_recorded(chosen, run, self._world) for run in compute.runs(chosen, self._world))
        return [record(*arguments, **others) for arguments, others in recorded]

    @property
    def _chosen(self) -> settings.Settings:
        return settings.from_json(self.settings, self._world)

    def _change(self, **change: Any) -> None:
        self.settings = {**self.settings, **change}

    @traitlets.validate("settings")
    def _checked(self, proposal: Any) -> dict[str, Any]:
        """The settings as they came: filled in, they would go back to a hand that is still dragging a slider."""
        given = plain(proposal["value"])
        settings.from_json(given, self._world)
        return given

    def _asked(self, _widget: Any, message: Mapping[str, Any], _buffers: Any) -> None:
        """Answer a request of the module, `{"id", "payload"}`; stop one, `{"stop": id}`."""
        if "stop" in message:
            self._stops.get(message["stop"], threading.Event()).set()
        else:
            number, payload = message["id"], message["payload"]
            answer = self._tuned if payload["kind"] == "tune" else self._answered
            if payload["kind"] in _LONG:
                threading.Thread(target=self._reply, args=(number, payload, answer), daemon=True).start()
            else:
                self._reply(number, payload, answer)

    def _reply(self, number: str, payload: Mapping[str, Any], answer: Callable[..., bytes]) -> None:
        try:
            data = answer(number, payload)
        except BadSettings as error:
            data = wire.pack({"error": str(error), "where": error.where})
        except Exception as error:  # whoever waits in the browser must hear of it
            data = wire.pack({"error": f"{type(error).__name__}: {error}"})
        self.send({"id": number}, [data])

    def _answered(self, _number: str, payload: Mapping[str, Any]) -> bytes:
        return service.answer(payload["kind"], payload, self._world)

    def _tuned(self, number: str, payload: Mapping[str, Any]) -> bytes:
        stop = self._stops.setdefault(number, threading.Event())
        chosen = settings.from_json(payload.get("settings"), self._world)
        try:
            found = tuning.tune(
                chosen,
                world=self._world,
                progress=lambda share: self.send({"id": number, "progress": share}),
                cancelled=stop.is_set,
            )
        except tuning.Cancelled:
            return wire.pack({"error": "Tuning was stopped."})
        finally:
            del self._stops[number]
        return wire.pack(service.tuned(chosen, found, tuning.BUDGET, self._world))


def explore(surface: Any = None, optimizers: Any = None, **given: Any) -> Playground:
    """The playground as a widget: level sets and paths that follow the hand.

    Args:
      surface: a name of the catalogue, any `LossSurface` of a vector of two numbers, or a function of one; Rosenbrock's
        valley if None. A function without a domain is looked at in `view` (x0, x1, y0, y1), -3 to 3 if none is given.
      optimizers: one or several: names, `OptimizerSpec`, entries, Optax optimizers, which have no numbers to move, or
        mappings with `name`, `hyperparameters`, `schedule`, `on`, `color`; a comparison that shows something if None.
      **given: other settings: `start`, `num_steps`, `noise`, `seed`, `coefficients`, `formula` (text in x and y),
        `regularisation`, `view`, `shown`.

    Returns:
      The widget, whose `settings`, `surface`, `start`, `num_steps`, `noise`, `seed`, `view`, `optimizers` can be read
      and set, and whose `traces` are the runs in the picture.

    Raises:
      ValueError, TypeError: for what cannot be meant, in one sentence.
    """
    return Playground(*world_and_settings(surface, optimizers, given))


__all__ = ["MODULES", "STYLE", "Playground", "explore", "joined"]
