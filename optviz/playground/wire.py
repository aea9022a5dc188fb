"""The binary container of an answer: a JSON header, then float32 arrays, that a browser reads without copying.

`uint32 N`, little-endian, then N bytes of JSON in UTF-8 padded by spaces so that 4 + N is a multiple of 4, then the
arrays, float32 little-endian, one after another. `header["arrays"]` says where each lies:
`{name: {"offset": index of its first float32 after the header, "shape": [...]}}`.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np


class Message(NamedTuple):
    """What `unpack` reads: the JSON header without the table of arrays, the arrays, and the bytes after them."""

    header: dict[str, Any]
    arrays: dict[str, np.ndarray]
    payload: bytes


def pack(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray] | None = None, payload: bytes = b"") -> bytes:
    """`header` and `arrays` as one message; `payload` follows as it is, for answers that are files.

    NaN and infinity stay themselves in the arrays and become null in the header.
    """
    table, offset, parts = {}, 0, []
    for name, array in (arrays or {}).items():
        table[name] = {"offset": offset, "shape": list(np.shape(array))}
        parts.append(np.ascontiguousarray(array, "<f4").tobytes())
        offset += np.size(array)
    text = to_json({**header, "arrays": table}).encode()
    text += b" " * (-(4 + len(text)) % 4)
    return b"".join([struct.pack("<I", len(text)), text, *parts, payload])


def unpack(message: bytes) -> Message:
    """The header, the arrays and the payload of a message.

    Raises:
      ValueError: for bytes that are no message.
    """
    try:
        (length,) = struct.unpack_from("<I", message)
        header = json.loads(message[4 : 4 + length].decode())
        table = header.pop("arrays")
        arrays = {name: _array(message, 4 + length, place) for name, place in table.items()}
    except (struct.error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"These bytes are no message of the playground: {error}") from error
    end = max((p["offset"] + math.prod(p["shape"]) for p in table.values()), default=0)
    return Message(header, arrays, message[4 + length + 4 * end :])


def to_json(data: Any) -> str:
    """Compact JSON, the same text for the same data; what is no finite number is null."""
    return json.dumps(_plain(data), separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _array(message: bytes, begin: int, place: Mapping[str, Any]) -> np.ndarray:
    shape = tuple(place["shape"])
    return np.frombuffer(message, "<f4", math.prod(shape), begin + 4 * place["offset"]).reshape(shape)


def _plain(data: Any) -> Any:
    if isinstance(data, Mapping):
        return {str(key): _plain(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_plain(value) for value in data]
    if hasattr(data, "tolist"):  # of NumPy or JAX, a single number too
        return _plain(np.asarray(data).tolist())
    return None if isinstance(data, float) and not math.isfinite(data) else data
