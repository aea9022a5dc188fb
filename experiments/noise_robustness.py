"""How robust is each optimizer to noise on the gradient, and does noise change which is best?

At every level of noise each optimizer tries the same rates with the same seeds; the rate whose median final loss is
lowest is judged with other seeds. The loss is the expected one, without noise, at the end of the run. All rivals see
the same draws. On a quadratic the loss of gradient descent and of the heavy ball is known at every step, and is drawn
over the measurements; so is their mean loss in the long run at one rate, which no rate but zero makes zero:
Mandt, Hoffman & Blei (2017), JMLR 18.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
import typer
from jaxtyping import ArrayLike

import optviz
import surfaces
from experiments.parts.momentum_theory import stationary_variance
from experiments.parts.noise_pictures import draw_noise, draw_ranks, draw_rest, ranks
from experiments.parts.noise_theory import is_linear, loss_quantiles, quadratic
from experiments.parts.panels import told_apart
from experiments.report import (
    RUNS,
    Optimizers,
    Out,
    Points,
    Report,
    Seeds,
    Steps,
    parse_optimizers,
    present,
    script,
)
from optviz.arguments import parse_surface
from optviz.job import well_known
from surfaces.contours import known_minimum

QUESTION = "How robust is each optimizer to noise on the gradient, and does noise change which is best?"
RATES = np.geomspace(1e-5, 10.0, 31)
CHECK_SEEDS = 400
LEVELS = (0.1, 0.5, 0.9)


def run_noise_robustness(
    optimizers: Sequence[Any] | None = None,
    surface: Any = None,
    noises: ArrayLike | None = None,
    *,
    num_steps: int = 500,
    num_seeds: int = 32,
) -> Report:
    """Measure final losses against the noise, each optimizer at its best rate for that noise.

    Args:
      optimizers: optimizers with a hyperparameter `learning_rate`, by default the well-known ones.
      surface: with a known minimum; by default a turned bowl with ten curvatures from 1 to 30 and its minimum away
        from the origin, where weight decay would find it for nothing.
      noises: standard deviations of each entry of the gradient, `(S,)`; by default 9 from 0.01 to 100.
      num_steps: the number of steps of each run.
      num_seeds: half of them tune the rate, the other half judges it; at least 2.

    Raises:
      ValueError: for fewer than two seeds, and a surface whose minimum is not known.
    """
    if num_seeds < 2:
        raise ValueError(f"num_seeds must be at least 2, one to tune and one to judge, got {num_seeds}.")
    optimizers = told_apart(well_known() if optimizers is None else optimizers)
    if surface is None:
        surface = surfaces.Shifted(surfaces.Quadratic(np.geomspace(1.0, 30.0, 10), seed=0), 1.0)
    if known_minimum(surface) is None:
        raise ValueError(f"Losses are told above the minimum, but no minimum of {surface.name} is known.")
    noises = np.geomspace(0.01, 100.0, 9) if noises is None else np.asarray(noises, float)
    judged = judged_losses(optimizers, surface, noises, num_steps, num_seeds)
    judged = judged.assign(theory=(("optimizer", "noise", "quantile"), predicted(optimizers, surface, judged)))
    rest = losses_at_rest(num_steps)
    table = [_row(judged.sel(noise=noise)) for noise in judged.noise.values]
    pictures = {"noise": draw_noise(judged), "ranks": draw_ranks(judged), "rest": draw_rest(rest)}
    answer = _answer(table, judged, rest)
    return Report("noise_robustness", QUESTION, answer, table, {"judged": judged, "rest": rest}, pictures)


def judged_losses(optimizers: Sequence[Any], surface: Any, noises: Any, num_steps: int, num_seeds: int) -> Any:
    """The best rate `(optimizer, noise)`, and the losses above the minimum of the judging seeds at it.

    `loss` has dims `(optimizer, noise, seed)`; a run that diverged counts as infinite.
    """
    import xarray

    from optviz.plotting.swept import quantile

    noisy = surfaces.Noisy(surface, gradient_scale=1.0)
    axes = {"learning_rate": RATES, "surface.gradient_scale": noises, "seed": num_seeds}
    swept = [optviz.sweep(o, noisy, surface.start, num_steps, axes=axes, metrics=["final_loss"]) for o in optimizers]
    losses = np.stack([s.final_loss.values for s in swept]).astype(float) - known_minimum(surface)
    losses = np.where(np.isfinite(losses), losses, np.inf)
    tuning, judging = losses[..., ::2], losses[..., 1::2]
    best = np.median(tuning, axis=-1).argmin(axis=1)
    at = np.take_along_axis(judging, best[:, None, :, None], axis=1)[:, 0]
    return xarray.Dataset(
        {
            "rate": (("optimizer", "noise"), RATES[best]),
            "loss": (("optimizer", "noise", "seed"), at),
            "quantiles": (("optimizer", "noise", "quantile"), np.stack([quantile(at, q, -1) for q in LEVELS], -1)),
        },
        {
            "optimizer": [o.name for o in optimizers],
            "noise": noises,
            "seed": np.arange(1, num_seeds, 2),
            "quantile": list(LEVELS),
        },
        {"surface": surface.name, "num_steps": num_steps, "num_rates": len(RATES)},
    )


def predicted(optimizers: Sequence[Any], surface: Any, judged: Any) -> np.ndarray:
    """The quantiles in theory `(optimizer, noise, quantile)` at the rates that were chosen; NaN where none is known."""
    problem = quadratic(surface)
    found = np.full(judged.quantiles.shape, np.nan)
    for i, optimizer in enumerate(optimizers):
        if problem is None or not is_linear(optimizer):
            continue
        for j, noise in enumerate(judged.noise.values):
            tuned = optimizer.replace(learning_rate=float(judged.rate[i, j]))
            found[i, j] = loss_quantiles(tuned, problem, noise, judged.attrs["num_steps"], LEVELS)
    return found


def losses_at_rest(num_steps: int) -> Any:
    """The mean loss of gradient descent and the heavy ball, started at the minimum, against the rate; unit noise.

    `measured`, its standard `error` over the seeds, and `predicted` for the long run, `(optimizer, share)`, where the
    rate is a share of the largest that is stable.
    """
    import xarray

    bowl = surfaces.Quadratic(np.array([1.0, 10.0]))
    shares, found = np.geomspace(0.03, 0.95, 12), []
    noisy = surfaces.Noisy(bowl, gradient_scale=1.0)
    for name, beta in (("gd", 0.0), ("momentum", 0.9)):
        rates = shares * 2 * (1 + beta) / 10.0
        axes = {"learning_rate": rates, "seed": CHECK_SEEDS}
        optimizer = optviz.optimizer(name)
        swept = optviz.sweep(optimizer, noisy, [0.0, 0.0], 2 * num_steps, axes=axes, metrics=["final_loss"]).final_loss
        expected = sum(h / 2 * stationary_variance(rates, beta, h) for h in (1.0, 10.0))
        found.append((rates, swept.mean("seed"), swept.std("seed", ddof=1) / np.sqrt(CHECK_SEEDS), expected))
    names = ("rate", "measured", "error", "predicted")
    columns = {
        name: (("optimizer", "share"), np.stack(x)) for name, x in zip(names, zip(*found, strict=True), strict=True)
    }
    return xarray.Dataset(
        columns,
        {"optimizer": ["gd", "momentum"], "share": shares},
        {"num_steps": 2 * num_steps, "num_seeds": CHECK_SEEDS},
    )


def rank_agreement(a: np.ndarray, b: np.ndarray) -> float:
    """Kendall's tau of two rankings without ties: 1 if they agree, -1 if one is the other turned around."""
    i, j = np.triu_indices(len(a), 1)
    return float(np.mean(np.sign(a[i] - a[j]) * np.sign(b[i] - b[j]))) if len(i) else 1.0


