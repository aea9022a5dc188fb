"""Comparisons that make a point, each with the point as data, so that a test can measure whether it is made."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Claim:
    """What is to be seen of a path: a number within bounds, or a status.

    `metric` is a column of the table, or `x` or `y` of the end. With `of` the bounds are shares of the same number of
    that other path. Paths are counted as they are drawn, twins included.
    """

    path: int
    metric: str = ""
    at_most: float = np.inf
    at_least: float = -np.inf
    of: int | None = None
    status: str | None = None

    def holds(self, paths: Sequence[Mapping[str, Any]], ends: Sequence[np.ndarray]) -> bool:
        """Whether the `paths` of an answer, whose last points are `ends`, show it."""
        if self.status is not None:
            return paths[self.path]["status"] == self.status

        def number(path: int) -> float:
            coordinate = {"x": 0, "y": 1}.get(self.metric)
            value = paths[path]["metrics"][self.metric] if coordinate is None else ends[path][coordinate]
            return np.inf if value is None else float(value)

        unit = 1.0 if self.of is None else number(self.of)
        return self.at_least * unit <= number(self.path) <= self.at_most * unit


@dataclasses.dataclass(frozen=True)
class Preset:
    """Settings with a title, a text that says what is to be seen, and the claims that it makes."""

    name: str
    title: str
    text: str
    settings: Mapping[str, Any]
    claims: tuple[Claim, ...]


def _with(name: str, learning_rate: float, **schedule: Any) -> dict[str, Any]:
    return {"name": name, "hyperparameters": {"learning_rate": learning_rate}, **schedule}


PRESETS: tuple[Preset, ...] = (
    Preset(
        "valley",
        "Through the valley",
        "The slope points across the valley, the minimum lies along it. Gradient descent and momentum have the same "
        "learning rate: momentum adds up the small steps along the floor and gets there, gradient descent crawls. "
        "Every rate was tuned with the same effort for these 300 steps.",
        {
            "surface": "rosenbrock",
            "start": [-1.0, 1.5],
            "view": [-1.7, 1.5, -0.6, 2.1],
            "num_steps": 300,
            "optimizers": [_with("sgd", 0.00191), _with("momentum", 0.00191), _with("rmsprop", 0.0237),
                           _with("adam", 0.294)],
        },
        (
            Claim(1, "final_loss", at_most=0.001, of=0),
            Claim(2, "final_loss", at_most=0.5, of=0),
            Claim(3, "final_loss", at_most=0.01, of=0),
        ),
    ),
    Preset(
        "ill_conditioned",
        "A long narrow bowl",
        "One direction is 100 times as steep as the other. Gradient descent must keep its rate small for the steep one "
        "and is slow along the flat one. Momentum and Adam need about 100 steps, and Newton's method, which knows "
        "both curvatures, 5.",
        {
            "surface": "quadratic_bowl",
            "coefficients": {"condition_number": 100.0},
            "num_steps": 150,
            "optimizers": [_with("gd", 0.0143), _with("momentum", 0.00523), _with("adam", 1.04), _with("newton", 0.8)],
        },
        (
            Claim(0, "final_loss", at_least=0.05),
            Claim(1, "steps_to_tolerance", at_most=110),
            Claim(2, "steps_to_tolerance", at_most=110),
            Claim(3, "steps_to_tolerance", at_most=5),
        ),
    ),
    Preset(
        "edge_of_stability",
        "The largest stable rate",
        "The largest curvature here is 100, so gradient descent is stable below a rate of 2 / 100. At 0.0195 it "
        "zigzags and is still faster than at 0.01; at 0.0201 it diverges.",
        {
            "surface": "quadratic_bowl",
            "coefficients": {"condition_number": 100.0},
            "num_steps": 100,
            "optimizers": [_with("gd", 0.0201), _with("gd", 0.01), _with("gd", 0.0195)],
        },
        (Claim(0, status="diverged"), Claim(2, "final_loss", at_most=0.25, of=1)),
    ),
    Preset(
        "saddle",
        "Stuck at a saddle",
        "The start is almost on the ridge. Gradient descent runs to the saddle and waits there, since the slope that "
        "leads away is tiny. Momentum and Adam leave within the 200 steps. Newton's method goes to the saddle and "
        "stays: it looks for any point without slope.",
        {
            "surface": "strict_saddle",
            "start": [-1.5, 1e-4],
            "num_steps": 200,
            "optimizers": [_with("gd", 0.02), _with("momentum", 0.02), _with("adam", 0.02), _with("newton", 1.0)],
        },
        (
            Claim(0, "distance", at_least=0.9),
            Claim(1, status="converged"),
            Claim(2, status="converged"),
            Claim(3, "distance", at_least=0.99),
        ),
    ),
    Preset(
        "four_minima",
        "Which of four minima",
        "All four minima are equally low, and all three methods start from the same point; gradient descent and "
        "momentum end in different ones.",
        {
            "surface": "himmelblau",
            "start": [0.0, -0.5],
            "num_steps": 200,
            "optimizers": [_with("gd", 0.01), _with("momentum", 0.01), _with("adam", 0.3)],
        },
        (
            *(Claim(i, status="converged") for i in range(3)),
            Claim(0, "x", at_least=2.9),
            Claim(1, "x", at_most=-2.7),
        ),
    ),
    Preset(
        "local_minimum",
        "The nearest minimum is not the lowest",
        "Gradient descent, momentum and Adam all end in the local minimum next to the start, far from the lowest one: "
        "the start decides, not the method.",
        {
            "surface": "rastrigin",
            "num_steps": 300,
            "optimizers": [_with("gd", 0.001), _with("momentum", 0.001), _with("adam", 0.05)],
        },
        (
            *(Claim(i, "distance", at_least=3.0) for i in range(3)),
            Claim(1, "final_loss", at_most=1.01, at_least=0.99, of=0),
            Claim(2, "final_loss", at_most=1.01, at_least=0.99, of=0),
        ),
    ),
    Preset(
        "noise_and_decay",
        "Noise and a falling rate",
        "Every gradient carries noise, the same draws for all three. With a constant rate the path ends in a cloud "
        "whose size goes with the rate; a rate that falls along a cosine begins fast and ends close.",
        {
            "surface": "quadratic_bowl",
            "noise": 2.0,
            "num_steps": 1000,
            "optimizers": [_with("gd", 0.1), _with("gd", 0.01), _with("gd", 0.1, schedule={"name": "cosine"})],
        },
        (Claim(1, "final_loss", at_most=0.2, of=0), Claim(2, "final_loss", at_most=0.2, of=1)),
    ),
    Preset(
        "plateau",
        "Across a plateau",
        "The plateau has almost no slope. Gradient descent and momentum, whose steps are as long as the slope is "
        "steep, stand still; RMSProp and Adam divide the gradient by its own size and cross it.",
        {
            "surface": "plateau",
            "num_steps": 1000,
            "optimizers": [_with("gd", 0.1), _with("momentum", 0.1), _with("rmsprop", 0.01), _with("adam", 0.05)],
        },
        (
            Claim(0, "distance", at_least=5.0),
            Claim(1, "distance", at_least=5.0),
            Claim(2, status="converged"),
            Claim(3, status="converged"),
        ),
    ),
    Preset(
        "sparsity",
        "L1 makes zeros",
        "The minimum is at (10, 10), steep in one direction and flat in the other. The dashed path has an L1 penalty: "
        "the flat coordinate goes to zero, the steep one loses 1.5. With L2 instead neither becomes zero.",
        {
            "surface": "shifted_optimum",
            "start": [4.0, 14.0],
            "num_steps": 3000,
            "regularisation": {"kind": "l1", "strength": 1.5},
            "optimizers": [_with("gd", 0.01)],
        },
        (
            Claim(0, "x", at_least=9.9, at_most=10.1),
            Claim(0, "y", at_least=9.0),
            Claim(1, "x", at_least=8.45, at_most=8.55),
            Claim(1, "y", at_least=-0.02, at_most=0.02),
        ),
    ),
    Preset(
        "decoupled_decay",
        "Decay apart from the loss",
        "The dashed paths have weight decay that does not go through the gradient. Gradient descent rests where an L2 "
        "penalty of the same strength would put it, at a tenth of the way in the flat direction; Adam, which rescales "
        "the gradient and not the decay, rests elsewhere.",
        {
            "surface": "shifted_optimum",
            "num_steps": 2000,
            "regularisation": {"kind": "decoupled", "strength": 1.0},
            "optimizers": [_with("gd", 0.01), _with("adam", 0.1)],
        },
        (
            Claim(1, "x", at_least=4.9, at_most=5.1),
            Claim(1, "y", at_least=0.85, at_most=0.95),
            Claim(3, "x", at_most=2.0),
        ),
    ),
)  # fmt: skip

DEFAULT = PRESETS[0]
"""What is seen first."""
