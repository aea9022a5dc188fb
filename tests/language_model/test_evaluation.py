"""Evaluation: the whole text counts once, figures agree with each other, intervals tell the truth."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from optviz import language_model as lm
from optviz.language_model.evaluation import _interval, evaluate_tokens
from surfaces.transformer import Transformer, text_loss

MODEL = Transformer(16, 8, 1, 2, 16, 8)
WEIGHTS = jax.tree.map(lambda x: 5 * x if x.ndim > 1 else x, MODEL.init(jax.random.key(0)))
TOKENS = np.asarray(jax.random.randint(jax.random.key(0), (1000,), 0, 16))


@pytest.mark.parametrize("length", [2, 9, 10, 241, 1000])
def test_every_token_but_the_first_counts_once(length):
    found = evaluate_tokens(MODEL, WEIGHTS, TOKENS[:length], 2 * length)
    np.testing.assert_allclose(found.loss, text_loss(MODEL, WEIGHTS, jnp.asarray(TOKENS[:length])), rtol=1e-5)
    assert found.num_predicted == length - 1


def test_the_figures_are_one_figure():
    found = evaluate_tokens(MODEL, WEIGHTS, TOKENS, 1998)
    assert found.perplexity == pytest.approx(math.exp(found.loss))
    assert found.bits_per_byte == pytest.approx(found.loss / math.log(2) / 2)
    for name in ("loss", "bits_per_byte", "perplexity"):
        low, high = getattr(found, f"{name}_interval")
        assert low < getattr(found, name) < high
    told = found.as_json()
    assert told["loss"] == found.loss and told["perplexity_interval"] == list(found.perplexity_interval)


def test_a_short_text_has_no_interval():
    found = evaluate_tokens(MODEL, WEIGHTS, TOKENS[:9], 8)
    assert found.loss_interval == (0.0, math.inf)
    assert found.as_json()["loss_interval"] is None


def test_an_endless_loss_is_told():
    weights = jax.tree.map(lambda x: x * 1e6 if x.ndim > 1 else x, WEIGHTS)
    found = evaluate_tokens(MODEL, weights, TOKENS, 1000)
    assert found.loss > 700 and found.perplexity == math.inf


@pytest.mark.parametrize("number", [2, 5, 30])
def test_intervals_hold_the_mean_in_95_of_100_cases(number):
    """2000 cases of normal losses: 95 % of them within three standard deviations, 1.5 %."""
    rng = np.random.default_rng(number)
    shares = np.full(number, 1 / number)
    held = 0
    for losses in rng.normal(size=(2000, number)):
        low, high = _interval(float(losses.mean()), losses, shares)
        held += low < 0 < high
    assert held / 2000 == pytest.approx(0.95, abs=0.015)


def test_a_text_of_one_token_is_refused():
    with pytest.raises(ValueError, match="at least two tokens"):
        evaluate_tokens(MODEL, WEIGHTS, TOKENS[:1], 1)


def test_a_saved_model_is_evaluated_on_its_validation_part_or_any_text(tmp_path):
    book = lm.decode_book(b"the cat sat on the mat. the dog sat on the cat.\n" * 40, "cats")
    sizes = {"width": 8, "layers": 1, "heads": 2, "context": 8}
    training = {"steps": 3, "batch_size": 2, "warmup_steps": 1}
    made = lm.create_from_book("m", book, "shakespeare-cpu", sizes=sizes, training=training, models=tmp_path)
    last = lm.train(made)
    found = lm.evaluate(made, which="last")
    assert found.loss == pytest.approx(last.validation_loss, rel=1e-5)
    assert found.bits_per_byte == pytest.approx(last.bits_per_byte, rel=1e-5)
    again = lm.evaluate(made, lm.split(book.text)[1], "last")
    assert again == found
    with pytest.raises(ValueError, match="'Z' is not one of them"):
        lm.evaluate(made, "Zebra")


def test_a_character_that_begins_in_the_first_token_counts_by_its_bytes(tmp_path):
    book = lm.decode_book(("жук" * 200).encode(), "beetles")
    sizes = {"width": 8, "layers": 1, "heads": 2, "context": 8}
    made = lm.create_from_book("m", book, "shakespeare-cpu", tokenizer="bytes", sizes=sizes, models=tmp_path)
    held_out = lm.split(book.text)[1]
    assert made.config["data"]["validation"]["predicted_bytes"] == len(held_out.encode()) - 1
