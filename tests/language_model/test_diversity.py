"""Diversity self-play: rewards are plain functions, what pays becomes likelier, leash and cost show."""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import optviz
from optviz.language_model.diversity import (
    DEFAULT_REWARDS,
    Settings,
    Written,
    coherence,
    divergence_of,
    diversity,
    leave_one_out,
    length,
    play,
    stretches_of_the_book,
    written_by,
)
from optviz.language_model.policy import WeightedText, log_probs, token_weights, write
from surfaces.transformer import Transformer, text_loss

MODEL = Transformer(8, 16, 1, 2, 32, 16)
WEIGHTS = jax.tree.map(lambda x: 5 * x if x.ndim > 1 else x, MODEL.init(jax.random.key(0)))
BOOK = np.tile(np.arange(8, dtype=np.int32), 20)
SMALL = Settings(texts=8, prompt_tokens=3, new_tokens=10, leash=0.0, validate_every=2)
ADAM = optviz.optimizer("adam", learning_rate=1e-2)


def decode(tokens):
    return "".join("abcdefg "[token] for token in tokens)


def played(num_rounds, optimizer=ADAM, **options):
    options = {"settings": SMALL, **options}
    return list(play(MODEL, WEIGHTS, decode, BOOK[:100], BOOK[100:], optimizer, num_rounds=num_rounds, **options))


def test_rewards_are_what_they_say():
    tokens = np.array([[1, 1, 1, 1], [1, 2, 3, 7]])
    written = Written(tokens[:, :1], tokens, [decode(row) for row in tokens], np.array([[-1.0] * 4, [-2.0] * 4]))
    np.testing.assert_allclose(diversity(written), [0.25, 1.0])
    np.testing.assert_allclose(length(written), [1.0, 0.75])
    np.testing.assert_allclose(coherence(written), [-1.0, -2.0])


def test_many_texts_weigh_as_much_in_blocks_as_one_by_one():
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, 8, (100, 12)).astype(np.int32)
    weights, leash = rng.normal(size=(2, 100, 12)).astype(np.float32)
    reference = MODEL.init(jax.random.key(1))

    @jax.jit
    @jax.value_and_grad
    def loss(params, *rows):
        return WeightedText(MODEL, *rows, reference)(params)

    together = loss(WEIGHTS, tokens, weights, leash)
    each = [loss(WEIGHTS, *(x[i : i + 1] for x in (tokens, weights, leash))) for i in range(100)]
    apart = jax.tree.map(lambda *leaves: np.sum(leaves, axis=0), *each)
    chex.assert_trees_all_close(together, apart, rtol=1e-4, atol=1e-3)


def test_dropout_acts_neither_on_what_is_written_nor_on_what_is_learnt_of_it():
    dropped = dataclasses.replace(MODEL, dropout=0.5)
    options = {"settings": SMALL, "num_rounds": 1}
    first, second = (next(play(m, WEIGHTS, decode, BOOK[:100], BOOK[100:], ADAM, **options)) for m in (MODEL, dropped))
    chex.assert_trees_all_equal(first.learner.params, second.learner.params)


def sevens(written):
    return (written.tokens == 7).mean(axis=1)


def test_any_function_can_be_the_reward_and_is_learnt():
    rounds = played(40, rewards={sevens: 1.0})
    assert list(rounds[0].parts) == ["sevens"]
    assert np.mean([r.reward for r in rounds[-5:]]) > 2 * np.mean([r.reward for r in rounds[:5]])


def test_any_function_can_give_the_prompts():
    given = []

    def ones(tokens, rng, number, size):
        given.append((number, size))
        return np.ones((number, size), np.int32)

    played(2, prompts=ones)
    assert given == [(8, 3)] * 2


def test_a_leash_keeps_the_divergence_small():
    free, held = (
        played(30, settings=Settings(8, 3, 10, leash=leash), rewards={sevens: 1.0})[-1].divergence
        for leash in (0.0, 10.0)
    )
    assert abs(held) < 0.2 * free


def test_before_the_first_step_model_and_copy_agree_and_the_loss_is_that_of_the_whole_held_out_text():
    first = played(1)[0]
    assert first.divergence == pytest.approx(0.0, abs=1e-6)
    assert first.validation_loss == pytest.approx(float(text_loss(MODEL, WEIGHTS, jnp.asarray(BOOK[100:]))), rel=1e-5)
    total = sum(weight * first.parts[reward.__name__] for reward, weight in DEFAULT_REWARDS.items())
    assert first.reward == pytest.approx(total, rel=1e-5)


