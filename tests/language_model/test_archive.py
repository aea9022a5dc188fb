"""Archives: what goes out comes in, and a hostile or damaged file leaves nothing behind."""

import hashlib
import io
import json
import shutil
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from optviz import language_model as lm
from optviz.language_model import archive
from optviz.language_model.checkpoints import CheckpointError, canonical
from optviz.optimizers import load_state_dict

BOOK = lm.decode_book(b"the cat sat on the mat. the dog sat on the cat.\n" * 40, "cats | and <dogs>")
SIZES = {"width": 8, "layers": 1, "heads": 2, "context": 8}
TRAINING = {"steps": 3, "batch_size": 2, "warmup_steps": 1}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    models = tmp_path_factory.mktemp("models")
    made = lm.create_from_book("cats", BOOK, "shakespeare-cpu", sizes=SIZES, training=TRAINING, models=models)
    lm.train(made)
    return made


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    return lm.export_model(model, tmp_path_factory.mktemp("out") / "cats.zip")


@pytest.fixture(scope="module")
def files(exported):
    with zipfile.ZipFile(exported) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def same(trees):
    return all(jax.tree.leaves(jax.tree.map(lambda a, b: np.array_equal(a, b), *trees)))


def test_a_model_comes_in_as_it_went_out(model, exported, tmp_path):
    found = lm.import_model(exported, models=tmp_path)
    assert found.name == "cats" and found.folder.parent == tmp_path
    assert found.config == model.config and found.tokenizer_json == model.tokenizer_json
    assert same((found.weights(), model.weights()))
    assert found.checkpoint().facts == model.checkpoint().facts
    for name in ("curves.csv", "validation.csv"):
        assert (found.folder / name).read_bytes() == (model.folder / name).read_bytes()
    assert lm.figures(found)["validation_loss"] == lm.figures(model)["validation_loss"]
    text = lm.split(BOOK.text)[1]
    assert lm.evaluate(found, text) == lm.evaluate(model, text)


def test_what_came_in_goes_out_the_same(exported, tmp_path):
    found = lm.import_model(exported, models=tmp_path)
    assert lm.export_model(found, tmp_path / "again.zip").read_bytes() == exported.read_bytes()


def test_the_book_does_not_travel(files, exported, tmp_path):
    assert b"the cat sat" not in b"".join(files.values())
    found = lm.import_model(exported, models=tmp_path)
    with pytest.raises(ValueError, match="imported without its text"):
        lm.train(found)


def test_a_line_that_is_being_written_does_not_travel(model, tmp_path):
    written = lm.open_model(shutil.copytree(model.folder, tmp_path / "written").name, tmp_path)
    with (written.folder / "curves.csv").open("a") as file:
        file.write("3,0.12")
    found = lm.import_model(lm.export_model(written, tmp_path / "w.zip"), "new", tmp_path)
    assert (found.folder / "curves.csv").read_bytes() == (model.folder / "curves.csv").read_bytes()


def test_a_name_can_be_given_and_is_taken_once(exported, tmp_path):
    assert lm.import_model(exported, "other", tmp_path).name == "other"
    with pytest.raises(ValueError, match="There is a model 'other' already"):
        lm.import_model(exported, "other", tmp_path)
    with pytest.raises(ValueError, match="A model's name"):
        lm.import_model(exported, "../other", tmp_path)


def test_the_card_tells_data_and_figures(model, files):
    text = files["card.md"].decode()
    assert text.startswith("# cats\n")
    assert r"cats \| and \<dogs\>" in text
    assert BOOK.sha256 in text and "adamw" in text and f"{lm.num_weights(model):,}" in text
    assert f"{lm.figures(model)['validation_loss']:.4f} nats" in text


def test_an_altered_tokenizer_is_refused(exported, tmp_path):
    found = lm.import_model(exported, models=tmp_path)
    (found.folder / "tokenizer.json").write_text('{"name": "bytes"}')
    with pytest.raises(ValueError, match="was altered: its SHA-256 is not that of config"):
        found.tokenizer  # noqa: B018


def test_every_model_has_its_card_and_a_foreign_one_is_not_taken(model, files, tmp_path):
    assert "nats per token" in (model.folder / "card.md").read_text()
    path = packed(tmp_path / "x.zip", sealed(files, **{"card.md": b"<script>evil</script>"}).items())
    card = (lm.import_model(path, models=tmp_path / "models").folder / "card.md").read_text()
    assert card == lm.card(model) and "evil" not in card


