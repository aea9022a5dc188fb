"""Training a language model: the recorder's step in compiled blocks, with curves, validation and checkpoints between.

    model = create_model("book", Transformer(...), TrainingSettings(...), train, validation, tokenizer)
    train(model, on_progress=print)

A block is a loop whose length is an argument of the program, so that blocks of any length are rounded alike: a run that
was killed, paused or slowed down gives the same weights, bit for bit, as one that was not.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from optviz.language_model.cards import write_card
from optviz.language_model.checkpoints import canonical, has_checkpoint, write_checkpoint, write_whole
from optviz.language_model.curvature import sharpness
from optviz.language_model.curves import Curves, step_columns
from optviz.language_model.locks import locked
from optviz.language_model.models import Model
from optviz.language_model.settings import TrainingSettings
from optviz.optimizers import load_state_dict, state_dict
from optviz.optimizers.protocol import evaluation_params
from optviz.trace import stable, take_step
from surfaces.transformer import LanguageModelLoss, text_loss

_BLOCK = 64  # steps at most in one call
_FIRST_COLUMNS = ("step", "loss", "learning_rate", "gradient_norm", "update_to_weight")
_SECONDS = 1.0  # that a block should take, so that a run can be watched and stopped

Carry = tuple[Array, Any, Any]
"""Number of steps taken, weights, optimizer's state."""


class Progress(NamedTuple):
    """What is known after a block of steps; NaN or None where nothing is yet."""

    step: int
    steps: int
    loss: float
    """Of the batch of the last step, in nats per token."""
    validation_loss: float
    """Of the whole validation text, at the last validation."""
    bits_per_byte: float
    tokens_per_second: float
    seconds_left: float
    event: str = ""
    """`validated` after a validation, `finished`, `stopped` by a rule, `paused` by the caller; else empty."""
    reason: str = ""
    is_saved: bool = False
    """Whether a run that is killed now goes on from here."""


class Run(NamedTuple):
    """A run at one moment: all that a checkpoint has."""

    step: int
    params: Any
    opt_state: Any
    seconds: float
    """Spent training, over all sittings."""
    best_loss: float
    """The lowest validation loss; infinite before the first validation."""
    since_best: int
    """Validations since then."""


class Plan(NamedTuple):
    """What stays the same during a run."""

    model: Model
    settings: TrainingSettings
    surface: LanguageModelLoss
    optimizer: Any
    key: PRNGKeyArray
    validation: Array


def train(
    model: Model,
    on_progress: Callable[[Progress], Any] = lambda progress: None,
    should_pause: Callable[[], bool] = lambda: False,
    tensorboard: str | Path | None = None,
) -> Progress:
    """Train a model to the end of its settings, from its checkpoint `last` if there is one.

    Args:
      model: from `create_model` or `open_model`.
      on_progress: called after every block of about a second.
      should_pause: asked after every block; if it says yes, the run is saved and left. `train` takes it up again.
      tensorboard: a folder for TensorBoard's curves.

    Returns:
      The last `Progress`; its `event` says how it ended.

    Raises:
      CheckpointError: if the checkpoint to go on from is truncated, altered or foreign.
      ValueError: if another process trains this model.
    """
    plan = _plan(model)
    with locked(model.folder), Curves(model.folder, tensorboard) as curves:
        run = _resumed(plan) if has_checkpoint(model.folder / "last") else _started(plan)
        curves.keep_until(run.step)
        return _trained(plan, run, curves, on_progress, should_pause)


def longer(model: Model, steps: int) -> Model:
    """The model with `steps` in all in its settings, so that one that is finished can be trained further.

    The schedule is from then on that of `steps`, so that a rate which had fallen rises again; what was learnt is kept.

    Raises:
      ValueError: for fewer steps than were taken.
    """
    settings = model.settings.replace(steps=steps)
    taken = model.checkpoint("last", ()).facts["step"] if has_checkpoint(model.folder / "last") else 0
    if steps < taken:
        raise ValueError(f"The model {model.name} has taken {taken} steps already; steps must be more, got {steps}.")
    return Model(model.folder, {**model.config, "training": settings.as_json()})


def lengthen(model: Model, steps: int) -> Model:
    """What `longer` gives, written to the model's folder. ValueError as there, or if another process trains it."""
    with locked(model.folder):
        changed = longer(model, steps)
        write_whole(model.folder / "config.json", canonical(changed.config))
    return changed