def test_the_validation_loss_is_told_every_few_rounds_and_at_the_end():
    assert [r.validation_loss is not None for r in played(6)] == [True, False, True, False, True, True]


def test_it_plays_for_ever_if_no_number_is_given():
    game = play(MODEL, WEIGHTS, decode, BOOK, BOOK, ADAM, settings=SMALL)
    assert [next(game).number for _ in range(3)] == [0, 1, 2]


def test_the_same_seed_plays_the_same_game():
    first, second = played(3), played(3)
    assert [r.texts for r in first] == [r.texts for r in second]
    assert [r.reward for r in first] == [r.reward for r in second]


@pytest.mark.parametrize("optimizer", [optviz.optimizer("lion"), optax.sgd(0.1)])
def test_any_optimizer_plays(optimizer):
    assert np.isfinite(played(2, optimizer)[-1].reward)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (Settings(8, 8, 9), "8 \\+ 9 tokens"),
        (Settings(1, 3, 4), "texts must be at least 2, got 1"),
        (Settings(8, 0, 4), "prompt_tokens must be at least 1, got 0"),
        (Settings(8, 3, 0), "^new_tokens must be at least 1, got 0.$"),
        (Settings(8, 3, 4, temperature=0.0), "temperature"),
        (Settings(8, 3, 4, leash=-1.0), "leash"),
        (Settings(8, 3, 4, validate_every=0), "validate_every"),
    ],
)
def test_sizes_that_cannot_be_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        played(1, settings=settings)


@pytest.mark.parametrize("context", [2, 3, 8, 32, 33, 56, 64, 1024])
def test_the_usual_settings_fit_any_context_and_what_is_given_stays(context):
    model = Transformer(16, width=8, layers=1, heads=2, feed_forward=16, context=context)
    Settings.fitting(context).check(model, BOOK)
    asked = Settings.fitting(context, prompt_tokens=1, texts=5)
    asked.check(model, BOOK)
    assert (asked.prompt_tokens, asked.texts) == (1, 5)
    assert Settings.fitting(context, new_tokens=99).new_tokens == 99
    assert Settings.fitting(1024) == Settings()


def test_the_divergence_is_that_of_kullback_and_leibler_and_never_negative():
    rng, own, frozen = np.random.default_rng(0), np.array([0.7, 0.2, 0.1]), np.array([0.4, 0.35, 0.25])
    drawn = rng.choice(3, (300, 300), p=own)
    exact = float((own * np.log(own / frozen)).sum())
    assert divergence_of(np.log(own)[drawn], np.log(frozen)[drawn]) == pytest.approx(exact, rel=0.02)  # 90000 draws
    assert all(divergence_of(np.log(own)[[[i]]], np.log(frozen)[[[i]]]) > 0 for i in range(3))
    assert divergence_of(np.log(own)[drawn], np.log(own)[drawn]) == 0


@pytest.mark.parametrize(
    "option", [{"rewards": {lambda written: np.ones(3): 1.0}}, {"prompts": lambda *a: np.ones((2, 3))}]
)
def test_a_function_that_gives_the_wrong_number_is_refused(option):
    with pytest.raises(ValueError, match="for each of 8 texts"):
        played(1, **option)


def test_no_reward_at_all_is_refused():
    with pytest.raises(ValueError, match="at least one reward"):
        played(1, rewards={})


def test_the_baseline_of_each_text_is_the_mean_of_the_others():
    rewards = np.array([1.0, 2.0, 6.0])
    np.testing.assert_allclose(leave_one_out(rewards), [1 - 4, 2 - 3.5, 6 - 1.5])


def test_prompts_are_stretches_of_the_book():
    rows = stretches_of_the_book(BOOK, np.random.default_rng(0), 5, 4)
    np.testing.assert_array_equal((rows[:, 1:] - rows[:, :-1]) % 8, 1)


