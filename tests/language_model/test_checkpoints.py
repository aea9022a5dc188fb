"""Checkpoints: the old one or the new one whole, whatever is killed or damaged, and nothing that runs code."""

import json
import pickle
import subprocess
import sys

import numpy as np
import pytest

from optviz.language_model.checkpoints import INDEX, CheckpointError, canonical, read_checkpoint, write_checkpoint

ARRAYS = {
    "weights": np.arange(6, dtype=np.float32).reshape(2, 3),
    "transposed": np.arange(6.0).reshape(2, 3).T,
    "number": np.array(3, np.int32),
    "flag": np.array(True),
    "empty": np.zeros((0, 4), np.float32),
    "strange": np.array([np.nan, np.inf, -0.0], np.float32),
}
FACTS = {"step": 7, "text": "é", "none": None}


@pytest.fixture
def folder(tmp_path):
    return write_checkpoint(tmp_path / "last", "me", FACTS, weights=ARRAYS, training={"state/0": np.ones(3)})


def index_of(folder):
    return json.loads((folder / INDEX).read_text())


def file_of(folder, part):
    return folder / index_of(folder)["files"][part]


def test_what_is_written_is_read_bit_for_bit(folder):
    facts, arrays = read_checkpoint(folder, "me")
    assert facts == FACTS
    assert set(arrays) == {"weights", "training"}
    for name, value in ARRAYS.items():
        found = arrays["weights"][name]
        assert (found.dtype, found.shape, found.tobytes()) == (value.dtype, value.shape, value.tobytes())


def test_a_part_can_be_read_alone(folder):
    assert set(read_checkpoint(folder, "me", ("weights",)).arrays) == {"weights"}
    with pytest.raises(CheckpointError, match="has no pictures"):
        read_checkpoint(folder, "me", ("pictures",))


def test_a_new_checkpoint_leaves_nothing_of_the_old(folder):
    write_checkpoint(folder, "me", {"step": 8}, weights={"a": np.zeros(2)})
    assert read_checkpoint(folder, "me").facts == {"step": 8}
    assert sorted(p.name for p in folder.iterdir()) == sorted([INDEX, *index_of(folder)["files"].values()])


@pytest.mark.parametrize("name", ["weights", "training", "index"])
def test_every_flipped_bit_is_seen(folder, name):
    path = folder / INDEX if name == "index" else file_of(folder, name)
    data = path.read_bytes()
    for position in range(0, len(data), max(1, len(data) // 60)):
        for bit in (0, 5):
            path.write_bytes(data[:position] + bytes([data[position] ^ (1 << bit)]) + data[position + 1 :])
            with pytest.raises(CheckpointError):
                read_checkpoint(folder, "me")
    path.write_bytes(data)
    read_checkpoint(folder, "me")


@pytest.mark.parametrize("name", ["weights", "training", "index"])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_truncated_file_is_refused(folder, name, share):
    path = folder / INDEX if name == "index" else file_of(folder, name)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(CheckpointError, match="truncated or altered"):
        read_checkpoint(folder, "me")


def test_a_missing_file_is_refused(folder):
    file_of(folder, "training").unlink()
    with pytest.raises(CheckpointError, match=r"incomplete: .*training-.* is missing"):
        read_checkpoint(folder, "me")
    (folder / INDEX).unlink()
    with pytest.raises(CheckpointError, match="There is no checkpoint in"):
        read_checkpoint(folder, "me")


def test_a_checkpoint_of_another_run_is_refused(folder):
    with pytest.raises(CheckpointError, match="of another model, other settings or another text"):
        read_checkpoint(folder, "you")


@pytest.mark.parametrize(
    "foreign", [b"[]", b"{}", b'"checkpoint"', b'{"format": "other/1"}', b"[" * 10_000, b"\xff\xfe", b"\x80\x04."]
)
def test_a_foreign_index_is_refused(folder, foreign):
    (folder / INDEX).write_bytes(foreign)
    with pytest.raises(CheckpointError):
        read_checkpoint(folder, "me")


@pytest.mark.parametrize("name", ["../secret.safetensors", "/etc/passwd", "weights.pkl", 3, None])
def test_an_index_cannot_name_files_elsewhere(folder, name):
    import hashlib

    document = {k: v for k, v in index_of(folder).items() if k != "sha256"}
    document["files"]["weights"] = name
    digest = hashlib.sha256(canonical(document)).hexdigest()
    (folder / INDEX).write_bytes(canonical({**document, "sha256": digest}))
    with pytest.raises(CheckpointError, match="no file of a checkpoint"):
        read_checkpoint(folder, "me")


class Bomb:
    def __reduce__(self):
        return exec, ("raise SystemExit('the pickle was read')",)


def test_a_pickle_is_never_read(folder):
    import hashlib

    bomb = pickle.dumps(Bomb())
    digest = hashlib.sha256(bomb).hexdigest()
    document = {k: v for k, v in index_of(folder).items() if k != "sha256"}
    document["files"]["weights"] = f"weights-{digest}.safetensors"
    (folder / document["files"]["weights"]).write_bytes(bomb)
    digest = hashlib.sha256(canonical(document)).hexdigest()
    (folder / INDEX).write_bytes(canonical({**document, "sha256": digest}))
    with pytest.raises(CheckpointError, match="no safetensors file"):
        read_checkpoint(folder, "me")


KILLED = """
import os, signal, sys
import numpy as np
from optviz.language_model import checkpoints

calls = 0
def counted(function):
    def call(*args, **kwargs):
        global calls
        calls += 1
        if calls == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **kwargs)
    return call

os.fsync = counted(os.fsync)
checkpoints.Path.replace = counted(checkpoints.Path.replace)
checkpoints.Path.unlink = counted(checkpoints.Path.unlink)
checkpoints.write_checkpoint(sys.argv[1], "me", {"step": 8}, weights={"a": np.zeros(2)}, training={"b": np.ones(3)})
"""


@pytest.mark.parametrize("moment", range(1, 13))
def test_killed_at_any_moment_a_whole_checkpoint_is_there(folder, moment):
    ended = subprocess.run([sys.executable, "-c", KILLED, str(folder), str(moment)], check=False).returncode
    facts, arrays = read_checkpoint(folder, "me")
    assert facts in (FACTS, {"step": 8})
    assert "a" in arrays["weights"] if facts["step"] == 8 else "flag" in arrays["weights"]
    assert ended == (0 if moment == 12 else -9)
    write_checkpoint(folder, "me", {"step": 9}, weights={"c": np.zeros(1)})
    assert read_checkpoint(folder, "me").facts == {"step": 9}
    assert len(list(folder.iterdir())) == 2
