"""The languages: nothing is left untranslated, and translations fill the same places."""

import ast
import re
import string
from pathlib import Path

import pytest

from optviz.app import texts
from optviz.playground import exports, formula, settings
from optviz.playground.errors import BadSettings, Sentence
from tests.playground.test_exports import BROKEN
from tests.playground.test_formula import REFUSED
from tests.playground.test_settings import BAD

LANGUAGES = [language for language in texts.LANGUAGES if language != "en"]
MESSAGES = list(dict.fromkeys(message for message, _ in texts.messages_of_the_code() if message))


@pytest.fixture(params=LANGUAGES)
def catalogue(request):
    return {str(m.id): str(m.string) for m in texts.read_catalogue(request.param) if m.id and not m.fuzzy}


def test_every_sentence_is_translated(catalogue):
    assert [message for message in MESSAGES if not catalogue.get(message)] == []


def test_no_translation_is_left_over(catalogue):
    assert set(catalogue) <= set(MESSAGES)


def test_translations_fill_the_same_places(catalogue):
    def fields(text):
        return {name for _, name, _, _ in string.Formatter().parse(text) if name} if "{" in text else set()

    filled = {m: t for m, t in catalogue.items() if re.search(r"{\w+}", m)}
    assert filled
    assert {m: t for m, t in filled.items() if fields(m) != fields(t)} == {}


def test_translations_keep_names_and_code(catalogue):
    def code(text):
        return set(re.findall(r"`([^`]+)`", text))

    assert {m: t for m, t in catalogue.items() if code(m) != code(t)} == {}


FOLDERS = [Path(__file__).parents[2] / "optviz" / name for name in ("app", "playground")]


@pytest.mark.parametrize("file", [f for folder in FOLDERS for f in sorted(folder.glob("*.py"))], ids=lambda f: f.stem)
def test_every_template_of_an_error_is_found(file):
    calls = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)]
    said = [call.args[0] for call in calls if getattr(call.func, "id", "") in ("Sentence", "BadSettings")]
    assert not any(isinstance(message, ast.JoinedStr) for message in said)
    assert {message.value for message in said if isinstance(message, ast.Constant)} <= set(MESSAGES)


REFUSALS = [
    *((settings.from_json, given) for given, _, _ in BAD),
    *((formula.parse, text) for text, _, _ in REFUSED),
    *((exports.settings_of, text) for text in BROKEN.values()),
]


def messages_in(sentence):
    yield sentence.message
    for part in sentence.values.values():
        if isinstance(part, Sentence):
            yield from messages_in(part)


@pytest.mark.parametrize(("refuse", "given"), REFUSALS, ids=range(len(REFUSALS)))
def test_a_refusal_is_said_in_every_language_with_the_same_values(refuse, given, catalogue):
    with pytest.raises(BadSettings) as refusal:
        refuse(given)
    sentence = refusal.value.sentence
    assert {message for message in messages_in(sentence) if not catalogue.get(message)} == set()
    values = [value for value in sentence.values.values() if isinstance(value, str)]
    for language in LANGUAGES:
        said = texts.Texts(language).error(refusal.value)
        assert said != str(refusal.value)
        assert all(value in said for value in values)


@pytest.mark.parametrize(
    ("cookie", "accepted", "language"),
    [(None, "", "en"), (None, "ru-RU,ru;q=0.9", "ru"), (None, "de,fr;q=0.8,ru;q=0.5", "ru"), ("en", "ru", "en"),
     ("../../etc", "ru", "ru"), (None, ";;;,,", "en")],
)  # fmt: skip
def test_the_cookie_goes_before_what_the_browser_accepts(cookie, accepted, language):
    assert texts.chosen_language(cookie, accepted) == language


def test_what_has_no_translation_stays_english():
    assert texts.Texts("ru")("no such sentence") == "no such sentence"
