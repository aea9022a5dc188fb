"""Optimizers of the catalogue beside those of the package `pytorch_optimizer`, which other hands wrote in PyTorch.

Everything here was read off the sources of pytorch_optimizer 4.1.0 and Optax 0.2.8; "they" are those of the package.
What `torch.optim` has as well is compared in `tests/test_torch.py`.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import optviz
from optviz.optimizers import entry
from optviz.optimizers.groups import param_groups
from optviz.optimizers.twins import TorchTwin
from tests.optimizers.transcription import START, leaves, obj_fn, transcribed

package = pytest.importorskip("pytorch_optimizer", reason="the package pytorch_optimizer 4.1 is not installed")
torch = pytest.importorskip("torch")

STEPS = 200


class Lookahead(package.Lookahead):
    """Over SGD; made and saved as the optimizers of PyTorch are."""

    def __init__(self, params, k=5, alpha=0.5, **given):
        super().__init__(torch.optim.SGD(params, **given), k, alpha)

    def state_dict(self):
        return self.optimizer.state_dict()

    def load_state_dict(self, state):
        self.optimizer.load_state_dict(state)


class SAM(package.SAM):
    """Over SGD."""

    def __init__(self, params, **given):
        super().__init__(params, torch.optim.SGD, **given)


class GaLore(package.GaLore):
    """With the authors' side of the projection, unless told otherwise."""

    def __init__(self, params, projection_type="std", **given):
        super().__init__(params, projection_type=projection_type, **given)


class Muon(package.Muon):
    """With AdamW for the vectors."""

    def __init__(self, params, **given):
        parts = {matrix: [p for p in params if (p.ndim == 2) == matrix] for matrix in (True, False)}
        super().__init__([{"params": part, "use_muon": matrix} for matrix, part in parts.items()], **given)


OWN = {c.__name__: c for c in (Lookahead, SAM, GaLore)}


class Pair(NamedTuple):
    """An optimizer of the catalogue, its counterpart, and the hyperparameters for which they are compared."""

    name: str
    twin: TorchTwin
    given: Mapping[str, Any]
    num_steps: int
    repaired: Callable[[Any, Any], Any] | None
    """From ours and a run of theirs: ours with their formula in the place of its own, where no setting helps."""


def pair(name, factory, arguments, note="", *, ours=(), theirs=(), tolerance=1e-11, **given):
    twin = TorchTwin(factory, arguments, dict(ours), dict(theirs), note, tolerance)
    return Pair(name, twin, num_steps=given.pop("num_steps", STEPS), repaired=given.pop("repaired", None), given=given)


def eps_before_correction(h):
    """What `eps` amounts to where it is added before the bias is corrected, with the first gradient not counted."""
    return lambda count: h["eps"] / jnp.sqrt(1 - h["b2"] ** jnp.maximum(count, 1.0))


def averaged_and_divided(h):
    """The rate with an average in place of a sum, and divided by what corrects the bias instead of multiplied."""
    return lambda count: h["learning_rate"] * (1 - h["b1"]) / (1 - h["b2"] ** (count + 1.0))


LR = {"lr": "learning_rate"}
DECAY = {"weight_decay": "weight_decay"}
MOMENTUM = {**LR, "momentum": "momentum"}
ADAM = {**LR, "betas": ("b1", "b2"), "eps": "eps"}
ADAMW = ADAM | DECAY
SOAP = ADAMW | {"precondition_frequency": "precondition_frequency"}
AT: dict[str, Any] = {"learning_rate": 0.01}
DECOUPLED = {"weight_decouple": True}
CORRECTED = {"bias_correction": True}

