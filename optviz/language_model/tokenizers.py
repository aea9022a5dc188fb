"""Text as whole numbers and back: bytes, characters, or byte pairs learnt from a book.

    tokenizer = train_tokenizer("bpe", text, vocabulary_size=8000)
    tokenizer.decode(tokenizer.encode("To be"))

Every kind gives each text that it can read back as it was. All are the same on every machine, and are written as JSON
data that holds nothing but their tokens.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int

from surfaces.names import unknown_name

_PIECE = 1 << 20  # characters or tokens that are worked on at once, which bounds memory
_LONGEST_TOKEN = 128  # bytes
_NUM_CODES = 0x110000

Tokens = Int[np.ndarray, " N"]


@runtime_checkable
class Tokenizer(Protocol):
    """What all tokenizers can do. Texts are `str`, tokens (N,) int32 from 0 to `size` - 1."""

    name: ClassVar[str]

    @property
    def size(self) -> int:
        """How many tokens there are."""
        ...

    def encode(self, text: str) -> Tokens:
        """The tokens of a text. ValueError for a character that the tokenizer does not know."""
        ...

    def to_bytes(self, ids: Any) -> bytes:
        """The UTF-8 that tokens stand for; that of some tokens alone may begin or end within a character."""
        ...

    def decode(self, ids: Any) -> str:
        """The text of tokens; bytes that make no character become U+FFFD."""
        ...

    def to_json(self) -> dict[str, Any]:
        """The tokenizer as JSON data."""
        ...


class Bytes:
    """A token for each byte of UTF-8."""

    name: ClassVar[str] = "bytes"
    size: ClassVar[int] = 256

    @classmethod
    def train(cls, text: str, vocabulary_size: int | None = None) -> Bytes:
        """Nothing is learnt."""
        _require_no_size(cls.name, vocabulary_size)
        return cls()

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Bytes:
        return cls()

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name}

    def encode(self, text: str) -> Tokens:
        return np.frombuffer(text.encode(), np.uint8).astype(np.int32)

    def to_bytes(self, ids: Any) -> bytes:
        return _checked(ids, self.size).astype(np.uint8).tobytes()

    def decode(self, ids: Any) -> str:
        return self.to_bytes(ids).decode(errors="replace")


class Characters:
    """A token for each different character of a book; it reads no other."""

    name: ClassVar[str] = "characters"

    def __init__(self, alphabet: str):
        if not alphabet or sorted(set(alphabet)) != list(alphabet):
            raise ValueError("An alphabet has at least one character, all different and in the order of their codes.")
        self.alphabet = alphabet
        self._codes = np.frombuffer(alphabet.encode("utf-32-le"), np.uint32)
        self._tokens = np.full(_NUM_CODES, -1, np.int32)
        self._tokens[self._codes] = np.arange(self.size)

    @property
    def size(self) -> int:
        return len(self.alphabet)

    @classmethod
    def train(cls, text: str, vocabulary_size: int | None = None) -> Characters:
        """The characters of `text`."""
        _require_no_size(cls.name, vocabulary_size)
        return cls("".join(sorted(set(text))))

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Characters:
        if not isinstance(document.get("alphabet"), str):
            raise ValueError("A tokenizer of characters needs its alphabet as text.")
        return cls(document["alphabet"])

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "alphabet": self.alphabet}

    def encode(self, text: str) -> Tokens:
        pieces = [text[i : i + _PIECE] for i in range(0, len(text), _PIECE)]
        tokens = [self._tokens[np.frombuffer(piece.encode("utf-32-le"), np.uint32)] for piece in pieces]
        found = np.concatenate(tokens) if tokens else np.zeros(0, np.int32)
        if (found < 0).any():
            raise ValueError(
                f"The model knows {self.size} characters, those of its book; {text[int(found.argmin())]!r} is not one "
                "of them. Leave it out, or train a model with the tokenizer bpe, which reads everything."
            )
        return found

    def to_bytes(self, ids: Any) -> bytes:
        return self.decode(ids).encode()

    def decode(self, ids: Any) -> str:
        return self._codes[_checked(ids, self.size)].tobytes().decode("utf-32-le")


class BytePairs:
    """Byte pair encoding: bytes, and pairs of tokens that are frequent in a book, merged one after the other.

    It reads every text. Words, numbers and signs are told apart first, as in GPT-2, and no token crosses them:
    Sennrich, Haddow & Birch (2016), ACL, arXiv:1508.07909; Radford et al. (2019). `merges` are pairs of tokens with a
    space between them, each byte written as one character in the way of GPT-2.
    """

    name: ClassVar[str] = "bpe"

    def __init__(self, merges: Sequence[str]):
        from tokenizers import Tokenizer as Encoder
        from tokenizers import models, pre_tokenizers

        self.merges = tuple(merges)
        vocabulary, pairs = _vocabulary(self.merges)
        self._encoder = Encoder(models.BPE(vocab=vocabulary, merges=pairs))
        self._encoder.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        value = {letter: byte for byte, letter in _letters().items()}
        self._bytes = [bytes(value[letter] for letter in token) for token in vocabulary]

    @property
    def size(self) -> int:
        return len(self._bytes)

    @classmethod
    def train(cls, text: str, vocabulary_size: int | None = None) -> BytePairs:
        """At most `vocabulary_size` tokens, 8000 if None; fewer where the text has no more pairs that come twice."""
        from tokenizers import Tokenizer as Encoder
        from tokenizers import models, pre_tokenizers, trainers

        wanted = 8000 if vocabulary_size is None else vocabulary_size
        if wanted < 256:
            raise ValueError(f"bpe needs a vocabulary of at least the 256 bytes, got {wanted}.")
        learner = Encoder(models.BPE())
        learner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        trainer = trainers.BpeTrainer(
            vocab_size=wanted,
            min_frequency=2,
            initial_alphabet=sorted(_letters().values()),
            max_token_length=_LONGEST_TOKEN,
            show_progress=False,
        )
        learner.train_from_iterator(_pieces(text), trainer)
        merges = json.loads(learner.to_str())["model"]["merges"]
        return cls([" ".join(pair) if not isinstance(pair, str) else pair for pair in merges])

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> BytePairs:
        merges = document.get("merges")
        if not isinstance(merges, list) or not all(isinstance(merge, str) for merge in merges):
            raise ValueError("A tokenizer of byte pairs needs its merges as a list of texts.")
        return cls(merges)

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "merges": list(self.merges)}

    def encode(self, text: str) -> Tokens:
        found = [
            np.array(self._encoder.encode_batch_fast([piece])[0].ids, np.int32)  # without offsets: less memory
            for piece in _pieces(text)
        ]
        return np.concatenate(found) if found else np.zeros(0, np.int32)

    def to_bytes(self, ids: Any) -> bytes:
        tokens = _checked(ids, self.size)
        pieces = (tokens[begin : begin + _PIECE] for begin in range(0, len(tokens), _PIECE))
        return b"".join([b"".join([self._bytes[i] for i in piece.tolist()]) for piece in pieces])

    def decode(self, ids: Any) -> str:
        return self.to_bytes(ids).decode(errors="replace")


TOKENIZERS: Mapping[str, type[Bytes] | type[Characters] | type[BytePairs]] = {
    kind.name: kind for kind in (BytePairs, Characters, Bytes)
}


def train_tokenizer(name: str, text: str, vocabulary_size: int | None = None) -> Tokenizer:
    """A tokenizer of the kind `name` (bytes, characters or bpe) for the text of a book.

    Raises:
      ValueError: for an unknown kind, or a `vocabulary_size` that the kind cannot have.
    """
    return _kind(name).train(text, vocabulary_size)


def tokenizer_from_json(document: Any) -> Tokenizer:
    """The tokenizer that `to_json` gave. ValueError for other data."""
    if not isinstance(document, dict) or not isinstance(document.get("name"), str):
        raise ValueError("A tokenizer is JSON data with its name; this is none.")
    return _kind(document["name"]).from_json(document)


def _kind(name: str) -> Any:
    if name not in TOKENIZERS:
        raise ValueError(unknown_name("tokenizer", name, TOKENIZERS))
    return TOKENIZERS[name]


def _require_no_size(name: str, vocabulary_size: int | None) -> None:
    if vocabulary_size is not None:
        raise ValueError(f"Only bpe can be asked for a size of vocabulary; that of {name} is given by the text.")


def _checked(ids: Any, size: int) -> Tokens:
    """Tokens as an array, all of them known."""
    tokens = np.asarray(ids, dtype=np.int32).reshape(-1)
    if len(tokens) and (tokens.min() < 0 or tokens.max() >= size):
        raise ValueError(f"Tokens are whole numbers from 0 to {size - 1}, got {tokens.min()} to {tokens.max()}.")
    return tokens


def _pieces(text: str) -> Iterator[str]:
    """The text in pieces of about a million characters, cut where words are told apart in any case."""
    begin = 0
    while begin < len(text):
        # Before a blank that follows a letter or digit a new word begins, whatever comes after.
        cut = _BEFORE_BLANK.search(text, begin + _PIECE)
        end = cut.start() if cut else len(text)
        yield text[begin:end]
        begin = end


_BEFORE_BLANK = re.compile(r"(?<=[^\W_])(?=[ \n])")


def _letters() -> dict[int, str]:
    """Each byte as a visible character, as GPT-2 writes them: itself where that is visible, else one from U+0100 on."""
    visible = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    hidden = [byte for byte in range(256) if byte not in visible]
    return {byte: chr(byte) for byte in visible} | {byte: chr(256 + i) for i, byte in enumerate(hidden)}


def _vocabulary(merges: Sequence[str]) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """The number of each token, and the merges as pairs.

    Raises:
      ValueError: for a merge of what is no token before it, or of tokens that are too long together.
    """
    numbers = {letter: number for number, letter in enumerate(sorted(_letters().values()))}
    pairs = []
    for merge in merges:
        first, _, second = merge.partition(" ")
        if first not in numbers or second not in numbers or len(first + second) > _LONGEST_TOKEN:
            raise ValueError(f"A tokenizer's merge joins two tokens to one of at most {_LONGEST_TOKEN} bytes.")
        numbers.setdefault(first + second, len(numbers))
        pairs.append((first, second))
    return numbers, pairs