def _row(judged: Any) -> dict[str, Any]:
    """One level of noise: who is best, by how much and how surely, and gradient descent beside its theory."""
    order = judged.quantiles.sel(quantile=0.5).argsort().values
    best, *second = (judged.isel(optimizer=i) for i in order[:2])
    gd = judged.where(judged.optimizer == "gd").sel(quantile=0.5).max("optimizer")  # of one, or NaN
    return {
        "noise": float(judged.noise),
        "best": str(best.optimizer.item()),
        "rate": float(best.rate),
        "loss": float(best.quantiles.sel(quantile=0.5)),
        "second": str(second[0].optimizer.item()) if second else "",
        "its loss": float(second[0].quantiles.sel(quantile=0.5)) if second else float("nan"),
        "ahead": float((best.loss < second[0].loss).mean()) if second else float("nan"),
        "gd": float(gd.quantiles),
        "predicted": float(gd.theory),
    }


def _answer(table: Sequence[Mapping[str, Any]], judged: Any, rest: Any) -> str:
    growth = ", ".join(f"{value:.2g} ({name})" for name, value in _growth(judged).items())
    off, inside = np.abs((rest.measured - rest.predicted) / rest.error).values, _inside(judged)
    sentences = [
        *(_contest(table, judged) if judged.sizes["optimizer"] > 1 else []),
        *_ends(judged),
        f"From the middle level on the median loss grows with the noise to the power of {growth}." if growth else "",
        f"Of the runs whose quantiles are known {100 * inside:.0f} % end between 10 and 90 %, expected 80."
        if inside
        else "",
        f"In the long run at one rate the mean loss is off theory by {np.sqrt(np.mean(off**2)):.2g} standard errors "
        f"(root mean square of {off.size}; 1 by chance), {off.max():.2g} at most.",
    ]
    return "\n".join(filter(None, sentences))


