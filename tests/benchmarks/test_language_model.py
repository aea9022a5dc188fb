"""The figures of the language model: what the preset reaches, a step against PyTorch, generation, memory.

The text is Tiny Shakespeare (1,115,394 bytes), which is not part of the project: OPTVIZ_SHAKESPEARE names the file.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from optviz import language_model as lm
from optviz.language_model.generation import stream_tokens
from optviz.language_model.tokenizers import Characters
from optviz.language_model.training import _advance
from surfaces.transformer import LanguageModelLoss, Transformer
from tests.benchmarks import memory
from tests.benchmarks.test_figures import seconds

PRESET = lm.preset("shakespeare-cpu")
SMALL = Transformer(65, width=16, layers=1, heads=2, feed_forward=32, context=16)


def shakespeare():
    path = os.environ.get("OPTVIZ_SHAKESPEARE", "")
    if not Path(path).is_file():
        pytest.skip("OPTVIZ_SHAKESPEARE does not name the file of Tiny Shakespeare")
    return Path(path).read_text(encoding="utf-8")


def trained(folder, text, preset=PRESET, on_progress=lambda progress: None, **changes):
    """The preset's run on a text of which nine tenths are learnt; how it ended."""
    tokenizer, cut = Characters.train(text), int(0.9 * len(text))
    tokens = tokenizer.encode(text)
    settings = preset.training.replace(**changes)
    model = preset.model(tokenizer.size)
    made = lm.create_model("preset", model, settings, tokens[:cut], tokens[cut:], tokenizer, models=folder)
    return lm.train(made, on_progress)


def test_the_preset_on_shakespeare(benchmark, figure, tmp_path):
    text = shakespeare()
    text, changes = (text, {}) if benchmark.enabled else (text[:4000], {"steps": 2})
    told = benchmark.pedantic(lambda: trained(tmp_path, text, **changes), rounds=1)
    figure("validation loss of shakespeare-cpu", told.validation_loss, 1.88, "nats", more_is_better=False)


def our_steps(model, batch_size, text, num_steps):
    """A function that takes `num_steps` training steps, all that is recorded included."""
    surface = LanguageModelLoss(model, text, batch_size)
    optimizer, params = PRESET.training.build_optimizer(), surface.start
    state = [(jnp.int32(0), params, jax.tree.map(jnp.copy, optimizer.init(params)))]

    def run():
        state[0], rows = _advance(surface, optimizer, jax.random.key(0), state[0], jnp.asarray(num_steps))
        return rows["loss"]

    return run


def torch_steps(model, batch_size, text, num_steps):
    """The same steps in PyTorch, eager: model, batch, optimizer, clipping; nothing is recorded."""
    import torch

    from tests.language_model.twin import Twin

    twin = Twin(model, model.init(jax.random.key(0)))
    rate = PRESET.training.hyperparameters
    optimizer = torch.optim.AdamW(
        twin.parameters(), rate["learning_rate"], betas=(0.9, rate["b2"]), weight_decay=rate["weight_decay"]
    )
    tokens, offsets = torch.tensor(text, dtype=torch.long), torch.arange(model.context + 1)

    def run():
        for _ in range(num_steps):
            starts = torch.randint(0, len(tokens) - model.context, (batch_size, 1))
            loss = twin.loss(tokens[starts + offsets])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(twin.parameters(), PRESET.training.clip_norm)
            optimizer.step()

    return run


def in_turns(functions, repeats):
    """The median seconds of each of several functions, which take turns."""
    times = [[] for _ in functions]
    for _ in range(repeats + 1):
        for function, measured in zip(functions, times, strict=True):
            time.sleep(0.2)  # PyTorch's threads wait for work in a loop, which would cost the other
            begin = time.perf_counter()
            jax.block_until_ready(function())
            measured.append(time.perf_counter() - begin)
    return [statistics.median(measured[1:]) for measured in times]


def test_a_step_against_pytorch(benchmark, figure):
    pytest.importorskip("torch")
    model, num_steps, repeats = (PRESET.model(65), 20, 9) if benchmark.enabled else (SMALL, 1, 1)
    text = np.asarray(jax.random.randint(jax.random.key(1), (100_000,), 0, 65))
    ours, theirs = (make(model, 12, text, num_steps) for make in (our_steps, torch_steps))
    benchmark.pedantic(ours, rounds=1)
    jax_time, torch_time = in_turns([ours, theirs], repeats)
    print(f"\na step: JAX {1e3 * jax_time / num_steps:.1f} ms, PyTorch {1e3 * torch_time / num_steps:.1f} ms")
    figure("a training step / PyTorch's", jax_time / torch_time, 1.0, "times", more_is_better=False)


