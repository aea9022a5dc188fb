"""The languages: nothing is left untranslated, and translations fill the same places."""

import re
import string

import pytest

from optviz.app import texts

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


@pytest.mark.parametrize(
    ("cookie", "accepted", "language"),
    [(None, "", "en"), (None, "ru-RU,ru;q=0.9", "ru"), (None, "de,fr;q=0.8,ru;q=0.5", "ru"), ("en", "ru", "en"),
     ("../../etc", "ru", "ru"), (None, ";;;,,", "en")],
)  # fmt: skip
def test_the_cookie_goes_before_what_the_browser_accepts(cookie, accepted, language):
    assert texts.chosen_language(cookie, accepted) == language


def test_what_has_no_translation_stays_english():
    assert texts.Texts("ru")("no such sentence") == "no such sentence"
