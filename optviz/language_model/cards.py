"""What is known of a model: its figures, and the page that travels with it."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import jax
import numpy as np

from optviz.language_model.checkpoints import has_checkpoint, write_whole
from optviz.language_model.curves import VALIDATION, read_curves
from optviz.language_model.models import Model
from optviz.manifest import environment


def num_weights(model: Model) -> int:
    """How many numbers the model has learnt, or will learn."""
    shapes = jax.eval_shape(model.transformer.init, jax.random.key(0))
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes))


def figures(model: Model) -> dict[str, Any]:
    """How far training has come, as JSON data; None for what is not known yet.

    `steps` taken at the last checkpoint, or validation if there is none; `seconds` spent until the last validation, and
    of the best validation `best_step`, `validation_loss` in nats per token and `bits_per_byte`.
    """
    table = read_curves(model.folder / VALIDATION)
    if has_checkpoint(model.folder / "last"):
        found = {"steps": model.checkpoint("last", ()).facts["step"]}
    else:
        found = {"steps": int(table["step"][-1]) if table else 0}
    if not table or not np.isfinite(table["validation_loss"]).any():
        return {**found, **dict.fromkeys(("seconds", "best_step", "validation_loss", "bits_per_byte"))}
    best = int(np.nanargmin(table["validation_loss"]))
    found |= {"seconds": float(table["seconds"][-1]), "best_step": int(table["step"][best])}
    return found | {name: float(table[name][best]) for name in ("validation_loss", "bits_per_byte")}


def card(model: Model, which: str = "best") -> str:
    """The model's card in Markdown: sizes, text, training, figures, use and limits.

    `which` are the weights that travel with it. Those of self-play have no figures of training.
    """
    parts = {"Model": _sizes(model), "Text": _text(model), "Training": _training(model)}
    parts["Figures"] = {"checkpoint": which} | ({} if which == "self-play" else _figures(model))
    tables = "".join(f"\n## {heading}\n\n{_table(rows)}" for heading, rows in parts.items())
    return f"# {_cell(model.name)}\n\nA small language model, trained with optviz on one book.\n{tables}{_USE}"


def write_card(model: Model) -> None:
    """Write `card.md` into the model's folder."""
    write_whole(model.folder / "card.md", card(model).encode())


_USE = """
## Use

    optviz lm export NAME FILE.zip
    optviz lm import FILE.zip --name NAME
    optviz lm generate NAME "Once upon a time"

## Limits

It writes text that looks like its book and knows nothing. It may repeat its book word for word, so whoever may not
publish the book may not publish the model either.
"""


def _sizes(model: Model) -> dict[str, Any]:
    sizes = dataclasses.asdict(model.transformer)
    return {"weights": f"{num_weights(model):,}", **{name.replace("_", " "): value for name, value in sizes.items()}}


def _text(model: Model) -> dict[str, Any]:
    data, about = model.config["data"], model.config["about"]
    counts = {
        f"{split} part": f"{data[split]['tokens']:,} tokens, {data[split]['predicted_bytes']:,} bytes of UTF-8"
        for split in ("train", "validation")
    }
    return {**{heading: about[name] for name, heading in _ABOUT.items() if about.get(name)}, **counts}


_ABOUT = {
    "title": "title",
    "num_bytes": "bytes of the file",
    "sha256": "SHA-256 of the file",
    "encoding": "encoding of the file",
    "broken": "damaged characters",
    "tokenizer": "tokenizer",
    "validation_share": "share held out",
}


def _training(model: Model) -> dict[str, Any]:
    settings = model.settings.as_json()
    hyperparameters = settings.pop("hyperparameters")
    rows = {"optimizer": settings.pop("optimizer"), **dict(sorted(hyperparameters.items())), **settings}
    versions = environment()["versions"]
    written = ", ".join(f"{name} {version}" for name, version in versions.items())
    return {name.replace("_", " "): value for name, value in rows.items()} | {"card written by": written}


def _figures(model: Model) -> dict[str, Any]:
    found = figures(model)
    loss, bits = found["validation_loss"], found["bits_per_byte"]
    if loss is None:
        return {"steps taken": found["steps"]}
    return {
        "steps taken": found["steps"],
        "best step": found["best_step"],
        "validation loss there": f"{loss:.4f} nats per token, on the whole validation part",
        "bits per byte there": f"{bits:.4f}",
        "time spent training": f"{found['seconds']:.0f} seconds",
    }


def _table(rows: dict[str, Any]) -> str:
    lines = "".join(f"| {_cell(name)} | {_cell(value)} |\n" for name, value in rows.items())
    return f"| | |\n|---|---|\n{lines}"


def _cell(value: Any) -> str:
    """A value as it can stand in a table: titles may have anything in them."""
    return "".join(f"\\{c}" if c in "\\|<>[]`*_" else c if c.isprintable() else " " for c in str(value))
