"""Files that are dropped on a page: what is made of one that is missing or refused, and when its room is given back."""

import asyncio
import functools
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("nicegui.testing", reason="the extra `app` is not installed")
pytest.importorskip("fcntl", reason="the queue needs file locks")
pytest.importorskip("safetensors", reason="the extra `lm` is not installed")

from nicegui import ui

from optviz import language_model as lm
from optviz.app.file_drop import FileDrop
from optviz.app.lm_parts import Button
from optviz.language_model.models import list_models
from tests.app import visiting
from tests.app.shelf import SIZES, made

visit = functools.partial(visiting.visit, main=Path(__file__).parent / "simulated_models.py")
sees = functools.partial(visiting.sees, retries=40)
TEXT = b"the cat sat on the mat and the dog sat on the cat.\n" * 60
CREATE, REMOVE = "Create the model", "Remove the book"


@pytest.fixture
def models(tmp_path, monkeypatch):
    """The folder of models."""
    return visiting.work_at_once(tmp_path, monkeypatch)


def place_of(user, number=0):
    return [e for e in user.client.elements.values() if isinstance(e, FileDrop)][number]


def begins(number=0):
    """A file is chosen; it may never come."""

    async def step(user):
        with user.client:
            place_of(user, number).forget(is_missing=True)

    return step


def sends(content, name, number=0):
    """A file comes to the place of that number: 0 for a book, 1 for a model."""

    async def step(user):
        place = place_of(user, number)
        with user.client:
            place.forget(is_missing=True)
            path = (ids := place.files.reserve())[1]
            path.write_bytes(content)
            await place.take(SimpleNamespace(args={"id": ids[0], "title": name}))

    return step


def fills(label, value):
    async def step(user):
        with user.client:
            box = next(e for e in user.client.elements.values() if e._props.get("label") == label)
            box.value = value

    return step


def presses(label):
    async def step(user):
        user.find(kind=Button, content=label).click()

    return step


def told(sentence):
    async def step(user):
        await user.should_see(sentence, retries=60)

    return step


def kept(models, number):
    async def step(user):
        assert len(list((models / ".uploads").iterdir())) == number

    return step


async def leaves(user):
    user.client.delete()


SMALL = tuple(fills(name.capitalize(), value) for name, value in SIZES.items())


@pytest.mark.parametrize(
    ("arrival", "sentence"),
    [
        (sends(b"", "empty"), "The book empty is empty"),
        (sends(b"  \n", "blank"), "The book blank is empty"),
        (sends(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20, "picture"), "binary"),
        (begins(), "has not come: send it again, or remove it."),
    ],
    ids=["empty", "blank", "binary", "never arrived"],
)
def test_a_model_is_made_on_another_text_than_the_chosen_only_after_that_is_removed(models, arrival, sentence):
    make = (fills("Name of the model", "mine"), *SMALL, presses(CREATE))
    visit(sees("/models", CREATE), arrival, *make, told(sentence), presses(REMOVE))
    assert list_models(models) == []
    visit(sees("/models", CREATE), arrival, presses(REMOVE), *make, arrives_at("/models/model/mine"))
    assert list_models(models)[0].config["about"]["title"] == "Python's help topics"


def arrives_at(path):
    async def step(user):
        for _ in range(200):
            if path in user.back_history[-1:]:
                return
            await asyncio.sleep(0.1)
        raise AssertionError(user.back_history)

    return step


def test_more_files_than_there_is_room_for_come_one_after_another_if_each_replaces_the_last(models):
    books = [sends(b"" if i % 2 else TEXT, f"book {i}") for i in range(12)]
    zips = [sends(b"no zip", f"model {i}", 1) for i in range(12)]
    visit(sees("/models", CREATE), *books, kept(models, 1), *zips, kept(models, 2))


@pytest.mark.parametrize(("size", "shown"), [(7, "0.007 kB"), (3060, "3.06 kB"), (120_000, "0.12 MB")])
def test_the_size_of_a_book_is_told_in_a_unit_in_which_it_is_not_zero(models, size, shown):
    visit(sees("/models", CREATE), sends((TEXT * 40)[:size], "cats"), told(shown))


def test_a_file_goes_with_its_page(models):
    visit(sees("/models", CREATE), sends(TEXT, "cats"), kept(models, 1), leaves, kept(models, 0))


def test_a_file_that_is_being_read_stays_though_the_page_goes(models):
    async def read(user):
        place = place_of(user)
        with place.lent() as path:
            user.client.delete()
            assert path is not None and path.read_bytes() == TEXT

    visit(sees("/models", CREATE), sends(TEXT, "cats"), read, kept(models, 0))


def test_a_model_is_named_after_its_book_unless_the_visitor_named_it(models):
    def is_named(name):
        async def step(user):
            box = next(e for e in user.client.elements.values() if e._props.get("label") == "Name of the model")
            assert isinstance(box, ui.input) and box.value == name

        return step

    first, second = sends(TEXT, "cats"), sends(TEXT, "dogs")
    own = fills("Name of the model", "mine")
    visit(sees("/models", CREATE), first, is_named("cats"), second, is_named("dogs"), own, first, is_named("mine"))


@pytest.mark.parametrize(
    ("encoding", "sentence"),
    [(None, "read as utf-8."), ("latin-1", "read as iso8859-1."), ("klingon", "There is no encoding 'klingon'")],
)
def test_a_text_is_judged_in_the_encoding_that_was_typed_and_that_is_told(models, encoding, sentence):
    lm.train(made(models, "mine"))
    box = () if encoding is None else (fills("Encoding, if it was found wrong", encoding),)
    visit(sees("/models/model/mine?tab=write", "Weights"), *box, sends(TEXT, "dogs"), told(sentence))
