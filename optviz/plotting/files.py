"""Writing a picture to disk: whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def checked_path(filename: str | os.PathLike[str], suffixes: Sequence[str]) -> Path:
    """`filename` as a path, once its suffix is among those known and its folder exists.

    Raises:
      ValueError: for a suffix that is not among `suffixes`.
      FileNotFoundError: for a folder that does not exist.
    """
    path = Path(filename)
    if path.suffix.lower() not in suffixes:
        raise ValueError(f"The name of the file must end in {' or '.join(suffixes)}, got {str(path)!r}.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"There is no folder {str(path.parent)!r} to write {path.name} to.")
    return path


def save_picture(axes: Axes, filename: str | os.PathLike[str], dpi: int = 150) -> Path:
    """Save the whole figure that `axes` is part of, as PNG, SVG or PDF, trimmed to what is drawn."""
    path = checked_path(filename, (".png", ".svg", ".pdf"))
    figure = axes.get_figure(root=True)
    assert figure is not None, "axes that belong to no figure cannot be saved"
    figure.savefig(path, dpi=dpi, bbox_inches="tight")
    return path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file beside `path` to write to: it becomes `path` if all goes well, else it goes."""
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
