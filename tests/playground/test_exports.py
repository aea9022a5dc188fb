"""Files of a comparison: each holds the last point and every number, and leads back to the same bytes of paths."""

import csv
import io
import json
import xml.etree.ElementTree
import zipfile

import numpy as np
import pytest
from PIL import Image

from optviz.playground import compute, exports, service, settings, wire
from optviz.playground.errors import BadSettings

TWO = [{"name": "sgd", "hyperparameters": {"learning_rate": 0.001}}, "adam"]
CASES = {
    "plain": {"optimizers": TWO},
    "every second step": {"optimizers": TWO, "num_steps": 2001},
    "noise": {"optimizers": TWO, "noise": 0.3, "seed": 7},
    "coefficients": {"surface": "quadratic_bowl", "coefficients": {"condition_number": 30.0}, "optimizers": TWO},
    "a formula": {"formula": "(x**2 - 1)**2 + y**2", "start": [0.3, 1.0], "optimizers": TWO},
    "a schedule": {"optimizers": [{"name": "adam", "schedule": {"name": "cosine", "parameters": {"end": 0.1}}}]},
    "an L1 penalty": {"optimizers": TWO, "regularisation": {"kind": "l1", "strength": 0.2}},
    "decoupled decay": {"optimizers": TWO, "regularisation": {"kind": "decoupled", "twins": False}},
    "one switched off": {"optimizers": [*TWO, {"name": "lion", "on": False}]},
    "the same one twice": {"optimizers": ["adam", {"name": "adam", "hyperparameters": {"b1": 0.5}}]},
    "divergence": {"optimizers": [{"name": "gd", "hyperparameters": {"learning_rate": 1.0}}]},
}
cases = pytest.mark.parametrize("data", [{"num_steps": 40, **case} for case in CASES.values()], ids=CASES)


def ends(data):
    """The last points (x, y, loss, gradient norm) of the comparison."""
    return [path.points[-1] for path in compute.paths(settings.from_json(data))]


@cases
def test_the_table_ends_at_the_last_step_with_every_digit(data):
    comment, *rows = exports.export(data, "csv").content.decode().splitlines()
    table = list(csv.DictReader(rows))
    last = {row["optimizer"]: row for row in table}
    assert [int(row["step"]) for row in last.values()] == [data["num_steps"]] * len(last)
    read = [[np.float32(row[name]) for name in exports.COLUMNS[1:]] for row in last.values()]
    np.testing.assert_array_equal(read, ends(data))
    assert json.loads(comment.split(" ", 2)[2]) == settings.to_json(settings.from_json(data))


@cases
def test_json_leads_back_to_the_same_bytes(data):
    text = exports.export(data, "json").content.decode()
    found = exports.settings_of(text)
    assert service.answer("paths", {"settings": found}) == service.answer("paths", {"settings": data})


@cases
def test_json_tells_every_hyperparameter_and_the_last_point(data):
    document = json.loads(exports.export(data, "json").content)
    chosen = settings.from_json(data)
    for run, told, end in zip(compute.runs(chosen), document["runs"], ends(data), strict=True):
        assert told["optimizer"]["hyperparameters"] == dict(run.choice.hyperparameters)
        columns = told["columns"]
        assert columns["step"][-1] == data["num_steps"]
        np.testing.assert_array_equal([np.float32(columns[name][-1]) for name in exports.COLUMNS[1:]], end)
    assert len({run["label"] for run in document["runs"]}) == len(document["runs"])


