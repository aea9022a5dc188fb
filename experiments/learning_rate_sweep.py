"""How sensitive is each optimizer to its learning rate?

Every optimizer descends the same surface from the same start at the same rates. What counts is how wide the range of
good rates is, not only how good the best one is. A rate is good if the run ends within ten times the optimizer's best
loss above the minimum; losses below 1e-4 of the first count as equally good, so that an optimizer that converges fast
at its best rate is not called sensitive for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import ArrayLike

import optviz
from experiments.report import (
    RUNS,
    Optimizers,
    Out,
    Points,
    Report,
    Start,
    Steps,
    SurfaceName,
    parse_optimizers,
    present,
    script,
)
from optviz.arguments import parse_start, parse_surface
from optviz.optimizers import as_optimizer
from surfaces.base import as_params, as_surface

if TYPE_CHECKING:
    import xarray

QUESTION = "How sensitive is each optimizer to its learning rate?"
FACTOR = 10.0
FLOOR = 1e-4


def run_lr_sweep(
    optimizer: Any,
    surface: Any,
    initial_params: Any,
    learning_rates: ArrayLike | None = None,
    *,
    num_steps: int = 1000,
) -> Report:
    """Sweep the learning rate of one optimizer, or of several.

    Args:
      optimizer: an optimizer with a hyperparameter `learning_rate`, or a sequence of them.
      surface: a `LossSurface` or a callable `params -> scalar`.
      initial_params: the start of every run.
      learning_rates: the rates, `(N,)`; by default 71 from 1e-5 to 100.
      num_steps: the number of steps of each run.
    """
    from optviz.plotting.sweeps import good_region, plot_rate_curve, plot_sensitivity

    optimizers = [as_optimizer(o) for o in (optimizer if isinstance(optimizer, Sequence) else [optimizer])]
    rates = np.geomspace(1e-5, 100.0, 71) if learning_rates is None else np.asarray(learning_rates, float)
    data = _swept(optimizers, as_surface(surface), as_params(initial_params), rates, num_steps)
    region = good_region(data, metric="floored_loss", factor=FACTOR).sortby("decades", ascending=False)
    table = [_row(region.sel(optimizer=name), data.sel(optimizer=name)) for name in region.optimizer.values]
    pictures = {
        "rates": plot_rate_curve(data),
        "sensitivity": plot_sensitivity(data, metric="floored_loss", factor=FACTOR),
    }
    return Report("learning_rate_sweep", QUESTION, _answer(table), table, {"sweep": data}, pictures)


def _swept(optimizers: Sequence[Any], surface: Any, params: Any, rates: np.ndarray, num_steps: int) -> xarray.Dataset:
    """A sweep of each optimizer, side by side, with the loss by which rates are judged."""
    import xarray

    from optviz.plotting.style import labels

    names = labels([SimpleNamespace(name=o.name, optimizer=o) for o in optimizers])
    swept = [optviz.sweep(o, surface, params, num_steps, axes={"learning_rate": rates}) for o in optimizers]
    data = xarray.concat(swept, xarray.Variable("optimizer", np.array(names, object)), combine_attrs="drop_conflicts")
    minimum = 0.0 if surface.minimum_value is None else float(surface.minimum_value)
    floor = FLOOR * (float(surface(params)) - minimum)
    floored = np.fmax(data.final_loss - minimum, floor)
    floored.attrs = {"long_name": f"loss above the minimum, at least {floor:.2g}", "units": "loss"}
    return data.assign(floored_loss=floored)


def _row(region: Any, swept: Any) -> dict[str, Any]:
    diverged = swept.learning_rate.values[swept.diverged.values]
    best = swept.final_loss.where(~swept.diverged)
    return {
        "optimizer": str(region.optimizer.item()),
        "best rate": float(best.idxmin("learning_rate")),
        "final loss there": float(best.min()),
        "good from": float(region.low),
        "good to": float(region.high),
        "decades": float(region.decades),
        "diverges from": float(diverged.min()) if diverged.size else float("nan"),
    }


def _answer(table: Sequence[dict[str, Any]]) -> str:
    """From rows sorted by width: who forgives most, who least, and who is best at its best."""
    wide, narrow = table[0], table[-1]
    best = min(table, key=lambda row: row["final loss there"])
    if len(table) == 1:
        return (
            f"{wide['optimizer']} is best at the rate {wide['best rate']:.2g}: final loss "
            f"{wide['final loss there']:.2g}.\nIts good rates span {wide['decades']:.1f} decades, from "
            f"{wide['good from']:.2g} to {wide['good to']:.2g}."
        )
    return (
        f"{wide['optimizer']} forgives most: its good rates span {wide['decades']:.1f} decades; "
        f"{narrow['optimizer']} least: {narrow['decades']:.1f}.\n"
        f"{best['optimizer']} is best at its best rate, {best['best rate']:.2g}: final loss "
        f"{best['final loss there']:.2g}.\nA wide range is no merit where all rates end equally badly."
    )


def main(
    optimizer: Optimizers = None,
    surface: SurfaceName = "rosenbrock",
    start: Start = None,
    steps: Steps = 1000,
    points: Points = 71,
    out: Out = RUNS,
) -> None:
    """How sensitive is each optimizer to its learning rate?"""

    def experiment() -> Report:
        descended = parse_surface(surface)
        rates = np.geomspace(1e-5, 100.0, points)
        return run_lr_sweep(
            parse_optimizers(optimizer), descended, parse_start(start, descended), rates, num_steps=steps
        )

    present(experiment, out)


if __name__ == "__main__":
    script(main)
