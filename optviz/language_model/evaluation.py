"""How well a language model knows a text: loss, bits per byte and perplexity, with intervals."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from optviz.language_model.models import Model
from surfaces.transformer import Transformer, Weights, text_loss

_BLOCKS = 30
STUDENT = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
    *(2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042),
)
"""The 97.5 % points of Student's distribution for 1 to 30 degrees of freedom."""

Interval = tuple[float, float]


class Evaluation(NamedTuple):
    """What a model is worth on a text. Intervals have 95 % confidence, for the mean over all text of the same kind."""

    loss: float
    """Mean cross-entropy of a token, in nats."""
    loss_interval: Interval
    """Infinite where the text has too few stretches to tell."""
    num_predicted: int
    """Tokens: all but the first."""
    num_bytes: int
    """Of the predicted tokens, in UTF-8."""

    @property
    def bits_per_byte(self) -> float:
        """The loss for each byte, in bits: it can be compared between tokenizers."""
        return self.loss * self._bits

    @property
    def bits_per_byte_interval(self) -> Interval:
        low, high = self.loss_interval
        return low * self._bits, high * self._bits

    @property
    def perplexity(self) -> float:
        """Among how many equally likely tokens the model seems to choose, exp(loss)."""
        return _exp(self.loss)

    @property
    def perplexity_interval(self) -> Interval:
        low, high = self.loss_interval
        return _exp(low), _exp(high)

    @property
    def _bits(self) -> float:
        return self.num_predicted / self.num_bytes / math.log(2)

    def as_json(self) -> dict[str, Any]:
        """All figures as JSON data; an infinite interval is None."""
        names = ("loss", "bits_per_byte", "perplexity")
        intervals = {f"{name}_interval": getattr(self, f"{name}_interval") for name in names}
        is_known = math.isfinite(self.loss_interval[1])
        return {
            **{name: getattr(self, name) for name in names},
            **{name: list(interval) if is_known else None for name, interval in intervals.items()},
            "num_predicted": self.num_predicted,
            "num_bytes": self.num_bytes,
        }


def evaluate(model: Model, text: str | None = None, which: str = "best") -> Evaluation:
    """A saved model on a text, or on its own validation part if None.

    Args:
      model: from `open_model`.
      text: of at least two tokens.
      which: the checkpoint, `best` or `last`.

    Raises:
      ValueError: for a text that is too short, or has characters that the tokenizer does not know.
      CheckpointError: for a model without this checkpoint, or with a damaged one.
    """
    weights = model.weights(which)
    if text is None:
        tokens, num_bytes = model.tokens("validation"), model.config["data"]["validation"]["predicted_bytes"]
    else:
        tokenizer = model.tokenizer
        tokens = tokenizer.encode(text)
        num_bytes = len(tokenizer.to_bytes(tokens[1:]))
    return evaluate_tokens(model.transformer, weights, tokens, num_bytes)


def evaluate_tokens(
    transformer: Transformer, params: Weights, tokens: Int[np.ndarray, " N"], num_bytes: int
) -> Evaluation:
    """As `evaluate`, on tokens; those after the first have `num_bytes`.

    The text is judged in at most 30 blocks of whole contexts. The spread of their losses gives the interval: single
    tokens, and neighbouring contexts, hang together too much for that.
    """
    predicted = len(tokens) - 1
    if predicted < 1:
        raise ValueError(f"A text to be evaluated has at least two tokens, this one has {len(tokens)}.")
    size = transformer.context * math.ceil(predicted / (transformer.context * _BLOCKS))
    # A block begins with the last token of the one before it, so that every token is predicted once.
    blocks = [tokens[begin : begin + size + 1] for begin in range(0, predicted, size)]
    losses = np.array([float(_text_loss(transformer, params, jnp.asarray(block))) for block in blocks])
    shares = np.array([len(block) - 1 for block in blocks]) / predicted
    mean = float(shares @ losses)
    return Evaluation(mean, _interval(mean, losses, shares), predicted, num_bytes)


def _interval(mean: float, losses: Float[np.ndarray, " B"], shares: Float[np.ndarray, " B"]) -> Interval:
    """Student's interval of a weighted mean."""
    number = len(losses)
    if number < 2:
        return 0.0, math.inf
    variance = number / (number - 1) * np.sum((shares * (losses - mean)) ** 2)
    half = STUDENT[number - 2] * math.sqrt(variance)
    return mean - half, mean + half


_text_loss = jax.jit(text_loss)


def _exp(value: float) -> float:
    return math.inf if value > 700 else math.exp(value)  # a diverged model has its figures too