def _contest(table: Sequence[Mapping[str, Any]], judged: Any) -> list[str]:
    """Who is best, how surely, and what noise does to the ranking and to the differences."""
    places, median = ranks(judged).values, judged.quantiles.sel(quantile=0.5)
    apart = (median.max("optimizer") / median.min("optimizer")).values
    sure = sum(row["ahead"] >= 0.9 for row in table)
    winners = ", ".join(f"{row['best']} at {row['noise']:.2g}" for row in table)
    return [
        f"Best, each at its best rate for the noise: {winners}; "
        f"ahead of the second on at least 90 % of the seeds at {sure} of {len(table)} levels.",
        "Between the least and the largest noise the rankings agree by a Kendall tau of "
        f"{rank_agreement(places[:, 0], places[:, -1]):.2f} (1: the same, -1: turned around); the worst median is "
        f"{apart[0]:.2g} times the best at the least noise, {apart[-1]:.2g} times at the largest.",
    ]


def _ends(judged: Any) -> list[str]:
    """A warning where a better rate may lie beyond those tried."""
    at_end = (judged.rate == RATES[0]) | (judged.rate == RATES[-1])
    names = [str(name) for name in judged.optimizer.values[at_end.any("noise").values]]
    return [f"The best rate is at an end of those tried for {', '.join(names)}."] if names else []


def _inside(judged: Any) -> float | None:
    """The share of the judging runs between the quantiles that theory predicts; None where none are known."""
    known = judged.theory.notnull().all("quantile")
    low, high = judged.theory.isel(quantile=0), judged.theory.isel(quantile=-1)
    between = ((judged.loss >= low) & (judged.loss <= high)).where(known)
    return float(between.mean()) if bool(known.any()) else None


def _growth(judged: Any) -> dict[str, float]:
    """The power of the noise with which the median loss grows from the middle level to the largest."""
    if judged.sizes["noise"] < 2:
        return {}
    ends = judged.isel(noise=[(judged.sizes["noise"] - 1) // 2, -1])
    medians = np.log(ends.quantiles.sel(quantile=0.5).values)
    with np.errstate(invalid="ignore"):  # of two levels at which half of the runs diverge
        slopes = (medians[:, 1] - medians[:, 0]) / np.log(float(ends.noise[1] / ends.noise[0]))
    return {str(name): float(slope) for name, slope in zip(judged.optimizer.values, slopes, strict=True)}


def main(
    optimizer: Optimizers = None,
    surface: Annotated[str | None, typer.Option(help="NAME or NAME:KEY=VALUE,... Default: ten curvatures.")] = None,
    steps: Steps = 500,
    points: Points = 9,
    seeds: Seeds = 32,
    out: Out = RUNS,
) -> None:
    """How robust is each optimizer to noise on the gradient, and does noise change which is best?"""

    def experiment() -> Report:
        noises = np.geomspace(0.01, 100.0, points)
        chosen, descended = parse_optimizers(optimizer), None if surface is None else parse_surface(surface)
        return run_noise_robustness(chosen, descended, noises, num_steps=steps, num_seeds=seeds)

    present(experiment, out)


if __name__ == "__main__":
    script(main)
