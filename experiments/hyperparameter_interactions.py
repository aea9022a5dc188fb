"""Learning rate, b1, b2 and eps of Adam: which of them matter, and which interact?

On a curved valley and on a noisy bowl:

* A random design, uniform in the logarithm of the rate, 1 - b1, 1 - b2 and eps. How much of the variance of the
  logarithm of the final loss does each explain alone, and each pair beyond that? Shares hold for the ranges drawn from.
* Maps of b1 against b2, every cell at its own best rate. Proofs for Adam ask for b1 < sqrt(b2) (Reddi et al. 2018,
  arXiv:1904.09237, Theorem 4), or for b1^2 < sqrt(b2) (Kingma & Ba 2014, arXiv:1412.6980, Theorem 4.1): beyond, a
  gradient is remembered for longer in the mean than in the mean square. Does the loss know of this line?
* Maps of eps against the rate. An update divides by sqrt(v) + eps, so that the good rate should be in proportion to
  that: rate(eps) = rate(0) (1 + eps / sqrt(v)), with the sqrt(v) that a run at rate(0) records.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
import typer

import optviz
import surfaces
from experiments.parts.hyperparameter_measurements import (
    NUM_RATES,
    RANGES,
    edge_profile,
    eps_and_rate,
    good_rates,
    measured_edge,
    random_design,
    tuned_betas,
)
from experiments.parts.panels import panels, tidy
from experiments.parts.variance import chance_level, grid_shares, variance_shares
from experiments.report import RUNS, Out, Points, Report, Seeds, Steps, present, script
from optviz.arguments import parse_optimizer
from optviz.plotting import style

QUESTION = "Learning rate, b1, b2 and eps of Adam: which of them matter, and which interact?"
_TUNED = ("tuned rate: b1", "tuned rate: b2", "tuned rate: b1 × b2")
_EDGE, _RISE = "loss rises at (1 - b2) / (1 - b1²)", "loss rises by, decades"
_LARGE = "good rate / eps, largest eps"
DRAWN = 40  # runs in the picture of parallel coordinates


def run_hyperparameter_interactions(
    optimizer: Any = None,
    problems: Sequence[Any] | None = None,
    *,
    num_steps: int = 500,
    num_runs: int = 8192,
    num_points: int = 25,
    num_seeds: int = 3,
) -> Report:
    """Measure which hyperparameters of an optimizer like Adam matter, and which interact.

    Args:
      optimizer: with hyperparameters `learning_rate`, `b1`, `b2` and `eps`; by default Adam.
      problems: surfaces, each descended from its own start; by default Rosenbrock's valley and a noisy bowl.
      num_steps: the number of steps of each run.
      num_runs: the number of runs of the random design, each with its own seed.
      num_points: the number of values of b1, b2, eps and the rate in the maps.
      num_seeds: the number of seeds of each cell of a map.
    """
    optimizer = optviz.optimizer("adam") if optimizer is None else optimizer
    bowl = surfaces.Noisy(surfaces.QuadraticBowl(condition_number=100.0), gradient_scale=1.0)
    problems = [surfaces.Rosenbrock(), bowl] if problems is None else list(problems)
    data, pictures, table = {}, {}, []
    for surface in problems:
        found = {
            "design": random_design(optimizer, surface, num_steps, num_runs),
            "betas": tuned_betas(optimizer, surface, num_steps, num_points, num_seeds),
            "eps": eps_and_rate(optimizer, surface, num_steps, num_points, num_seeds),
        }
        table += _rows(optimizer, surface, found)
        pictures |= {f"{name}_{surface.name}": ax for name, ax in _draw(optimizer, surface, found).items()}
        data |= {f"{name}_{surface.name}": dataset for name, dataset in found.items()}
    pictures |= {"shares": draw_shares(table), "edge": draw_edge([data[f"betas_{s.name}"] for s in problems])}
    return Report("hyperparameter_interactions", QUESTION, _answer(table), table, data, pictures)


def _rows(optimizer: Any, surface: Any, found: Mapping[str, Any]) -> list[dict[str, Any]]:
    design, betas, eps = (found[name] for name in ("design", "betas", "eps"))
    inputs = {name: design[name].values for name in RANGES}
    first, again = design.decades.values
    shares, chance = variance_shares(first, inputs), chance_level(first, inputs)
    pairs = sum(share for term, share in shares.items() if len(term) == 2)
    alone = sum(share for term, share in shares.items() if len(term) == 1)
    quantities = {_shown(*term): (share, f"{chance[term]:.1g} by chance") for term, share in shares.items()}
    quantities |= {"each alone": (alone, ""), "pairs": (pairs, ""), "the rest": (1 - alone - pairs, "")}
    quantities["luck: another seed"] = (float(np.var(first - again) / 2 / np.var(first)), "")
    tuned = grid_shares(betas.decades.mean("seed").transpose("one_minus_b1", "one_minus_b2").values)
    quantities |= {term: (share, "") for term, share in zip(_TUNED, tuned, strict=True)}
    edge, rise = measured_edge(betas)
    beyond = (1 - betas.one_minus_b1) ** 2 > 1 - betas.one_minus_b2
    rates = good_rates(eps, surface)
    slope = np.polyfit(np.log(rates.eps[-6:]), np.log(rates[-6:]), 1)[0]
    quantities |= {
        _EDGE: (edge, "1 for b1 = √b2, 2 for b1² = √b2"),
        _RISE: (rise, ""),
        "longest step / rate where b1 > √b2": (betas.longest.where(beyond).quantile(0.9), "no bound"),
        "longest step / rate where b1 < √b2": (betas.longest.where(~beyond).quantile(0.9), "bounded"),
        "good rate grows with eps to the power": (slope, "1"),
        _LARGE: (rates[-1] / rates.eps[-1], f"{float(rates[0]) / eps.attrs['root_mean_square']:.2g}"),
    }
    return [
        {"problem": surface.name, "quantity": name, "measured": float(value), "expected": expected}
        for name, (value, expected) in quantities.items()
    ]


def _answer(table: Sequence[Mapping[str, Any]]) -> str:
    """For each problem: what matters, what interacts, whether the line is seen, what eps does."""
    problems = dict.fromkeys(row["problem"] for row in table)
    return "\n".join(_sentences(name, {r["quantity"]: r for r in table if r["problem"] == name}) for name in problems)


def _sentences(problem: str, rows: Mapping[str, Mapping[str, Any]]) -> str:
    found = {name: row["measured"] for name, row in rows.items()}
    percent = {name: f"{100 * share:.0f} %" for name, share in found.items()}
    pair = max((name for name in rows if " × " in name and ":" not in name), key=lambda name: found[name])
    alone = sorted(map(_shown, RANGES), key=lambda name: -found[name])
    idle = [name for name in alone if found[name] <= float(rows[name]["expected"].split()[0])]
    b1, b2, both = (percent[name] for name in _TUNED)
    return "\n".join(
        (
            f"On {problem.replace('_', ' ')} the logarithm of the final loss varies by "
            f"{', '.join(f'{name} {percent[name]}' for name in alone)}, each alone; by {percent['pairs']} by pairs, "
            f"most by {pair} ({percent[pair]}). The rest, {percent['the rest']}, takes three or more at once; luck, "
            f"that is another seed, makes {percent['luck: another seed']}.",
            *([f"No more than by chance: {', '.join(idle)}."] if idle else []),
            f"With the best rate for every b1 and b2, b1 explains {b1}, b2 {b2}, only both together {both}.",
            f"The loss rises by {found[_RISE]:.2g} decades where (1 - b2) / (1 - b1²) exceeds {found[_EDGE]:.2g} "
            f"({rows[_EDGE]['expected']}).",
            f"For the largest eps the good rate is {found[_LARGE]:.2g} times eps "
            f"(predicted {rows[_LARGE]['expected']}).",
        )
    )


def _shown(*names: str) -> str:
    """A hyperparameter or a pair as it is written in a table."""
    return " × ".join(name.replace("one_minus_", "1 - ").replace("learning_", "") for name in names)


def _draw(optimizer: Any, surface: Any, found: Mapping[str, Any]) -> dict[str, Any]:
    """The pictures of one problem."""
    from optviz.plotting.maps import plot_heat_map
    from optviz.plotting.parallel_coordinates import plot_parallel_coordinates

    b1 = np.linspace(0, 1 - RANGES["one_minus_b1"][0], 1000)
    lines = {"b1 = √b2": (1 - b1**2, 1 - b1), "b1² = √b2": (1 - b1**4, 1 - b1)}
    eps, root = found["eps"], found["eps"].attrs["root_mean_square"]
    rates = {"rate(0) (1 + eps / √v)": (eps.eps, float(good_rates(eps, surface)[0]) * (1 + eps.eps / root))}
    betas = plot_heat_map(found["betas"], x="one_minus_b2", y="one_minus_b1", boundary=False, theory=lines)
    betas.set(xlabel="1 - b2", ylabel="1 - b1")
    design = found["design"].isel(repeat=0)
    drawn = design.isel(run=slice(DRAWN)).assign_coords(
        lines=min(DRAWN, design.sizes["run"]), of_runs=design.sizes["run"]
    )
    return {
        "parallel": plot_parallel_coordinates(drawn, names=list(RANGES)),
        "betas": betas,
        "eps": plot_heat_map(eps, x="eps", y="learning_rate", theory=rates),
    }


def draw_shares(table: Sequence[Mapping[str, Any]]) -> Any:
    """The shares of variance as bars, a row for every hyperparameter and every pair, a bar for every problem."""
    problems = list(dict.fromkeys(row["problem"] for row in table))
    terms = [row["quantity"] for row in table if row["problem"] == problems[0] and "by chance" in row["expected"]]
    ranges = ", ".join(f"{_shown(name)} {low:g} to {high:g}" for name, (low, high) in RANGES.items())
    caption = f"variance of log10 of the final loss · random design, uniform in the logarithm of {ranges}"
    (ax,) = panels(1, "What the final loss depends on", caption, size=(6.0, 3.6))
    for i, problem in enumerate(problems):
        shares = {row["quantity"]: row["measured"] for row in table if row["problem"] == problem}
        at = np.arange(len(terms)) + 0.8 * ((i + 0.5) / len(problems) - 0.5)
        color = style.PALETTE[i + 1]
        ax.barh(at, [100 * shares[t] for t in terms], 0.8 / len(problems), color=color, label=problem.replace("_", " "))
    tidy(ax, "share of the variance, %; pairs: beyond what both explain alone", "")
    ax.set_yticks(range(len(terms)), terms)
    ax.invert_yaxis()
    ax.legend(fontsize=8, frameon=False, loc="lower right")
    return ax


def draw_edge(maps: Sequence[Any]) -> Any:
    """The loss across the line b1 = sqrt(b2)."""
    caption = f"mean over all b1 whose row crosses the line, at the best of {NUM_RATES} rates for every b1 and b2"
    (ax,) = panels(1, "What happens beyond b1 = √b2", caption, size=(5.4, 3.4))
    for i, betas in enumerate(maps):
        ratio, rise = edge_profile(betas)
        name = str(betas.attrs["surface"]).replace("_", " ")
        ax.plot(ratio, rise, ".-", color=style.PALETTE[i + 1], linewidth=1.4, label=name)
    for ratio, name, look in ((1.0, "b1 = √b2 (Reddi et al.)", "--"), (2.0, "b1² = √b2 (Kingma & Ba)", ":")):
        ax.axvline(ratio, color="0.25", linestyle=look, linewidth=1.1, label=name)
    tidy(ax, "(1 − b2) / (1 − b1²)", "loss above that at large b2, decades", x="log")
    ax.legend(fontsize=8, frameon=False)
    return ax


def main(
    optimizer: Annotated[str, typer.Option(help="NAME or NAME:KEY=VALUE,... with a rate, b1, b2 and eps.")] = "adam",
    steps: Steps = 500,
    runs: Annotated[int, typer.Option(min=100, help="How many settings are drawn.")] = 8192,
    points: Points = 25,
    seeds: Seeds = 3,
    out: Out = RUNS,
) -> None:
    """Learning rate, b1, b2 and eps of Adam: which of them matter, and which interact?"""

    def experiment() -> Report:
        return run_hyperparameter_interactions(
            parse_optimizer(optimizer), num_steps=steps, num_runs=runs, num_points=points, num_seeds=seeds
        )

    present(experiment, out)


if __name__ == "__main__":
    script(main)
