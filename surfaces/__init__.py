"""The world: loss surfaces to descend. The catalogue has one line per surface; `surface(name)` makes one."""

from __future__ import annotations

import dataclasses
from typing import Any

from surfaces.adversarial import BentRavine, Cliff, Kinks, NoisyQuadratic, ReddiOnline, ShiftedOptimum
from surfaces.base import FunctionSurface, LossSurface, as_surface, coefficient
from surfaces.convex import AbsoluteValue, Huber, LogCosh, Quadratic, QuadraticBowl, Sphere
from surfaces.matrices import MatrixFactorization, MatrixRegression
from surfaces.multimodal import (
    Ackley,
    AckleyFunction,
    Griewank,
    Levy,
    Michalewicz,
    Schwefel,
    StyblinskiTang,
)
from surfaces.multimodal_2d import (
    Bukin6,
    CrossInTray,
    DropWave,
    Easom,
    Eggholder,
    Himmelblau,
    HimmelblauFunction,
    HolderTable,
    Schaffer2,
    Schaffer4,
)
from surfaces.names import unknown_name
from surfaces.neural_toy import SpiralNetwork, XorNetwork
from surfaces.rastrigin import Rastrigin, RastriginFunction
from surfaces.regression import LogisticRegression
from surfaces.rosenbrock import Rosenbrock, RosenbrockFunction
from surfaces.saddle_point import MonkeySaddle, Plateau, Saddle, StrictSaddle
from surfaces.transformer import LanguageModelLoss, Transformer
from surfaces.valleys import (
    Beale,
    BealeFunction,
    Booth,
    Branin,
    DixonPrice,
    GoldsteinPrice,
    Matyas,
    McCormick,
    Powell,
    SixHumpCamel,
    ThreeHumpCamel,
    Zakharov,
)
from surfaces.wrappers import Averaged, Noisy, Rotated, Scaled, Shifted, Slice

CATALOGUE: tuple[type[LossSurface], ...] = (
    # convex
    Sphere,
    QuadraticBowl,
    Quadratic,
    LogCosh,
    Huber,
    AbsoluteValue,
    # valleys
    Rosenbrock,
    Beale,
    Booth,
    Matyas,
    McCormick,
    ThreeHumpCamel,
    SixHumpCamel,
    GoldsteinPrice,
    Branin,
    DixonPrice,
    Zakharov,
    Powell,
    # multimodal
    Rastrigin,
    Ackley,
    Griewank,
    Schwefel,
    Levy,
    StyblinskiTang,
    Michalewicz,
    Himmelblau,
    Easom,
    Eggholder,
    CrossInTray,
    HolderTable,
    DropWave,
    Bukin6,
    Schaffer2,
    Schaffer4,
    # saddles and plateaus
    Saddle,
    MonkeySaddle,
    StrictSaddle,
    Plateau,
    # adversarial
    ReddiOnline,
    Cliff,
    BentRavine,
    NoisyQuadratic,
    Kinks,
    ShiftedOptimum,
    # regression, networks, matrices
    LogisticRegression,
    XorNetwork,
    SpiralNetwork,
    MatrixRegression,
    MatrixFactorization,
)

WRAPPERS: tuple[type[LossSurface], ...] = (Shifted, Rotated, Scaled, Noisy, Slice, Averaged)

_BY_NAME = {make.catalogue_name(): make for make in CATALOGUE}


def names() -> tuple[str, ...]:
    """The catalogue's names, in its order."""
    return tuple(_BY_NAME)


def surface(name: str, **coefficients: Any) -> LossSurface:
    """A surface of the catalogue: `surface("quadratic_bowl", condition_number=100.0)`.

    Raises:
      ValueError: for an unknown name, with the nearest ones, or a coefficient out of its range.
      TypeError: for an unknown coefficient.
    """
    if name not in _BY_NAME:
        raise ValueError(unknown_name("surface", name, _BY_NAME))
    known = [f.name for f in dataclasses.fields(_BY_NAME[name])]
    for given, value in coefficients.items():
        if given not in known:
            raise TypeError(f"{name}: {unknown_name('coefficient', given, known)}")
        if isinstance(value, str | bool):
            raise TypeError(f"{name}: {given} must be a number, got {value!r}.")
    return _BY_NAME[name](**coefficients)


__all__ = [
    "CATALOGUE",
    "WRAPPERS",
    "AbsoluteValue",
    "Ackley",
    "AckleyFunction",
    "Averaged",
    "Beale",
    "BealeFunction",
    "BentRavine",
    "Booth",
    "Branin",
    "Bukin6",
    "Cliff",
    "CrossInTray",
    "DixonPrice",
    "DropWave",
    "Easom",
    "Eggholder",
    "FunctionSurface",
    "GoldsteinPrice",
    "Griewank",
    "Himmelblau",
    "HimmelblauFunction",
    "HolderTable",
    "Huber",
    "Kinks",
    "LanguageModelLoss",
    "Levy",
    "LogCosh",
    "LogisticRegression",
    "LossSurface",
    "MatrixFactorization",
    "MatrixRegression",
    "Matyas",
    "McCormick",
    "Michalewicz",
    "MonkeySaddle",
    "Noisy",
    "NoisyQuadratic",
    "Plateau",
    "Powell",
    "Quadratic",
    "QuadraticBowl",
    "Rastrigin",
    "RastriginFunction",
    "ReddiOnline",
    "Rosenbrock",
    "RosenbrockFunction",
    "Rotated",
    "Saddle",
    "Scaled",
    "Schaffer2",
    "Schaffer4",
    "Schwefel",
    "Shifted",
    "ShiftedOptimum",
    "SixHumpCamel",
    "Slice",
    "Sphere",
    "SpiralNetwork",
    "StrictSaddle",
    "StyblinskiTang",
    "ThreeHumpCamel",
    "Transformer",
    "XorNetwork",
    "Zakharov",
    "as_surface",
    "coefficient",
    "names",
    "surface",
    "unknown_name",
]
