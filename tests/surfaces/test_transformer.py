"""The transformer against its definition, finite differences, its cache and PyTorch; its loss as a surface."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import optviz
from optviz.trace import fold
from surfaces.contours import level_grid
from surfaces.transformer import LanguageModelLoss, Transformer, _Dropout, rotated, text_loss

TINY = Transformer(11, width=8, layers=2, heads=2, feed_forward=16, context=6)
SMALL = dataclasses.replace(TINY, layers=1)
MODELS = {positions: dataclasses.replace(TINY, positions=positions) for positions in ("learned", "rotary")}


@pytest.fixture(params=MODELS)
def model(request):
    return MODELS[request.param]


def weights(model, seed=0, scale=10.0):
    """Weights large enough that every part of the model matters."""
    params = model.init(jax.random.key(seed))
    return jax.tree.map(lambda x: x * scale if x.ndim > 1 else x, params)


def tokens(*shape, seed=1):
    return jax.random.randint(jax.random.key(seed), shape, 0, TINY.vocabulary_size)


@jax.jit
def logits_of(model, params, sequence, key=None):
    return model.logits(params, sequence, key)


def surface(num_tokens=40, model=TINY, **options):
    return LanguageModelLoss(model, tokens(num_tokens), **{"batch_size": 3, **options})


@pytest.mark.parametrize("changed", range(6))
def test_no_token_sees_those_after_it(model, changed):
    before, params = tokens(6), weights(model)
    after = before.at[changed].set((before[changed] + 1) % model.vocabulary_size)
    distance = np.abs(np.asarray(logits_of(model, params, before) - logits_of(model, params, after))).max(axis=1)
    assert (distance[:changed] == 0).all()
    assert (distance[changed:] > 0).all()


def test_the_cache_gives_the_logits_of_the_whole_sequence(model):
    params, cache, sequence = weights(model), model.empty_cache(), tokens(6)
    step = jax.jit(model.with_cache)
    for position, expected in enumerate(logits_of(model, params, sequence)):
        found, cache = step(params, cache, sequence[position], position)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)  # the sums are taken in another order


def test_what_the_cache_holds_behind_the_position_is_not_seen():
    params = weights(TINY)
    dirty = jax.tree.map(lambda x: x + 3.0, TINY.empty_cache())
    step = jax.jit(TINY.with_cache)
    clean, _ = step(params, TINY.empty_cache(), jnp.int32(4), 0)
    found, _ = step(params, dirty, jnp.int32(4), 0)
    assert (found == clean).all()


def test_the_gradient_is_that_of_finite_differences(model, x64):
    loss, params = LanguageModelLoss(model, tokens(40), batch_size=3), weights(model)
    key = jax.random.key(2)
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(3), len(leaves))
    direction = tree.unflatten([jax.random.normal(k, x.shape) for k, x in zip(keys, leaves, strict=True)])

    @jax.jit
    def at(length):
        return loss(jax.tree.map(lambda x, d: x + length * d, params, direction), key)

    expected = (at(1e-6) - at(-1e-6)) / 2e-6
    found = optax.tree.vdot(loss.gradient(params, key), direction)
    np.testing.assert_allclose(found, expected, rtol=1e-6)  # the error of the difference is of order 1e-12 / 1e-6


def test_a_token_is_written_with_the_embedding_it_is_read_with(model):
    params = weights(model)
    unread, sequence = 10, tokens(6) % 10
    assert sum(leaf.shape[0] == model.vocabulary_size for leaf in jax.tree.leaves(params)) == 1
    changed = {**params, "tokens": params["tokens"].at[unread, 0].add(1.0)}
    moved = np.asarray(logits_of(model, changed, sequence) != logits_of(model, params, sequence))
    assert moved[:, unread].all()
    assert not moved[:, :unread].any()


@pytest.mark.parametrize("shift", [1, 5, 100])
def test_rotary_products_hang_on_the_distance_alone(shift, x64):
    where = jnp.array([0, 1, 4, 9])
    queries, keys = jax.random.normal(jax.random.key(0), (2, 1, 4, 2, 6))

    def products(where):
        return jnp.einsum("bthd,bshd->bhts", rotated(queries, where), rotated(keys, where))

    np.testing.assert_allclose(products(where + shift), products(where), rtol=1e-10, atol=1e-12)
    assert np.abs(np.asarray(products(2 * where) - products(where))).max() > 0.1


def test_the_model_is_that_of_pytorch():
    torch = pytest.importorskip("torch")
    from tests.language_model.twin import Twin

    params, batch = weights(TINY), tokens(3, 7)
    twin = Twin(TINY, params)
    loss = twin.loss(torch.tensor(np.asarray(batch), dtype=torch.long))
    loss.backward()
    found, gradient = jax.jit(jax.value_and_grad(TINY.loss))(params, batch)
    np.testing.assert_allclose(found, loss.item(), rtol=1e-5)
    np.testing.assert_allclose(gradient["tokens"], twin.tokens.weight.grad.numpy(), rtol=1e-3, atol=1e-6)
    down = gradient["blocks"][0]["feed_forward"]["down"]
    np.testing.assert_allclose(down, twin.blocks[0].down.weight.grad.numpy().T, rtol=1e-3, atol=1e-6)


def test_a_model_that_knows_nothing_loses_the_logarithm_of_its_vocabulary():
    params = jax.tree.map(jnp.zeros_like, weights(TINY))
    np.testing.assert_allclose(surface()(params), np.log(11), rtol=1e-6)
    np.testing.assert_allclose(surface()(TINY.init(jax.random.key(0))), np.log(11), atol=0.05)


@pytest.mark.parametrize("num_tokens", [7, 8, 12, 13, 14, 40])
def test_on_a_whole_text_every_token_but_the_first_counts_once(num_tokens):
    params, text, losses = weights(TINY), tokens(num_tokens), []
    for begin in range(0, num_tokens - 1, TINY.context):
        logits = logits_of(TINY, params, text[begin : min(begin + TINY.context, num_tokens - 1)])
        chosen = text[begin + 1 : begin + 1 + len(logits)]
        losses += [-jax.nn.log_softmax(row)[token] for row, token in zip(logits, chosen, strict=True)]
    assert len(losses) == num_tokens - 1
    np.testing.assert_allclose(text_loss(TINY, params, text), np.mean(losses), rtol=1e-5)


def test_many_chunks_of_a_text_give_what_one_gives(monkeypatch):
    params, text = weights(TINY), tokens(40)
    whole = text_loss(TINY, params, text)
    monkeypatch.setattr("surfaces.transformer._CHUNK_TOKENS", 12)
    np.testing.assert_allclose(text_loss(TINY, params, text), whole, rtol=1e-5)


def test_batches_hang_on_the_key_alone_and_reach_the_whole_text():
    loss, keys = surface(), jax.random.split(jax.random.key(0), 200)
    batches = jax.vmap(loss.batch)(keys)
    assert (jax.vmap(loss.batch)(keys) == batches).all()
    found = {tuple(np.asarray(row).tolist()) for row in batches.reshape(-1, 7)}
    text = np.asarray(loss.tokens)
    assert found == {tuple(text[i : i + 7].tolist()) for i in range(34)}


def test_accumulation_is_the_mean_of_its_batches():
    params, key, loss = weights(SMALL), jax.random.key(5), surface(model=SMALL, accumulation=3)
    parts = [surface(model=SMALL).value_and_gradient(params, k) for k in jax.random.split(key, 3)]
    value, gradient = loss.value_and_gradient(params, key)
    np.testing.assert_allclose(value, np.mean([v for v, _ in parts]), rtol=1e-5)
    expected = jax.tree.map(lambda *each: sum(each) / 3, *(g for _, g in parts))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6), gradient, expected)


def test_dropout_acts_where_there_is_a_key():
    dropping, params = dataclasses.replace(TINY, dropout=0.5), weights(TINY)
    sequence, key = tokens(6), jax.random.key(0)
    plain = logits_of(TINY, params, sequence)
    assert (logits_of(dropping, params, sequence) == plain).all()
    assert (logits_of(dropping, params, sequence, key) != plain).any()
    assert (logits_of(TINY, params, sequence, key) == plain).all()


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_dropout_drops_its_share_and_keeps_the_mean(rate):
    dropped = _Dropout(rate, jax.random.key(0))(jnp.ones(100_000))
    np.testing.assert_allclose(jnp.mean(dropped == 0), rate, atol=0.01)
    np.testing.assert_allclose(jnp.unique(dropped), [0.0, 1 / (1 - rate)], rtol=1e-6)
    np.testing.assert_allclose(jnp.mean(dropped), 1.0, rtol=0.02)


def test_rotary_positions_turn_each_pair_by_its_own_frequency():
    x = jax.random.normal(jax.random.key(0), (1, 3, 1, 6))
    where, pairs = jnp.array([0, 1, 7]), np.asarray(x)[0, :, 0, :3] + 1j * np.asarray(x)[0, :, 0, 3:]
    turned = pairs * np.exp(1j * np.outer(where, 10_000.0 ** (-2 * np.arange(3) / 6)))
    expected = np.concatenate([turned.real, turned.imag], axis=-1)
    np.testing.assert_allclose(rotated(x, where)[0, :, 0], expected, rtol=1e-5, atol=1e-6)


def test_half_precision_is_near_and_keeps_weights_and_loss_as_they_are():
    half, params, batch = dataclasses.replace(SMALL, compute="bfloat16"), weights(SMALL, scale=3.0), tokens(3, 7)
    value, gradient = jax.jit(jax.value_and_grad(half.loss))(params, batch)
    assert value.dtype == jnp.float32
    assert {leaf.dtype for leaf in jax.tree.leaves(gradient)} == {jnp.dtype("float32")}
    np.testing.assert_allclose(value, jax.jit(SMALL.loss)(params, batch), rtol=0.02)  # 8 bits of mantissa
    logits, _ = jax.jit(half.with_cache)(params, half.empty_cache(), batch[0, 0], 0)
    np.testing.assert_allclose(logits, logits_of(SMALL, params, batch[0, :1])[0], rtol=0.1, atol=0.1)


def test_a_plane_through_it_is_drawn():
    plane = surface().plane(jax.random.key(1))
    _, _, z = level_grid(plane, resolution=5)
    assert np.isfinite(z).all()
    assert np.ptp(z) > 0
    np.testing.assert_allclose(plane(jnp.zeros(2)), surface()(surface().start), rtol=1e-6)
    ax = plane.plot_contours((-1, 1), (-1, 1), resolution=5)
    assert ax.has_data()


def test_the_recorder_takes_it_as_any_surface():
    loss, spec = surface(model=SMALL), optviz.optimizer("adam", learning_rate=0.01)
    trace = optviz.record(spec, loss, loss.start, 3, key=0, fields=("gradient_norm",))
    assert np.isfinite(np.asarray(trace.steps.gradient_norm)).all()
    norm_at_start = optax.tree.norm(loss.gradient(loss.start, fold(trace.key, 0)))
    np.testing.assert_allclose(trace.steps.gradient_norm[0], norm_at_start, rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"width": 9}, "width that its heads divide, got 9 for 2"),
        ({"layers": 0}, "whole layers >= 1, got 0"),
        ({"positions": "absolute"}, "'learned' or 'rotary', got 'absolute'"),
        ({"positions": "rotary", "heads": 8}, "even width / heads, got 8 / 8"),
        ({"dropout": 1.0}, "0 <= dropout < 1, got 1.0"),
        ({"compute": "int8"}, "'float32' or 'bfloat16', got 'int8'"),
    ],
)
def test_bad_sizes_are_refused_with_a_sentence(change, sentence, unchecked):
    with pytest.raises(ValueError, match=sentence):
        dataclasses.replace(TINY, **change)


def test_a_text_shorter_than_the_context_is_refused(unchecked):
    with pytest.raises(ValueError, match="at least 7 tokens, one more than the context, got 6"):
        surface(num_tokens=6)
    with pytest.raises(ValueError, match="at most 6 tokens at once, got 7"):
        TINY.logits(weights(TINY), tokens(7))