def test_weights_of_self_play_travel_without_figures_of_other_weights(model, tmp_path):
    checkpoint = model.checkpoint()
    folder = shutil.copytree(model.folder, tmp_path / "played")
    played = lm.open_model("played", tmp_path)
    facts = {"step": 20, "seconds": 1.0, "best_loss": None, "since_best": 0}
    lm.write_checkpoint(folder / "self-play", played.identity, facts, **checkpoint.arrays)
    found = lm.import_model(lm.export_model(played, tmp_path / "p.zip", "self-play"), "new", tmp_path)
    assert found.checkpoint().facts["step"] == 20
    assert lm.figures(found)["validation_loss"] is None
    assert "nats per token" not in lm.card(played, "self-play")


def test_figures_before_training_are_unknown(tmp_path):
    made = lm.create_from_book("new", BOOK, "shakespeare-cpu", sizes=SIZES, training=TRAINING, models=tmp_path)
    assert lm.figures(made) == {"steps": 0} | dict.fromkeys(
        ("seconds", "best_step", "validation_loss", "bits_per_byte")
    )
    with pytest.raises(CheckpointError, match="has no weights 'best' yet: train it first"):
        lm.export_model(made, tmp_path / "new.zip")
    assert not (tmp_path / "new.zip").exists()


def test_weights_for_pytorch_give_the_same_logits_there(model, tmp_path):
    """In float32 a sum in another order is off by some 1e-6 of the largest logit."""
    torch = pytest.importorskip("torch")
    from tests.language_model.twin import Twin

    state = torch.load(lm.export_model(model, tmp_path / "cats.pt"), weights_only=True)
    arrays = {name.replace(".", "/"): value.numpy() for name, value in state.items()}
    there = Twin(model.transformer, load_state_dict(model.transformer.init(jax.random.key(0)), arrays))
    tokens = model.tokens("validation")[:8]
    with torch.no_grad():
        found = there(torch.tensor(tokens)[None])[0].numpy()
    expected = model.transformer.logits(model.weights(), jnp.asarray(tokens))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(expected).max() > 0.01


def test_another_ending_is_refused(model, tmp_path):
    with pytest.raises(ValueError, match=r"\.zip or \.pt"):
        lm.export_model(model, tmp_path / "cats.tar")


# Hostile files ----------------------------------------------------------------


def packed(path, members, kind=None):
    """A .zip of pairs of a name and data, the weights stored as they are unless a `kind` is given."""
    with zipfile.ZipFile(path, "w") as target:
        for name, data in members:
            usual = zipfile.ZIP_STORED if name == "weights.safetensors" else zipfile.ZIP_DEFLATED
            target.writestr(name, data, usual if kind is None else kind)
    return path


def sealed(files, **changes):
    """The files with some changed, and with an index that fits them."""
    files = {k: v for k, v in {**files, **changes}.items() if v is not None}
    index = json.loads(files.pop("archive.json"))
    index["sha256"] = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    return {"archive.json": canonical(index), **files}


def changed(old, **changes):
    return json.dumps({**json.loads(old), **changes}).encode()


def refused(path, models, message="cannot be imported"):
    with pytest.raises(ValueError, match=message):
        lm.import_model(path, models=models)
    assert not models.exists() or not list(models.iterdir())


@pytest.mark.parametrize(
    "name",
    ["../evil.txt", "/etc/passwd", "best/../../evil", "C:\\evil", "weights.pkl", "config.json/", "CONFIG.JSON"],
)
def test_no_name_but_the_known_ones_is_read(files, tmp_path, name):
    path = packed(tmp_path / "x.zip", [*files.items(), (name, b"x")])
    refused(path, tmp_path / "models", "which no exported model has")
    assert {p.name for p in tmp_path.iterdir()} <= {"x.zip", "models"}


def test_a_link_is_refused(files, tmp_path):
    link = zipfile.ZipInfo("best")
    link.external_attr = 0o120777 << 16
    refused(packed(tmp_path / "x.zip", [*files.items(), (link, b"/etc")]), tmp_path / "models", "'best'")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_files_of_one_name_are_refused(files, tmp_path):
    path = packed(tmp_path / "x.zip", [*files.items(), ("card.md", b"another")])
    refused(path, tmp_path / "models", "two files of one name")


