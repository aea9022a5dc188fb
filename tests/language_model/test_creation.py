"""From a book to a model: presets but for what is said, and every refusal before work is done."""

import numpy as np
import pytest

from optviz import language_model as lm

BOOK = lm.decode_book("the cat sat on the mat. thé dog sat.\n".encode() * 100, "cats")
SIZES = {"width": 8, "layers": 1, "heads": 2, "context": 8}


def made(tmp_path, name="m", ready="shakespeare-cpu", **options):
    return lm.create_from_book(name, BOOK, ready, models=tmp_path, **{"sizes": SIZES, **options})


def test_a_preset_is_taken_but_for_what_is_said(tmp_path):
    model = made(tmp_path, training={"steps": 7, "optimizer": "lion", "hyperparameters": {"learning_rate": 1e-4}})
    preset = lm.preset("shakespeare-cpu")
    assert model.transformer.width == 8 and model.transformer.feed_forward == 32
    assert (model.settings.steps, model.settings.optimizer) == (7, "lion")
    assert model.settings.batch_size == preset.training.batch_size
    assert model.config["about"]["preset"] == "shakespeare-cpu"
    assert model.config["about"]["sha256"] == BOOK.sha256


@pytest.mark.parametrize(
    ("training", "expected"),
    [({}, 100), ({"steps": 500}, 50), ({"steps": 500, "warmup_steps": 90}, 90), ({"steps": 10**5}, 100)],
)
def test_few_steps_are_not_spent_on_the_warm_up(tmp_path, training, expected):
    assert made(tmp_path, training=training).settings.warmup_steps == expected


@pytest.mark.parametrize(("kind", "asked"), [("bytes", None), ("characters", None), ("bpe", 300)])
def test_the_parts_of_the_text_are_the_text(tmp_path, kind, asked):
    model = made(tmp_path, tokenizer=kind, vocabulary_size=asked, validation_share=0.2)
    tokenizer = lm.tokenizer_from_json(model.tokenizer_json)
    parts = [tokenizer.decode(model.tokens(split)) for split in ("train", "validation")]
    assert "".join(parts) == BOOK.text
    assert len(parts[1]) == pytest.approx(0.2 * len(BOOK.text), abs=1)
    assert model.transformer.vocabulary_size == tokenizer.size


def test_byte_pairs_are_learnt_from_the_training_part_alone(tmp_path):
    train, validation = lm.split(BOOK.text)
    changed = lm.decode_book((train + validation.replace("cat", "xyz")).encode(), "cats")
    models = [
        lm.create_from_book(str(i), book, "book", sizes=SIZES, models=tmp_path)
        for i, book in enumerate((BOOK, changed))
    ]
    assert models[0].tokenizer_json == models[1].tokenizer_json
    assert not np.array_equal(models[0].tokens("validation"), models[1].tokens("validation"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "../m"}, "A model's name"),
        ({"ready": "books"}, "Unknown preset 'books'"),
        ({"sizes": {"breadth": 3}}, "Unknown size 'breadth'"),
        ({"sizes": {"width": 9, "heads": 2}}, "heads divide"),
        ({"sizes": {"layers": 10**9}}, "layers may be 1000 at most"),
        ({"sizes": {"context": 10_000}}, "A context of 10000 needs|context of 10000 needs"),
        ({"tokenizer": "words"}, "Unknown tokenizer 'words'"),
        ({"vocabulary_size": 500}, "Only bpe"),
        ({"training": {"optimizer": "adamx"}}, "adamx"),
        ({"training": {"hyperparameters": {"learning_rate": 1e-3, "b7": 1}}}, "b7"),
        ({"training": {"steps": 0}}, "steps must be"),
        ({"validation_share": 0.0}, "between 0 and 1"),
    ],
)
def test_what_cannot_be_is_refused_and_leaves_nothing(tmp_path, options, message):
    with pytest.raises((ValueError, TypeError), match=message):
        made(tmp_path, **options)
    assert not list(tmp_path.glob("[!.]*"))


def test_a_name_is_taken_once(tmp_path):
    made(tmp_path)
    with pytest.raises(ValueError, match="There is a model 'm' already"):
        made(tmp_path)