# fmt: off
MATCHED = [
    pair("lion", "Lion", {**LR, "betas": ("b1", "b2"), **DECAY}, **AT, weight_decay=0.1),
    pair("signum", "SignSGD", {**LR, "momentum": "beta"}, **AT),
    pair("sign_sgd", "SignSGD", LR, "their momentum is 0.9 by default", **AT, theirs={"momentum": 0.0}),
    pair("yogi", "Yogi", ADAM, **AT),
    pair("adabelief", "AdaBelief", ADAM, "their eps is both of Optax's", **AT, eps=1e-8, ours={"eps_root": 1e-8}),
    pair("adamaxw", "AdaMax", ADAMW, "their decay is a penalty by default", **AT, weight_decay=0.1, theirs=DECOUPLED),
    pair("novograd", "NovoGrad", ADAMW, **AT, weight_decay=0.01),
    pair("fromage", "Fromage", LR, **AT),
    pair("sm3", "SM3", MOMENTUM, "Optax's eps is always 1e-8", learning_rate=0.1, theirs={"eps": 1e-8}),
    # Optax computes the root of the step number in float32 always.
    pair("madgrad", "MADGRAD", {**MOMENTUM, "eps": "eps", **DECAY}, **AT, weight_decay=0.01, tolerance=1e-7),
    pair("adan", "Adan", {**ADAMW, "betas": ("b1", "b2", "b3")}, "Their weight of changes, b2, is Optax's, 1 - b2, at "
         "0.5 alone: see below. Their decay is implicit by default, as in the paper; only Optax has eps_root",
         **AT, b2=0.5, weight_decay=0.1, ours={"eps_root": 0.0}, theirs=DECOUPLED),
    pair("adopt", "ADOPT", ADAM, "They limit the first move to 2^(1/4), t being 2; the paper (Algorithm 2) and Optax "
         "to 1", learning_rate=0.1, b2=0.9, theirs={"clip_lambda": lambda t: (t - 1) ** 0.25}),
    pair("ademamix", "AdEMAMix", {**ADAMW, "betas": ("b1", "b2", "b3"), "alpha": "alpha"}, "their decay is a penalty "
         "by default", learning_rate=0.003, b3=0.99, weight_decay=0.1, theirs=DECOUPLED),
    pair("simplified_ademamix", "SimplifiedAdEMAMix", ADAM, "They average the gradients, which the authors' code sums, "
         "and divide by sqrt(1 - b2^t), by which that multiplies; in batches they do so in float32",
         learning_rate=0.003, ours={"learning_rate": averaged_and_divided, "alpha": 200.0},
         theirs={"alpha": 2.0, "foreach": False}),
    pair("lamb", "Lamb", ADAM, "They correct the bias of m alone, and after the trust ratio, which makes the first "
         "steps longer; `adam_debias` leaves that out, and the ratio cancels Optax's correction if eps is 0. "
         "They decay before the ratio, the paper (Algorithm 2) within; norms of parameters above 10 count as 10",
         learning_rate=0.003, ours={"eps": 0.0}, theirs={"adam_debias": True, "eps": 0.0}),
    pair("dadapt_adamw", "DAdaptAdam", {**ADAMW, "d0": "estim_lr0"}, "they correct no bias by default, and their decay "
         "is a penalty", learning_rate=1.0, weight_decay=0.01, theirs=CORRECTED | DECOUPLED),
    pair("prodigy", "Prodigy", {**ADAMW, "beta3": "beta3", "d0": "estim_lr0", "d_coef": "estim_lr_coef"},
         "they correct no bias by default", learning_rate=1.0, weight_decay=0.01, theirs=CORRECTED),
    pair("schedule_free_sgd", "ScheduleFreeSGD", {**LR, "momentum": "b1", **DECAY}, **AT, weight_decay=0.01),
    pair("schedule_free_adamw", "ScheduleFreeAdamW", ADAMW, learning_rate=0.03, weight_decay=0.01),
    # They take the norm in float32, whose rounding grows as the steps cross the valley, and add 1e-6 to its square.
    pair("polyak_sgd", "AliG", {"max_lr": "max_learning_rate"}, max_learning_rate=0.1, eps=1e-6, num_steps=20,
         tolerance=1e-6),
    # They take the norm in float32.
    pair("sam", "SAM", {**MOMENTUM, "rho": "rho"}, learning_rate=0.003, rho=0.1, momentum=0.9, tolerance=1e-7),
    pair("lookahead", "Lookahead", {**MOMENTUM, "k": "sync_period", "alpha": "slow_step_size"}, learning_rate=0.001),
    # Both take singular vectors in float32.
    pair("galore", "GaLore", {**LR, "rank": "rank", "update_proj_gap": "update_proj_gap", "scale": "scale"}, "Optax "
         "projects the longer side, they by default the shorter, as the paper; they add eps before correcting the bias",
         **AT, rank=1, update_proj_gap=1000, theirs={"projection_type": "reverse_std", "eps": 0.0}, tolerance=1e-6),
    pair("shampoo", "Shampoo", {**LR, "matrix_eps": "eps"}, learning_rate=0.1),
    pair("soap", "SOAP", SOAP, "They add eps before correcting the bias, and decay after the step, not before it",
         **AT, eps=1e-3, precondition_frequency=1000, ours={"eps": eps_before_correction}),
    # They turn the basis in float32, and sort it by eigenvalues, whose order stays the same here.
    pair("soap", "SOAP", SOAP, "as above", **AT, eps=1e-3, ours={"eps": eps_before_correction}, tolerance=1e-5),
]
# fmt: on


