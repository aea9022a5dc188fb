"""A small language model: a decoder-only transformer whose weights are a PyTree, and its loss on a text.

Letters: B sequences of a batch, T tokens of a sequence, N = B T tokens, V vocabulary, W width, H heads, D = W / H,
F feed-forward width, C context, L layers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray, ScalarLike

from surfaces.base import Domain, LossSurface
from surfaces.pieces import require_whole
from surfaces.wrappers import Slice

Weights = dict[str, Any]
Cache = dict[str, Array]

_HIDDEN = jnp.finfo(jnp.float32).min  # the score of a token that may not be seen; finite, so that no NaN can arise
_CHUNK_TOKENS = 8192  # how many tokens of a text are judged at a time, which bounds memory


class Transformer(eqx.Module):
    """A decoder-only transformer: its sizes, all static; the weights are an argument of every method.

    Pre-norm blocks of causal self-attention and a GELU network, in the form with tanh, without biases, the token
    embedding used again for the output. Radford et al. (2019), Language Models are Unsupervised Multitask Learners;
    sizes and initial weights as in nanoGPT; rotary positions after Su et al. (2021), arXiv:2104.09864, equation 34, for
    the pairs of entries that `rotated` names.

    `weights` are a dictionary, with the names of the leaves as a file has them:

        tokens (V, W), positions (C, W) if they are learned, norm (W,), and for each of the L blocks
        blocks/0/attention/norm (W,), .../in (W, 3 W), .../out (W, W),
        blocks/0/feed_forward/norm (W,), .../up (W, F), .../down (F, W)

    `dropout` acts where a key is given. With `compute="bfloat16"` products are taken in half precision; weights, norms,
    softmax and loss keep that of the weights.
    """

    vocabulary_size: int = eqx.field(static=True, default=8000)
    width: int = eqx.field(static=True, default=256)
    layers: int = eqx.field(static=True, default=6)
    heads: int = eqx.field(static=True, default=8)
    feed_forward: int = eqx.field(static=True, default=1024)
    context: int = eqx.field(static=True, default=256)
    positions: str = eqx.field(static=True, default="learned")
    dropout: float = eqx.field(static=True, default=0.0)
    compute: str = eqx.field(static=True, default="float32")

    def __check_init__(self):
        sizes = ("vocabulary_size", "width", "layers", "heads", "feed_forward", "context")
        require_whole(self, **{name: getattr(self, name) for name in sizes})
        if self.width % self.heads:
            raise ValueError(f"Transformer needs a width that its heads divide, got {self.width} for {self.heads}.")
        if self.positions not in ("learned", "rotary"):
            raise ValueError(f"positions is 'learned' or 'rotary', got {self.positions!r}.")
        if self.positions == "rotary" and self.width // self.heads % 2:
            raise ValueError(f"Rotary positions need an even width / heads, got {self.width} / {self.heads}.")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"Transformer needs 0 <= dropout < 1, got {self.dropout}.")
        if self.compute not in ("float32", "bfloat16"):
            raise ValueError(f"compute is 'float32' or 'bfloat16', got {self.compute!r}.")

    def init(self, key: PRNGKeyArray) -> Weights:
        """Random weights: normal with standard deviation 0.02, what ends in the residual stream by √(2 L) smaller."""
        keys = iter(jax.random.split(key, 2 + 4 * self.layers))
        small = 0.02 / math.sqrt(2 * self.layers)

        def normal(*shape: int, scale: float = 0.02) -> Array:
            return (scale * jax.random.normal(next(keys), shape, jnp.float32)).astype(float)

        width, wide = self.width, self.feed_forward
        weights: Weights = {"tokens": normal(self.vocabulary_size, width), "norm": jnp.ones(width)}
        if self.positions == "learned":
            weights["positions"] = normal(self.context, width)
        weights["blocks"] = [
            {
                "attention": {
                    "norm": jnp.ones(width),
                    "in": normal(width, 3 * width),
                    "out": normal(width, width, scale=small),
                },
                "feed_forward": {
                    "norm": jnp.ones(width),
                    "up": normal(width, wide),
                    "down": normal(wide, width, scale=small),
                },
            }
            for _ in range(self.layers)
        ]
        return weights

    def logits(self, params: Weights, tokens: Int[Array, " T"], key: PRNGKeyArray | None = None) -> Float[Array, "T V"]:
        """What the model thinks comes after each token of one sequence, T <= C: unnormalised log-probabilities."""
        return self.batch_logits(params, tokens[None], key)[0]

    def batch_logits(
        self, params: Weights, tokens: Int[Array, "B T"], key: PRNGKeyArray | None = None
    ) -> Float[Array, "B T V"]:
        """As `logits`, for many sequences at once.

        It is written for many since on XLA's CPU backend weight gradients that contract over two axes, as those of a
        mapped product do, take more than twice as long: here products see all tokens flattened, (N, W) @ (W, F).
        """
        batch, length = tokens.shape
        if length > self.context:
            raise ValueError(f"The model reads at most {self.context} tokens at once, got {length}.")
        where = jnp.arange(length)
        drop = _Dropout(self.dropout, key)
        x = drop(self._embedded(params, tokens, where).reshape(batch * length, self.width))
        for block in params["blocks"]:
            x = self._block(block, x, lambda mixed: self._attend(mixed, batch, where, drop), drop)
        return self._unembedded(params, x).reshape(batch, length, -1)

    def loss(
        self, params: Weights, tokens: Int[Array, "B length"], key: PRNGKeyArray | None = None
    ) -> Float[Array, ""]:
        """Mean cross-entropy of each token after the first, given those before it, in nats."""
        return jnp.mean(self.token_losses(params, tokens, key))

    def token_losses(
        self, params: Weights, tokens: Int[Array, "B length"], key: PRNGKeyArray | None = None
    ) -> Float[Array, "B T"]:
        """The cross-entropy of each of the T = length - 1 tokens after the first, given those before it, in nats."""
        logits = self.batch_logits(params, tokens[:, :-1], key)
        # Picked by comparison: the gradient of an index is a scatter, which XLA does one entry at a time.
        comes = jnp.arange(self.vocabulary_size) == tokens[:, 1:, None]
        return jax.nn.logsumexp(logits, axis=-1) - jnp.sum(jnp.where(comes, logits, 0.0), axis=-1)

    def empty_cache(self) -> Cache:
        """The keys and values of no token yet, each (L, H, C, D)."""
        shape = (self.layers, self.heads, self.context, self.width // self.heads)
        dtype = jnp.bfloat16 if self.compute == "bfloat16" else jnp.result_type(float)
        return {"keys": jnp.zeros(shape, dtype), "values": jnp.zeros(shape, dtype)}

    def with_cache(
        self, params: Weights, cache: Cache, token: Int[Array, ""], position: ScalarLike
    ) -> tuple[Float[Array, " V"], Cache]:
        """The logits after one more token, at `position` 0 <= p < C, and the cache with it; for one sequence.

        The cache must hold the tokens before `position`; what lies behind it is not seen. Out-of-range positions are
        the caller's to avoid: compiled code cannot refuse them.
        """
        where, held = jnp.asarray(position)[None], [cache]
        x = self._embedded(params, token[None, None], where)[0]
        for layer, block in enumerate(params["blocks"]):
            x = self._block(block, x, lambda mixed, layer=layer: self._recall(mixed, held, layer, where), None)
        return self._unembedded(params, x)[0], held[0]

    def _embedded(self, params: Weights, tokens: Int[Array, "B T"], where: Int[Array, " T"]) -> Float[Array, "B T W"]:
        x = params["tokens"][tokens]
        return x + params["positions"][where] if self.positions == "learned" else x

    def _unembedded(self, params: Weights, x: Float[Array, "N W"]) -> Float[Array, "N V"]:
        return self._product(_normalised(x, params["norm"]), params["tokens"].T).astype(x.dtype)

    def _block(self, block: Weights, x: Float[Array, "N W"], attend: Callable[[Array], Array], drop: Any) -> Array:
        """Attention, then the network of each token; `attend` turns queries, keys and values (N, 3 W) into (N, W)."""
        drop = drop or (lambda y: y)
        attention, network = block["attention"], block["feed_forward"]
        seen = attend(self._product(_normalised(x, attention["norm"]), attention["in"]))
        x = x + drop(self._product(seen, attention["out"]).astype(x.dtype))
        thought = jax.nn.gelu(self._product(_normalised(x, network["norm"]), network["up"]))
        return x + drop(self._product(thought, network["down"]).astype(x.dtype))

    def _attend(self, mixed: Float[Array, "N m"], batch: int, where: Int[Array, " T"], drop: Any) -> Array:
        """Each token's mean of the values of itself and those before it, by how well keys match its query."""
        queries, keys, values = self._heads(mixed.reshape(batch, len(where), -1), where)
        scores = jnp.einsum("bthd,bshd->bhts", queries, keys) / math.sqrt(queries.shape[-1])
        scores = jnp.where(where[:, None] >= where, scores.astype(_softmax_type(scores)), _HIDDEN)
        weights = drop(jax.nn.softmax(scores, axis=-1)).astype(values.dtype)
        return jnp.einsum("bhts,bshd->bthd", weights, values).reshape(mixed.shape[0], -1)

    def _recall(self, mixed: Float[Array, "1 m"], held: list[Cache], layer: int, where: Any) -> Array:
        """As `_attend`, for one token against the cache of its layer, (H, C, D), which `held` then has renewed."""
        query, key, value = (part[0, 0] for part in self._heads(mixed[None], where))
        # One row is written: a scan does that in place, where a cache put together anew would be copied whole.
        new, old = {"keys": key, "values": value}, held[0]
        held[0] = {name: old[name].at[layer, :, where[0]].set(new[name].astype(old[name].dtype)) for name in new}
        keys, values = held[0]["keys"][layer], held[0]["values"][layer]
        scores = jnp.einsum("hd,hsd->hs", query, keys) / math.sqrt(query.shape[-1])
        scores = jnp.where(jnp.arange(self.context) <= where[0], scores.astype(_softmax_type(scores)), _HIDDEN)
        weights = jax.nn.softmax(scores, axis=-1).astype(values.dtype)
        return jnp.einsum("hs,hsd->hd", weights, values).reshape(1, -1)

    def _heads(self, mixed: Float[Array, "B T m"], where: Int[Array, " T"]) -> tuple[Array, Array, Array]:
        """Queries, keys and values, each (B, T, H, D)."""
        parts = jnp.split(mixed, 3, axis=-1)
        queries, keys, values = (part.reshape(*part.shape[:2], self.heads, -1) for part in parts)
        if self.positions == "rotary":
            queries, keys = rotated(queries, where), rotated(keys, where)
        return queries, keys, values

    def _product(self, x: Float[Array, "N m"], weight: Float[Array, "m n"]) -> Float[Array, "N n"]:
        if self.compute == "bfloat16":
            x, weight = x.astype(jnp.bfloat16), weight.astype(jnp.bfloat16)
        return x @ weight


