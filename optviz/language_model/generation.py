"""Writing with a language model: one token after the other, drawn from what the model thinks comes next.

    for piece in stream(model.transformer, model.weights(), tokenizer, "ROMEO:", Sampling(length=200)):
        print(piece, end="", flush=True)

Keys and values of the tokens read so far are kept, within one compiled loop. How many tokens are written in one call
changes nothing: the draws hang on the seed and on the place in the text alone.
"""

from __future__ import annotations

import codecs
import dataclasses
import math
import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, ScalarLike

from optviz.language_model.tokenizers import Tokenizer
from surfaces.transformer import Cache, Transformer, Weights

_SECONDS = 0.05  # that a call should take, so that text flows
_MOST_AT_ONCE = 64  # tokens of a call


@dataclasses.dataclass(frozen=True)
class Sampling:
    """How the next token is drawn; with temperature 0 it is the likeliest.

    Raises:
      ValueError: for a number out of its range.
    """

    length: int = 100
    """Tokens to write."""
    temperature: float = 0.8
    """The logits are divided by it: below 1 likely tokens become likelier."""
    top_k: int = 40
    """Only so many of the likeliest tokens are drawn from; 0: all."""
    top_p: float = 1.0
    """Of these only the likeliest that together have this probability: Holtzman et al. (2020), arXiv:1904.09751."""
    repetition_penalty: float = 1.0
    """Logits of tokens that the text has already are divided by it, negative ones multiplied: Keskar et al. (2019),
    arXiv:1909.05858, section 4.1. 1: none."""
    seed: int = 0

    def __post_init__(self):
        for name, least, most in (("length", 1, 2**31 - 1), ("top_k", 0, 2**31 - 1), ("seed", 0, 2**32 - 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
                raise ValueError(f"{name} must be a whole number from {least} to {most}, got {value!r}.")
        _require_number("temperature", self.temperature, "from 0 to 2", 0 <= self.temperature <= 2)
        _require_number("top_p", self.top_p, "above 0 and at most 1", 0 < self.top_p <= 1)
        penalty = self.repetition_penalty
        _require_number("repetition_penalty", penalty, "from 1 to 10", 1 <= penalty <= 10)


def generate(
    model: Transformer, params: Weights, tokenizer: Tokenizer, prompt: str = "", sampling: Sampling | None = None
) -> str:
    """What the model writes after `prompt`, which is not repeated.

    Raises:
      ValueError: for a prompt with characters that the tokenizer does not know.
    """
    return "".join(stream(model, params, tokenizer, prompt, sampling))


def stream(
    model: Transformer, params: Weights, tokenizer: Tokenizer, prompt: str = "", sampling: Sampling | None = None
) -> Iterator[str]:
    """As `generate`, in pieces as they come: after the first token, then several times a second.

    A character that tokens share comes when it is whole. An empty prompt stands for the beginning of a line.
    """
    given = tokenizer.encode(prompt) if prompt else _beginning(tokenizer)
    return _texts(stream_tokens(model, params, given, sampling or Sampling(), tokenizer.size), tokenizer)


def _beginning(tokenizer: Tokenizer) -> Int[np.ndarray, " 1"]:
    """What stands for an empty prompt: the end of a line, or the first token where the book has only one."""
    try:
        return tokenizer.encode("\n")
    except ValueError:
        return np.zeros(1, np.int32)


def _texts(pieces: Iterator[Int[np.ndarray, " n"]], tokenizer: Tokenizer) -> Iterator[str]:
    whole = codecs.getincrementaldecoder("utf-8")(errors="replace")
    for tokens in pieces:
        if piece := whole.decode(tokenizer.to_bytes(tokens)):
            yield piece
    if rest := whole.decode(b"", final=True):
        yield rest


def stream_tokens(
    model: Transformer,
    params: Weights,
    prompt: Int[np.ndarray, " P"],
    sampling: Sampling,
    num_known: int | None = None,
) -> Iterator[Int[np.ndarray, " n"]]:
    """The tokens that the model writes after `prompt`, in pieces; none is `num_known` or above.

    Where the text has become longer than the context, the model reads the last half of a context anew and goes on.
    """
    if not len(prompt):
        raise ValueError("The model needs at least one token to go on from.")
    text, end = [int(token) for token in prompt], len(prompt) + sampling.length
    choice = choice_of(sampling, model.vocabulary_size if num_known is None else num_known)
    params, speed = jax.device_put(params), 1.0
    while len(text) < end:
        begin = 0 if len(text) <= model.context else len(text) - max(1, model.context // 2)
        state, room = _window(model, text, begin), min(model.context, end - 1 - begin)
        # After reading the token at one place the model has written that at the next.
        while (last := len(text) - 1 - begin) < room:
            started, until = time.perf_counter(), min(last + _number_at_once(speed), room)
            state = _written(model, params, state, choice, jnp.int32(until))
            new = np.asarray(state.tokens)[last + 1 : until + 1]
            speed = len(new) / (time.perf_counter() - started)
            text += new.tolist()
            yield new


class Choice(NamedTuple):
    """`Sampling` as arrays, which no program is compiled anew for."""

    key: PRNGKeyArray
    temperature: ScalarLike
    top_k: ScalarLike
    top_p: ScalarLike
    repetition_penalty: ScalarLike
    num_known: ScalarLike


class _State(NamedTuple):
    """A window of the text: C + 1 tokens, of which the first `given` were there before."""

    tokens: Int[Array, " C1"]
    given: Int[Array, ""]
    begin: Int[Array, ""]
    """Where in the text the window begins."""
    read: Int[Array, ""]
    """How many of its tokens the model has read."""
    cache: Cache
    used: Bool[Array, " V"]
    """Which tokens the whole text has."""


def choice_of(sampling: Sampling, num_known: int) -> Choice:
    """`sampling` for a tokenizer of `num_known` tokens."""
    key, top_k = jax.random.key(sampling.seed), sampling.top_k or num_known
    numbers = (float(sampling.temperature), top_k, float(sampling.top_p), float(sampling.repetition_penalty), num_known)
    return Choice(key, *map(jnp.asarray, numbers))


def _number_at_once(speed: float) -> int:
    return max(1, min(_MOST_AT_ONCE, int(speed * _SECONDS)))


def _window(model: Transformer, text: Sequence[int], begin: int) -> _State:
    """The text from `begin` on, of which nothing is read yet."""
    tokens, used = np.zeros(model.context + 1, np.int32), np.zeros(model.vocabulary_size, bool)
    tokens[: len(text) - begin] = text[begin:]
    used[text] = True
    counts = (jnp.int32(len(text) - begin), jnp.int32(begin), jnp.int32(0))
    return _State(jnp.asarray(tokens), *counts, model.empty_cache(), jnp.asarray(used))


@partial(jax.jit, donate_argnames="state")
def _written(model: Transformer, params: Weights, state: _State, choice: Choice, until: Int[Array, ""]) -> _State:
    """The window after the model has read `until` of its tokens, and has written those that were not given."""

    def one_token(state: _State) -> _State:
        at = state.read
        logits, cache = model.with_cache(params, state.cache, state.tokens[at], at)
        key = jax.random.fold_in(choice.key, state.begin + at)
        token = jax.lax.cond(
            at + 1 < state.given,
            lambda: state.tokens[at + 1],
            lambda: drawn(choice._replace(key=key), logits, state.used),
        )
        return state._replace(
            tokens=state.tokens.at[at + 1].set(token), read=at + 1, cache=cache, used=state.used.at[token].set(True)
        )

    return jax.lax.while_loop(lambda state: state.read < until, one_token, state)


def drawn(choice: Choice, logits: Float[Array, " V"], used: Bool[Array, " V"]) -> Int[Array, ""]:
    """A token, by penalty, temperature, top-k and top-p, in this order."""
    logits = allowed(choice, logits.astype(jnp.float32), used)
    # The largest of logits with Gumbel noise is a draw from their softmax; without noise it is the likeliest.
    noise = jax.random.gumbel(choice.key, logits.shape, logits.dtype)
    return jnp.argmax(logits + choice.temperature * noise).astype(jnp.int32)


def allowed(choice: Choice, logits: Float[Array, " V"], used: Bool[Array, " V"]) -> Float[Array, " V"]:
    """The logits after the penalty; minus infinity for tokens that may not be drawn. Of equals all or none may."""
    penalty = choice.repetition_penalty
    logits = jnp.where(used, jnp.where(logits > 0, logits / penalty, logits * penalty), logits)
    logits = jnp.where(jnp.arange(len(logits)) < choice.num_known, logits, -jnp.inf)
    ordered = jnp.sort(logits, descending=True)
    coldest = jnp.maximum(choice.temperature, 1e-4)  # below it, one token has all the probability
    odds = jnp.where(jnp.arange(len(logits)) < choice.top_k, jnp.exp((ordered - ordered[0]) / coldest), 0.0)
    before = jnp.cumsum(odds) - odds
    kept = (odds > 0) & (before < choice.top_p * jnp.sum(odds))
    return jnp.where(logits >= jnp.min(jnp.where(kept, ordered, jnp.inf)), logits, -jnp.inf)


def _require_number(name: str, value: Any, span: str, is_within: bool) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not (math.isfinite(value) and is_within):
        raise ValueError(f"{name} must be a number {span}, got {value!r}.")