def leaf_by_leaf(ours, _):
    return param_groups([{"params": "matrix"}, {"params": "vector"}], ours)


def one_more_kept(ours, _):
    def fewer(updates, _):
        kept = jax.tree.map(jnp.count_nonzero, updates)
        return jax.tree.map(lambda u, k: u * k / (k + 1), updates, kept)

    return optax.chain(ours, optax.stateless(fewer))


def norms_added(ours, _):
    h = ours.hyperparameters

    def trusted(g, p):
        ratio = jnp.linalg.norm(p) / (jnp.linalg.norm(g) + h["weight_decay"] * jnp.linalg.norm(p))
        return h["trust_coefficient"] * ratio * (g + h["weight_decay"] * p)

    sgd = optax.sgd(h["learning_rate"], h["momentum"])
    scaled = optax.chain(optax.stateless(partial(jax.tree.map, trusted)), sgd)
    return optax.partition({"matrix": scaled, "vector": sgd}, {"matrix": "matrix", "vector": "vector"})


def drives(losses):
    """The factor on the rate in every step of version 3.6.1 of the Emo optimizers."""
    short = medium = long = losses[0]
    found = []
    for loss in losses:
        short, medium, long = 0.3 * loss + 0.7 * short, 0.05 * loss + 0.95 * medium, 0.01 * loss + 0.99 * long
        slow, quick = ((long - short) / max(average, 1e-5) for average in (long, medium))
        # Both sides are |long - short|: rounding decides, so that the order of operations counts.
        quicker = abs(slow) >= 0.05 and abs(quick) * max(medium, 1e-5) < abs(slow) * max(long, 1e-5)
        s = math.tanh(quick if quicker else slow)
        rest = 1 - abs(s)
        turbo = 8 * rest * (1 + 0.1 * math.copysign(rest, s))
        found.append(turbo if 0.25 < abs(s) < 0.5 else rest if abs(s) > 0.75 else 1.0)
    return jnp.asarray(found)


def driven(ours, run):
    rates = ours.hyperparameters["learning_rate"] * drives(run.losses.tolist())
    return ours.replace(learning_rate=lambda count: rates[count])


def driven_signs(ours, run):
    rate = driven(ours, run).hyperparameters["learning_rate"]
    signum = optax.signum(rate, ours.hyperparameters["b1"])
    return optax.partition({"matrix": optax.sign_sgd(rate), "vector": signum}, {"matrix": "matrix", "vector": "vector"})


