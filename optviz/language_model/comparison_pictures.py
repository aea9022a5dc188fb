"""The pictures of a comparison: losses with their intervals, and the paths of the weights on a plane."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int

from optviz.language_model.cards import num_weights
from optviz.language_model.standings import Standing, mean_interval
from surfaces.base import LossSurface, as_surface
from surfaces.transformer import Transformer, Weights, text_loss

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from optviz.language_model.comparison import Comparison

_DRAWN_TOKENS = 512  # about so many of the validation text make the surface under the paths
_RESOLUTION = 25  # points of that surface along each axis
_LEAST_RESOLUTION = 15  # even if the model is large
_MOST_PRODUCTS = 10**12  # of a weight with a token's number, for all points of the surface


def plot_losses(comparison: Comparison) -> np.ndarray:
    """The picture of the losses, on a new figure; see `plot_training_comparison`."""
    from optviz.plotting.training import FinalLosses, plot_training_comparison

    finals = {s.label: FinalLosses(s.losses, *mean_interval(s.losses)) for s in comparison.standings}
    curves = {s.label: _curve(s) for s in comparison.standings}
    return plot_training_comparison(
        curves,
        finals,
        tuning_dataset(comparison.standings),
        target=comparison.target,
        title=_plain(title(comparison)),
        caption=what_was_equal(comparison),
    )


def plot_diagnostics(comparison: Comparison) -> np.ndarray:
    """The picture of what went on inside the runs with the first judging seed; see `plot_training_diagnostics`."""
    from optviz.plotting.training import plot_training_diagnostics

    first = {standing.label: standing.runs[0] for standing in comparison.standings}
    caption = f"{what_was_equal(comparison)} · drawn: seed {comparison.standings[0].runs[0].seed}"
    return plot_training_diagnostics(
        {label: run.record for label, run in first.items()}, title=_plain(title(comparison)), caption=caption
    )


def plot_paths(comparison: Comparison) -> np.ndarray:
    """The paths of the weights with the first judging seed, over the loss on the plane of their principal directions.

    Returns:
      The Axes (k,) of a new figure; see `plot_weight_paths`.
    """
    from optviz.plotting.training import plot_weight_paths

    surface, shown = _drawn_surface(comparison)
    paths = [_weight_path(comparison, standing, surface) for standing in comparison.standings]
    what = f"{title(comparison)}: paths of the weights, over the loss on {shown:,} tokens of the validation text"
    same = f"same initial weights and batches (seed {comparison.standings[0].runs[0].seed})"
    caption = f"{same} · {comparison.path_steps[-1]} steps · {effort(comparison)}"
    return plot_weight_paths(paths, title=_plain(what), caption=caption, resolution=_resolution(comparison, shown))


def _resolution(comparison: Comparison, num_tokens: int) -> int:
    """The points of the surface along each axis: fewer for a large model, that the picture may take a minute or two."""
    affordable = math.isqrt(_MOST_PRODUCTS // (num_tokens * num_weights(comparison.model)))
    return min(max(affordable, _LEAST_RESOLUTION), _RESOLUTION)


def _plain(text: str) -> str:
    """Text in which Matplotlib sees no formula."""
    return text.replace("$", r"\$")


@dataclasses.dataclass(frozen=True)
class WeightPath:
    """What the pictures of runs read of a trace, for the weights kept along a training run."""

    name: str
    surface: LossSurface
    """With the text on which the losses are judged."""
    initial_params: Any
    path: Any
    """The weights, each leaf with a leading axis of the T + 1 points."""
    losses: Array
    """(T + 1,)"""
    path_index: np.ndarray
    """(T + 1,), the numbers of steps."""


def _weight_path(comparison: Comparison, standing: Standing, surface: LossSurface) -> WeightPath:
    run = standing.runs[0]
    flat = np.load(comparison.paths[standing.label], allow_pickle=False)
    start = comparison.model.transformer.init(jax.random.key(run.seed))
    example, unravel = ravel_pytree(start)
    points = [unravel(jnp.asarray(row, example.dtype)) for row in flat]
    losses = jnp.stack([_loss_at(surface, point) for point in points])
    if not math.isfinite(run.final_loss):  # which the stretch of text that is drawn need not show
        losses = losses.at[-1].set(jnp.inf)
    path = jax.tree.map(lambda *leaves: np.stack(leaves), *points)
    return WeightPath(standing.label, surface, start, path, losses, np.array(comparison.path_steps))


class TextLoss(eqx.Module):
    """The loss on a whole text as a plain function of the weights, without the start that a surface has."""

    model: Transformer
    tokens: Int[Array, " N"]

    def __call__(self, params: Weights) -> Float[Array, ""]:
        return text_loss(self.model, params, self.tokens)


@jax.jit
def _loss_at(surface: LossSurface, params: Weights) -> Float[Array, ""]:
    return surface(params)


def _drawn_surface(comparison: Comparison) -> tuple[LossSurface, int]:
    """The loss on a stretch of the validation text, small enough to be drawn, and how many tokens it predicts."""
    transformer = comparison.model.transformer
    tokens = comparison.model.tokens("validation")
    length = max(1, min(_DRAWN_TOKENS, len(tokens) - 1) // transformer.context) * transformer.context
    return as_surface(TextLoss(transformer, jnp.asarray(tokens[: length + 1]))), length


def tuning_dataset(standings: Sequence[Standing]) -> Any:
    """The tuning runs as an `xarray.Dataset` over `optimizer` and `learning_rate`; None if there were none."""
    import xarray

    tuned = [standing for standing in standings if standing.tuning]
    if not tuned:
        return None
    rates = sorted({rate for standing in tuned for rate in standing.rates})
    loss = np.full((len(tuned), len(rates)), np.nan)
    for row, standing in zip(loss, tuned, strict=True):
        for run in standing.tuning:
            row[[rate == run.rate for rate in rates]] = run.final_loss
    dims = ("optimizer", "learning_rate")
    diverged = np.where(np.isnan(loss), np.nan, np.isinf(loss))
    data = {"validation_loss": (dims, loss), "diverged": (dims, diverged)}
    return xarray.Dataset(data, {"optimizer": [s.label for s in tuned], "learning_rate": rates})


def _curve(standing: Standing) -> Any:
    """The losses of one optimizer along its runs."""
    from optviz.plotting.training import LearningCurve

    seconds = float(np.median([run.seconds_per_step for run in standing.runs]))
    return LearningCurve(np.array(standing.runs[0].steps), np.array([run.losses for run in standing.runs]), seconds)


def what_was_equal(comparison: Comparison) -> str:
    """What all optimizers had in common, in words."""
    settings, plan = comparison.model.settings, comparison.plan
    parts = [
        f"{settings.steps} steps of {settings.batch_size * settings.accumulation} x "
        f"{comparison.model.transformer.context} tokens",
        f"{plan.seeds} {'seed' if plan.seeds == 1 else 'seeds'}, each with the same initial weights and batches",
        f"{settings.schedule} schedule, {settings.warmup_steps} steps of warm-up",
        f"gradients clipped to norm {settings.clip_norm:g}" if settings.clip_norm else "no clipping",
        effort(comparison),
    ]
    return " · ".join(parts)


def effort(comparison: Comparison) -> str:
    """How the rates were found."""
    plan, standings = comparison.plan, comparison.standings
    if not any(standing.tuning for standing in standings):
        return "rates given"
    steps = plan.tuning_steps or comparison.model.settings.steps
    told = f"rates tuned by {plan.budget} runs of {steps} steps each, with another seed"
    given = [s.label for s in standings if not s.tuning and s.rate is not None]
    return told + (f", but given for {', '.join(given)}" if given else "")


def title(comparison: Comparison) -> str:
    """What was trained on what, in a line."""
    book = str(comparison.model.config["about"].get("title", comparison.model.name))
    return f"A language model of {num_weights(comparison.model):,} weights on {' '.join(book.split())}"


def save_and_close(axes: Axes, path: Path) -> None:
    """Write the whole figure of `axes` to a file, there at once or not at all, and let go of it."""
    import matplotlib.pyplot as plt

    from optviz.plotting.files import replacing, save_picture

    with replacing(path) as scratch:
        save_picture(axes, scratch)
    plt.close(axes.get_figure(root=True))
