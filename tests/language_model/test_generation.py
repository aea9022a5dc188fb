"""Writing: the draws are those of the logits, the choice is what it says, however many tokens come at once."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optviz.language_model import generation
from optviz.language_model.generation import Sampling, allowed, choice_of, drawn, generate, stream, stream_tokens
from optviz.language_model.tokenizers import BytePairs, Bytes, Characters
from surfaces.transformer import Transformer

MODEL = Transformer(8, 16, 2, 2, 32, 12)
WEIGHTS = jax.tree.map(lambda x: 5 * x if x.ndim > 1 else x, MODEL.init(jax.random.key(0)))
LETTERS = Characters("\nabcdefg")
GREEDY = Sampling(temperature=0.0, top_k=0)


def written(sampling, prompt=(1, 2, 3), model=MODEL, **options):
    return np.concatenate(list(stream_tokens(model, WEIGHTS, np.array(prompt), sampling, **options)))


def likeliest(prompt, length, model=MODEL):
    """The likeliest tokens one by one, without a cache, by the rule of the windows."""
    text, begin = list(prompt), 0
    while len(text) < len(prompt) + length:
        if len(text) - begin > model.context or (begin == 0 and len(text) == len(prompt) > model.context):
            begin = len(text) - max(1, model.context // 2)
        seen = np.zeros(model.context, np.int32)  # zeros behind the text, which it does not see: one program for all
        seen[: len(text) - begin] = text[begin:]
        text.append(int(logits(model, jnp.asarray(seen))[len(text) - begin - 1].argmax()))
    return text[len(prompt) :]


@jax.jit
def logits(model, tokens):
    return model.logits(WEIGHTS, tokens)


def test_a_prompt_of_a_whole_context_is_read_whole():
    prompts = np.asarray(jax.random.randint(jax.random.key(0), (30, MODEL.context), 0, 8))
    whole, halves = ([likeliest(prompt[begin:], 1) for prompt in prompts] for begin in (0, MODEL.context // 2))
    one = Sampling(length=1, temperature=0.0, top_k=0)
    assert [written(one, prompt).tolist() for prompt in prompts] == whole != halves


@pytest.mark.parametrize("length", [1, 8, 9, 10, 11, 40])
@pytest.mark.parametrize("size", [1, 3, 11, 12, 13, 30])
def test_cold_it_writes_the_likeliest_tokens_also_beyond_its_context(size, length):
    prompt = (np.arange(size) * 5 + 1) % 8
    found = written(Sampling(length, temperature=0.0, top_k=0), prompt)
    assert found.tolist() == likeliest(prompt.tolist(), length)


def test_rotary_positions_write_too():
    model = Transformer(8, 16, 2, 2, 32, 12, positions="rotary")
    found = written(Sampling(20, temperature=0.0, top_k=0), model=model)
    assert found.tolist() == likeliest([1, 2, 3], 20, model)


@pytest.mark.parametrize("at_once", [1, 3, 64])
def test_the_text_is_the_same_however_many_tokens_come_at_once(monkeypatch, at_once):
    expected = written(Sampling(40, temperature=1.5, seed=3))
    monkeypatch.setattr(generation, "_number_at_once", lambda speed: at_once)
    pieces = list(stream_tokens(MODEL, WEIGHTS, np.array([1, 2, 3]), Sampling(40, temperature=1.5, seed=3)))
    assert max(map(len, pieces)) <= at_once
    assert np.concatenate(pieces).tolist() == expected.tolist()


def test_a_longer_text_begins_like_a_shorter_one():
    short, long = (written(Sampling(length, temperature=1.0)) for length in (5, 30))
    assert long[:5].tolist() == short.tolist()


def test_the_seed_alone_changes_the_text():
    texts = [written(Sampling(30, temperature=1.0, seed=seed)).tolist() for seed in (0, 0, 1)]
    assert texts[0] == texts[1] != texts[2]


def test_any_sampling_and_any_prompt_is_one_program():
    before = generation._written._cache_size()
    for sampling in (Sampling(5), Sampling(7, 1, 0, 1, 1, 3), Sampling(9, 0.1, 3, 0.5, 1.5, 4)):
        for prompt in ([1], [1] * 5, [2] * 30):
            written(sampling, prompt)
    assert generation._written._cache_size() <= before + 1


LOGITS = jnp.log(jnp.array([0.4, 0.25, 0.15, 0.1, 0.05, 0.03, 0.015, 0.005]))
UNUSED = jnp.zeros(8, bool)


def kept(logits=LOGITS, used=UNUSED, num_known=8, **options):
    sampling = Sampling(**{"temperature": 1.0, "top_k": 0, **options})
    return np.isfinite(allowed(choice_of(sampling, num_known), logits, used)).nonzero()[0].tolist()


@pytest.mark.parametrize(
    ("options", "number"),
    [
        ({}, 8),
        ({"top_k": 3}, 3),
        ({"top_k": 100}, 8),
        ({"top_p": 0.3}, 1),
        ({"top_p": 0.41}, 2),
        ({"top_p": 0.79}, 3),
        ({"top_p": 0.99}, 7),
        ({"top_k": 2, "top_p": 0.5}, 1),  # 0.4 / 0.65 of the two suffices
        ({"top_p": 0.5, "temperature": 0.5}, 1),  # colder, the first has 0.62
        ({"top_p": 0.5, "temperature": 2.0}, 3),
        ({"temperature": 0.0, "top_p": 0.9}, 1),
    ],
)
def test_only_the_likeliest_may_be_drawn(options, number):
    assert kept(**options) == list(range(number))


@given(st.permutations(range(8)), st.integers(1, 8), st.floats(0.01, 1.0))
@settings(max_examples=50, deadline=None)
def test_the_order_of_the_tokens_does_not_matter(order, top_k, top_p):
    order = np.array(order)
    found = kept(LOGITS[order], top_k=top_k, top_p=top_p)
    assert sorted(order[found].tolist()) == kept(top_k=top_k, top_p=top_p)


def test_a_penalty_makes_every_used_token_less_likely():
    used = jnp.arange(8) % 2 == 0
    for shift in (-3.0, 0.0, 5.0):
        logits = LOGITS + shift
        found = allowed(choice_of(Sampling(top_k=0, repetition_penalty=1.5), 8), logits, used)
        assert np.all(found[::2] < logits[::2])
        np.testing.assert_array_equal(found[1::2], logits[1::2])


def test_a_penalty_writes_more_different_tokens():
    plain, penalised = (
        written(Sampling(60, temperature=0.5, top_k=0, repetition_penalty=p), num_known=8) for p in (1.0, 5.0)
    )
    assert len(set(penalised.tolist())) >= len(set(plain.tolist()))
    assert np.bincount(penalised).max() < np.bincount(plain).max()


def test_draws_are_as_likely_as_the_model_finds_them():
    """10,000 draws: each token within five standard deviations of its number."""
    number = 10_000
    keys = jax.random.split(jax.random.key(0), number)
    for temperature in (0.5, 1.0):
        choice = choice_of(Sampling(temperature=temperature, top_k=0), 8)
        tokens = jax.vmap(lambda key, c=choice: drawn(c._replace(key=key), LOGITS, UNUSED))(keys)
        expected = np.asarray(jax.nn.softmax(LOGITS / temperature))
        deviation = np.sqrt(number * expected * (1 - expected))
        assert np.all(np.abs(np.bincount(tokens, minlength=8) - number * expected) < 5 * deviation)


def test_tokens_that_the_tokenizer_does_not_know_are_never_written():
    assert written(Sampling(60, temperature=2.0, top_k=0), num_known=4).max() < 4


def test_text_comes_in_pieces_that_are_the_whole():
    sampling = Sampling(30, temperature=1.0)
    pieces = list(stream(MODEL, WEIGHTS, LETTERS, "abc", sampling))
    assert "".join(pieces) == generate(MODEL, WEIGHTS, LETTERS, "abc", sampling)
    assert len("".join(pieces)) == 30 and len(pieces) > 1


def test_an_empty_prompt_stands_for_the_beginning_of_a_line():
    assert generate(MODEL, WEIGHTS, LETTERS, "", GREEDY) == generate(MODEL, WEIGHTS, LETTERS, "\n", GREEDY)


def test_an_empty_prompt_needs_no_line_in_the_book():
    letters = Characters("abcdefgh")
    assert generate(MODEL, WEIGHTS, letters, "", GREEDY) == generate(MODEL, WEIGHTS, letters, "a", GREEDY)


@pytest.mark.parametrize("tokenizer", [Bytes(), BytePairs(["Ð ±"])], ids=["bytes", "bpe"])
def test_a_character_of_several_tokens_comes_whole(tokenizer, monkeypatch):
    tokens = tokenizer.encode("dё道🦔б")
    monkeypatch.setattr(generation, "stream_tokens", lambda *a: iter(tokens[:, None]))
    assert list(stream(MODEL, WEIGHTS, tokenizer, "x")) == ["d", "ё", "道", "🦔", "б"]
    monkeypatch.setattr(generation, "stream_tokens", lambda *a: iter(tokens[:2, None]))
    assert "".join(stream(MODEL, WEIGHTS, tokenizer, "x")) == "d\ufffd"  # what is not whole at the end


@pytest.mark.parametrize(
    "options",
    [
        {"length": 0},
        {"length": 1.5},
        {"length": True},
        {"temperature": -0.1},
        {"temperature": 2.1},
        {"temperature": float("nan")},
        {"top_k": -1},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"repetition_penalty": 0.9},
        {"repetition_penalty": float("inf")},
        {"seed": -1},
        {"seed": 2**32},
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_a_number_out_of_its_range_is_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        Sampling(**options)


def test_a_prompt_needs_characters_that_are_known():
    with pytest.raises(ValueError, match="'Z' is not one of them"):
        stream(MODEL, WEIGHTS, LETTERS, "Z")  # before anything is asked of it
    with pytest.raises(ValueError, match="at least one token"):
        written(GREEDY, np.zeros(0, np.int32))
