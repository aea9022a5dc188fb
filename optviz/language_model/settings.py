"""What a training run is told in advance: optimizer, rate, batches, intervals, rule of stopping."""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import ScalarLike

from optviz.optimizers import OptimizerSpec, entry, optimizer, param_groups, schedules
from optviz.optimizers.protocol import WiredOptimizer
from surfaces.names import unknown_name

SCHEDULES = ("constant", "linear", "cosine")


@dataclasses.dataclass(frozen=True)
class TrainingSettings:
    """How a language model is trained; every field is JSON data.

    Raises:
      ValueError: for a number out of its range, an unknown optimizer or schedule, or no learning rate.
      TypeError: for an unknown hyperparameter where there is no learning rate.
    """

    optimizer: str = "adamw"
    """A name of the catalogue."""
    hyperparameters: Mapping[str, Any] = dataclasses.field(default_factory=lambda: {"learning_rate": 1e-3})
    """The optimizer's own; the learning rate is the highest that the schedule reaches."""
    steps: int = 2000
    batch_size: int = 12
    """Stretches of text in a batch."""
    accumulation: int = 1
    """Batches in a step, one after the other; their gradients are averaged."""
    schedule: str = "cosine"
    """What the learning rate does after the warm-up: constant, linear or cosine."""
    warmup_steps: int = 100
    """Steps over which the rate rises in a straight line."""
    final_rate: float = 0.1
    """The rate at the end, as a share of the highest; the constant schedule has none."""
    clip_norm: float = 1.0
    """Longer gradients are shortened to this L2 norm over all weights; 0 leaves them."""
    decay_vectors: bool = False
    """Whether weight decay acts on the scales of norms too, and not on matrices and embeddings alone."""
    seed: int = 0
    """Initial weights and batches hang on it."""
    validate_every: int = 250
    save_every: int = 250
    log_every: int = 1
    """Every how many steps `curves.csv` has a row."""
    sharpness: bool = False
    """Whether the largest eigenvalue of the Hessian is measured at each validation."""
    patience: int = 0
    """Stop after so many validations in a row without a new best; 0: never."""
    obey_should_stop: bool = False
    """Stop at a validation when the optimizer says so (EmoNavi and its kin)."""

    def __post_init__(self):
        _require_whole(self, 1, "steps", "batch_size", "accumulation", "validate_every", "save_every", "log_every")
        _require_whole(self, 0, "warmup_steps", "seed", "patience")
        for name, end in (("steps", 31), ("seed", 32), ("batch_size", 20)):  # XLA ends the process for absurd shapes
            if getattr(self, name) >= 2**end:
                raise ValueError(f"{name} must be below 2**{end}, got {getattr(self, name)}.")
        for name in ("final_rate", "clip_norm"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
                raise ValueError(f"{name} must be a number >= 0, got {value!r}.")
        if self.schedule not in SCHEDULES:
            raise ValueError(unknown_name("schedule", self.schedule, SCHEDULES))
        entry(self.optimizer)
        if "learning_rate" in _numbers_of(self.optimizer) and "learning_rate" not in self.hyperparameters:
            optimizer(self.optimizer, **self.hyperparameters)  # an unknown name among them is told first
            raise ValueError(
                f"{self.optimizer} needs a learning_rate of its own, since the catalogue's suits toy surfaces: "
                f"{self.optimizer}:learning_rate=0.001, for example."
            )
        require_rates(self.hyperparameters)

    def as_json(self) -> dict[str, Any]:
        """The settings as JSON data."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)} | {
            "hyperparameters": dict(self.hyperparameters)
        }

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> TrainingSettings:
        """The settings that `as_json` gave; ValueError for an unknown one."""
        known = [f.name for f in dataclasses.fields(cls)]
        for name in given:
            if name not in known:
                raise ValueError(unknown_name("training setting", name, known))
        return cls(**given)

    def replace(self, **changes: Any) -> TrainingSettings:
        """The settings with some changed."""
        return TrainingSettings.from_json({**self.as_json(), **changes})

    def build_optimizer(self) -> WiredOptimizer:
        """The optimizer with its schedule, its groups of parameters and its clipping.

        Weight decay spares vectors, such as the scales of norms, unless `decay_vectors`. An optimizer that tells
        matrices from other weights, as Muon does, has the matrices of the blocks for its own and the embeddings not.
        """
        spec = optimizer(self.optimizer, **self.hyperparameters)
        if "muon_weight_dimension_numbers" in inspect.signature(spec.factory).parameters:
            spec = spec.replace(muon_weight_dimension_numbers=matrices_of_blocks)
        built = self._grouped(spec) if self._has_groups(spec) else self._scheduled(spec)
        return Clipped(optimizer=built, max_norm=self.clip_norm, name=built.name) if self.clip_norm else built

    def _has_groups(self, spec: OptimizerSpec) -> bool:
        decays = [spec.hyperparameters[name] for name in _decays(spec)]
        return not self.decay_vectors and any(jnp.ndim(decay) > 0 or bool(decay) for decay in decays)

    def _grouped(self, spec: OptimizerSpec) -> WiredOptimizer:
        groups = [{"params": "matrices"}, {"params": "vectors", **dict.fromkeys(_decays(spec), 0.0)}]
        factors = {"learning_rate": self.rate(1.0)} if self._has_rate(spec) else None
        return param_groups(groups, spec, labels=matrices_and_vectors, schedules=factors)

    def _scheduled(self, spec: OptimizerSpec) -> OptimizerSpec:
        if not self._has_rate(spec):
            return spec
        return spec.replace(learning_rate=self.rate(spec.hyperparameters["learning_rate"]))

    def _has_rate(self, spec: OptimizerSpec) -> bool:
        moves = self.schedule != "constant" or self.warmup_steps > 0
        return moves and isinstance(spec.hyperparameters.get("learning_rate"), float)

    def rate(self, highest: float) -> schedules.Schedule:
        """The learning rate over the steps."""
        # The first step already counts: a rate of 0 would waste it.
        first, end = highest / (self.warmup_steps + 1), self.final_rate * highest
        rest = max(self.steps - self.warmup_steps, 1)
        after = {
            "constant": schedules.Constant(highest),
            "linear": schedules.Linear(highest, end, rest),
            "cosine": schedules.CosineDecay(highest, rest, self.final_rate),
        }[self.schedule]
        if not self.warmup_steps:
            return after
        return schedules.Joined([schedules.Linear(first, highest, self.warmup_steps), after], [self.warmup_steps])


def _decays(spec: OptimizerSpec) -> list[str]:
    """The names of its weight decays: Muon has another for what is no matrix."""
    return [name for name in spec.hyperparameters if name.endswith("weight_decay")]


class Clipped(WiredOptimizer):
    """An optimizer that is handed gradients of at most `max_norm`, the L2 norm over all parameters.

    Pascanu, Mikolov & Bengio (2013), ICML, arXiv:1211.5063, algorithm 1.
    """

    optimizer: WiredOptimizer
    max_norm: ScalarLike
    name: str = eqx.field(static=True)

    def in_force(self, count: Any) -> dict[str, Any]:
        """The optimizer's hyperparameters at step `count`, as far as it tells them."""
        return getattr(self.optimizer, "in_force", lambda count: {})(count)

    def init(self, params: Any) -> Any:
        return self.optimizer.init(params)

    def update(self, grads: Any, state: Any, params: Any = None, /, **extra: Any) -> tuple[Any, Any]:
        norm = optax.tree.norm(grads)
        factor = jnp.minimum(1.0, self.max_norm / jnp.where(norm > 0, norm, 1.0))
        return self.optimizer.update(
            jax.tree.map(lambda g: (factor * g).astype(g.dtype), grads), state, params, **extra
        )


def matrices_and_vectors(params: Any) -> Any:
    """For each leaf, whether it is one of the "matrices" or of the "vectors"."""
    return jax.tree.map(lambda leaf: "matrices" if jnp.ndim(leaf) > 1 else "vectors", params)


def matrices_of_blocks(params: Any) -> Any:
    """Optax's marks for Muon: the matrices of the blocks, without embeddings, which are no maps between spaces."""
    from optax.contrib import MuonDimensionNumbers

    def mark(path: Any, leaf: Any) -> Any:
        inside = getattr(path[0], "key", None) == "blocks"
        return MuonDimensionNumbers() if inside and jnp.ndim(leaf) == 2 else None

    return jax.tree_util.tree_map_with_path(mark, params)


def _numbers_of(name: str) -> tuple[str, ...]:
    spec: OptimizerSpec = optimizer(name)
    return tuple(k for k, v in spec.hyperparameters.items() if jnp.ndim(v) == 0)


def require_rates(hyperparameters: Mapping[str, Any]) -> None:
    """ValueError for a learning rate below 0 or not finite: it would climb, or lose all, at the first step."""
    for name, value in hyperparameters.items():
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if name.endswith("learning_rate") and is_number and not 0 <= value < math.inf:
            raise ValueError(f"{name} must be a finite number, at least 0, got {value!r}.")


def _require_whole(settings: Any, least: int, *names: str) -> None:
    for name in names:
        value = getattr(settings, name)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(f"{name} must be a whole number, at least {least}, got {value!r}.")
