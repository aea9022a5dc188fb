"""A model of sixteen letters that trains in a moment."""

import jax
import numpy as np

from surfaces.transformer import Transformer

MODEL = Transformer(16, width=8, layers=1, heads=2, feed_forward=16, context=8)
TEXT = np.asarray(jax.random.randint(jax.random.key(0), (400,), 0, 16)) // 4 * 4  # something to learn


class Nibbles:
    """A tokenizer of sixteen letters."""

    name, size = "nibbles", 16

    def to_bytes(self, ids):
        return self.decode(ids).encode()

    def decode(self, ids):
        return "".join("abcdefghijklmnop"[i] for i in ids)

    def to_json(self):
        return {"name": self.name}
