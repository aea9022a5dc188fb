"""The binary container: what goes in comes out."""

import json
import struct

import numpy as np
import pytest

from optviz.playground import wire

ARRAYS = [
    {},
    {"a": np.zeros((0, 4), np.float32)},
    {"path0": np.arange(8, dtype=np.float32).reshape(2, 4), "values": np.float32([[np.nan, np.inf], [-np.inf, -0.0]])},
    {"double": np.linspace(0, 1, 3)},
]


@pytest.mark.parametrize("payload", [b"", b"\x00abc"])
@pytest.mark.parametrize("arrays", ARRAYS, ids=len)
def test_what_is_packed_comes_out_again(arrays, payload):
    header = {"text": "Öl ∇f", "numbers": [1, 2.5, None], "nested": {"a": True}}
    message = wire.unpack(wire.pack(header, arrays, payload))
    assert message.header == header
    assert message.payload == payload
    assert message.arrays.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(message.arrays[name], np.asarray(array, np.float32))


def test_arrays_begin_on_a_multiple_of_four_bytes_so_that_a_browser_can_map_them():
    for text in ("", "a", "ab", "abc", "ü"):
        message = wire.pack({"text": text}, {"x": np.float32([1, 2])})
        (length,) = struct.unpack_from("<I", message)
        assert (4 + length) % 4 == 0
        assert json.loads(message[4 : 4 + length])["arrays"] == {"x": {"offset": 0, "shape": [2]}}
        assert np.frombuffer(message[4 + length :], "<f4").tolist() == [1, 2]


@pytest.mark.parametrize("number", [float("nan"), float("inf"), np.float32("nan"), np.array([-np.inf])])
def test_what_json_cannot_hold_is_null(number):
    assert json.loads(wire.to_json({"x": number}))["x"] in (None, [None])


@pytest.mark.parametrize("message", [b"", b"\xff\xff\xff\xff", b"\x04\x00\x00\x00nope", b"\x04\x00\x00\x00{}  "])
def test_other_bytes_are_refused(message):
    with pytest.raises(ValueError, match="no message of the playground"):
        wire.unpack(message)
