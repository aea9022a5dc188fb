"""What is wrong with a request: one sentence that every language can say."""

import copy
import pickle

import numpy as np
import pytest

from optviz.playground import compute, table
from optviz.playground.errors import BadSettings, Sentence, either, unknown
from surfaces import unknown_name


def shouted(message, **values):
    """A language: the English in capitals, its places filled as they are."""
    return message.replace("in col", "IN COL").replace("from here on", "FROM HERE ON").format(**values)


def test_parts_of_a_sentence_are_said_in_its_language():
    error = BadSettings("in col {number}: {what}", "column 3", number=3, what=Sentence("wrong from here on"))
    assert str(error) == "in col 3: wrong from here on"
    assert error.sentence.said(shouted) == "IN COL 3: wrong FROM HERE ON"


@pytest.mark.parametrize("text", ["{", "}", "{0}", "{name}", "{name.__class__}", "{{}}", "%s", "\\"])
def test_braces_in_values_and_in_sentences_without_values_stay(text):
    assert str(BadSettings("got {name}", name=text)) == f"got {text}"
    assert str(BadSettings("got {why}", why=Sentence("x {name}", name=text))) == f"got x {text}"
    assert str(BadSettings(text)) == text


def test_values_may_have_any_name():
    values = {name: name for name in ("self", "message", "where", "say", "values")}
    assert str(BadSettings("{self} {message} {where} {say} {values}", "there", **values)) == " ".join(values)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
def test_an_error_comes_whole_from_another_process(copied):
    error = copied(BadSettings("got {what}", "there", what=Sentence("{a} from here on", a=1)))
    assert (str(error), error.where) == ("got 1 from here on", "there")
    assert error.sentence.said(shouted) == "got 1 FROM HERE ON"


@pytest.mark.parametrize("known", [["adam", "adamw", "lion"], ["x"], []], ids=len)
@pytest.mark.parametrize("name", ["adamm", "ad", "", "{}"])
def test_an_unknown_name_is_told_as_everywhere(name, known):
    assert str(unknown(Sentence("optimizer"), name, known)) == unknown_name("optimizer", name, known)


def test_one_of_several_words():
    assert [str(either(words)) for words in (["a"], ["a", "b"], ["a", "b", "c"])] == ["a", "a or b", "a or b or c"]


def test_the_table_words_a_refusal_as_it_is_told():
    facts = compute.Facts(np.zeros((0, 2)), None, 1.0)
    error = BadSettings("wrong from here on")
    assert table.verdict(error, facts)["error"] == "wrong from here on"
    assert table.verdict(error, facts, say=lambda e: e.sentence.said(shouted))["error"] == "wrong FROM HERE ON"
