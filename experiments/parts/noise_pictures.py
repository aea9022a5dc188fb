"""The pictures of `noise_robustness`."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.parts.panels import draw_lines, panels, theory, tidy
from optviz.plotting import style

NOISE = "noise on each entry of the gradient"


def ranks(judged: Any) -> Any:
    """The place of every optimizer by its median loss, `(optimizer, noise)`, 1 for the lowest."""
    median = judged.quantiles.sel(quantile=0.5)
    return (median.argsort(axis=0).argsort(axis=0) + 1).rename("rank")


def draw_noise(judged: Any) -> Any:
    """The final loss and the best rate against the noise."""
    caption = (
        f"{judged.attrs['num_steps']} steps · same start and draws · each at the best of {judged.attrs['num_rates']} "
        f"rates for the noise, chosen on {judged.sizes['seed']} seeds, judged on as many others: median, 10 to 90 % · "
        "dashed: theory for that rate"
    )
    title = f"Noise on the gradient of {judged.attrs['surface'].replace('_', ' ')}"
    losses, ratios, rates = panels(3, title, caption, size=(3.3, 3.1))
    best = judged.quantiles.sel(quantile=0.5).min("optimizer")
    for name, color in style.colours(judged.optimizer.values).items():
        one = judged.sel(optimizer=name)
        for ax, scale in ((losses, 1.0), (ratios, best)):
            low, median, high = ((one.quantiles.sel(quantile=q) / scale).values for q in judged["quantile"].values)
            ax.fill_between(judged.noise, low, high, where=np.isfinite(high), color=color, alpha=0.13, linewidth=0)
            ax.plot(judged.noise, np.where(np.isfinite(median), median, np.nan), color=color, linewidth=1.4, label=name)
            theory(ax, judged.noise, one.theory.sel(quantile=0.5) / scale, "", color)
        rates.plot(judged.noise, one.rate, color=color, linewidth=1.4, label=name)
    tidy(losses, NOISE, "final loss above the minimum", x="log", y="log")
    tidy(ratios, NOISE, "final loss / lowest median", x="log", y="log")
    tidy(rates, NOISE, "best learning rate", x="log", y="log")
    rates.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    return losses


def draw_ranks(judged: Any) -> Any:
    """The places of the optimizers by their median loss."""
    (ax,) = panels(1, "Ranking by median final loss", "each at its best rate for the noise", size=(4.6, 2.8))
    places = ranks(judged)
    lines = {str(name): places.sel(optimizer=name).values for name in judged.optimizer.values}
    draw_lines(ax, judged.noise, lines, marker="o", markersize=5)
    tidy(ax, NOISE, "place", x="log")
    ax.set_yticks(range(1, judged.sizes["optimizer"] + 1))
    ax.invert_yaxis()
    ax.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    return ax


def draw_rest(rest: Any) -> Any:
    """The mean loss in the long run against the rate, and theory."""
    caption = (
        f"curvatures 1 and 10 · unit noise on each entry of the gradient · mean after {rest.attrs['num_steps']} steps "
        f"over {rest.attrs['num_seeds']} seeds, bars: two standard errors"
    )
    (ax,) = panels(1, "Where a constant rate comes to rest", caption, size=(4.8, 3.2))
    for name, color in style.colours([str(n) for n in rest.optimizer.values]).items():
        one = rest.sel(optimizer=name)
        ax.errorbar(one.rate, one.measured, 2 * one.error, color=color, fmt="o", ms=3.5, lw=1.1, label=name)
        theory(ax, one.rate, one.predicted, "theory" if name == "gd" else "", color)
    tidy(ax, "learning rate", "mean loss", x="log", y="log")
    ax.legend(fontsize=8, frameon=False)
    return ax