def _plan(model: Model) -> Plan:
    settings = model.settings
    surface = LanguageModelLoss(
        model.transformer, jnp.asarray(model.tokens("train")), settings.batch_size, settings.accumulation
    )
    key = jax.random.fold_in(jax.random.key(settings.seed), 1)
    return Plan(model, settings, surface, settings.build_optimizer(), key, jnp.asarray(model.tokens("validation")))


def _started(plan: Plan) -> Run:
    params = plan.surface.model.init(jax.random.key(plan.settings.seed))
    carry = (jnp.int32(0), params, plan.optimizer.init(params))
    _, params, opt_state = stable(lambda at: take_step(plan.optimizer, plan.surface, plan.key, at)[0], carry)
    # A state may hold one array twice, which cannot be given away twice to a program that writes in place.
    params, opt_state = jax.tree.map(lambda x: x.copy(), (params, opt_state))
    return Run(0, params, opt_state, 0.0, math.inf, 0)


def _resumed(plan: Plan) -> Run:
    facts, arrays = plan.model.checkpoint("last", None)
    fresh = _started(plan)
    held = load_state_dict({"params": fresh.params, "state": fresh.opt_state}, arrays["training"])
    best = math.inf if facts["best_loss"] is None else facts["best_loss"]
    return Run(facts["step"], held["params"], held["state"], facts["seconds"], best, facts["since_best"])


def _trained(plan: Plan, run: Run, curves: Curves, on_progress: Any, should_pause: Any) -> Progress:
    """Block by block to the end; what is done between blocks is done at the same steps in every sitting."""
    settings = plan.settings
    if run.step == 0:
        run = _validated(plan, run, curves)
    if not _reason_to_end(plan, run):
        run, _ = _advanced(plan, run, 0)  # compiled now, for its time is not that of a step
    pace = Pace(run.step)
    while True:
        if reason := _reason_to_end(plan, run):
            event = "finished" if run.step == settings.steps else "stopped"
            on_progress(last := _progress(plan, run, curves, pace, event, reason))
            return last
        begin, length = time.perf_counter(), _next_length(settings, run.step, pace.speed)
        run, rows = _advanced(plan, run, length)
        curves.add_steps(rows, settings.log_every)
        taken = time.perf_counter() - begin
        run, pace.speed = run._replace(seconds=run.seconds + taken), length / taken
        validates, pauses = _is_due(settings, run.step, settings.validate_every), should_pause()
        run = _validated(plan, run, curves) if validates else run
        saves = pauses or _is_due(settings, run.step, settings.save_every) or bool(_reason_to_end(plan, run))
        if saves:
            _save(plan, run)
        if pauses and not _reason_to_end(plan, run):
            on_progress(last := _progress(plan, run, curves, pace, "paused"))
            return last
        told = _progress(plan, run, curves, pace, "validated" if validates else "")
        on_progress(told._replace(is_saved=saves))


class Pace:
    """How fast a sitting goes on, from `first` on; `speed` in steps per second is that of the last block."""

    def __init__(self, first: int):
        self.first, self.began, self.speed = first, time.perf_counter(), 0.0

    def seconds_left(self, step: int, steps: int) -> float:
        """What the rest will take if it goes on as it did so far, validations included; NaN before the first step."""
        done = step - self.first
        return (time.perf_counter() - self.began) / done * (steps - step) if done else math.nan


def _next_length(settings: TrainingSettings, step: int, speed: float) -> int:
    """The steps of the next block: about a second, but never beyond a step at which something is to be done."""
    ends = [every - step % every for every in (settings.validate_every, settings.save_every)]
    return min(*ends, settings.steps - step, _BLOCK, max(1, int(speed * _SECONDS)))


def _is_due(settings: TrainingSettings, step: int, every: int) -> bool:
    return step % every == 0 or step == settings.steps


def _reason_to_end(plan: Plan, run: Run) -> str:
    """Why the run is over, by the rules that were fixed in advance; empty while it is not."""
    settings = plan.settings
    if run.step >= settings.steps:
        return f"all {settings.steps} steps are taken"
    if settings.patience and run.since_best >= settings.patience:
        return f"no new best in {run.since_best} validations"
    validated = run.step > 0 and run.step % settings.validate_every == 0
    if settings.obey_should_stop and validated and _says_stop(run.opt_state):
        return "the optimizer says that it should stop"
    return ""