@cases
def test_the_script_computes_the_same_run_to_the_last_bit(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = {}
    exec(compile(exports.export(data, "py").content, "script", "exec"), made)
    paths = [path.points[-1] for path in made["paths"]]
    np.testing.assert_array_equal(paths, ends(data))
    assert (tmp_path / "comparison.png").stat().st_size > 1000


SMALL = {"optimizers": TWO, "num_steps": 20}


def test_pictures_are_pictures():
    png = Image.open(io.BytesIO(exports.export(SMALL, "png").content))
    assert min(png.size) > 400
    gif = Image.open(io.BytesIO(exports.export(SMALL, "gif").content))
    assert gif.n_frames > 10
    svg = exports.export(SMALL, "svg").content
    assert xml.etree.ElementTree.fromstring(svg).tag.endswith("svg")
    assert b"<script" not in svg


TWINS = {
    "num_steps": 20,
    "optimizers": [{"name": "sgd", "color": "#123456", "hyperparameters": {"learning_rate": 0.001}}, "adam", "gd"],
    "regularisation": {"kind": "l1", "strength": 0.25},
}


def drawn(data, monkeypatch):
    """Of each line that the picture has a label for: its label, its colour, whether it is dashed; and the heading."""
    import matplotlib.pyplot as plt

    kept = []
    monkeypatch.setattr(plt, "close", kept.append)
    exports.export(data, "svg")
    ax = kept[0].axes[0]
    lines = {line.get_label(): (line.get_color(), line.is_dashed()) for line in ax.lines}
    return lines, " ".join(" ".join(text.get_text() for text in ax.texts).split())


def test_a_picture_names_colours_and_dashes_the_runs_as_the_screen_does(monkeypatch):
    lines, heading = drawn(TWINS, monkeypatch)
    told = json.loads(json.dumps(wire.unpack(service.answer("paths", {"settings": TWINS})).header))["paths"]
    assert [run["color"] for run in told[:2]] == ["#123456", "#123456"]
    for run in told:
        title = run["label"] + (" + L1" if run["twin"] else "")
        assert lines[title] == (run["color"], run["twin"])
    assert "L1 penalty of 0.25" in heading
    assert "sgd 0.001" in heading and "#" not in heading


@pytest.mark.parametrize(
    ("kind", "named"), [("l2", "L2"), ("elastic", "elastic net"), ("decoupled", "decoupled decay")]
)
@pytest.mark.parametrize("twins", [True, False])
def test_a_picture_says_which_penalty_there_is(kind, named, twins, monkeypatch):
    how = {"kind": kind, "strength": 0.25, "twins": twins}
    lines, heading = drawn({**TWINS, "regularisation": how}, monkeypatch)
    assert named in heading
    assert (f"sgd + {named}" in lines) == twins


def test_files_call_a_run_what_the_screen_calls_it():
    text = exports.export(TWINS, "csv").content.decode()
    assert "\nsgd + L1,20," in text
    labels = [run["label"] for run in json.loads(exports.export(TWINS, "json").content)["runs"]]
    assert labels[:2] == ["sgd", "sgd + L1"]


def test_an_animation_has_the_colours_and_the_dashes_of_the_screen():
    def inked(data):
        frame = Image.open(io.BytesIO(exports.export(data, "gif").content))
        frame.seek(frame.n_frames - 1)
        pixels = np.asarray(frame.convert("RGB")).reshape(-1, 3).astype(int)
        return int((np.abs(pixels - [0x12, 0x34, 0x56]).max(axis=1) < 8).sum())

    one = {**TWINS, "optimizers": [TWINS["optimizers"][0]], "regularisation": {"kind": "none"}}
    assert inked(one) > 50
    assert inked({**one, "optimizers": [{**one["optimizers"][0], "color": "#999999"}]}) == 0


def test_the_same_comparison_is_the_same_picture():
    assert exports.export(SMALL, "svg").content == exports.export(SMALL, "svg").content


def test_the_archive_holds_every_other_format():
    archive = zipfile.ZipFile(io.BytesIO(exports.export(SMALL, "zip").content))
    assert {name.rpartition(".")[2] for name in archive.namelist()} == set(exports.FORMATS) - {"zip"}
    for suffix in ("csv", "json", "py", "svg"):
        assert archive.read(f"optviz-rosenbrock.{suffix}") == exports.export(SMALL, suffix).content


def test_names_of_files_are_plain():
    for data in (SMALL, {"formula": "x**2 + y**2", "optimizers": ["gd"], "num_steps": 3}):
        name = exports.export(data, "csv").name
        assert all(letter.isalnum() or letter in "-_." for letter in name)


BROKEN = {
    "no text": None,
    "not JSON": "{",
    "a list": "[]",
    "another format": '{"format": "optviz-traces/1"}',
    "no settings": json.dumps({"format": exports.FORMAT, "settings": 3}),
    "unknown names": json.dumps({"format": exports.FORMAT, "settings": {"surface": "nowhere"}}),
    "absurd numbers": json.dumps({"format": exports.FORMAT, "settings": {"num_steps": 10**9}}),
    "deep": "[" * 100_000,
    "a long number": '{"format": ' + "9" * 5000 + "}",
    "too long": " " * (exports.MAX_IMPORT + 1),
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_a_broken_import_is_a_sentence(text):
    with pytest.raises(BadSettings, match=r"^[^\n]{10,700}$"):
        exports.settings_of(text)


@pytest.mark.parametrize("format", ["exe", "../csv", None, ["csv"]])
def test_an_unknown_format_is_a_sentence(format):
    with pytest.raises(BadSettings, match="format is one of"):
        exports.checked(SMALL, format)


@pytest.mark.parametrize("optimizers", [[], [{"name": "adam", "on": False}]])
def test_nothing_to_export_is_a_sentence(optimizers):
    with pytest.raises(BadSettings, match="nothing to export"):
        exports.checked({"optimizers": optimizers}, "csv")