def test_many_steps_in_a_loop_against_one_a_call(benchmark, figure):
    model, num_steps, repeats = (PRESET.model(65), 20, 9) if benchmark.enabled else (SMALL, 2, 1)
    text = np.asarray(jax.random.randint(jax.random.key(1), (100_000,), 0, 65))
    loop, call = our_steps(model, 12, text, num_steps), our_steps(model, 12, text, 1)
    benchmark.pedantic(loop, rounds=1)
    together, alone = in_turns([loop, lambda: [call() for _ in range(num_steps)]], repeats)
    figure("a step in a loop / in a call", together / alone, 1.0, "times", more_is_better=False)


@partial(jax.jit, static_argnames="length")
def without_cache(model, params, first, length):
    """`length` tokens after `first`, each the likeliest, with all tokens read again for each."""

    def step(tokens, position):
        token = jnp.argmax(model.logits(params, tokens)[position]).astype(tokens.dtype)
        return tokens.at[position + 1].set(token, mode="drop"), token

    return jax.lax.scan(step, jnp.zeros(length, jnp.int32).at[0].set(first), jnp.arange(length))[1]


def test_generation_with_a_cache(benchmark, figure):
    model, length, repeats = (lm.preset("book").model(1000), 256, 3) if benchmark.enabled else (SMALL, 16, 1)
    params, first = model.init(jax.random.key(0)), np.array([1])

    def with_cache():
        return np.concatenate(list(stream_tokens(model, params, first, lm.Sampling(length, temperature=0.0))))

    found = benchmark.pedantic(with_cache, rounds=1)
    np.testing.assert_array_equal(found[:4], without_cache(model, params, 1, length)[:4])
    slow, fast = (seconds(f, repeats) for f in (lambda: without_cache(model, params, 1, length), with_cache))
    print(f"\n{length} tokens: {1e3 * fast:.0f} ms with the cache, {1e3 * slow:.0f} ms without")
    figure("generation without a cache / with it", slow / fast, 10, "times", more_is_better=True)


PEAK_FLOPS = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L4": 121e12, "T4": 65e12}
"""Of a chip, dense products in half precision a second, as its maker states them."""


def test_the_large_preset_on_an_accelerator(benchmark, figure, tmp_path):
    text, name = shakespeare(), jax.devices()[0].device_kind
    if jax.default_backend() == "cpu" and benchmark.enabled:
        pytest.skip("shakespeare-gpu takes hours without an accelerator")
    preset = lm.preset("shakespeare-gpu") if benchmark.enabled else PRESET
    text, changes = (text, {}) if benchmark.enabled else (text[:4000], {"steps": 2})
    told, speeds = benchmark.pedantic(lambda: watched(tmp_path, text, preset, **changes), rounds=1)
    rate, model = statistics.median(speeds), preset.model(65)
    chip = next((flops for chip, flops in PEAK_FLOPS.items() if chip in name), None)
    share = f"{rate * flops_of_a_token(model) / chip:.1%} of its peak" if chip else "its peak is not known"
    print(f"\n{name}: {rate:,.0f} tokens a second, {share}")
    figure("validation loss of shakespeare-gpu", told.validation_loss, 1.47, "nats", more_is_better=False)


def watched(folder, text, preset, **changes):
    """How a run ended, and how many tokens a second it learnt in each block of steps."""
    speeds = []
    told = trained(
        folder, text, preset, on_progress=lambda progress: speeds.append(progress.tokens_per_second), **changes
    )
    return told, speeds


def flops_of_a_token(model):
    """To learn from it, forward and backward: 6 N + 12 L W C. Chowdhery et al. (2022), arXiv:2204.02311, appendix B."""
    weights = sum(leaf.size for leaf in jax.tree.leaves(jax.eval_shape(model.init, jax.random.key(0))))
    return 6 * weights + 12 * model.layers * model.width * model.context


PEAK = """
import sys, tempfile
from tests.benchmarks import test_language_model as t
text = "".join(chr(97 + i * i % 65) for i in range(100_000))
with tempfile.TemporaryDirectory() as folder:
    t.trained(folder, text, steps=int(sys.argv[1]))
print(t.memory.peak())
"""


def test_peak_memory_of_training(benchmark, figure):
    if not benchmark.enabled:
        pytest.skip("memory is measured with the other figures")
    if not memory.is_known:
        pytest.skip("the peak of memory is read from Linux's /proc")
    command = [sys.executable, "-c", PEAK, "50"]
    found = benchmark.pedantic(lambda: subprocess.run(command, check=True, capture_output=True), rounds=1)
    figure("peak memory of training shakespeare-cpu", json.loads(found.stdout) / 1e6, 1000, "MB", more_is_better=False)