@pytest.mark.parametrize("name", ["archive.json", "config.json", "tokenizer.json", "weights.safetensors"])
def test_a_missing_file_is_named(files, tmp_path, name):
    path = packed(tmp_path / "x.zip", [(k, v) for k, v in files.items() if k != name])
    refused(path, tmp_path / "models", f"lacks {name}")


def test_a_bomb_is_refused_before_it_is_unpacked(files, tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "_read", lambda *a: pytest.fail("it was read"))
    path = packed(tmp_path / "x.zip", sealed(files, **{"card.md": bytes(2_000_000)}).items())
    assert path.stat().st_size < 100_000
    refused(path, tmp_path / "models", "more than the 1000000 it may have")


def test_a_lie_about_a_length_is_seen(files, tmp_path):
    path = packed(tmp_path / "x.zip", sealed(files, **{"card.md": bytes(2_000_000)}).items())
    data = path.read_bytes().replace((2_000_000).to_bytes(4, "little"), (1000).to_bytes(4, "little"))
    path.write_bytes(data)
    refused(path, tmp_path / "models")


@pytest.mark.parametrize("kind", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, zipfile.ZIP_DEFLATED])
def test_only_two_ways_of_packing_are_read_and_weights_only_unpacked(files, tmp_path, kind):
    """Packed weights could be a bomb of gigabytes within all limits."""
    refused(packed(tmp_path / "x.zip", files.items(), kind), tmp_path / "models", "packed in a way")


def test_an_encrypted_file_is_refused(files, tmp_path):
    path = packed(tmp_path / "x.zip", files.items())
    data = bytearray(path.read_bytes())
    place = data.index(b"PK\x01\x02")
    data[place + 8] |= 1
    path.write_bytes(data)
    refused(path, tmp_path / "models", "encrypted")


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"no zip", b"PK\x05\x06" + bytes(18), b"\x80\x04."])
def test_what_is_no_archive_is_refused(tmp_path, data):
    (tmp_path / "x.zip").write_bytes(data)
    refused(tmp_path / "x.zip", tmp_path / "models", r"x\.zip cannot be imported")


