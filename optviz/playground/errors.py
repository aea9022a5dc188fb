"""The one error of the playground that is meant for whoever sits before it."""

from __future__ import annotations


class BadSettings(ValueError):
    """A request that cannot be meant, in one sentence; `where` names the field, or the column of a formula."""

    def __init__(self, sentence: str, where: str | None = None):
        super().__init__(sentence)
        self.where = where
