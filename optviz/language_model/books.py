"""Books: plain text of any language in any encoding, and what encoding it was.

    book = read_book("war_and_peace.txt")
    book.encoding                        # cp1251
    train, validation = split(book.text)

A text whose bytes are valid UTF-8, or which says at its beginning what it is, is taken at its word. Of UTF-16 without
such a mark the zeros tell; anything else is guessed by charset-normalizer.
"""

from __future__ import annotations

import codecs
import dataclasses
import hashlib
import re
from pathlib import Path
from typing import Any

MAX_BYTES = 200_000_000
"""The longest file that is read."""
_MOST_HELD_OUT = 1_000_000  # characters
_SAMPLE_BYTES = 50_000  # from which an encoding is guessed
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, with whose mark it begins
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# No text has these, but for tabs, ends of lines and pages, and the mark with which DOS ended a file.
_NO_TEXT = re.compile("[\x00-\x08\x0b\x0e-\x19\x1b-\x1f\x7f\ufffe\uffff]")
_HALF = re.compile("[\ud800-\udfff]")
_MOST_STRANGE = 1 / 1000  # the share of such characters, or of broken ones, above which it is no text


@dataclasses.dataclass(frozen=True)
class Book:
    """A text, and where it came from."""

    title: str
    text: str
    """Lines end with a line feed, however they ended in the file."""
    encoding: str
    """What the file was written in, as Python calls it."""
    num_bytes: int
    """Of the file."""
    sha256: str
    """Of the file, in hexadecimal digits."""
    broken: int = 0
    """Characters that the encoding does not know and U+FFFD stands for."""

    @property
    def about(self) -> dict[str, Any]:
        """Everything but the text, as JSON data."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "text"}


def read_book(path: str | Path, encoding: str | None = None) -> Book:
    """The book in a file.

    Args:
      path: of a text file of at most 200 MB.
      encoding: of the file; found out if None.

    Raises:
      ValueError: for a file that is empty, too long, binary, or not in `encoding`.
      OSError: if it cannot be read.
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        kind = "a folder" if path.is_dir() else "a device or a pipe"  # which may never end
        raise ValueError(f"A book is one text file, {path} is {kind}. Give the file.")
    if (size := path.stat().st_size) > MAX_BYTES:
        raise ValueError(f"A book has at most {MAX_BYTES // 10**6} MB, {path.name} has {size / 1e6:.0f}. Give a part.")
    return decode_book(path.read_bytes(), path.stem, encoding)


def decode_book(data: bytes, title: str, encoding: str | None = None) -> Book:
    """As `read_book`, for the bytes of a file."""
    if len(data) > MAX_BYTES:
        raise ValueError(f"A book has at most {MAX_BYTES // 10**6} MB, {title} has {len(data) / 1e6:.0f}.")
    known = encoding or _named_encoding(data) or _guessed(data, title)
    text, broken = _decoded(data, title, known)
    if not text.strip():
        raise ValueError(f"The book {title} is empty: it has no text.")
    if sum(1 for _ in _NO_TEXT.finditer(text)) > _MOST_STRANGE * len(text):
        raise ValueError(f"{title} is no text but binary: read as {known} it is full of control characters.")
    if _HALF.search(text):
        raise ValueError(f"Read as {known}, {title} has halves of characters (lone surrogates). Name another encoding.")
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return Book(title, lines, codecs.lookup(known).name, len(data), hashlib.sha256(data).hexdigest(), broken)


def default_book() -> Book:
    """Python's own help topics, which come with every Python; about half a million characters of English."""
    from pydoc_data.topics import topics

    text = "\n\n".join(f"{name}\n\n{topics[name]}" for name in sorted(topics))
    return decode_book(text.encode(), "Python's help topics")


def split(text: str, validation_share: float | None = None) -> tuple[str, str]:
    """The first part of a text, to learn from, and the last `validation_share` of its characters, to be held out.

    By default that is a tenth, but at most a million characters: more would cost time, and tell hardly more.
    """
    share = default_share(text) if validation_share is None else validation_share
    if not 0 < share < 1:
        raise ValueError(f"The validation part is a share between 0 and 1 of the text, got {share}.")
    cut = int((1 - share) * len(text))
    return text[:cut], text[cut:]


def default_share(text: str) -> float:
    """The share of a text that is held out where nobody says another."""
    return min(0.1, _MOST_HELD_OUT / max(len(text), 1))


def _named_encoding(data: bytes) -> str | None:
    """What the bytes themselves say: by a mark at the beginning, by zeros at every second place, or as valid UTF-8."""
    for mark, name in _MARKS:
        if data.startswith(mark):
            return name
    sample = data[: 2 * _SAMPLE_BYTES]
    even, odd = (sample[parity::2].count(0) for parity in (0, 1))
    if max(even, odd) > max(10 * min(even, odd), len(sample) / 200):
        return "utf-16-be" if even > odd else "utf-16-le"
    return "utf-8" if _broken_utf8(data) is not None else None


def _broken_utf8(data: bytes) -> int | None:
    """How many characters of UTF-8 are broken; None if so many that it is none.

    Very few may be, and only among other characters beyond ASCII: a damaged file is not one in another encoding.
    """
    try:
        data.decode()
        return 0
    except UnicodeDecodeError:
        text = data.decode(errors="replace")
    broken = text.count("\ufffd")
    others = len(data) - len(text)  # each character beyond ASCII has more bytes than one
    return broken if broken <= _MOST_STRANGE * len(text) and others > 10 * broken else None


def _guessed(data: bytes, title: str) -> str:
    """What charset-normalizer makes of the lines that are not ASCII: the others tell nothing."""
    from charset_normalizer import from_bytes

    telling, size = [], 0
    for line in data.splitlines(keepends=True):
        if not line.isascii() and size < _SAMPLE_BYTES:
            telling.append(line[:_SAMPLE_BYTES])
            size += len(line)
    best = from_bytes(b"".join(telling)).best()
    if best is None:
        raise ValueError(f"{title} is binary, or text in an encoding that cannot be told. Name the encoding if so.")
    return best.encoding


def _decoded(data: bytes, title: str, encoding: str) -> tuple[str, int]:
    """The text, and how many of its characters are broken."""
    try:
        return data.decode(encoding), 0
    except LookupError:
        raise ValueError(
            f"There is no encoding {encoding!r}. Python knows utf-8, utf-16, cp1251, latin-1, ..."
        ) from None
    except UnicodeDecodeError as error:
        if codecs.lookup(encoding).name == "utf-8" and (broken := _broken_utf8(data)):
            return data.decode(errors="replace"), broken
        raise ValueError(
            f"{title} is not in {encoding}: byte {error.start} does not fit ({error.reason}). Name another encoding."
        ) from None