def test_the_frozen_copy_judges_the_tokens_that_were_written():
    prompts = stretches_of_the_book(BOOK, np.random.default_rng(0), 8, 3)
    written, _ = written_by(MODEL, WEIGHTS, WEIGHTS, decode, prompts, SMALL, jax.random.key(0))
    whole = np.concatenate([written.prompts, written.tokens], axis=1)
    every = np.asarray(log_probs(MODEL, WEIGHTS, whole))
    expected = np.take_along_axis(every, whole[:, 1:, None], axis=-1)[:, 2:, 0]
    np.testing.assert_allclose(written.frozen_log_probs, expected, rtol=1e-5)


def test_writing_keeps_prompts_stops_at_the_end_and_takes_the_likeliest_when_cold():
    prompts, lengths = np.zeros((4, 12), np.int32), np.array([1, 2, 3, 4])
    prompts[:, :4] = np.arange(16).reshape(4, 4) % 7 + 1
    cold = np.asarray(write(MODEL, WEIGHTS, prompts, lengths, jax.random.key(0), 0.0))
    likeliest = np.asarray(log_probs(MODEL, WEIGHTS, cold)).argmax(axis=-1)
    for row, best, prompt, size in zip(cold, likeliest, prompts, lengths, strict=True):
        np.testing.assert_array_equal(row[:size], prompt[:size])
        np.testing.assert_array_equal(row[size:], best[size - 1 :])
    end = int(cold[0, 5])
    ended = np.asarray(write(MODEL, WEIGHTS, prompts[:1], lengths[:1], jax.random.key(0), 0.0, end=end))[0]
    stop = 1 + ended[1:].tolist().index(end)
    np.testing.assert_array_equal(ended[: stop + 1], cold[0, : stop + 1])
    assert not ended[stop + 1 :].any()


def test_texts_are_drawn_as_likely_as_the_model_finds_them():
    """The first token of 4000 texts: within five standard deviations of its probability, for each of 8 tokens."""
    number = 4000
    prompts = np.zeros((number, 2), np.int32)
    prompts[:, 0] = 3
    drawn = np.asarray(write(MODEL, WEIGHTS, prompts, np.ones(number, int), jax.random.key(1)))[:, 1]
    expected = np.asarray(jax.nn.softmax(MODEL.logits(WEIGHTS, jnp.array([3]))[0]))
    deviation = np.sqrt(number * expected * (1 - expected))
    assert np.all(np.abs(np.bincount(drawn, minlength=8) - number * expected) < 5 * deviation)


@pytest.mark.parametrize("temperature", [1.0, 0.5, 2.0])
def test_the_policy_gradient_climbs_the_expected_reward(temperature):
    """The gradient over all 64 texts of two tokens, weighted by probability, is that of the expected reward."""
    texts = np.array([[0, i, j] for i in range(8) for j in range(8)], np.int32)
    rewards = np.random.default_rng(0).normal(size=64).astype(np.float32)

    def probability(params):
        drawn_from = jax.nn.log_softmax(log_probs(MODEL, params, texts) / temperature)
        chosen = jnp.take_along_axis(drawn_from, texts[:, 1:, None], axis=-1)[..., 0]
        return jnp.exp(chosen.sum(axis=1))

    exact = jax.jit(jax.grad(lambda params: jnp.sum(probability(params) * rewards)))(WEIGHTS)
    weights = (np.asarray(probability(WEIGHTS)) * rewards)[:, None] * np.array([0.0, 1.0, 1.0], np.float32)
    loss = WeightedText(MODEL, texts, weights.astype(np.float32), temperature=temperature)
    found = jax.jit(jax.grad(loss))(WEIGHTS)
    for a, b in zip(jax.tree.leaves(exact), jax.tree.leaves(found), strict=True):
        np.testing.assert_allclose(a, -b, atol=2e-6)


def test_weights_stand_on_what_was_written_and_nothing_else():
    tokens = np.array([[5, 6, 1, 2, 0], [5, 3, 0, 0, 0]])
    weights = token_weights(tokens, np.array([2, 1]), np.array([3.0, -1.0]))
    np.testing.assert_allclose(weights, np.array([[0, 0, 3, 3, 0], [0, -1, 0, 0, 0]]) / 3)
    drawn = token_weights(np.array([[5, 6, 0, 7, 1, 0]]), np.array([2]), -1.0)  # padding that it drew within a text
    np.testing.assert_allclose(drawn, [[0, 0, -1 / 3, -1 / 3, -1 / 3, 0]])
