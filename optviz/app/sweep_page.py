"""The sweep page: a map of one optimizer on one surface over two of its numbers; a cell leads to the playground."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import Request
from markupsafe import Markup
from nicegui import background_tasks, ui

from optviz.app import sweeping
from optviz.app.choosing import in_order
from optviz.app.shell import _, frame, playground_link, write
from optviz.app.texts import Texts
from optviz.app.work import Busy, Gone, Workers
from optviz.optimizers import CATALOGUE
from optviz.playground import settings
from optviz.playground.errors import BadSettings
from optviz.playground.world import catalogue

_METRICS = {
    "final_loss": _("final loss"),
    "best_loss": _("lowest loss"),
    "steps_to_tolerance": _("steps to tolerance"),
    "distance_to_minimum": _("distance to the minimum"),
}
_STEPS = (30, 100, 300, 1000, 3000, 10_000)


class HeatMap(ui.element, component=Path(__file__).parent / "static" / "heat_map.js"):
    """The drawn map; it emits `cell` with a column and a row."""

    def __init__(self, texts: Texts, planned: sweeping.Plan) -> None:
        super().__init__()
        self.texts = texts
        self.plan(planned)

    def plan(self, planned: sweeping.Plan) -> None:
        """Take other axes, with nothing known yet."""
        for side, axis in (("x", planned.x), ("y", planned.y)):
            self._props[side] = {"name": axis.name.replace("_", " "), "values": list(axis.values), "log": axis.log}
        texts = self.texts
        self._props["texts"] = {
            "title": texts("Map of {metric}; arrow keys move, Enter opens", metric=texts(_METRICS[planned.metric])),
            "hint": texts("Point at a cell to read it, click to see its path. With the keyboard: arrows and Enter."),
            "diverged": texts("diverged"),
            "metric": texts(_METRICS[planned.metric]),
            "log": " " + texts("(logarithmic)"),
        }
        self.show(np.full((len(planned.y.values), len(planned.x.values)), np.nan))

    def show(self, values: np.ndarray) -> None:
        """Draw these values: NaN is not known yet, infinity diverged."""
        self._props["values"] = [
            ["inf" if np.isinf(v) else None if np.isnan(v) else float(f"{v:.6g}") for v in row] for row in values
        ]
        self.update()


def sweep_page(request: Request, workers: Workers) -> None:
    """Choose, watch, click."""
    with frame(request, _("Sweep")) as texts:
        write(
            Markup("<h1>{}</h1><p>{}</p>").format(
                texts("Sweep"),
                texts(
                    "Every cell is a whole run from the surface's own start. The best rates often lie close to those "
                    "that diverge."
                ),
            )
        )
        _Sweep(texts, workers).build()


class _Sweep:
    """What one visitor sweeps."""

    def __init__(self, texts: Texts, workers: Workers) -> None:
        self.texts, self.workers = texts, workers
        self.stop = threading.Event()
        self.running = False
        surface = settings.from_json({}).surface
        first = next(
            e for e in CATALOGUE if e.well_known and not sweeping.axes_of(e.name, surface)[1].startswith("surface.")
        )
        self.chosen: dict[str, Any] = {"optimizer": first.name, "surface": surface, "steps": 300}
        self.chosen |= {"metric": "final_loss", **self._axes()}

    def _axes(self) -> dict[str, str]:
        x, y, *_rest = sweeping.axes_of(self.chosen["optimizer"], self.chosen["surface"])
        return {"x": x, "y": y}

    def build(self) -> None:
        texts, world = self.texts, catalogue()
        with ui.element("div").classes("controls"):
            self.select("optimizer", texts("Optimizer"), [e.name for e in in_order(list(world.optimizers.values()))])
            self.select("surface", texts("Surface"), {s.name: s.title for s in world.surfaces.values()})
            known = sweeping.axes_of(self.chosen["optimizer"], self.chosen["surface"])
            self.sides = {
                side: self.select(side, title, known)
                for side, title in (("x", texts("Across")), ("y", texts("Upwards")))
            }
            self.select("steps", texts("Steps"), list(_STEPS))
            self.select("metric", texts("Shown"), {name: texts(title) for name, title in _METRICS.items()})
        self.problem = ui.label().classes("error").props('role="alert"')
        self.progress = ui.linear_progress(0.0, show_value=False).props(f'aria-label="{texts("Progress")}"')
        self.map = HeatMap(texts, self.plan())
        self.map.on("cell", self.open)
        self.best = write(Markup())
        ui.context.client.on_delete(lambda: self.stop.set())  # of the sweep that goes on then
        self.start()

    def select(self, name: str, title: str, options: Any) -> ui.select:
        """A box that chooses one of the `options`."""
        box = ui.select(options, value=self.chosen[name], label=title, on_change=lambda e: self.change(name, e.value))
        return box.props("outlined dense options-dense")

    def change(self, name: str, value: Any) -> None:
        """Take a choice, and what follows from it: another optimizer has other axes."""
        if self.chosen[name] == value:
            return
        self.chosen[name] = value
        if name in ("optimizer", "surface"):
            known = sweeping.axes_of(self.chosen["optimizer"], self.chosen["surface"])
            if len(known) < 2:
                self.refuse(self.texts("Here only one number can vary; choose another surface or optimizer."))
                return
            self.chosen |= self._axes()
            for side, box in self.sides.items():
                box.set_options(known, value=self.chosen[side])
        self.start()

    def refuse(self, sentence: str) -> None:
        """Say why nothing is computed."""
        self.stop.set()
        self.problem.text = sentence

    def plan(self) -> sweeping.Plan:
        """The plan for what is chosen."""
        c = self.chosen
        return sweeping.plan(c["optimizer"], c["surface"], c["x"], c["y"], c["steps"], c["metric"])

    def start(self) -> None:
        """Stop what goes on, and begin anew."""
        self.stop.set()
        try:
            planned = self.plan()
        except BadSettings as error:
            self.refuse(self.texts.error(error))
            return
        self.stop, self.problem.text, self.planned = threading.Event(), "", planned
        self.map.plan(planned)
        self.best.set_content("")
        self.progress.value = 0.0
        background_tasks.create(self.run(planned, self.stop), name="sweep")

    async def run(self, planned: sweeping.Plan, stop: threading.Event) -> None:
        """Compute, and show each band as it comes. The thread only leaves results; the loop shows them."""
        latest: list[tuple[np.ndarray, int]] = []

        async def look() -> bool:
            if latest and not stop.is_set():
                values, done = latest.pop()
                latest.clear()
                self.map.show(values)
                self.progress.value = done / len(values)
            return stop.is_set()

        def work(cancelled: Any) -> None:
            sweeping.run(planned, lambda values, done: latest.append((values.copy(), done)), cancelled)

        try:
            await self.workers.job(work, look)
        except Gone:
            return
        except Busy:
            self.problem.text = self.texts("The server has too much to do just now; try again in a moment.")
            return
        except (ValueError, TypeError) as error:
            self.problem.text = str(error)
            return
        values = latest[-1][0] if latest else None
        await look()
        if values is not None:
            self.tell(planned, values)

    def tell(self, planned: sweeping.Plan, values: np.ndarray) -> None:
        """Say which cell is the best, and lead to it."""
        finite = np.where(np.isfinite(values), values, np.inf)
        if not np.isfinite(finite).any():
            self.best.set_content(str(Markup("<p>{}</p>").format(self.texts("No run ended with a finite value."))))
            return
        row, column = np.unravel_index(np.argmin(finite), finite.shape)
        sentence = self.texts(
            "Best: {metric} {value} at {x} {x_value}, {y} {y_value}.",
            metric=self.texts(_METRICS[planned.metric]),
            value=f"{values[row, column]:.4g}",
            x=planned.x.name.replace("_", " "),
            x_value=f"{planned.x.values[column]:.4g}",
            y=planned.y.name.replace("_", " "),
            y_value=f"{planned.y.values[row]:.4g}",
        )
        link = playground_link(planned.settings_at(int(column), int(row)))
        self.best.set_content(
            str(
                Markup('<p>{}</p><p><a class="button strong" href="{}">{}</a></p>').format(
                    sentence, link, self.texts("See it in the playground")
                )
            )
        )

    def open(self, event: Any) -> None:
        """Lead to the playground with the numbers of a cell."""
        column, row = event.args.get("column"), event.args.get("row")
        if _is_index(column, self.planned.x) and _is_index(row, self.planned.y):
            ui.navigate.to(playground_link(self.planned.settings_at(column, row)))


def _is_index(value: Any, axis: sweeping.Axis) -> bool:
    return isinstance(value, int) and 0 <= value < len(axis.values)
