"""What `config.json` holds, and whether data is such."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optviz.language_model.checkpoints import canonical
from optviz.language_model.settings import TrainingSettings
from surfaces.transformer import Transformer

FORMAT = "optviz-language-model/1"
MOST = {"layers": 1000, "context": 2**16}
"""Sizes that the number of weights does not bound."""
NOT_UNDERSTOOD = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)
"""What hostile or damaged JSON data may raise."""


def reason_of(error: Exception) -> str:
    """Why data was not understood, as the end of a sentence without its full stop."""
    return f"it lacks {error}" if isinstance(error, KeyError) else str(error).removesuffix(".")


def require_bounded(sizes: Mapping[str, Any]) -> None:
    """ValueError if one of the sizes is larger than `MOST`, or no whole number."""
    for name, most in MOST.items():
        if not isinstance(sizes.get(name), int) or sizes[name] > most:
            raise ValueError(f"A model's {name} may be {most} at most, got {sizes.get(name)!r}.")


def understood(config: Any) -> Transformer:
    """The sizes in the data of a `config.json`, all of which is as `create_model` writes it.

    Raises:
      ValueError, TypeError, KeyError, AttributeError, OverflowError: if it is not.
    """
    if not isinstance(config, dict) or config.get("format") != FORMAT or not isinstance(config["about"], dict):
        raise ValueError(f"its config.json is not in the format {FORMAT!r}")
    if not isinstance(config["about"].get("validation_share", 0.1), float):
        raise ValueError("the share of the text that it held out is no number")
    sizes = config["model"]
    require_bounded(sizes)
    transformer = Transformer(**sizes)
    TrainingSettings.from_json(config["training"])
    for split in ("train", "validation"):
        about = config["data"][split]
        if not all(isinstance(about[name], int) and about[name] > 0 for name in ("tokens", "predicted_bytes")):
            raise ValueError(f"what it says of its {split} text is not understood")
    if not isinstance(config["tokenizer"], str):
        raise ValueError("the digest of its tokenizer is no text")
    canonical(config)
    return transformer
