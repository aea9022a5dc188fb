"""What the playground's module says, in the language of its page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optviz.app.texts import Texts, messages_of_the_module


def translated(catalogue: Mapping[str, Any], texts: Texts) -> dict[str, Any]:
    """The answer to a request for the catalogue, every sentence of it in the language of `texts`."""
    return {
        **catalogue,
        "texts": {message: texts(message) for message in messages_of_the_module()},
        "surfaces": [_with_meanings(surface, "coefficients", texts) for surface in catalogue["surfaces"]],
        "optimizers": [_optimizer(entry, texts) for entry in catalogue["optimizers"]],
        "schedules": [_with_meanings(schedule, "parameters", texts) for schedule in catalogue["schedules"]],
        "presets": [_said(preset, ("title", "text"), texts) for preset in catalogue["presets"]],
    }


def _optimizer(entry: Mapping[str, Any], texts: Texts) -> dict[str, Any]:
    return _with_meanings(_said(entry, ("summary",), texts), "hyperparameters", texts)


def _with_meanings(entry: Mapping[str, Any], numbers: str, texts: Texts) -> dict[str, Any]:
    """`entry` with the meanings of its `numbers` translated."""
    return {**entry, numbers: [_said(number, ("meaning",), texts) for number in entry[numbers]]}


def _said(entry: Mapping[str, Any], names: tuple[str, ...], texts: Texts) -> dict[str, Any]:
    """`entry` with the texts under these names translated."""
    return {**entry, **{name: texts(text) for name in names for text in (entry[name],)}}