# fmt: off
PLAIN = {**AT, "weight_decay": 0.0, "max_norm": 0.0}
DIFFERENT = [
    pair("mars_adamw", "MARS", {**ADAMW, "gamma": "gamma"}, "They clip each leaf by itself, and first correct by a "
         "gradient of 0, which here the clipping hides; they add eps before correcting the bias",
         **AT, eps=0.0, weight_decay=0.1, theirs={"optimize_1d": True}, repaired=leaf_by_leaf),
    pair("cautious_adamw", "AdEMAMix", {**LR, "eps": "eps"}, "If k of n coordinates are kept, they multiply by "
         "n / (k + 1), and shorten steps even if all are; the authors' code by n / k, at most 1000", **AT,
         theirs={"betas": (0.9, 0.999, 0.5), "alpha": 0.0, "cautious": True}, repaired=one_more_kept),
    pair("lars", "LARS", {**MOMENTUM, **DECAY, "trust_coefficient": "trust_coefficient"}, "Their ratio is |w| / (|g| "
         "+ weight_decay |w|), as in the paper (Algorithm 1), Optax's |w| / |g + weight_decay w|; vectors get SGD",
         **AT, trust_coefficient=1.0, weight_decay=0.1, repaired=norms_added),
    pair("emonavi", "EmoNavi", ADAM, "They have version 3.6.1: the rate of 4.0 is multiplied by a function of the loss",
         **PLAIN, theirs={"weight_decay": 0.0}, repaired=driven),
    pair("emolynx", "EmoLynx", ADAM, "as emonavi", **PLAIN, theirs={"weight_decay": 0.0}, repaired=driven),
    pair("emofact", "EmoFact", ADAM, "As emonavi, and 3.6.1 takes the sign in the end: matrices get sign_sgd, and with "
         "them vectors signum", **PLAIN, theirs={"weight_decay": 0.0}, repaired=driven_signs),
]
# fmt: on


# What `optviz.torch` cannot record yet.
def each_of(pairs):
    return pytest.mark.parametrize("pair", [pytest.param(p, id=p.name) for p in pairs])


