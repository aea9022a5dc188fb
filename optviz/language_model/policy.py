"""A language model as a policy: it writes, and is taught by weights on the tokens that it wrote.

Letters: B texts, T tokens of a text, V vocabulary, S batches one after the other.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, ScalarLike

from optviz.optimizers import load_state_dict
from optviz.optimizers.protocol import as_optimizer, evaluation_params
from optviz.optimizers.states import path_of
from optviz.trace import stable, take_step
from surfaces.base import as_surface
from surfaces.transformer import Transformer, Weights

Given = Array | np.ndarray
PAD = 0
"""The token that stands after the end of a text that is shorter than the others."""


_BLOCK = 48
"""Texts whose gradient is computed at once: 480 texts of a narrow model take three times as long in one piece, which
the caches of a CPU do not hold."""


class WeightedText(eqx.Module):
    """The loss $-\\sum_{bt} w_{bt} \\log p_\\theta(x_{bt} | x_{b,<t})$, plus a leash to a frozen copy.

    With weights 1 / N on N given tokens it is supervised learning; with advantages / N on tokens that the model itself
    has just written at the temperature of p, its gradient is the policy gradient: Williams (1992), Machine Learning 8,
    REINFORCE. Nothing is dropped out, as nothing was when the model wrote. The leash, at temperature 1, adds `leash`
    times KL(model ‖ reference) of the prediction of each token, summed exactly over the vocabulary.
    """

    model: Transformer
    tokens: Int[Given, "*S B T"]
    weights: Float[Given, "*S B T"]
    """The weight of each token; 0 for the question, the padding and the first token, which nothing predicts."""
    leash: Float[Given, "*S B T"] | None = None
    """The leash's weight at each token; none where None."""
    reference: Weights | None = None
    temperature: float = eqx.field(static=True, default=1.0)

    def __call__(self, params: Weights) -> Float[Array, ""]:
        rows = (self.tokens, self.weights, self.leash)
        blocks = -(-len(self.tokens) // _BLOCK)
        if blocks == 1:
            return self._loss(params, rows)
        missing = blocks * _BLOCK - len(self.tokens)  # rows without weight
        parts = jax.tree.map(lambda x: jnp.pad(x, ((0, missing), (0, 0))).reshape(blocks, _BLOCK, -1), rows)
        part_loss = jax.checkpoint(lambda params, part: self._loss(params, part))  # which hashes what it is given
        return jax.lax.scan(lambda sum_, part: (sum_ + part_loss(params, part), None), jnp.zeros(()), parts)[0]

    def _loss(self, params: Weights, rows: Any) -> Float[Array, ""]:
        tokens, weights, leash = rows
        own = log_probs(self.model, params, tokens)
        chosen = jnp.take_along_axis(own, tokens[:, 1:, None], axis=-1)[..., 0]
        if self.temperature != 1:
            chosen = chosen / self.temperature - jax.nn.logsumexp(own / self.temperature, axis=-1)
        loss = -jnp.sum(weights[:, 1:] * chosen)
        if leash is None or self.reference is None:
            return loss
        frozen = log_probs(self.model, self.reference, tokens)
        return loss + jnp.sum(leash[:, 1:] * jnp.sum(jnp.exp(own) * (own - frozen), axis=-1))


class Learner(NamedTuple):
    """Where learning stands: steps taken, weights, state of the optimizer."""

    steps: Int[Array, ""]
    params: Weights
    opt_state: Any

    @property
    def judged(self) -> Weights:
        """The weights that are to be used, which for an optimizer that averages are not those that it moves."""
        return evaluation_params(self.opt_state, self.params)


def start_learning(optimizer: Any, params: Weights) -> Learner:
    """A learner before its first step with any Optax optimizer."""
    return Learner(jnp.int32(0), params, as_optimizer(optimizer).init(params))


def resume_learning(optimizer: Any, params: Weights, stored: Mapping[str, np.ndarray]) -> Learner:
    """The learner whose `state_dict` was `stored`, for the same optimizer and weights of the same shapes."""

    def typed(path: Any, leaf: Any) -> Any:
        known, is_key = stored.get(path_of(path)), jax.dtypes.issubdtype(jnp.result_type(leaf), jax.dtypes.prng_key)
        return leaf if known is None or is_key else jnp.asarray(leaf, known.dtype)

    # The state of some optimizers has other types after the first step than before.
    return load_state_dict(jax.tree_util.tree_map_with_path(typed, start_learning(optimizer, params)), stored)


def learn(
    optimizer: Any, learner: Learner, losses: WeightedText, key: PRNGKeyArray
) -> tuple[Learner, Float[Array, " S"]]:
    """One step of `optimizer` on each of the S batches of `losses`, whose tokens, weights and leash are (S, B, T).

    The reference, if any, serves all batches. Returns the learner after them, and each batch's loss before its step.
    """
    return _learn(as_optimizer(optimizer), learner, losses, key)


@jax.jit
def _learn(
    optimizer: Any, learner: Learner, losses: WeightedText, key: PRNGKeyArray
) -> tuple[Learner, Float[Array, " S"]]:
    def body(carry: Any, batch: Any) -> tuple[Any, Array]:
        tokens, weights, leash = batch
        loss = dataclasses.replace(losses, tokens=tokens, weights=weights, leash=leash)
        carry, row = take_step(optimizer, as_surface(loss), key, carry)
        return carry, row.loss

    batches = (losses.tokens, losses.weights, losses.leash)
    first = jax.tree.map(lambda x: x[0], batches)
    start = stable(lambda carry: body(carry, first)[0], tuple(learner))
    end, values = jax.lax.scan(body, start, batches)
    return Learner(*end), values


@partial(jax.jit, static_argnames=("end",))
def write(
    model: Transformer,
    params: Weights,
    prompts: Int[Given, "B T"],
    lengths: Int[Given, " B"],
    key: PRNGKeyArray,
    temperature: ScalarLike = 1.0,
    *,
    end: int | None = None,
) -> Int[Array, "B T"]:
    """The prompts continued to T tokens, or to the token `end`, after which there is padding.

    `lengths` says how many tokens of each row are prompt, at least 1. Temperature 0 takes the likeliest token. One
    compiled loop for all rows, with a key-value cache, which stops when all have ended.
    """
    total = prompts.shape[1]
    cache = jax.vmap(lambda _: model.empty_cache())(lengths)
    advance = jax.vmap(model.with_cache, in_axes=(None, 0, 0, None))

    def going_on(carry: Any) -> Bool[Array, ""]:
        at, _, _, ended = carry
        return (at < total - 1) & ~jnp.all(ended)

    def one_token(carry: Any) -> Any:
        at, tokens, cache, ended = carry
        logits, cache = advance(params, cache, tokens[:, at], at)
        drawn = _drawn(logits, jax.random.fold_in(key, at), temperature)
        asked = at + 1 < lengths
        token = jnp.where(asked, tokens[:, at + 1], jnp.where(ended, PAD, drawn))
        ended = ended | (~asked & (token == end)) if end is not None else ended
        return at + 1, tokens.at[:, at + 1].set(token), cache, ended

    prompts = jnp.where(jnp.arange(total) < jnp.asarray(lengths)[:, None], prompts, PAD)
    start = (jnp.int32(0), prompts, cache, jnp.zeros(len(prompts), bool))
    return jax.lax.while_loop(going_on, one_token, start)[1]


def token_weights(
    tokens: Int[np.ndarray, "B T"], lengths: Int[np.ndarray, " B"], advantages: Float[np.ndarray, " B"] | float = 1.0
) -> Float[np.ndarray, "B T"]:
    """Each row's advantage on the tokens after its prompt up to its padding, over the number of all such tokens."""
    is_text = np.logical_or.accumulate(tokens[:, ::-1] != PAD, axis=1)[:, ::-1]  # what is drawn before the end is too
    written = (np.arange(tokens.shape[1]) >= lengths[:, None]) & is_text
    return (written * np.reshape(advantages, (-1, 1)) / max(written.sum(), 1)).astype(np.float32)


def log_probs(model: Transformer, params: Weights, tokens: Int[Given, "B T"]) -> Float[Array, "B T-1 V"]:
    """What the model thinks of each token of the vocabulary in the place of each token but the first, in nats."""
    return jax.nn.log_softmax(model.batch_logits(params, jnp.asarray(tokens)[:, :-1]), axis=-1)


def _drawn(logits: Float[Array, "B V"], key: PRNGKeyArray, temperature: ScalarLike) -> Int[Array, " B"]:
    """A token a row; the likeliest at temperature 0."""
    noise = jax.random.gumbel(key, logits.shape, logits.dtype)
    return jnp.argmax(logits + temperature * noise, axis=-1).astype(jnp.int32)