class LanguageModelLoss(LossSurface):
    """The cross-entropy of a transformer on a text, in nats per token, over its weights.

    A key stands for a batch of `accumulation * batch_size` stretches of the text, drawn with replacement, and for the
    dropout; `accumulation` batches are worked through one after the other, which bounds memory and takes a third
    longer. Without a key the whole text counts, cut into stretches of the model's context one behind the other, so that
    every token but the first is predicted exactly once. The tokens are a leaf: another text of the same length is the
    same program.
    """

    formula: ClassVar[str] = r"f(\theta) = -\frac{1}{T} \sum_{t=1}^{T} \log p_\theta(x_{t+1} \mid x_1, \dots, x_t)"
    source: ClassVar[str] = "Vaswani et al. (2017), NeurIPS 30, arXiv:1706.03762; Radford et al. (2019), OpenAI"

    model: Transformer
    tokens: Int[Array, " N"] = eqx.field(converter=jnp.asarray)
    batch_size: int = eqx.field(static=True, default=16)
    accumulation: int = eqx.field(static=True, default=1)

    def __check_init__(self):
        require_whole(self, batch_size=self.batch_size, accumulation=self.accumulation)
        if jnp.ndim(self.tokens) != 1 or len(self.tokens) < self.model.context + 1:
            raise ValueError(
                f"LanguageModelLoss needs a text of at least {self.model.context + 1} tokens, one more than the "
                f"context, got {jnp.size(self.tokens)}."
            )

    def __call__(self, params: Weights, key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        if key is None:
            return text_loss(self.model, params, self.tokens)
        if self.accumulation == 1:
            return self._batch_loss(params, key)
        batch_loss = jax.checkpoint(lambda params, key: self._batch_loss(params, key))
        keys = jax.random.split(key, self.accumulation)
        return jax.lax.scan(lambda total, k: (total + batch_loss(params, k), None), jnp.zeros(()), keys)[0] / len(keys)

    def _batch_loss(self, params: Weights, key: PRNGKeyArray) -> Float[Array, ""]:
        where, dropout = jax.random.split(key)
        return self.model.loss(params, self.batch(where), dropout)

    def batch(self, key: PRNGKeyArray) -> Int[Array, "B length"]:
        """Stretches of the text, each beginning anywhere with equal chance."""
        length = self.model.context + 1
        starts = jax.random.randint(key, (self.batch_size,), 0, len(self.tokens) - length + 1)
        return self.tokens[starts[:, None] + jnp.arange(length)]

    @property
    def is_stochastic(self) -> bool:
        return True

    @property
    def coefficients(self) -> dict[str, Any]:
        return {}  # the text is data

    def plane(self, key: PRNGKeyArray, origin: Weights | None = None, half_width: ScalarLike = 1.0) -> Slice:
        """A random filter-normalised plane through `origin`, or through `start`, to be drawn."""
        return Slice.random(self, self.start if origin is None else origin, key, half_width)

    @property
    def domain(self) -> Domain:
        upper = jax.tree.map(lambda leaf: jnp.full(leaf.shape, 2.0, leaf.dtype), self.start)
        return jax.tree.map(jnp.negative, upper), upper

    @property
    def start(self) -> Weights:
        return self.model.init(jax.random.key(0))


def text_loss(model: Transformer, params: Weights, tokens: Int[Array, " N"]) -> Float[Array, ""]:
    """The mean cross-entropy of every token of a text but the first, in nats.

    The text is cut into stretches of the model's context: each token sees those of its stretch before it, and the one
    before the stretch, and is predicted exactly once.
    """
    context, predicted = model.context, len(tokens) - 1
    at_once = max(1, min(_CHUNK_TOKENS, predicted) // context)
    chunks = -(-predicted // (at_once * context))
    # What stands beyond the end is predicted too, for the shape's sake, and counts nothing.
    where = jnp.arange(chunks * at_once * context).reshape(chunks, at_once, context)
    last = jnp.minimum(where[..., -1:] + 1, predicted)
    read = jnp.concatenate([jnp.minimum(where, predicted), last], axis=-1)

    def chunk_loss(total: Array, each: tuple[Array, Array]) -> tuple[Array, None]:
        positions, counts = each
        losses = model.token_losses(params, tokens[positions])
        return total + jnp.sum(jnp.where(counts, losses, 0.0)), None

    total, _ = jax.lax.scan(jax.checkpoint(chunk_loss), jnp.zeros(()), (read, where < predicted))
    return total / predicted


def rotated(x: Float[Array, "B T H D"], where: Int[Array, " T"]) -> Float[Array, "B T H D"]:
    """Pairs of entries (i, i + D/2), turned by the position times 10000^(-2 i / D)."""
    half = x.shape[-1] // 2
    angles = where[:, None, None] * 10000.0 ** (-jnp.arange(half) / half)
    cos, sin = jnp.cos(angles).astype(x.dtype), jnp.sin(angles).astype(x.dtype)
    first, second = x[..., :half], x[..., half:]
    return jnp.concatenate([first * cos - second * sin, first * sin + second * cos], axis=-1)


class _Dropout:
    """Dropout at several places of one pass, each with a draw of its own; nothing without a key or a rate."""

    def __init__(self, rate: float, key: PRNGKeyArray | None):
        self.rate, self.key, self.uses = rate, key, 0

    def __call__(self, x: Array) -> Array:
        if self.key is None or self.rate == 0:
            return x
        self.uses += 1
        kept = jax.random.bernoulli(jax.random.fold_in(self.key, self.uses), 1 - self.rate, x.shape)
        return jnp.where(kept, x / (1 - self.rate), 0.0)


def _normalised(x: Float[Array, "N W"], scale: Float[Array, " W"]) -> Float[Array, "N W"]:
    """Each row with mean 0 and variance 1, times `scale`. Ba, Kiros & Hinton (2016), arXiv:1607.06450."""
    centred = x - jnp.mean(x, axis=-1, keepdims=True)
    variance = jnp.mean(centred**2, axis=-1, keepdims=True)
    return centred * jax.lax.rsqrt(variance + 1e-5) * scale


def _softmax_type(scores: Array) -> Any:
    return jnp.promote_types(scores.dtype, jnp.float32)
