"""Forms for numbers and choices: fields in a table, what was typed as Python values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from nicegui import ui

from optviz.app.choosing import in_order
from optviz.app.texts import Texts
from optviz.optimizers import CATALOGUE


class Field(NamedTuple):
    """One field; label and hint are messages."""

    name: str
    label: str
    hint: str = ""
    kind: str = "whole"
    """whole, number, flag, text, or choice of `options`."""
    options: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    is_optional: bool = False
    """Whether a number may be left out."""


class Form:
    """The fields of a visitor. An empty field has the value None."""

    def __init__(self, texts: Texts, fields: Iterable[Field], values: Mapping[str, Any] | None = None) -> None:
        self.texts, self.fields = texts, tuple(fields)
        self.boxes: dict[str, Any] = {}
        with ui.element("div").classes("fields"):
            for field in self.fields:
                self.boxes[field.name] = self._box(field, (values or {}).get(field.name))

    def _box(self, field: Field, value: Any) -> Any:
        label = self.texts(field.label)
        if field.kind == "flag":
            box: Any = ui.checkbox(label, value=bool(value))
            return box.tooltip(self.texts(field.hint)) if field.hint else box
        if field.kind == "choice":
            box = ui.select(list(field.options), value=value or field.options[0], label=label)
        elif field.kind == "text":
            box = ui.input(label, value=value or "").props("spellcheck=false autocapitalize=off")
        else:
            box = ui.number(label, value=value, format=None).props("step=any")
        box.props("outlined dense options-dense hide-bottom-space stack-label")  # an empty one's label would be cut
        box._props.update({"hint": self.texts(field.hint), "hide-hint": True} if field.hint else {})
        return box

    def set(self, values: Mapping[str, Any]) -> None:
        """Fill in the fields that `values` names."""
        for name, value in values.items():
            if name in self.boxes:
                self.boxes[name].value = value

    def values(self) -> dict[str, Any]:
        """What stands in the fields, by name.

        Raises:
          ValueError: for a number that is missing, out of its range, or not whole where it must be.
        """
        return {field.name: self._value(field) for field in self.fields}

    def given(self) -> dict[str, Any]:
        """The fields that are not empty."""
        return {name: value for name, value in self.values().items() if value is not None}

    def _value(self, field: Field) -> Any:
        value = self.boxes[field.name].value
        if field.kind == "text":
            return (value or "").strip() or None
        if field.kind in ("flag", "choice"):
            return value
        if value is not None:
            return self._number(field, value)
        if not field.is_optional:
            raise ValueError(self.texts("{field} is empty: type a number.", field=self.texts(field.label)))
        return None

    def _number(self, field: Field, value: float) -> float:
        label, (low, high) = self.texts(field.label), (field.low, field.high)
        if field.kind == "whole" and value != int(value):
            raise ValueError(self.texts("{field} must be a whole number.", field=label))
        if high is not None and not (low or 0) <= value <= high:
            raise ValueError(self.texts("{field} must be from {low} to {high}.", field=label, low=low or 0, high=high))
        if low is not None and not value >= low:
            raise ValueError(self.texts("{field} must be at least {low}.", field=label, low=low))
        return int(value) if field.kind == "whole" else value


class OptimizerBox:
    """The choice of an optimizer, its rate, and its other numbers as the command line takes them."""

    def __init__(self, texts: Texts, name: str, rate: float) -> None:
        self.texts = texts
        self.rates = {entry.name: entry.learning_rate is not None for entry in CATALOGUE}
        with ui.element("div").classes("controls"):
            self.name = ui.select(
                [e.name for e in in_order(CATALOGUE)], value=name, label=texts("Optimizer"), with_input=True
            )
            self.rate = ui.number(texts("Learning rate"), value=rate, format=None).props("step=any")
            self.others = ui.input(texts("Other hyperparameters: NAME=VALUE,NAME=VALUE"))
            self.others.style("flex: 1 1 320px").props("spellcheck=false autocapitalize=off")
            for box in (self.name, self.rate, self.others):
                box.props("outlined dense options-dense stack-label")
        self.name.on_value_change(lambda event: self.choose(event.value))

    def choose(self, name: str | None) -> None:
        """Another optimizer has another rate, which no one but the visitor knows, or none."""
        self.rate.set_visibility(self.rates.get(name or "", False))
        self.rate.value, self.others.value = None, ""

    def set(self, name: str, hyperparameters: dict[str, Any]) -> None:
        """Fill in an optimizer."""
        rest = dict(hyperparameters)
        self.name.value = name
        self.choose(name)
        self.rate.value = rest.pop("learning_rate", None)
        self.others.value = ",".join(f"{key}={value}" for key, value in rest.items())

    def text(self) -> str:
        """`NAME:KEY=VALUE,KEY=VALUE`, as the command line takes it. ValueError without the rate that it needs."""
        if self.rates.get(self.name.value or "") and self.rate.value is None:
            raise ValueError(self.texts("{field} is empty: type a number.", field=self.texts("Learning rate")))
        rate = [] if self.rate.value is None else [f"learning_rate={float(self.rate.value)!r}"]
        others = (self.others.value or "").strip(" ,")
        return f"{self.name.value}:{','.join([*rate, *filter(None, [others])])}".removesuffix(":")
