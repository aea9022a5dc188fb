"""Errors for names that are not in a catalogue: what came, the nearest names, and where to look."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

SOME_NEAR = "Unknown {kind} {name!r}. Did you mean {near}?"
NONE_NEAR = "Unknown {kind} {name!r}. Known: {known}."


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """The sentence for an unknown `name`: the nearest of the `known` names, or all of them if none is near."""
    known = sorted(known)
    if near := nearest(name, known):
        return SOME_NEAR.format(kind=kind, name=name, near=" or ".join(map(repr, near)))
    return NONE_NEAR.format(kind=kind, name=name, known=", ".join(known) or "none")


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """Those of the `known` names that are like `name`, have it in them, or have it as initials; perhaps none."""
    known = sorted(known)
    near = difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.5)
    near += [k for k in known if "_" in k and name.lower() == "".join(part[:1] for part in k.split("_"))]
    return near + [k for k in known if k not in near and len(name) > 2 and name.lower() in k][:3]
