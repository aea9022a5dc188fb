"""Training: the same run however it is interrupted, any optimizer, curves that are what they say."""

import dataclasses
import itertools
import math
import signal
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import optviz
from optviz import language_model as lm
from optviz.language_model.curves import told_divergence
from optviz.language_model.locks import locked
from optviz.language_model.models import checked_name
from optviz.language_model.settings import Clipped, TrainingSettings, matrices_and_vectors, matrices_of_blocks
from optviz.language_model.training import _reason_to_end
from optviz.trace import take_step
from surfaces import Quadratic, SpiralNetwork
from surfaces.transformer import LanguageModelLoss, text_loss
from tests.events import read
from tests.language_model.tiny import MODEL, TEXT, Nibbles

SETTINGS = TrainingSettings(steps=10, batch_size=2, warmup_steps=2, validate_every=4, save_every=3)


def created(folder, name="tiny", settings=SETTINGS, model=MODEL):
    return lm.create_model(name, model, settings, TEXT[:350], TEXT[350:], Nibbles(), models=folder)


def finger(model):
    """All that a run leaves but its times."""
    steps = (model.folder / "curves.csv").read_bytes()
    table = lm.read_curves(model.folder / "validation.csv")
    arrays = model.checkpoint("last", None).arrays | model.checkpoint("best").arrays
    arrays = {part: {k: (v.tobytes(), v.dtype) for k, v in each.items()} for part, each in arrays.items()}
    return steps, table["step"].tolist(), table["validation_loss"].tolist(), arrays


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run from start to end, and what it told."""
    model, told = created(tmp_path_factory.mktemp("whole")), []
    lm.train(model, told.append)
    return model, told


def test_a_run_learns_and_tells_what_it_does(whole):
    model, told = whole
    curves = lm.read_curves(model.folder / "curves.csv")
    validation = lm.read_curves(model.folder / "validation.csv")
    assert curves["step"].tolist() == list(range(10))
    assert validation["step"].tolist() == [0, 4, 8, 10]
    assert validation["validation_loss"][-1] < validation["validation_loss"][0]
    assert told[-1].event == "finished"
    assert told[-1].validation_loss == validation["validation_loss"][-1]
    assert [p.step for p in told if p.event == "validated"] == [4, 8, 10]
    assert [p.step for p in told if p.is_saved] == [3, 6, 9, 10]
    assert all(p.step <= q.step for p, q in itertools.pairwise(told))


def test_the_columns_are_those_of_the_recorder(whole):
    model, _ = whole
    curves, plan = lm.read_curves(model.folder / "curves.csv"), model.settings
    surface = LanguageModelLoss(MODEL, model.tokens("train"), plan.batch_size)
    start, key = MODEL.init(jax.random.key(0)), jax.random.fold_in(jax.random.key(0), 1)
    spec = plan.build_optimizer()
    trace = optviz.record(spec, surface, start, 2, key=key, fields=("loss", "gradient_norm", "step_size"))
    np.testing.assert_allclose(curves["loss"][:2], trace.rows.loss, rtol=1e-5)
    np.testing.assert_allclose(curves["gradient_norm"][:2], trace.steps.gradient_norm, rtol=1e-4)
    ratio = trace.steps.step_size[0] / np.linalg.norm(jax.flatten_util.ravel_pytree(start)[0])
    np.testing.assert_allclose(curves["update_to_weight"][0], ratio, rtol=1e-4)
    parts = [curves[f"gradient_norm/{part}"] for part in ("tokens", "positions", "blocks/0", "norm")]
    np.testing.assert_allclose(np.sqrt(np.sum(np.square(parts), axis=0)), curves["gradient_norm"], rtol=1e-5)


def test_a_finished_run_goes_on_as_if_it_had_been_longer_from_the_start(tmp_path):
    settings = SETTINGS.replace(schedule="constant")
    whole, first = (created(tmp_path, name, settings.replace(steps=n)) for name, n in (("whole", 10), ("first", 4)))
    lm.train(whole)
    assert lm.train(first).reason == "all 4 steps are taken"
    with pytest.raises(ValueError, match=r"has taken 4 steps already; steps must be more, got 3"):
        lm.lengthen(first, 3)
    assert lm.train(lm.lengthen(first, 10)).reason == "all 10 steps are taken"
    assert finger(lm.open_model("first", tmp_path)) == finger(whole)


def test_the_rate_rises_then_falls(whole):
    rates = lm.read_curves(whole[0].folder / "curves.csv")["learning_rate"]
    assert rates.argmax() == 2
    np.testing.assert_allclose(rates[[0, 2]], [1e-3 / 3, 1e-3], rtol=1e-6)
    np.testing.assert_allclose(SETTINGS.rate(1e-3)(10), 1e-4, rtol=1e-5)


def test_validation_is_on_the_whole_held_out_text(whole):
    model, told = whole
    loss = text_loss(MODEL, model.weights("last"), jnp.asarray(model.tokens("validation")))
    np.testing.assert_allclose(told[-1].validation_loss, loss, rtol=1e-6)
    np.testing.assert_allclose(told[-1].bits_per_byte, loss / math.log(2), rtol=1e-6)  # a letter is a byte


def test_the_best_weights_are_kept(whole):
    model, _ = whole
    losses = lm.read_curves(model.folder / "validation.csv")["validation_loss"]
    assert model.checkpoint("best").facts["best_loss"] == losses.min()


def test_paused_after_every_block_it_is_the_same_run(whole, tmp_path):
    model, events = created(tmp_path), []
    for _ in range(20):
        events.append(lm.train(model, should_pause=lambda: True))
        if events[-1].event == "finished":
            break
    assert {e.event for e in events[:-1]} == {"paused"}
    assert len(events) > 3
    assert finger(model) == finger(whole[0])


KILLED = """
import os, signal, sys
import tests.language_model.test_training as t
model = t.lm.open_model("tiny", sys.argv[1])
at = int(sys.argv[2])
t.lm.train(model, lambda told: told.step >= at and os.kill(os.getpid(), signal.SIGKILL))
"""


def test_killed_twice_it_is_the_same_run(whole, tmp_path):
    model = created(tmp_path)
    for at in (2, 8):
        ended = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), str(at)], check=False)
        assert ended.returncode == -signal.SIGKILL
    with (model.folder / "curves.csv").open("a") as file:
        file.write("9,0.123")  # a line that the kill left unfinished
    lm.train(model)
    assert finger(model) == finger(whole[0])


def test_a_finished_run_stays_as_it_is(whole):
    before = finger(whole[0])
    assert lm.train(whole[0]).event == "finished"
    assert finger(whole[0]) == before


def test_one_process_changes_a_model_at_a_time(whole):
    model = whole[0]
    with locked(model.folder):
        for change in (lambda: lm.train(model), lambda: lm.delete_model("tiny", model.folder.parent)):
            with pytest.raises(ValueError, match="Another process is training tiny"):
                change()


def test_checkpoints_of_other_settings_are_refused(whole):
    config = {**whole[0].config, "training": SETTINGS.replace(seed=1).as_json()}
    with pytest.raises(lm.CheckpointError, match="another model, other settings or another text"):
        lm.train(dataclasses.replace(whole[0], config=config))


def test_altered_tokens_are_refused(whole, tmp_path):
    model = created(tmp_path)
    data = bytearray((model.folder / "train.npy").read_bytes())
    data[-1] ^= 1
    (model.folder / "train.npy").write_bytes(data)
    with pytest.raises(ValueError, match="was altered"):
        lm.train(model)


def test_tensorboard_is_told_what_the_tables_have(tmp_path):
    pytest.importorskip("tensorboardX")
    model = created(tmp_path, settings=SETTINGS.replace(steps=3, log_every=2))
    lm.train(model, tensorboard=tmp_path / "board")
    table = lm.read_curves(model.folder / "curves.csv")
    assert table["step"].tolist() == [0, 2]
    told = read(tmp_path / "board")
    assert {"loss", "gradient_norm"} <= set(told)
    for name in {*told} & {*table}:
        there = ~np.isnan(table[name])
        expected = (table["step"][there], table[name][there])
        np.testing.assert_allclose(told[name], expected, rtol=1e-6, err_msg=name)


def test_it_stops_by_the_rule_that_was_fixed(tmp_path):
    never = SETTINGS.replace(patience=2, hyperparameters={"learning_rate": 0.0}, steps=100, validate_every=2)
    model = created(tmp_path, settings=never)
    told = lm.train(model)
    assert (told.event, told.step) == ("stopped", 4)
    assert "no new best in 2 validations" in told.reason
    assert lm.train(model).event == "stopped"


@pytest.mark.parametrize(("rate", "diverges"), [(1e30, True), (0.0, False), (1e-3, False)])
def test_a_run_that_diverged_says_so(tmp_path, rate, diverges):
    wild = SETTINGS.replace(optimizer="sgd", hyperparameters={"learning_rate": rate}, steps=4)
    model = created(tmp_path, settings=wild)
    assert told_divergence(model.folder) == ""
    assert lm.train(model).event == "finished"
    told = told_divergence(model.folder)
    assert told.startswith("It diverged: the validation loss was ") if diverges else told == ""


def test_it_obeys_an_optimizer_that_says_stop_only_if_asked(tmp_path):
    class State:
        should_stop = True

    run = optviz.language_model.training.Run(4, None, {"inner": State()}, 0.0, 1.0, 0)
    for obeys in (True, False):
        plan = optviz.language_model.training.Plan(*[None] * 6)._replace(
            settings=SETTINGS.replace(obey_should_stop=obeys)
        )
        assert bool(_reason_to_end(plan, run)) == obeys
        assert not _reason_to_end(plan, run._replace(step=5))  # not at a validation


@pytest.mark.parametrize("name", [entry.name for entry in optviz.CATALOGUE])
def test_any_optimizer_of_the_catalogue_can_train_it(name):
    spec = optviz.optimizer(name)
    rate = {"learning_rate": 1e-3} if isinstance(spec.hyperparameters.get("learning_rate"), float) else {}
    optimizer = SETTINGS.replace(optimizer=name, hyperparameters=rate).build_optimizer()
    surface = LanguageModelLoss(MODEL, TEXT, 2)

    def step():
        params = surface.start
        return take_step(optimizer, surface, jax.random.key(0), (jnp.int32(0), params, optimizer.init(params)))[0]

    _, params, _ = jax.eval_shape(step)
    assert jax.tree.map(lambda x: x.shape, params) == jax.tree.map(lambda x: x.shape, surface.start)


@pytest.mark.parametrize(
    ("name", "decays"),
    [
        ("adamw", {"weight_decay": 1.0}),
        ("muon", {"weight_decay": 1.0, "adam_weight_decay": 1.0}),
        ("muon", {"weight_decay": 0.0, "adam_weight_decay": 1.0}),
    ],
)
def test_weight_decay_spares_what_is_no_matrix(name, decays):
    params = MODEL.init(jax.random.key(0))
    settings = SETTINGS.replace(optimizer=name, hyperparameters={"learning_rate": 0.1, **decays}, schedule="constant")
    for spared in (True, False):
        optimizer = settings.replace(decay_vectors=not spared, warmup_steps=0).build_optimizer()
        zeros = jax.tree.map(jnp.zeros_like, params)
        updates, _ = optimizer.update(zeros, optimizer.init(params), params)
        kinds = jax.tree.leaves(matrices_and_vectors(params))
        moved = [(kind, bool((u != 0).any())) for kind, u in zip(kinds, jax.tree.leaves(updates), strict=True)]
        assert {moves for kind, moves in moved if kind == "vectors"} == {not spared}
        # Where Muon's own decay is 0, its matrices stay, and the embeddings, which have Adam's, move.
        assert {moves for kind, moves in moved if kind == "matrices"} == {True, decays["weight_decay"] > 0}


def test_an_optimizer_of_matrices_gets_those_of_the_blocks():
    params = MODEL.init(jax.random.key(0))
    marks = matrices_of_blocks(params)
    assert marks["tokens"] is None and marks["positions"] is None and marks["norm"] is None
    block = marks["blocks"][0]
    assert block["attention"]["in"] is not None and block["attention"]["norm"] is None


@pytest.mark.parametrize(("max_norm", "length"), [(1.0, 1.0), (10.0, 5.0)])
def test_clipping_shortens_gradients_that_are_too_long(max_norm, length):
    sgd = optviz.optimizer("sgd", learning_rate=1.0)
    clipped, grads = Clipped(optimizer=sgd, max_norm=max_norm, name="sgd"), {"a": jnp.array([3.0]), "b": jnp.array(4.0)}
    updates, _ = clipped.update(grads, clipped.init(grads), grads)
    np.testing.assert_allclose(math.hypot(updates["a"][0], updates["b"]), length, rtol=1e-6)
    zeros = jax.tree.map(jnp.zeros_like, grads)
    assert all((u == 0).all() for u in jax.tree.leaves(clipped.update(zeros, clipped.init(grads), grads)[0]))


def test_sharpness_is_the_largest_eigenvalue_of_the_hessian():
    bowl = Quadratic(jnp.array([1.0, 3.0, 50.0, 7.0]))
    np.testing.assert_allclose(lm.sharpness(bowl, bowl.start, jax.random.key(0)), 50.0, rtol=1e-4)
    network, key = SpiralNetwork(width=8, points_per_arm=16), jax.random.key(1)
    flat, unravel = jax.flatten_util.ravel_pytree(network.start)
    largest = np.linalg.eigvalsh(jax.hessian(lambda p: network(unravel(p), key))(flat))[-1]
    np.testing.assert_allclose(lm.sharpness(network, network.start, key), largest, rtol=0.03)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"steps": 0}, "steps must be a whole number, at least 1, got 0"),
        ({"batch_size": 1.5}, "batch_size must be a whole number, at least 1, got 1.5"),
        ({"clip_norm": -1}, "clip_norm must be a number >= 0, got -1"),
        ({"schedule": "cosinus"}, "cosine"),
        ({"optimizer": "adamv"}, "Unknown optimizer .adamv."),
        ({"hyperparameters": {}}, "adamw needs a learning_rate .*: adamw:learning_rate=0.001, for example"),
        ({"hyperparameters": {"learning_rate": -1}}, "learning_rate must be a finite number, at least 0, got -1"),
        ({"hyperparameters": {"learning_rate": math.inf}}, "learning_rate must be a finite number"),
        ({"step": 3}, "steps"),
        ({"steps": 2**31}, r"steps must be below 2\*\*31, got 2147483648"),
        ({"seed": 2**32}, "seed must be below"),
        ({"batch_size": 10**11}, "batch_size must be below"),
    ],
)
def test_bad_settings_are_refused_with_a_sentence(change, sentence, unchecked):
    with pytest.raises(ValueError, match=sentence):
        SETTINGS.replace(**change)


@pytest.mark.parametrize("preset", lm.PRESETS, ids=lambda p: p.name)
def test_presets_are_models_and_settings_that_can_be_stored(preset):
    assert lm.preset(preset.name) is preset
    assert preset.model(100).vocabulary_size == 100
    assert TrainingSettings.from_json(preset.training.as_json()) == preset.training
    preset.training.build_optimizer()


BAD_NAMES = [
    "",
    ".",
    "..",
    "../up",
    "a/b",
    "a\\b",
    "/etc",
    "C:\\x",
    "a\0b",
    "x" * 65,
    " a",
    "a.",
    ".hidden",
    "nul",
    "COM1.txt",
    "a..b",
]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_no_name_leaves_the_folder_of_models(name, tmp_path):
    with pytest.raises(ValueError, match="A model's name has"):
        checked_name(name)
    with pytest.raises(ValueError, match="A model's name has"):
        lm.open_model(name, tmp_path)


def test_models_are_listed_opened_and_deleted(tmp_path):
    models = tmp_path / "models"
    assert lm.list_models(models) == []
    first = created(models, "Война и мир 1")
    created(models, "second")
    (models / "no model").mkdir()
    damaged = created(models, "damaged")
    (damaged.folder / "config.json").write_text("[]")
    with pytest.raises(ValueError, match="is damaged or foreign"):
        lm.open_model("damaged", models)
    assert lm.model_names(models) == ["damaged", "second", "Война и мир 1"]
    assert [m.name for m in lm.list_models(models)] == ["second", "Война и мир 1"]
    assert lm.open_model("Война и мир 1", models).config == first.config
    assert (first.tokens("train") == TEXT[:350]).all()
    with pytest.raises(ValueError, match="Give another name, or delete it"):
        created(models, "second")
    lm.delete_model("second", models)
    with pytest.raises(ValueError, match="second"):
        lm.open_model("second", models)


def test_a_text_too_short_for_the_context_is_refused(tmp_path):
    with pytest.raises(ValueError, match="validation part of the text has 8 tokens; a context of 8 needs at least 9"):
        lm.create_model("short", MODEL, SETTINGS, TEXT[:20], TEXT[:8], Nibbles(), models=tmp_path)
    assert not any(tmp_path.iterdir())
