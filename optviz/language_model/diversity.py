"""Diversity self-play: a language model writes, is rewarded for what it wrote, and learns from its own texts.

The reward knows nothing of truth: it pays for different tokens, for length, and for what a frozen copy of the model
finds likely. What that costs is told beside it: the loss on the held-out part of the book. Policy gradient with a
baseline (Williams 1992, REINFORCE) and a leash, the divergence KL(model ‖ frozen copy) added to the loss.

    for played in play(model, params, tokenizer.decode, tokens, held_out, optviz.optimizer("adam")):
        print(played.reward, played.validation_loss, played.texts[0])

A reward is a plain function of what was `Written`, prompts are a plain function too; give your own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, PRNGKeyArray

from optviz.language_model.policy import Learner, WeightedText, learn, log_probs, start_learning, write
from surfaces.transformer import Transformer, Weights, text_loss


class Written(NamedTuple):
    """What the model wrote in one round: B texts of N tokens after prompts of P tokens."""

    prompts: Int[np.ndarray, "B P"]
    tokens: Int[np.ndarray, "B N"]
    texts: Sequence[str]
    """The written tokens as text, without the prompt."""
    frozen_log_probs: Float[np.ndarray, "B N"]
    """How likely the frozen copy finds each token after those before it, in nats."""


Reward = Callable[[Written], Float[np.ndarray, " B"]]
Prompts = Callable[[Int[np.ndarray, " tokens"], np.random.Generator, int, int], Int[np.ndarray, "B P"]]


def diversity(written: Written) -> Float[np.ndarray, " B"]:
    """The share of different tokens among those of a text: 1 / N when one is repeated, 1 when none is."""
    return np.array([len(set(row.tolist())) / len(row) for row in written.tokens])


def length(written: Written) -> Float[np.ndarray, " B"]:
    """Characters written for each token, white space at the ends apart.

    From it a model whose tokens are characters learns no more than to begin and end with a word.
    """
    return np.array([len(text.strip()) for text in written.texts]) / written.tokens.shape[1]


def coherence(written: Written) -> Float[np.ndarray, " B"]:
    """The mean log-probability of a text's tokens under the frozen copy, in nats; at most 0."""
    return written.frozen_log_probs.mean(axis=1)


DEFAULT_REWARDS: Mapping[Reward, float] = MappingProxyType({diversity: 1.0, length: 0.1, coherence: 0.2})
"""Each reward's weight in the sum."""


def stretches_of_the_book(
    tokens: Int[np.ndarray, " tokens"], rng: np.random.Generator, number: int, size: int
) -> Int[np.ndarray, "B P"]:
    """`number` prompts: stretches of `size` tokens that begin anywhere in the book."""
    starts = rng.integers(0, len(tokens) - size + 1, number)
    return np.asarray(tokens)[starts[:, None] + np.arange(size)]