@pytest.fixture
def torch_float64(x64):
    """Double precision for the numbers too that PyTorch keeps in its default dtype."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def both(pair):
    own = entry(pair.name)
    ours, theirs = pair.twin.matched({h.name: h.default for h in own.hyperparameters} | dict(pair.given))
    factory = OWN.get(pair.twin.name) or getattr(package, pair.twin.name)
    return own.spec(**ours), optviz.torch.optimizer(factory, **theirs)


def recorded(optimizer, num_steps=STEPS, fields=("params", "loss")):
    return optviz.record(optimizer, obj_fn, jax.tree.map(jnp.asarray, leaves(START)), num_steps, fields=fields)


def points(run):
    """Where the gradients were taken, `(steps, 8)`; schedule-free optimizers have a `path` of averages besides."""
    return np.hstack([np.reshape(leaf, (len(leaf), -1)) for leaf in jax.tree.leaves(run.steps.params)])


def distance(a, b):
    """The largest distance of two paths, relative to the length of the way."""
    length = np.linalg.norm(np.diff(a, axis=0), axis=1).sum()
    assert length > 0.1
    return np.abs(a - b).max() / length


@each_of(MATCHED)
def test_they_take_the_same_steps(torch_float64, pair):
    ours, theirs = (points(recorded(optimizer, pair.num_steps)) for optimizer in both(pair))
    assert distance(ours, theirs) < pair.twin.tolerance


@each_of([p for p in MATCHED if p.twin.ours or p.twin.theirs])
def test_the_settings_that_match_them_are_needed(torch_float64, pair):
    unset = pair._replace(twin=dataclasses.replace(pair.twin, ours={}, theirs={}))
    ours, theirs = (points(recorded(optimizer)) for optimizer in both(unset))
    assert distance(ours, theirs) > 5 * pair.twin.tolerance


@each_of(DIFFERENT)
def test_where_no_setting_helps_the_formulas_named_are_the_whole_difference(torch_float64, pair):
    ours, theirs = both(pair)
    run = recorded(theirs)
    assert distance(points(recorded(ours)), points(run)) > 1e-4
    assert distance(points(recorded(pair.repaired(ours, run))), points(run)) < pair.twin.tolerance


def adan(weight, b1=0.98, b2=0.92, b3=0.99):
    """Adan at its defaults and the rate 0.01 by its equations, changes of the gradient weighed by `weight`."""

    def step(t, x, g, s):
        change = g - s.get("g", g)
        s["g"] = g
        s["m"] = b1 * s.get("m", 0) + (1 - b1) * g
        s["w"] = b2 * s.get("w", 0) + (1 - b2) * change
        s["v"] = b3 * s.get("v", 0) + (1 - b3) * (g + weight * change) ** 2
        u = s["m"] / (1 - b1**t) + weight * s["w"] / (1 - b2**t)
        return x - 0.01 * u / (np.sqrt(s["v"] / (1 - b3**t)) + 1e-8)

    return transcribed(step, noise=np.zeros((STEPS - 1, START.size)))


def test_adan_of_the_package_is_the_papers_and_optax_weighs_changes_otherwise(torch_float64):
    # In Xie et al. (2022), Algorithm 1, changes are kept by 1 - beta_2 and weighed by the same. Optax keeps them by b2
    # and weighs them by 1 - b2; pull request 1715 of google-deepmind/optax would mend that.
    ours = points(recorded(optviz.optimizer("adan", **AT, eps_root=0.0)))
    theirs = points(recorded(optviz.torch.optimizer(package.Adan, lr=0.01)))
    assert distance(theirs, adan(0.92)) < 1e-11 and distance(ours, adan(1 - 0.92)) < 1e-11
    assert distance(ours, theirs) > 1e-3


def test_muon_differs_by_bfloat16_if_momentum_does_not_look_ahead(torch_float64, monkeypatch):
    # A matrix is (inputs, outputs) in Optax, (outputs, inputs) in PyTorch, which lengthens steps of one of (3, 2) by
    # sqrt(3 / 2). Optax alone corrects the bias, which matters only where momentum looks ahead.
    ours = points(recorded(optviz.optimizer("muon", **AT, nesterov=False, eps=1e-12)))
    vectors = {"adamw_lr": 0.01, "adamw_betas": (0.9, 0.999), "adamw_eps": 1e-12}
    theirs = optviz.torch.optimizer(Muon, lr=0.01 / 1.5**0.5, nesterov=False, **vectors)
    assert distance(ours[:20], points(recorded(theirs, 20))) > 1e-4
    base = package.optimizer.muon.base
    in_double = partial(base.zero_power_via_newton_schulz_5, dtype=torch.float64)
    monkeypatch.setattr(base, "zero_power_via_newton_schulz_5", in_double)
    assert distance(ours, points(recorded(theirs))) < 1e-11


def test_sophia_h_takes_the_same_steps_with_the_same_estimates_of_the_hessian(torch_float64):
    ours = optviz.optimizer("sophia_h", **AT, weight_decay=0.1)
    run, b2 = recorded(ours, fields=None), 0.99
    estimates = jax.tree.map(
        lambda old, new: np.asarray((new - b2 * old) / (1 - b2)),
        run.steps.opt_state[0].h,
        run.steps.new_opt_state[0].h,
    )

    class Given(package.SophiaH):
        def step(self, closure=None):
            t = self.param_groups[0].get("step", 0)
            hessian = [torch.tensor(leaf[t]) for leaf in jax.tree.leaves(estimates)]
            return super().step(closure, None if t % 10 else hessian)

    # They clip m / max(h, eps) at p, where ours clips m / max(gamma h, eps) at 1: p is gamma, and the rate makes up.
    gamma = 0.01
    theirs = optviz.torch.optimizer(Given, lr=0.01 / gamma, p=gamma, eps=1e-12 / gamma, weight_decay=0.1 * gamma)
    assert distance(points(run), points(recorded(theirs))) < 1e-11
