"""Where `torch.optim` and Optax mean the same optimizer, and how to set both so that they take the same steps.

Everything here was read off the sources of PyTorch 2.13 and Optax 0.2.8, and is tested: every optimizer that can be
matched agrees step by step in double precision.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import jax.numpy as jnp


@dataclasses.dataclass(frozen=True)
class TorchTwin:
    """The optimizer of `torch.optim` that goes by the same equations, and what sets both alike.

    `arguments` gives for each argument of PyTorch the hyperparameter that it takes, two for a pair. `ours` and
    `theirs` are settings besides: numbers, flags, or functions of all our hyperparameters by name.
    """

    name: str
    arguments: Mapping[str, str | tuple[str, ...]] = dataclasses.field(default_factory=dict)
    ours: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    theirs: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    note: str = ""
    """How the defaults and formulas differ; empty where they do not."""
    tolerance: float = 1e-11
    """Largest distance between the two paths within 500 steps in float64, relative to the length of the way."""
    differs: str = ""
    """Why no setting makes the two alike; empty if one does."""

    def matched(self, values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Our hyperparameters and PyTorch's arguments, from `values` of ours; those that are None are left out."""
        ours = dict(values) | {k: v(values) if callable(v) else v for k, v in self.ours.items()}
        taken = {
            argument: tuple(values[n] for n in names) if isinstance(names, tuple) else values[names]
            for argument, names in self.arguments.items()
        }
        return ours, {k: v for k, v in taken.items() if v is not None} | dict(self.theirs)


def _second_bias(values: Mapping[str, Any], count: Any) -> Any:
    """The root of the bias correction of the mean square in step `count`, counted from 0."""
    return jnp.sqrt(1 - values["b2"] ** (count + 1.0))


def _times_bias(name: str, power: int) -> Callable[[Mapping[str, Any]], Callable[[Any], Any]]:
    """The hyperparameter as a schedule: times the root of the bias correction, or divided by it."""
    return lambda values: lambda count: values[name] * _second_bias(values, count) ** power


def _falling(values: Mapping[str, Any]) -> Callable[[Any], Any]:
    return lambda count: jnp.minimum(values["learning_rate"], (count + 1.0) ** -0.5)


_BETAS = {"lr": "learning_rate", "betas": ("b1", "b2"), "eps": "eps"}
_DECAYED = {**_BETAS, "weight_decay": "weight_decay"}
_NADAM = (
    "PyTorch lets the momentum of step t be b1 (1 - 0.96^(0.004 t) / 2), Optax has b1: `momentum_decay=1e9` makes it "
    "so. In PyTorch the product of momenta has the default dtype: float64 needs `torch.set_default_dtype`"
)

GD = TorchTwin("SGD", {"lr": "learning_rate"})
SGD = TorchTwin("SGD", {"lr": "learning_rate", "momentum": "momentum", "nesterov": "nesterov"})
MOMENTUM = TorchTwin("SGD", {"lr": "learning_rate", "momentum": "momentum"}, note="the same, with `dampening=0`")
NESTEROV = TorchTwin("SGD", {"lr": "learning_rate", "momentum": "momentum"}, theirs={"nesterov": True})
ADAGRAD = TorchTwin(
    "Adagrad",
    {"lr": "learning_rate", "initial_accumulator_value": "initial_accumulator_value"},
    ours={"eps": 0.0},
    theirs={"eps": 0.0},
    note="the sum begins at 0.1 in Optax, at 0 in PyTorch; eps (1e-7 and 1e-10) is added under the root in Optax, "
    "outside it in PyTorch: 0 in both",
)
ADADELTA = TorchTwin(
    "Adadelta", {"lr": "learning_rate", "rho": "rho", "eps": "eps", "weight_decay": "weight_decay"},
)  # fmt: skip
RMSPROP = TorchTwin(
    "RMSprop",
    {"lr": "learning_rate", "alpha": "decay", "eps": "eps", "centered": "centered", "momentum": "momentum"},
    ours={"eps_in_sqrt": False},
    note="the decay is 0.9 in Optax, 0.99 in PyTorch; PyTorch adds eps outside the root: `eps_in_sqrt=False`",
)
ADAM = TorchTwin("Adam", _BETAS)
ADAMW = TorchTwin("AdamW", _DECAYED, note="the weight decay is 1e-4 in Optax, 1e-2 in PyTorch")
NADAM = TorchTwin("NAdam", _BETAS, theirs={"momentum_decay": 1e9}, note=_NADAM)
NADAMW = TorchTwin(
    "NAdam", _DECAYED, theirs={"momentum_decay": 1e9, "decoupled_weight_decay": True}, note="as `nadam`, decoupled"
)
AMSGRAD = TorchTwin(
    "Adam",
    _BETAS,
    ours={
        "bias_correction_nu": False,
        "learning_rate": _times_bias("learning_rate", 1),
        "eps": _times_bias("eps", 1),
    },
    theirs={"amsgrad": True},
    note="Optax corrects the mean square before the maximum, PyTorch after it: `bias_correction_nu=False`, and "
    "learning rate and eps times sqrt(1 - b2^t)",
)
ADAMAX = TorchTwin("Adamax", _BETAS)
RADAM = TorchTwin(
    "RAdam",
    _BETAS,
    ours={"eps": _times_bias("eps", -1)},
    note="PyTorch adds eps before it corrects the bias: eps over sqrt(1 - b2^t) in Optax",
)
ADAFACTOR = TorchTwin(
    "Adafactor",
    {"lr": "learning_rate", "d": "clipping_threshold"},
    ours={"learning_rate": _falling, "min_dim_size_to_factor": 1, "eps": 0.0},
    theirs={"eps": (0.0, 1e-3), "beta2_decay": -0.8},
    note="PyTorch's rate is at most 1 / sqrt(t), and it factors every matrix: a schedule, and "
    "`min_dim_size_to_factor=1`; eps bounds the square from below in PyTorch and is added in Optax: 0 in both. "
    "Optax computes the decay in float32 always",
    tolerance=1e-6,
)
RPROP = TorchTwin(
    "Rprop",
    differs="Optax takes every step one iteration late and so sees other gradients; PyTorch steps at once.",
)
LBFGS = TorchTwin(
    "LBFGS",
    differs="One step of PyTorch is up to 20 iterations, with another line search or none.",
)
MUON = TorchTwin(
    "Muon",
    differs="PyTorch orthogonalises in bfloat16, corrects no bias and lengthens steps of tall matrices instead of wide "
    "ones.",
)

ONLY_IN_TORCH: Mapping[str, str] = MappingProxyType(
    {
        "ASGD": "Optax has no averaged SGD with this schedule.",
        "SparseAdam": "It takes sparse gradients only, which no surface has.",
    }
)
"""The classes of `torch.optim` that the catalogue has no entry for, with the reason."""