@dataclasses.dataclass(frozen=True)
class Settings:
    """The sizes of a round, and how freely the model may move."""

    texts: int = 32
    prompt_tokens: int = 8
    new_tokens: int = 48
    temperature: float = 1.0
    leash: float = 0.1
    """Weight of KL(model ‖ frozen copy), in nats a token."""
    validate_every: int = 10
    seed: int = 0

    @classmethod
    def fitting(cls, context: int, **given: Any) -> Settings:
        """The usual settings but for those `given`; what is not given of a text's tokens fits into the context."""
        usual = cls(**given)
        prompt = given.get("prompt_tokens", min(usual.prompt_tokens, max(1, context // 4)))
        new = given.get("new_tokens", max(1, min(usual.new_tokens, context - prompt)))
        return dataclasses.replace(usual, prompt_tokens=prompt, new_tokens=new)

    def check(self, model: Transformer, tokens: Int[np.ndarray, " tokens"]) -> None:
        """Refuse sizes that the model or the book does not have: ValueError."""
        for name, least in (("texts", 2), ("prompt_tokens", 1), ("new_tokens", 1), ("validate_every", 1), ("leash", 0)):
            if not getattr(self, name) >= least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)!r}.")
        if not self.temperature > 0:
            raise ValueError(f"temperature must be above 0, got {self.temperature!r}.")
        if self.prompt_tokens + self.new_tokens > model.context:
            raise ValueError(
                f"prompt_tokens and new_tokens make {self.prompt_tokens} + {self.new_tokens} tokens, more than the "
                f"model's context of {model.context}. Lower one of them."
            )
        if len(tokens) < self.prompt_tokens:
            raise ValueError(f"The book has {len(tokens)} tokens, fewer than a prompt of {self.prompt_tokens}.")


class Played(NamedTuple):
    """A round: where learning stands and what came of it."""

    number: int
    """Of the round, from 0."""
    learner: Learner
    reward: float
    """The mean total reward."""
    parts: dict[str, float]
    """The mean of each reward by its function's name, before weighting."""
    divergence: float
    """KL(model ‖ frozen copy) on the model's own texts, in nats a token: an estimate, at least 0."""
    validation_loss: float | None
    """Cross-entropy on the whole held-out split before the round's step, in nats a token; None between its rounds."""
    texts: Sequence[str]


def play(
    model: Transformer,
    params: Weights,
    decode: Callable[[Any], str],
    tokens: Int[np.ndarray, " tokens"],
    held_out: Int[np.ndarray, " held"],
    optimizer: Any,
    *,
    settings: Settings | None = None,
    rewards: Mapping[Reward, float] = DEFAULT_REWARDS,
    prompts: Prompts = stretches_of_the_book,
    num_rounds: int | None = None,
    learner: Learner | None = None,
    first: int = 0,
) -> Iterator[Played]:
    """Rounds of diversity self-play, for ever or up to `num_rounds`, one step of `optimizer` each.

    Args:
      model, params: the model, and the weights from which it starts; they are the frozen copy too.
      decode: tokens to text, as a tokenizer's `decode`.
      tokens, held_out: the book's training split, for prompts, and its validation split, for the loss.
      optimizer: any of the catalogue, or of Optax.
      settings: sizes, temperature, leash, seed.
      rewards: functions of what was `Written`, each with its weight.
      prompts: `(tokens, rng, number, size) -> (number, size)` tokens.
      learner, first: of a game that was left, where it stood before the round `first`; `params` are its frozen copy.

    Raises:
      ValueError: for sizes that the model or the book does not have, and rewards or prompts of a wrong shape.
    """
    settings = settings or Settings()
    settings.check(model, tokens)
    if not rewards:
        raise ValueError("Self-play needs at least one reward, a function of what was written with its weight.")
    learner, index = learner or start_learning(optimizer, params), first
    while num_rounds is None or index < num_rounds:
        rng, key = (
            np.random.default_rng([settings.seed, index]),
            jax.random.fold_in(jax.random.key(settings.seed), index),
        )
        judged = index % settings.validate_every == 0 or index + 1 == num_rounds
        loss = float(held_out_loss(model, learner.judged, jnp.asarray(held_out))) if judged else None
        given = _checked("prompts", prompts(tokens, rng, settings.texts, settings.prompt_tokens), settings.texts)
        written, divergence = written_by(model, learner.params, params, decode, given, settings, key)
        parts = {reward: _checked(reward.__name__, reward(written), settings.texts) for reward in rewards}
        total = sum(rewards[reward] * part for reward, part in parts.items())
        learner = _taught(model, params, optimizer, learner, written, total, settings, key)
        means = {reward.__name__: float(part.mean()) for reward, part in parts.items()}
        yield Played(index, learner, float(np.mean(total)), means, divergence, loss, written.texts)
        index += 1


def written_by(
    model: Transformer,
    params: Weights,
    frozen: Weights,
    decode: Callable[[Any], str],
    prompts: Int[np.ndarray, "B P"],
    settings: Settings,
    key: PRNGKeyArray,
) -> tuple[Written, float]:
    """What the model writes after the prompts, and how far it diverges there from the copy, in nats a token."""
    size = prompts.shape[1]
    rows = np.pad(np.asarray(prompts, np.int32), ((0, 0), (0, settings.new_tokens)))
    whole = write(model, params, rows, np.full(len(rows), size), key, np.float32(settings.temperature))
    own, copy = (np.asarray(_token_log_probs(model, p, whole))[:, size - 1 :] for p in (params, frozen))
    new = np.asarray(whole)[:, size:]
    return Written(np.asarray(prompts), new, [decode(row) for row in new], copy), divergence_of(own, copy)


def divergence_of(own: Float[np.ndarray, "B N"], frozen: Float[np.ndarray, "B N"]) -> float:
    """KL(model ‖ frozen copy) of a token in nats, from the log-probabilities of tokens that the model drew.

    The mean of r - 1 - log r with r = frozen / own: unbiased at temperature 1, and never below 0 as the mean of -log r
    may be. Schulman (2020), Approximating KL divergence.
    """
    ratio = frozen.astype(float) - own
    with np.errstate(over="ignore", invalid="ignore"):  # of a game that was lost
        return float((np.expm1(ratio) - ratio).mean())


def leave_one_out(rewards: Float[np.ndarray, " B"]) -> Float[np.ndarray, " B"]:
    """Each reward less the mean of the others, a baseline that leaves the policy gradient unbiased.

    Kool, van Hoof & Welling (2019), Buy 4 REINFORCE samples, get a baseline for free.
    """
    return (rewards - rewards.mean()) * len(rewards) / (len(rewards) - 1)


def _taught(
    model: Transformer,
    frozen: Weights,
    optimizer: Any,
    learner: Learner,
    written: Written,
    rewards: Any,
    settings: Settings,
    key: PRNGKeyArray,
) -> Learner:
    """One step of policy gradient from the texts and their rewards."""
    whole = np.concatenate([written.prompts, written.tokens], axis=1).astype(np.int32)
    each = (np.arange(whole.shape[1]) >= written.prompts.shape[1]) / written.tokens.size
    weights = (leave_one_out(rewards)[:, None] * each).astype(np.float32)
    held = np.broadcast_to(settings.leash * each, whole.shape).astype(np.float32)
    loss = WeightedText(model, whole[None], weights[None], held[None], frozen, float(settings.temperature))
    return learn(optimizer, learner, loss, key)[0]


held_out_loss = jax.jit(text_loss)


@jax.jit
def _token_log_probs(model: Transformer, params: Weights, tokens: Int[Any, "B T"]) -> Float[Any, "B T-1"]:
    return jnp.take_along_axis(log_probs(model, params, tokens), tokens[:, 1:, None], axis=-1)[..., 0]


def _checked(name: str, values: Any, number: int) -> np.ndarray:
    values = np.asarray(values)
    if len(values) != number:
        raise ValueError(f"{name} must give one value for each of {number} texts, got shape {values.shape}.")
    return values