def _says_stop(opt_state: Any) -> bool:
    """Whether any state within has `should_stop` set."""

    def has_sign(node: Any) -> bool:
        return hasattr(node, "should_stop")

    found = jax.tree.leaves(opt_state, is_leaf=has_sign)
    return any(bool(node.should_stop) for node in found if has_sign(node))


def _advanced(plan: Plan, run: Run, length: int) -> tuple[Run, dict[str, np.ndarray]]:
    """The run `length` steps later, and the columns of these steps."""
    carry = (jnp.asarray(run.step, jnp.int32), run.params, run.opt_state)
    (_, params, opt_state), rows = _advance(plan.surface, plan.optimizer, plan.key, carry, jnp.asarray(length))
    names = dict.fromkeys([*_FIRST_COLUMNS, *sorted(rows)])  # JAX sorts the names of a dictionary
    columns = {name: np.asarray(rows[name])[:length] for name in names}
    return run._replace(step=run.step + length, params=params, opt_state=opt_state), columns


@partial(jax.jit, donate_argnames="carry")
def _advance(
    surface: LanguageModelLoss, optimizer: Any, key: PRNGKeyArray, carry: Carry, num_steps: Array
) -> tuple[Carry, dict[str, Array]]:
    """`num_steps` steps of the recorder, at most `_BLOCK`, and a table with as many rows as there could be."""
    step = partial(take_step, optimizer, surface, key)

    def one(index: Array, state: tuple[Carry, dict[str, Array]]) -> tuple[Carry, dict[str, Array]]:
        carry, row = step(state[0])
        return carry, jax.tree.map(lambda column, value: column.at[index].set(value), state[1], step_columns(row))

    shapes = jax.eval_shape(lambda carry: step_columns(step(carry)[1]), carry)
    rows = jax.tree.map(lambda x: jnp.zeros((_BLOCK, *x.shape), x.dtype), shapes)
    return jax.lax.fori_loop(0, num_steps, one, (carry, rows))


def _validated(plan: Plan, run: Run, curves: Curves) -> Run:
    """The run after a validation on the whole validation text; new bests are saved."""
    judged = evaluation_params(run.opt_state, run.params)
    loss = float(_text_loss(plan.surface.model, judged, plan.validation))
    bits = loss / math.log(2) * (len(plan.validation) - 1) / plan.model.config["data"]["validation"]["predicted_bytes"]
    # Always of the same batch, so that its changes are those of the weights.
    batch = jax.random.fold_in(plan.key, 2**32 - 2)
    steepest = float(sharpness(plan.surface, judged, batch)) if plan.settings.sharpness else math.nan
    curves.add_validation(run.step, run.seconds, loss, bits, steepest)
    if loss < run.best_loss:
        run = run._replace(best_loss=loss, since_best=0)
        write_checkpoint(plan.model.folder / "best", plan.model.identity, _facts(run), weights=state_dict(judged))
        return run
    return run._replace(since_best=run.since_best + 1)


_text_loss = jax.jit(text_loss)


def _save(plan: Plan, run: Run) -> None:
    """Write the checkpoint `last`: what training needs to go on, and the weights to be used."""
    judged = evaluation_params(run.opt_state, run.params)
    training = state_dict({"params": run.params, "state": run.opt_state})
    parts = {"weights": state_dict(judged), "training": training}
    write_checkpoint(plan.model.folder / "last", plan.model.identity, _facts(run), **parts)
    write_card(plan.model)


def _facts(run: Run) -> dict[str, Any]:
    best = run.best_loss if math.isfinite(run.best_loss) else None
    return {"step": run.step, "seconds": run.seconds, "best_loss": best, "since_best": run.since_best}


def _progress(plan: Plan, run: Run, curves: Curves, pace: Pace, event: str = "", reason: str = "") -> Progress:
    settings, left = plan.settings, pace.seconds_left(run.step, plan.settings.steps)
    tokens = settings.batch_size * settings.accumulation * plan.surface.model.context
    return Progress(run.step, settings.steps, *curves.latest(), tokens * pace.speed, left, event, reason)
