"""The one error of the playground that is meant for whoever sits before it, in any language."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

from surfaces.names import NONE_NEAR, SOME_NEAR, nearest


class Sentence:
    """A sentence, or a part of one, that can be said in any language: a template, and what stands in its places.

    `Sentence("Column {column}: {what}", column=3, what=Sentence("the formula cannot be read from here on."))`. The
    template is a literal, so that the catalogues of languages find it; `str` says it in English.
    """

    def __init__(self, message: str, /, **values: Any):
        self.message, self.values = message, values

    def said(self, say: Callable[..., str]) -> str:
        """The sentence in the language of `say(message, **values)`, the sentences among its values too."""
        values = {name: v.said(say) if isinstance(v, Sentence) else v for name, v in self.values.items()}
        return say(self.message, **values)

    def __str__(self) -> str:
        return self.said(_english)


class BadSettings(ValueError):
    """A request that cannot be meant, in one sentence; `where` names the field, or the column of a formula.

    Args:
      message: the template of the sentence, a literal, `"Column {column}: {what}"`; or the sentence itself.
      where: the field.
      **values: what stands in the places of the template: numbers, texts that are the same in every language, or parts
        of a sentence.
    """

    def __init__(self, message: str | Sentence, where: str | None = None, /, **values: Any):
        self.sentence = message if isinstance(message, Sentence) else Sentence(message, **values)
        self.where = where
        super().__init__(str(self.sentence))


def unknown(kind: Sentence, name: str, known: Iterable[str]) -> Sentence:
    """The sentence of `surfaces.unknown_name`, in any language."""
    known = sorted(known)
    if near := nearest(name, known):
        return Sentence(SOME_NEAR, kind=kind, name=name, near=either([repr(n) for n in near]))
    return Sentence(NONE_NEAR, kind=kind, name=name, known=", ".join(known) or Sentence("none"))


def either(words: Iterable[str]) -> str | Sentence:
    """One of these words: `a or b or c`."""
    return functools.reduce(_or, words, "")


def _or(one: str | Sentence, other: str) -> str | Sentence:
    return Sentence("{one} or {other}", one=one, other=other) if one else other


def _english(message: str, /, **values: Any) -> str:
    return message.format(**values) if values else message
