"""Where does each optimizer fail, and why?

Every case is a surface on which an optimizer does the wrong thing for a reason that can be calculated: what it will
end with is predicted before it runs. Then it runs, and so does its cure, from the same start with the same steps, rate
and draws. Sources stand with the cases, in `pathologies.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
import typer

from experiments.parts.panels import panels, theory, tidy
from experiments.parts.pathologies import CASES, Case
from experiments.report import RUNS, Out, Report, present, script
from optviz.parallel import side_by_side
from surfaces.names import unknown_name

QUESTION = "Where does each optimizer fail, and why?"
FAILING, CURED = "#D55E00", "#0072B2"
CLOSE = 0.05  # a prediction this near, relative to itself, is met


def run_pathological_cases(cases: Sequence[Case] | None = None) -> Report:
    """Run every case and its cure beside its prediction.

    Args:
      cases: by default all of `CASES`.
    """
    cases = [make() for make in CASES] if cases is None else list(cases)
    pairs = side_by_side(lambda case: (case.record(case.failing), case.record(case.cured)), cases)
    table = [_row(case, *traces) for case, traces in zip(cases, pairs, strict=True)]
    data = {_file_name(case.name): _curves(case, *traces) for case, traces in zip(cases, pairs, strict=True)}
    pictures = {"quantities": draw_quantities(cases, pairs), "paths": draw_paths(cases, pairs)}
    return Report("pathological_cases", QUESTION, _answer(cases, table), table, data, pictures)


def _row(case: Case, failed: Any, cured: Any) -> dict[str, Any]:
    measured = case.measured(failed)
    return {
        "case": case.name,
        "optimizer": failed.name,
        "surface": case.surface.name,
        "quantity": case.quantity,
        "predicted": case.nearest_prediction(measured),
        "measured": measured,
        "cure": case.cure,
        "cured": case.measured(cured),
    }


def _answer(cases: Sequence[Case], table: Sequence[Mapping[str, Any]]) -> str:
    """A sentence for every case, and how many predictions were met."""
    met = [row for row in table if abs(row["measured"] - row["predicted"]) <= CLOSE * abs(row["predicted"])]
    sentences = [_sentence(case, row) for case, row in zip(cases, table, strict=True)]
    count = f"{len(met)} of {len(table)} predictions are met within {100 * CLOSE:g} %."
    return "\n".join([count, *sentences])


def _sentence(case: Case, row: Mapping[str, Any]) -> str:
    return (
        f"{case.name}, {row['optimizer']} on {row['surface'].replace('_', ' ')}: {case.why}. In the end the "
        f"{row['quantity']} is {row['measured']:.3g}, predicted {row['predicted']:.3g}; with the cure "
        f"({row['cure']}: {case.cured.name}) it is {row['cured']:.3g}."
    )


def _curves(case: Case, failed: Any, cured: Any) -> Any:
    """The quantity along both paths, `(run, step)`."""
    import xarray

    curves = np.stack([np.asarray(case.curve(trace), float) for trace in (failed, cured)])
    return xarray.Dataset(
        {"quantity": (("run", "step"), curves, {"long_name": case.quantity})},
        {"run": ["failing", "cured"], "step": np.arange(case.num_steps + 1)},
        {
            "case": case.name,
            "why": case.why,
            "cure": case.cure,
            "optimizers": f"{failed.name}, {cured.name}",
            "surface": case.surface.name,
            "predicted": list(case.predicted),
        },
    )


def _file_name(name: str) -> str:
    return name.lower().replace(" ", "_")


def draw_quantities(cases: Sequence[Case], pairs: Sequence[tuple[Any, Any]]) -> Any:
    """What goes wrong through time, a panel a case: the failing run, its prediction, and the cured run."""
    caption = "within a panel: same start, steps and draws · dashed: predicted before the run"
    axes = panels(len(cases), "Ways to fail", caption, columns=5, size=(2.6, 2.3))
    for ax, case, traces in zip(axes, cases, pairs, strict=True):
        curves = [np.asarray(case.curve(trace), float) for trace in traces]
        for trace, curve, color in zip(traces, curves, (FAILING, CURED), strict=True):
            ax.plot(curve, color=color, linewidth=1.2, label=_legend_name(case, trace))
        predicted = case.nearest_prediction(case.measured(traces[0]))
        theory(ax, [0, case.num_steps], predicted, "predicted")
        _frame(ax, case, np.concatenate([*curves, [predicted]]))
        ax.legend(fontsize=7, framealpha=0.8, edgecolor="none")
    return axes[0]


def _legend_name(case: Case, trace: Any) -> str:
    same = case.failing.name == case.cured.name
    return f"{trace.name}, cured" if same and trace.optimizer is case.cured else str(trace.name)


def _frame(ax: Any, case: Case, values: np.ndarray) -> None:
    """Labels, and a logarithmic axis of at most ten decades where nothing is negative and the values span one."""
    positive = values[values > 0]
    log = values.min() >= 0 and positive.size > 0 and positive.max() > 10 * positive.min()
    tidy(ax, "steps", case.quantity, y="log" if log else "linear", title=case.name)
    if log:
        ax.set_ylim(max(positive.min() / 2, 1e-10 * positive.max()), 3 * positive.max())


def draw_paths(cases: Sequence[Case], pairs: Sequence[tuple[Any, Any]]) -> Any:
    """Where the runs go, a panel a case, on the level sets of the surface."""
    from optviz.plotting.planes import on_plane
    from optviz.plotting.trajectories import draw_background, draw_marks, draw_path

    axes = panels(
        len(cases),
        "Where they go",
        "orange: failing · blue: cured · circle: start · star: minimum",
        columns=5,
        size=(2.6, 2.4),
    )
    for ax, case, traces in zip(axes, cases, pairs, strict=True):
        plane = on_plane(list(traces))
        draw_background(ax, plane, colorbar=False)
        for path, color in zip(plane.paths, (FAILING, CURED), strict=True):
            draw_path(ax, path, color, linewidth=1.0)
        draw_marks(ax, plane)
        ax.set_aspect("auto")
        ax.set_title(case.name, loc="left", fontsize=9)
    return axes[0]


def chosen(names: Sequence[str] | None) -> list[Case]:
    """The cases of these names, spaces as underscores; all of them without names."""
    cases = {_file_name(case.name): case for case in (make() for make in CASES)}
    for name in names or ():
        if name not in cases:
            raise ValueError(unknown_name("case", name, cases))
    return [cases[name] for name in names or cases]


def main(
    case: Annotated[
        list[str] | None, typer.Option(help="A case, such as adam_climbs. Repeatable; default: all.")
    ] = None,
    out: Out = RUNS,
) -> None:
    """Where does each optimizer fail, and why?"""
    present(lambda: run_pathological_cases(chosen(case)), out)


if __name__ == "__main__":
    script(main)
