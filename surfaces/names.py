"""Errors for names that are not in a catalogue: what came, the nearest names, and where to look."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """The sentence for an unknown `name`: the nearest of the `known` names, or all of them if none is near."""
    known = sorted(known)
    near = difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.5)
    near += [k for k in known if k not in near and len(name) > 2 and name.lower() in k][:3]
    if near:
        return f"Unknown {kind} {name!r}. Did you mean {' or '.join(map(repr, near))}?"
    return f"Unknown {kind} {name!r}. Known: {', '.join(known) or 'none'}."
