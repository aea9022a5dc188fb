"""Tokenizers: what is encoded is decoded, on every machine alike, and hostile files are refused."""

import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optviz.language_model import tokenizers
from optviz.language_model.books import default_book
from optviz.language_model.tokenizers import (
    TOKENIZERS,
    BytePairs,
    Bytes,
    Characters,
    tokenizer_from_json,
    train_tokenizer,
)

TEXT = "the cat sat on the mat; the dog's 12 cats sat on 345 mats.\n\nÜber «ё» 道可道 🦔\t\n" * 5
TRAINED = {name: train_tokenizer(name, TEXT, 300 if name == "bpe" else None) for name in TOKENIZERS}
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@pytest.mark.parametrize("tokenizer", TRAINED.values(), ids=TRAINED)
def test_a_book_is_given_back(tokenizer):
    tokens = tokenizer.encode(TEXT)
    assert tokens.dtype == np.int32
    assert tokens.min() >= 0 and tokens.max() < tokenizer.size
    assert tokenizer.decode(tokens) == TEXT
    assert tokenizer.to_bytes(tokens) == TEXT.encode()
    assert len(tokenizer.encode("")) == 0 and tokenizer.decode([]) == ""


@pytest.mark.parametrize("name", ["bytes", "bpe"])
@given(text=ANY_TEXT)
@settings(max_examples=60, deadline=None)
def test_any_text_is_given_back(name, text):
    tokenizer = TRAINED[name]
    assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize("name", ["bytes", "bpe"])
@given(ids=st.lists(st.integers(0, 255), max_size=30))
@settings(max_examples=60, deadline=None)
def test_any_tokens_have_a_text(name, ids):
    tokenizer = TRAINED[name]
    assert tokenizer.decode(ids) == tokenizer.to_bytes(ids).decode(errors="replace")


@pytest.mark.parametrize("tokenizer", TRAINED.values(), ids=TRAINED)
def test_it_is_the_same_after_it_was_written(tokenizer):
    again = tokenizer_from_json(json.loads(json.dumps(tokenizer.to_json())))
    assert type(again) is type(tokenizer) and again.size == tokenizer.size
    np.testing.assert_array_equal(again.encode(TEXT), tokenizer.encode(TEXT))


def test_characters_are_those_of_the_book_in_the_order_of_their_codes():
    tokenizer = Characters.train("hello\n")
    assert tokenizer.alphabet == "\nehlo"
    assert tokenizer.encode("hole").tolist() == [2, 4, 3, 1]


def test_a_character_that_the_book_has_not_is_named():
    with pytest.raises(ValueError, match="'z' is not one of them"):
        TRAINED["characters"].encode("maz")


def test_bytes_are_bytes():
    assert Bytes().encode("é").tolist() == [0xC3, 0xA9]


def test_byte_pairs_are_merged_in_the_order_of_their_frequency():
    """ "ab" comes five times; then a blank with "ab" four times, "ab" with "c" twice."""
    tokenizer = BytePairs.train("ab ab ab abc abc", 258)
    assert tokenizer.merges == ("a b", "Ġ ab")
    assert [tokenizer.to_bytes([i]) for i in tokenizer.encode("ab abc")] == [b"ab", b" ab", b"c"]


def test_byte_pairs_have_every_byte_and_no_more_tokens_than_asked():
    assert train_tokenizer("bpe", TEXT, 256).size == 256
    assert train_tokenizer("bpe", TEXT, 270).size == 270
    assert train_tokenizer("bpe", "ab", 5000).size == 256  # no pair comes twice
    assert {TRAINED["bpe"].to_bytes([i]) for i in range(256)} == {bytes([i]) for i in range(256)}


def test_byte_pairs_are_shorter_than_bytes():
    text = default_book().text[:200_000]
    tokenizer = train_tokenizer("bpe", text, 2000)
    assert len(tokenizer.encode(text)) < 0.4 * len(text)


def test_byte_pairs_agree_with_the_library_that_learnt_them():
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    learner.train_from_iterator(
        [TEXT], trainers.BpeTrainer(vocab_size=300, min_frequency=2, initial_alphabet=alphabet, show_progress=False)
    )
    pieces = [TRAINED["bpe"].to_bytes([i]) for i in TRAINED["bpe"].encode(TEXT)]
    expected = [Bytes().to_bytes(_plain(token)) for token in learner.encode(TEXT).tokens]
    assert pieces == expected


def _plain(token):
    """The bytes of a token as the library writes it."""
    byte = {letter: value for value, letter in tokenizers._letters().items()}
    return [byte[letter] for letter in token]


@given(text=st.text(st.sampled_from("ab1 .\n'sё道\t\u00a0\x1c"), max_size=80))
@settings(max_examples=150, deadline=None)
def test_a_text_cut_into_pieces_has_the_same_tokens(text):
    tokenizer = TRAINED["bpe"]
    whole = tokenizer._encoder.encode(text).ids
    piece, tokenizers._PIECE = tokenizers._PIECE, 3
    try:
        assert "".join(tokenizers._pieces(text)) == text
        assert tokenizer.encode(text).tolist() == whole
    finally:
        tokenizers._PIECE = piece


TRAIN = """
import hashlib, json
from optviz.language_model.books import default_book
from optviz.language_model.tokenizers import train_tokenizer
merges = train_tokenizer("bpe", default_book().text[:50_000], 600).to_json()
print(hashlib.sha256(json.dumps(merges).encode()).hexdigest())
"""


def test_the_same_book_gives_the_same_tokenizer_in_every_process():
    other = subprocess.run([sys.executable, "-c", TRAIN], capture_output=True, text=True, check=True).stdout
    merges = train_tokenizer("bpe", default_book().text[:50_000], 600).to_json()
    assert other.strip() == hashlib.sha256(json.dumps(merges).encode()).hexdigest()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: train_tokenizer("words", TEXT), "Unknown tokenizer 'words'"),
        (lambda: train_tokenizer("bpe", TEXT, 255), "at least the 256 bytes"),
        (lambda: train_tokenizer("bytes", TEXT, 300), "Only bpe"),
        (lambda: train_tokenizer("characters", TEXT, 300), "Only bpe"),
        (lambda: Bytes().decode([256]), "from 0 to 255"),
        (lambda: TRAINED["characters"].decode([-1]), "Tokens are whole numbers"),
        (lambda: train_tokenizer("characters", ""), "at least one character"),
    ],
)
def test_what_cannot_be_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        {"name": 3},
        {"name": "__class__"},
        {"name": "characters"},
        {"name": "characters", "alphabet": ""},
        {"name": "characters", "alphabet": "ba"},
        {"name": "characters", "alphabet": "aa"},
        {"name": "characters", "alphabet": "\ud800"},
        {"name": "characters", "alphabet": ["a"]},
        {"name": "bpe"},
        {"name": "bpe", "merges": "a b"},
        {"name": "bpe", "merges": [["a", "b"]]},
        {"name": "bpe", "merges": ["a"]},
        {"name": "bpe", "merges": ["ab c"]},
        {"name": "bpe", "merges": ["道 a"]},
        {"name": "bpe", "merges": [" ".join(["a" * 2**n] * 2) for n in range(10)]},
    ],
)
def test_a_hostile_document_is_refused(document):
    with pytest.raises(ValueError):
        tokenizer_from_json(document)
