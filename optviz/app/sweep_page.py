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
from optviz.metrics import DEFAULT_TOLERANCE
from optviz.playground.errors import BadSettings
from optviz.playground.world import catalogue

_METRICS = {
    "final_loss": _("final loss"),
    "best_loss": _("lowest loss"),
    "steps_to_tolerance": _("steps to tolerance"),
    "distance_to_minimum": _("distance to the minimum"),
}
_SIDES = {"x": _("Across"), "y": _("Upwards")}
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
            # Whoever does not ask for steps to the tolerance need not know of it.
            "never": texts("not reached") if planned.metric == "steps_to_tolerance" else "",
            "metric": texts(_METRICS[planned.metric]),
            "log": " " + texts("(logarithmic)"),
        }
        self.show(np.full((len(planned.y.values), len(planned.x.values)), np.nan))

    def show(self, values: np.ndarray) -> None:
        """Draw these values: NaN is not known yet, infinity diverged, `sweeping.NEVER` did not reach the tolerance."""
        words = {np.inf: "inf", sweeping.NEVER: "never"}
        self._props["values"] = [
            [None if np.isnan(v) else words.get(v) or float(f"{v:.6g}") for v in row] for row in values.tolist()
        ]
        self.update()


def sweep_page(request: Request, workers: Workers) -> None:
    """Choose, watch, click. The address holds what is chosen."""
    with frame(request, _("Sweep")) as texts:
        chosen, problem = _chosen_in(request, texts)
        write(
            Markup("<h1>{}</h1><p>{}</p>").format(
                texts("Sweep"),
                texts(
                    "Every cell is a whole run from the surface's own start. The best rates often lie close to those "
                    "that diverge."
                ),
            )
        )
        _Sweep(texts, workers, chosen).build(problem)


def _chosen_in(request: Request, texts: Texts) -> tuple[dict[str, Any], str]:
    """What the address chooses, and what is wrong with it."""
    try:
        return sweeping.chosen(request.query_params.get("settings") or {}), ""
    except BadSettings as error:
        return sweeping.chosen({}), texts.error(error)


class _Sweep:
    """What one visitor sweeps."""

    def __init__(self, texts: Texts, workers: Workers, chosen: dict[str, Any]) -> None:
        self.texts, self.workers, self.chosen = texts, workers, chosen
        self.stop = threading.Event()
        self.filling = False
        self.ranges: dict[str, tuple[ui.number, ui.number, ui.checkbox]] = {}

    def build(self, problem: str) -> None:
        texts, world = self.texts, catalogue()
        with ui.element("div").classes("controls"):
            self.select("optimizer", texts("Optimizer"), [e.name for e in in_order(list(world.optimizers.values()))])
            self.select("surface", texts("Surface"), {s.name: s.title for s in world.surfaces.values()})
            known = sweeping.axes_of(self.chosen["optimizer"], self.chosen["surface"])
            self.sides = {side: self.select(side, texts(title), known) for side, title in _SIDES.items()}
            self.select("steps", texts("Steps"), sorted({*_STEPS, self.chosen["steps"]}))
            self.select("metric", texts("Shown"), {name: texts(title) for name, title in _METRICS.items()})
        with ui.element("div").classes("controls"):
            for side, title in _SIDES.items():
                self.ranges[side] = self.range(side, texts(title))
        self.fill()
        self.problem = ui.label().classes("error").props('role="alert"')
        self.progress = ui.linear_progress(0.0, show_value=False).props(f'aria-label="{texts("Progress")}"')
        self.map = HeatMap(texts, self.plan())
        self.map.on("cell", self.open)
        self.best = write(Markup())
        ui.context.client.on_delete(lambda: self.stop.set())  # of the sweep that goes on then
        self.start()
        self.problem.text = problem

    def range(self, side: str, title: str) -> tuple[ui.number, ui.number, ui.checkbox]:
        """Where an axis begins and ends, and whether it is logarithmic."""
        low, high = (
            ui.number(f"{title}: {end}", format="%.6g", on_change=lambda: self.take_range(side))
            .props("outlined dense debounce=600 step=any")
            .style("width: 130px")
            for end in (self.texts("from"), self.texts("to"))
        )
        return low, high, ui.checkbox(self.texts("logarithmic"), on_change=lambda: self.take_range(side))

    def fill(self) -> None:
        """Show the ranges that are chosen, or the usual ones."""
        self.filling = True
        for side, boxes in self.ranges.items():
            low, high, scale = self.chosen[f"{side}_range"] or self.usual(side)
            for box, value in zip(boxes, (low, high, scale == "log"), strict=True):
                box.value = value
        self.filling = False

    def usual(self, side: str) -> list[Any]:
        """The range of an axis in the catalogue."""
        return sweeping.usual_range(self.chosen["optimizer"], self.chosen["surface"], self.chosen[side])

    def take_range(self, side: str) -> None:
        """Take the range that the boxes of a side show."""
        if self.filling:
            return
        low, high, log = (box.value for box in self.ranges[side])
        given = [low, high, "log" if log else "linear"]
        self.change(f"{side}_range", None if given == self.usual(side) else given)

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
            self.chosen |= {"x": known[0], "y": known[1], "x_range": None, "y_range": None}
            for side, box in self.sides.items():
                box.set_options(known, value=self.chosen[side])
        if name in self.sides:
            self.chosen[f"{name}_range"] = None
        if not name.endswith("_range"):
            self.fill()
        if self.start():
            ui.navigate.history.replace(playground_link(self.chosen, "/sweep"))

    def refuse(self, sentence: str) -> None:
        """Say why nothing is computed."""
        self.stop.set()
        self.problem.text = sentence

    def plan(self) -> sweeping.Plan:
        """The plan for what is chosen."""
        return sweeping.plan_of(self.chosen)

    def start(self) -> bool:
        """Stop what goes on, and begin anew; whether what is chosen makes sense."""
        self.stop.set()
        try:
            planned = self.plan()
        except BadSettings as error:
            self.refuse(self.texts.error(error))
            return False
        self.stop, self.problem.text, self.planned = threading.Event(), "", planned
        self.map.plan(planned)
        self.best.set_content("")
        self.progress.value = 0.0
        self.progress.visible = True
        background_tasks.create(self.run(planned, self.stop), name="sweep")
        return True

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
        self.progress.visible = False
        if values is not None:
            self.tell(planned, values)

    def tell(self, planned: sweeping.Plan, values: np.ndarray) -> None:
        """Say which cell is the best, and lead to it."""
        finite = np.where(np.isfinite(values), values, np.inf)
        if not np.isfinite(finite).any():
            self.best.set_content(str(Markup("<p>{}</p>").format(self.nothing(planned, values))))
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

    def nothing(self, planned: sweeping.Plan, values: np.ndarray) -> str:
        """Why no cell has a number."""
        if not (values == sweeping.NEVER).any():
            return self.texts("Every run diverged.")
        told = {"tolerance": f"{DEFAULT_TOLERANCE:g}", "steps": planned.num_steps}
        return self.texts("No run came within {tolerance} of the minimum in {steps} steps.", **told)

    def open(self, event: Any) -> None:
        """Lead to the playground with the numbers of a cell."""
        column, row = event.args.get("column"), event.args.get("row")
        if _is_index(column, self.planned.x) and _is_index(row, self.planned.y):
            ui.navigate.to(playground_link(self.planned.settings_at(column, row)))


def _is_index(value: Any, axis: sweeping.Axis) -> bool:
    return isinstance(value, int) and 0 <= value < len(axis.values)
