"""The pictures of `experiments/momentum_effects.py`: measurements, and theory dashed over them."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.parts import momentum_theory as theory
from experiments.parts.momentum_measurements import TARGET, ravine_traces, speed_ups
from experiments.parts.panels import draw_lines, panels, tidy
from optviz.plotting import style

_DASHED = (0, (4, 2))


def draw_map(swept: Any, condition_number: float, *, nesterov: bool = False) -> Any:
    """Steps over rate and momentum; the limit of stability, and where a direction is critically damped."""
    from optviz.plotting.maps import plot_heat_map

    beta = np.linspace(0.0, swept.momentum.values.max(), 200)
    root = np.sqrt(beta)
    damped = ((1 - beta) / (1 + beta)) ** 2 if nesterov else (1 - root) ** 2
    lines = {
        "theory: stable below": (theory.stability_limit(beta, condition_number, nesterov=nesterov), beta),
        "theory: flat direction\ncritically damped": (damped, beta),
    }
    if not nesterov:
        lines["theory: steep direction\ncritically damped"] = ((1 + root) ** 2 / condition_number, beta)
    ax = plot_heat_map(swept, x="learning_rate", y="momentum", metric="steps", theory=lines)
    best = (theory.best_nesterov if nesterov else theory.best_heavy_ball)(condition_number)
    star = {"marker": "*", "ms": 13, "color": "white", "mec": "black", "ls": "none", "zorder": 6}
    ax.plot(best.learning_rate, best.momentum, label="theory: optimum", **star)
    style.legend(ax)
    caption = (
        f"steps until the loss stays below {TARGET:.0e} of the first, from equal loss in both directions · white: not "
        f"within {swept.attrs['num_steps']} steps"
    )
    for caption_before in list(ax.texts):
        caption_before.remove()
    name = "Nesterov's momentum" if nesterov else "The heavy ball"
    style.heading(ax, f"{name} on a bowl of condition number {condition_number:g}", caption)
    return ax


def draw_speed_up(speed: Any) -> Any:
    """Steps, and the speed-up over gradient descent, against the condition number."""
    caption = (
        f"steps until the loss stays below {TARGET:.0e} of the first, from equal loss in both directions · gradient "
        "descent and optimal momentum at their optimal settings, the others at the best of "
        f"{speed.attrs['num_rates']} rates · dashed: theory for runs without end"
    )
    left, right = panels(2, "Momentum against the condition number", caption, size=(4.0, 3.2))
    measured, predicted = speed_ups(speed)
    names, numbers = [str(name) for name in speed.variant.values], speed.condition_number.values
    for ax, found in ((left, speed.steps), (right, measured)):
        draw_lines(ax, numbers, {name: found.sel(variant=name).values for name in names}, marker=".", linewidth=1.2)
    for name, color in style.colours(names).items():
        right.plot(numbers, predicted.sel(variant=name).values, color=color, lw=0.9, ls=_DASHED)
    tidy(left, "condition number", "steps", x="log", y="log")
    tidy(right, "condition number", "gradient descent's steps / steps", x="log", y="log")
    right.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    return left


def draw_ravine(ravine: Any) -> Any:
    """The fewest steps through the ravine, and how far the run goes, over 1 - momentum."""
    told = ravine.attrs
    caption = (
        "from the customary start · left: until the loss stays below 1e-4, at the best of "
        f"{told['num_rates']} rates for each momentum · right: {told['num_steps']} steps, all at the effective rate "
        f"{told['effective_rate']:g} = learning rate / (1 − momentum)"
    )
    left, right = panels(2, "Momentum in a ravine that bends", caption, size=(3.4, 2.8))
    for ax, values, label in (
        (left, ravine.steps, "steps"),
        (right, ravine.path_length, "path length, parameter units"),
    ):
        draw_lines(ax, 1 - ravine.momentum.values, {"momentum": values.values}, marker=".", linewidth=1.2)
        tidy(ax, "1 − momentum", label, x="log", y="log" if ax is left and np.isfinite(values).any() else "linear")
        ax.invert_xaxis()
    return left


def draw_paths(ravine: Any, num_steps: int = 150) -> Any:
    """Paths through the ravine without momentum, with the best and with the largest, each at its best rate."""
    from optviz.plotting import plot_comparison

    chosen = ravine.isel(momentum=[0, int(np.argmin(ravine.steps.values)), -1])
    traces = ravine_traces(chosen.momentum.values, chosen.best_rate.values, num_steps)
    return plot_comparison(traces, note=f"each at the best of {ravine.attrs['num_rates']} rates for long runs")


def draw_noise(noise: Any) -> Any:
    """The loss at rest with noise over momentum, measured and predicted."""
    told = noise.attrs
    caption = (
        f"condition number {told['condition_number']:g} · unit noise on each entry of the gradient · mean over the "
        f"second half of {told['num_steps']} steps and {told['num_seeds']} seeds, bars: two standard errors · "
        "effective rate: learning rate / (1 − momentum) · dashed: theory"
    )
    (ax,) = panels(1, "Momentum with noise on the gradient", caption, size=(5.4, 3.4))
    names = [str(name) for name in noise.setting.values]
    for name, color in style.colours(names).items():
        one = noise.sel(setting=name)
        ax.errorbar(noise.momentum, one.measured, 2 * one.error, color=color, fmt="o", ms=3.5, lw=1.1, label=name)
        ax.plot(noise.momentum, one.predicted, color=color, lw=1.1, ls=_DASHED)
    tidy(ax, "momentum", "mean loss at rest", y="log")
    ax.legend(fontsize=8, frameon=False)
    return ax
