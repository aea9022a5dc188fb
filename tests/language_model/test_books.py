"""Books: what was written is read, whatever the encoding, and what is no text is refused."""

import codecs
import hashlib
import zlib

import numpy as np
import pytest

from optviz.language_model import books
from optviz.language_model.books import decode_book, default_book, read_book, split

ENGLISH = "It was the best of times, it was the worst of times, it was the age of wisdom.\n" * 30
FRENCH = (
    "Longtemps, je me suis couché de bonne heure. Parfois, à peine ma bougie éteinte, mes yeux se fermaient si vite "
    "que je n’avais pas le temps de me dire : « Je m’endors. » Et, une demi-heure après, la pensée qu’il était temps "
    "de chercher le sommeil m’éveillait ; je voulais poser le volume que je croyais avoir encore dans les mains.\n"
)
FRENCH_LATIN = FRENCH.replace("’", "'")
GERMAN = (
    "Ilse Müller übte täglich schöne Lieder, und der Hund hörte größtenteils zu. Der Bär aß süße Äpfel für die Könige, "
    "während draußen vor der Tür die Vögel über die Dächer flogen. Öfter müssen wir früh aufstehen.\n"
)
RUSSIAN = (
    "Все счастливые семьи похожи друг на друга, каждая несчастливая семья несчастлива по-своему. Всё смешалось в доме "
    "Облонских. Жена узнала, что муж был в связи с бывшею в их доме француженкою-гувернанткой, и объявила мужу, что не "
    "может жить с ним в одном доме. Положение это продолжалось уже третий день.\n"
)
GREEK = "Ἄνδρα μοι ἔννεπε, μοῦσα, πολύτροπον, ὃς μάλα πολλὰ πλάγχθη.\n"
CHINESE = "道可道，非常道。名可名，非常名。无名天地之始；有名万物之母。故常无欲，以观其妙。\n" * 3
JAPANESE = (
    "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。何でも薄暗いじめじめした所で泣いていた。\n"
) * 3
MARKS = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        *((text, "utf-8") for text in (ENGLISH, FRENCH, RUSSIAN, GREEK, CHINESE, JAPANESE)),
        *((text, "utf-8-sig") for text in (ENGLISH, RUSSIAN)),
        *((text, "utf-16") for text in (ENGLISH, RUSSIAN, CHINESE)),
        (ENGLISH, "utf-32"),
        (ENGLISH, "utf-16-le"),
        (ENGLISH, "utf-16-be"),
        (RUSSIAN, "utf-16-le"),
        (RUSSIAN, "utf-16-be"),
        (FRENCH_LATIN, "latin-1"),
        (GERMAN, "latin-1"),
        (FRENCH, "cp1252"),
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "koi8-r"),
        (JAPANESE, "shift_jis"),
        (JAPANESE, "euc_jp"),
        (CHINESE, "gb18030"),
    ],
)
@pytest.mark.parametrize("repeats", [1, 40])
def test_a_text_is_read_as_it_was_written_in_any_encoding(text, encoding, repeats):
    data = (text * repeats).encode(encoding)
    book = decode_book(data, "title")
    assert book.text == text * repeats
    assert data.decode(book.encoding) == text * repeats
    assert (book.num_bytes, book.broken) == (len(data), 0)
    assert book.sha256 == hashlib.sha256(data).hexdigest()


def test_a_preamble_of_ascii_hides_no_encoding():
    text = ENGLISH * 100 + RUSSIAN * 20
    assert decode_book(text.encode("cp1251"), "title").text == text


def test_an_encoding_can_be_told(tmp_path):
    path = tmp_path / "short.txt"
    path.write_bytes("Ёж".encode("cp866"))
    assert read_book(path, "cp866").text == "Ёж"
    with pytest.raises(ValueError, match="There is no encoding 'klingon'"):
        read_book(path, "klingon")
    with pytest.raises(ValueError, match=r"short is not in utf-8: byte 0 does not fit"):
        read_book(path, "utf-8")


@pytest.mark.parametrize("end", ["\r\n", "\r", "\n"])
def test_lines_end_alike(end):
    assert decode_book(f"one{end}two{end}".encode(), "title").text == "one\ntwo\n"


def test_a_few_damaged_bytes_are_replaced_and_counted():
    data = (RUSSIAN * 20).encode()
    damaged = data[:1001] + b"\xff" + data[1002:-1]
    book = decode_book(damaged, "title")
    assert book.encoding == "utf-8"
    assert 1 <= book.broken <= 3
    assert book.text.count("\ufffd") == book.broken


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b" \n\t\r\n ", "is empty"),
        (codecs.BOM_UTF8, "is empty"),
        (np.random.default_rng(0).bytes(5000), "binary|does not fit"),
        (bytes(5000), "binary"),
        (zlib.compress(ENGLISH.encode()) * 5, "binary|does not fit"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + np.random.default_rng(1).bytes(3000), "binary|does not fit"),
        (b"\x7fELF\x02\x01\x01" + bytes(range(256)) * 20, "binary|does not fit"),
    ],
)
def test_what_is_no_text_is_refused(data, message):
    with pytest.raises(ValueError, match=message):
        decode_book(data, "title")


def test_a_file_that_is_too_long_is_refused_before_it_is_read(tmp_path, monkeypatch):
    path = tmp_path / "long.txt"
    path.write_bytes(b"x" * 1001)
    monkeypatch.setattr(books, "MAX_BYTES", 1000)
    monkeypatch.setattr(books.Path, "read_bytes", lambda path: pytest.fail("it was read"))
    with pytest.raises(ValueError, match="at most"):
        read_book(path)
    with pytest.raises(ValueError, match="at most"):
        decode_book(b"x" * 1001, "long")


def test_a_folder_or_no_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match="is a folder"):
        read_book(tmp_path)
    with pytest.raises(ValueError, match="is a device or a pipe"):
        read_book("/dev/zero")
    with pytest.raises(FileNotFoundError):
        read_book(tmp_path / "none.txt")


def test_halves_of_characters_are_refused():
    with pytest.raises(ValueError, match="lone surrogates"):
        decode_book(b"abc +2AA- def", "title", "utf-7")


def test_the_default_book_comes_with_python():
    book = default_book()
    assert len(book.text) > 300_000
    assert book.text.startswith("assert\n")
    assert book == default_book()


def test_about_a_book_is_all_but_its_text():
    about = decode_book(b"some text", "title").about
    assert set(about) == {"title", "encoding", "num_bytes", "sha256", "broken"}


def test_the_split_keeps_every_character_and_its_order():
    train, validation = split(ENGLISH, 0.25)
    assert train + validation == ENGLISH
    assert len(validation) == pytest.approx(0.25 * len(ENGLISH), abs=1)


@pytest.mark.parametrize(("length", "held_out"), [(1000, 100), (10**7, 10**6), (4 * 10**7, 10**6)])
def test_a_tenth_is_held_out_but_at_most_a_million_characters(length, held_out):
    assert len(split("x" * length)[1]) == pytest.approx(held_out, abs=1)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, float("nan")])
def test_a_split_needs_two_parts(share):
    with pytest.raises(ValueError, match="between 0 and 1"):
        split(ENGLISH, share)