def test_every_altered_byte_is_seen_or_means_nothing(exported, model, tmp_path):
    """A flipped bit is refused, or it is in what a .zip says of dates and systems, and the model is the same."""
    data = exported.read_bytes()
    seen = 0
    for number, place in enumerate(range(0, len(data), max(1, len(data) // 150))):
        path, models = tmp_path / f"{number}.zip", tmp_path / f"models{number}"
        path.write_bytes(data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :])
        try:
            found = lm.import_model(path, models=models)
        except ValueError:
            seen += 1
            assert not models.exists() or not list(models.iterdir())
        else:
            assert found.config == model.config and same((found.weights(), model.weights()))
    assert seen > 100


@pytest.mark.parametrize("name", ["config.json", "curves.csv", "weights.safetensors"])
def test_a_file_that_was_altered_and_packed_anew_is_refused(files, tmp_path, name):
    """The sums of the .zip fit, those of the archive do not."""
    altered = {**files, name: files[name].replace(b"0", b"1", 1)}
    refused(packed(tmp_path / "x.zip", altered.items()), tmp_path / "models", f"{name} was altered")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_truncated_file_is_refused(exported, tmp_path, share):
    data = exported.read_bytes()
    (tmp_path / "x.zip").write_bytes(data[: int(share * len(data))])
    refused(tmp_path / "x.zip", tmp_path / "models", "cannot be imported: it is damaged: copy or download it again")


def test_weights_for_pytorch_are_told_from_a_model(files, tmp_path):
    path = packed(tmp_path / "cats.pt", [("cats/data.pkl", b"x"), ("cats/version", b"3")])
    refused(path, tmp_path / "models", "it has weights for PyTorch; what can be imported is the .zip")


HUGE = {"width": 2**20, "feed_forward": 2**20, "vocabulary_size": 2**20}


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("config.json", lambda d: b"[]", "no object"),
        ("config.json", lambda d: b"{", ""),
        ("config.json", lambda d: b"[" * 100_000, ""),
        ("config.json", lambda d: b"\xff", ""),
        ("config.json", lambda d: changed(d, format="other/1"), "not in the format"),
        ("config.json", lambda d: changed(d, model={}), "layers"),
        ("config.json", lambda d: changed(d, model=3), ""),
        (
            "config.json",
            lambda d: changed(d, model={**json.loads(d)["model"], "layers": 10**9}),
            "layers may be 1000 at most",
        ),
        (
            "config.json",
            lambda d: changed(d, model={**json.loads(d)["model"], "positions": "rotary", "context": 10**9}),
            "context may be 65536 at most",
        ),
        ("config.json", lambda d: changed(d, model={**json.loads(d)["model"], **HUGE}), "its weights have"),
        ("config.json", lambda d: changed(d, model={**json.loads(d)["model"], "width": 10**30}), ""),
        ("config.json", lambda d: changed(d, model={**json.loads(d)["model"], "evil": 1}), "evil"),
        ("config.json", lambda d: changed(d, model={**json.loads(d)["model"], "width": 16}), "its weights have"),
        ("config.json", lambda d: changed(d, training={"steps": 0}), "steps must be"),
        ("config.json", lambda d: changed(d, training={"optimizer": "os.system"}), "os.system"),
        ("config.json", lambda d: changed(d, training=[]), ""),
        ("config.json", lambda d: changed(d, data={}), "lacks 'train'"),
        ("config.json", lambda d: changed(d, data={"train": {}, "validation": {}}), ""),
        ("config.json", lambda d: changed(d, about=None), ""),
        ("config.json", lambda d: changed(d, about={"x": float("nan")}), ""),
        ("tokenizer.json", lambda d: b'{"name": "pickle"}', "Unknown tokenizer"),
        ("config.json", lambda d: changed(d, about={"validation_share": "x"}), "no number"),
        ("config.json", lambda d: changed(d, tokenizer=None), "digest of its tokenizer"),
        ("tokenizer.json", lambda d: b'{"name": "bytes"}', "more tokens than its model"),
        ("tokenizer.json", lambda d: b'{"name": "characters", "alphabet": "abc"}', "not that of its config"),
        ("weights.safetensors", lambda d: d[:-4], "no safetensors file"),
        ("weights.safetensors", lambda d: d + bytes(10**6), "its weights have"),
        ("weights.safetensors", lambda d: b"\x80\x04." + d[3:], ""),
        ("weights.safetensors", lambda d: d.replace(b"tokens", b"others"), ""),
        ("curves.csv", lambda d: d + b"not,numbers\n", "curves are not understood"),
        ("validation.csv", lambda d: b"step,validation_loss\n1\n", "curves are not understood"),
        ("curves.csv", lambda d: bytes(1000), "curves are not understood"),
        ("curves.csv", lambda d: d + b"1", "curves are not understood"),
        ("curves.csv", lambda d: b"step\n" + b"0\n" * 2 * 10**6, "curves are not understood"),
        ("curves.csv", lambda d: b"step" + b"," * 10**6 + b"\n", "curves are not understood"),
        ("tokenizer.json", lambda d: d + b" " * 10**5, "more tokens than its model"),
    ],
)
def test_a_hostile_part_is_refused(files, tmp_path, name, change, message):
    path = packed(tmp_path / "x.zip", sealed(files, **{name: change(files[name])}).items())
    refused(path, tmp_path / "models", message or "cannot be imported")


@pytest.mark.parametrize(
    "change",
    [
        {"format": "other/1"},
        {"name": "../evil"},
        {"name": 3},
        {"facts": {}},
        {"facts": {"step": "1", "since_best": 0, "seconds": 1.0, "best_loss": None}},
        {"facts": None},
        {"sha256": {}},
        {"sha256": None},
    ],
)
def test_a_hostile_index_is_refused(files, tmp_path, change):
    hostile = {**files, "archive.json": changed(files["archive.json"], **change)}
    refused(packed(tmp_path / "x.zip", hostile.items()), tmp_path / "models")


def test_a_missing_file_is_an_error_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError):
        lm.import_model(tmp_path / "none.zip", models=tmp_path)
    with pytest.raises(OSError):
        lm.import_model(tmp_path, models=tmp_path)


def test_the_same_model_gives_the_same_file(model, exported, tmp_path):
    assert lm.export_model(model, tmp_path / "b.zip").read_bytes() == exported.read_bytes()
    assert zipfile.ZipFile(io.BytesIO(exported.read_bytes())).testzip() is None
