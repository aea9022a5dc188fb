r"""Every optimizer of Optax 0.2.8, `optax` and `optax.contrib`, some of them by further names, and some that it lacks.

Deprecated aliases are left out. Defaults are Optax's, or those of the paper that an optimizer comes from without its
weight decay, except the learning rate. That is the best of 33 rates,
log-spaced from 1e-6 to 10 and rounded to two digits, for 1000 steps on Rosenbrock's valley from (-2, 2) in
float32, with the other hyperparameters at their defaults. A rate is judged by the worse of the final losses
at it and at 1.25 times it, so that a lucky run does not win. The effort is the same for every optimizer, even
for those that need no rate. It makes a fair start on that one surface and is no advice for another. Newton's and
the Gauss-Newton method keep their own rate, 1, with which alone they converge quadratically: here all rates near
it end in rounding error. The Emo optimizers keep all their defaults, with which they nearly stop here after two
steps: their rate is the length of those.

Formulas give one update in the order of computation: \theta are the parameters, g the gradient at them, f the
loss, t the number of the step from 1, \eta the learning rate, \lambda the weight decay, \epsilon `eps`; m, v
and other running statistics begin at 0, copies of the parameters at the first ones, unless said otherwise.
Squares, roots and quotients are elementwise. A double backslash separates lines. `eps_root`, 0 by default, is
left out where it is only added to \hat{v}.
"""

from __future__ import annotations

from dataclasses import replace

import optax
import optax.contrib

from optviz.optimizers import cautious, emo, least_squares, mars, newton, shampoo, soap, sophia, twins, wrapped
from optviz.optimizers.entry import Hyperparameter, OptimizerEntry

_PER_GRADIENT = "step size: parameters moved per unit of gradient"
_PER_COORDINATE = "step size: about how far one step moves each coordinate, in parameter units"
_RELATIVE = "step size relative to the norm of the parameters"
_MULTIPLIER = "factor on the step size that the method finds; 1 is the method as published"
_CAP = "largest step size allowed"


def _rate(default: float, meaning: str = _PER_COORDINATE) -> Hyperparameter:
    return Hyperparameter("learning_rate", default, 1e-6, 10.0, "log", meaning)


def _decay(name: str, default: float | None, of: str, low: float = 0.0, high: float = 0.999) -> Hyperparameter:
    return Hyperparameter(name, default, low, high, "linear", f"share kept per step in the average of {of}")


def _linear(name: str, default: float | None, low: float, high: float, meaning: str) -> Hyperparameter:
    return Hyperparameter(name, default, low, high, "linear", meaning)


def _log(name: str, default: float | None, low: float, high: float, meaning: str) -> Hyperparameter:
    return Hyperparameter(name, default, low, high, "log", meaning)


def _count(name: str, default: int | None, low: int, high: int, meaning: str, static: bool = False) -> Hyperparameter:
    return Hyperparameter(name, default, low, high, "linear", meaning, integer=True, static=static)


def _choice(name: str, default: bool | str, meaning: str) -> Hyperparameter:
    return Hyperparameter(name, default, scale="choice", meaning=meaning)


_B1 = _decay("b1", 0.9, "gradients")
_B2 = _decay("b2", 0.999, "squared gradients", 0.5, 0.9999)
_EPS = _log("eps", 1e-8, 1e-12, 1e-2, "added to the denominator, in units of the gradient")
_EPS_ROOT = _linear("eps_root", 0.0, 0.0, 1e-4, "added under the root, in units of the squared gradient")
_ADAM = (_B1, _B2, _EPS, _EPS_ROOT)
_MOMENTUM = _linear("momentum", None, 0.0, 0.999, "share of the previous step that is repeated; absent: none")
_HEAVY = replace(_MOMENTUM, default=0.9, meaning="share of the previous step that is repeated")
_NESTEROV = _choice("nesterov", False, "look one step ahead along the momentum")
_DECOUPLED = _linear("weight_decay", 0.0, 0.0, 0.1, "pull towards zero per step, times the learning rate")
_L2 = _linear("weight_decay", 0.0, 0.0, 0.1, "added to the gradient, times the parameters (an L2 penalty)")
_SEED = _count("seed", 0, 0, 9999, "seed of the noise")

_MOMENTS = r"m \leftarrow \beta_1 m + (1 - \beta_1)\, g \\ v \leftarrow \beta_2 v + (1 - \beta_2)\, g^2"
_HATS = r" \\ \hat{m} \leftarrow m / (1 - \beta_1^t), \; \hat{v} \leftarrow v / (1 - \beta_2^t)"
_NADAM_HATS = (
    r" \\ \hat{m} \leftarrow \beta_1 m / (1 - \beta_1^{t+1}) + (1 - \beta_1)\, g / (1 - \beta_1^t), \;"
    r" \hat{v} \leftarrow v / (1 - \beta_2^t)"
)
_STEP = r" \\ \theta \leftarrow \theta - \eta\, \hat{m} / (\sqrt{\hat{v}} + \epsilon)"
_DECAYED_STEP = r" \\ \theta \leftarrow \theta - \eta\, (\hat{m} / (\sqrt{\hat{v}} + \epsilon) + \lambda \theta)"

_EMO = (
    replace(_DECOUPLED, default=0.01),
    _choice("use_shadow", False, "draw the parameters back to a slow copy when |s| is above 0.1; never in version 4.0"),
    _choice("use_trust", True, "scale what enters the averages by 1 - s^2; always 1 in version 4.0"),
    _linear("max_norm", 1.0, 0.0, 100.0, "mean gradient norm above which the rate falls, for good; 0: never"),
    _log(
        "min_lr",
        1e-6,
        1e-12,
        1e-2,
        "floor of the rate, to which a smaller one is raised; 5.0.2: times 1 - |s|",
    ),
    _choice("version", "4.0", "'4.0', or '4.1' or '5.0.2', whose feedback works"),
)
_EMO_DRAWBACKS = (
    "in version 4.0 feedback, trust and shadow are inert: s starts at 0 and stays 0",
    "`max_norm` does not clip: it lowers the rate for good, on Rosenbrock's valley to `min_lr` in two steps",
    "depends on the scale of the loss; `should_stop` is set after 32 scalars of 0, whatever the loss does",
)
_EMOTION = (
    r"a \leftarrow 0.3 f + 0.7 a, \; b \leftarrow 0.01 f + 0.99 b \;(a = b = f \;\mathrm{at}\; t = 1)"
    r" \\ s \leftarrow \tanh(5 |s| (a - b)), \; \tau = 1 - s^2, \; \varphi = 1 - |s|"
)
_EMO_CONTROL = (
    r" \\ n \leftarrow 0.9 n + 0.1 \|g\|, \; \eta \leftarrow \max(0.95^{n / N} \eta, \eta_{\min})"
    r" \;\mathrm{if}\; n > N, \; N = \mathrm{max\_norm}"
)

CATALOGUE: tuple[OptimizerEntry, ...] = (
    # Plain gradient methods.
    OptimizerEntry(
        "gd",
        wrapped.gd,
        (_rate(0.0012, _PER_GRADIENT),),
        formula=r"g \leftarrow \nabla f(\theta) \\ \theta \leftarrow \theta - \eta\, g",
        year=1847,
        paper="Cauchy (1847), Méthode générale pour la résolution des systèmes d'équations simultanées, "
        "Comptes Rendus 25, 536-538",
        summary="Steps straight downhill, in proportion to the slope.",
        good_for="Seeing what the gradient alone does, and as the baseline for everything else.",
        advantages=("no state and one number to choose", "steps shrink by themselves near a minimum"),
        drawbacks=(
            "stable only below 2 / (largest curvature)",
            "crawls along valleys whose curvatures differ much",
        ),
        well_known=True,
        torch=twins.GD,
    ),
    OptimizerEntry(
        "noisy_sgd",
        wrapped.noisy_sgd,
        (
            _rate(0.0012, _PER_GRADIENT),
            _log("eta", 0.01, 1e-6, 10.0, "variance of the first noise, in squared gradient units"),
            _linear("gamma", 0.55, 0.0, 2.0, "power of the step number by which the variance falls"),
            _SEED,
        ),
        formula=r"z \sim N(0, I), \; \sigma^2 \leftarrow \mathrm{eta} / t^{\gamma}"
        r" \\ \theta \leftarrow \theta - \eta\, (g + \sigma z)",
        year=2015,
        paper="Neelakantan et al. (2015), Adding Gradient Noise Improves Learning for Very Deep Networks, "
        "arXiv:1511.06807",
        summary="Gradient descent with Gaussian noise on the gradient that fades with time.",
        good_for="Shaking a path off saddle points and out of shallow basins early in a run.",
        advantages=("leaves saddle points and plateaus", "becomes plain gradient descent in the end"),
        drawbacks=(
            "two more numbers to choose, in units of the gradient",
            "noise dominates where gradients are small",
        ),
    ),
    OptimizerEntry(
        "dpsgd",
        wrapped.dpsgd,
        (
            _rate(0.014, _PER_GRADIENT),
            _log("l2_norm_clip", 1.0, 1e-3, 100.0, "longest gradient let through, as an L2 norm"),
            _linear("noise_multiplier", 0.1, 0.0, 2.0, "standard deviation of the noise, in clipping norms"),
            _SEED,
            _MOMENTUM,
            _NESTEROV,
        ),
        formula=r"\bar{g} \leftarrow g\, \min(1, C / \|g\|)"
        r" \\ z \sim N(0, I), \; u \leftarrow \bar{g} + \sigma C z \\ m \leftarrow \mu m + u"
        r" \\ \theta \leftarrow \theta - \eta\, m",
        year=2016,
        paper="Abadi et al. (2016), Deep Learning with Differential Privacy, CCS 2016, arXiv:1607.00133",
        summary="Clips each example's gradient and adds noise that hides what a single example did.",
        good_for="Seeing what privacy costs; here the whole gradient counts as one example.",
        advantages=("steps of bounded length", "with per-example gradients a provable privacy guarantee"),
        drawbacks=(
            "the noise never fades, so it does not settle",
            "on a gradient averaged beforehand there is no privacy guarantee",
            "a meaningful guarantee needs a noise multiplier near 1",
        ),
    ),
    # Momentum.
    OptimizerEntry(
        "sgd",
        optax.sgd,
        (_rate(0.0012, _PER_GRADIENT), _MOMENTUM, _NESTEROV),
        formula=r"m \leftarrow \mu m + g \\ u \leftarrow m \;\mathrm{or\;(Nesterov)}\; g + \mu m"
        r" \\ \theta \leftarrow \theta - \eta\, u",
        year=1951,
        paper="Robbins & Monro (1951), A Stochastic Approximation Method, "
        "Annals of Mathematical Statistics 22(3); momentum as in Sutskever et al. (2013), ICML 2013",
        summary="Gradient descent on any estimate of the gradient, with or without momentum.",
        good_for="Vision networks and any smooth problem for which a learning rate schedule can be tuned.",
        advantages=("at most one buffer of state", "the best understood method there is"),
        drawbacks=("the rate must fit the curvature", "one rate for all parameters, whatever their scale"),
        torch=twins.SGD,
    ),
    OptimizerEntry(
        "momentum",
        wrapped.momentum,
        (_rate(0.00042, _PER_GRADIENT), _HEAVY),
        formula=r"m \leftarrow \mu m + g \\ \theta \leftarrow \theta - \eta\, m",
        year=1964,
        paper="Polyak (1964), Some methods of speeding up the convergence of iteration methods, "
        "USSR Computational Mathematics and Mathematical Physics 4(5), 1-17",
        summary="A heavy ball: velocity adds up gradients and loses a share of itself at each step.",
        good_for="Long narrow valleys, where gradient descent zigzags.",
        advantages=(
            "moves up to 1 / (1 - momentum) times faster along a valley",
            "stable at larger rates than gradient descent",
        ),
        drawbacks=("overshoots and circles around minima", "two numbers that must be tuned together"),
        well_known=True,
        torch=twins.MOMENTUM,
    ),
    OptimizerEntry(
        "nesterov",
        wrapped.nesterov,
        (_rate(0.00042, _PER_GRADIENT), _HEAVY),
        formula=r"m \leftarrow \mu m + g \\ \theta \leftarrow \theta - \eta\, (g + \mu m)",
        year=1983,
        paper="Nesterov (1983), A method for solving the convex programming problem with convergence rate O(1/k^2), "
        "Soviet Mathematics Doklady 27(2), 372-376; with a constant momentum as in Sutskever et al. (2013), ICML 2013",
        summary="Momentum whose next push is taken into account before it comes.",
        good_for="Smooth convex losses, and wherever the heavy ball overshoots.",
        advantages=(
            "overshoots less than the heavy ball in steep directions",
            "with a growing momentum no first-order method is faster on convex losses",
        ),
        drawbacks=("stable only at smaller rates than the heavy ball", "two numbers that must be tuned together"),
        torch=replace(twins.MOMENTUM, theirs={"nesterov": True}, note="the same, with `nesterov=True`"),
    ),
    OptimizerEntry(
        "optimistic_gradient_descent",
        optax.optimistic_gradient_descent,
        (
            _rate(0.00042, _PER_GRADIENT),
            _linear("alpha", 1.0, 0.0, 2.0, "weight of the gradient"),
            _linear("beta", 1.0, 0.0, 2.0, "weight of the change of the gradient since the last step"),
        ),
        formula=r"u \leftarrow (\alpha + \beta)\, g_t - \beta\, g_{t-1} \;(g_0 = g_1)"
        r" \\ \theta \leftarrow \theta - \eta\, u",
        year=2019,
        paper="Mokhtari et al. (2019), A Unified Analysis of Extra-gradient and Optimistic Gradient Methods "
        "for Saddle Point Problems: Proximal Point Approach, AISTATS 2020, arXiv:1901.08511",
        summary="Gradient descent that expects the gradient to go on changing as it did in the last step.",
        good_for="Games of a minimising and a maximising player, where gradient descent circles.",
        advantages=(
            "last iterate converges in bilinear games",
            "one gradient per step, unlike extra-gradient",
        ),
        drawbacks=(
            "stable only at smaller rates than gradient descent",
            "no gain when there is nothing but a minimum",
        ),
    ),
    # Sign of the gradient.
    OptimizerEntry(
        "sign_sgd",
        optax.sign_sgd,
        (_rate(0.0012),),
        formula=r"\theta \leftarrow \theta - \eta\, \mathrm{sign}(g)",
        year=2018,
        paper="Bernstein et al. (2018), signSGD: Compressed Optimisation for Non-Convex Problems, "
        "ICML 2018, arXiv:1802.04434",
        summary="Moves every coordinate by the same distance, against the sign of its gradient.",
        good_for="Distributed training, where one bit per coordinate is sent; the simplest relative of Adam.",
        advantages=("does not depend on the scale of the loss", "no state"),
        drawbacks=("never settles at a constant rate: it hops within one step of the minimum",),
    ),
    OptimizerEntry(
        "signum",
        optax.signum,
        (_rate(0.0087), _decay("beta", 0.9, "gradients")),
        formula=r"m \leftarrow \beta m + (1 - \beta)\, g"
        r" \\ \theta \leftarrow \theta - \eta\, \mathrm{sign}(m)",
        year=2018,
        paper="Bernstein et al. (2018), signSGD: Compressed Optimisation for Non-Convex Problems, "
        "ICML 2018, arXiv:1802.04434",
        summary="Sign descent on a running average of gradients.",
        good_for="Noisy gradients with little memory to spare.",
        advantages=("the average votes noise down", "one buffer of state"),
        drawbacks=(
            "never settles at a constant rate",
            "turns around late: the average must change sign first",
        ),
    ),
    OptimizerEntry(
        "rprop",
        optax.rprop,
        (
            _rate(0.0012, "step size of every coordinate at the start, in parameter units"),
            _linear("eta_minus", 0.5, 0.1, 0.95, "factor on the step when the gradient changes sign"),
            _linear("eta_plus", 1.2, 1.01, 2.0, "factor on the step while the gradient keeps its sign"),
            _log("min_step_size", 1e-6, 1e-12, 1e-2, "smallest step, in parameter units"),
            _log("max_step_size", 50.0, 1e-2, 100.0, "largest step, in parameter units"),
        ),
        formula=r"s \leftarrow g_t\, g_{t-1}, \; \Delta = \eta \;\mathrm{at\;the\;start}"
        r" \\ \Delta \leftarrow \eta^{+} \Delta \;\mathrm{if}\; s > 0, \; \eta^{-} \Delta"
        r" \;\mathrm{if}\; s < 0, \;\mathrm{within}\; [\Delta_{\min}, \Delta_{\max}]"
        r" \\ g_t \leftarrow 0 \;\mathrm{if}\; s < 0, \; u_t \leftarrow \Delta\, \mathrm{sign}(g_t)"
        r" \\ \theta \leftarrow \theta - u_{t-1} \;\mathrm{unless}\; s < 0",
        year=1993,
        paper="Riedmiller & Braun (1993), A direct adaptive method for faster backpropagation learning: the "
        "RPROP algorithm, IEEE ICNN 1993; the variant that waits after a sign change is from Igel & Hüsken "
        "(2003)",
        summary="Each coordinate's step grows while its gradient keeps its sign, and shrinks when it turns.",
        good_for="Exact gradients of badly scaled problems; the learning rate is only a first guess.",
        advantages=("hardly any tuning", "does not depend on the scale of the loss or of a parameter"),
        drawbacks=(
            "useless on mini-batches: noise flips the signs",
            "treats coordinates as independent",
            "Optax 0.2.8 takes every step one iteration late; the first does not move",
        ),
        torch=twins.RPROP,
    ),
    OptimizerEntry(
        "lion",
        optax.lion,
        (
            _rate(0.0052),
            replace(_B1, meaning="share of the average in the mixture whose sign is taken"),
            _decay("b2", 0.99, "gradients"),
            replace(_DECOUPLED, default=1e-3),
        ),
        formula=r"c \leftarrow \beta_1 m + (1 - \beta_1)\, g"
        r" \\ \theta \leftarrow \theta - \eta\, (\mathrm{sign}(c) + \lambda \theta)"
        r" \\ m \leftarrow \beta_2 m + (1 - \beta_2)\, g",
        year=2023,
        paper="Chen et al. (2023), Symbolic Discovery of Optimization Algorithms, NeurIPS 2023, arXiv:2302.06675",
        summary="Sign descent with two averages in one buffer, found by a program search.",
        good_for="Large networks with large batches, at about a third to a tenth of AdamW's learning rate.",
        advantages=("half of Adam's state", "every coordinate moves by the same amount"),
        drawbacks=(
            "never settles at a constant rate",
            "weight decay is on by default, so the minimum is shifted towards zero",
        ),
        well_known=True,
    ),
    # Adaptive step sizes per coordinate.
    OptimizerEntry(
        "adagrad",
        optax.adagrad,
        (
            _rate(2.2),
            _linear("initial_accumulator_value", 0.1, 0.0, 10.0, "where the sum of squared gradients begins"),
            replace(_EPS, default=1e-7, meaning="added under the root, in units of squared gradients"),
        ),
        formula=r"v \leftarrow v + g^2 \\ \theta \leftarrow \theta - \eta\, g / \sqrt{v + \epsilon}",
        year=2011,
        paper="Duchi et al. (2011), Adaptive Subgradient Methods for Online Learning and Stochastic "
        "Optimization, JMLR 12, 2121-2159",
        summary="Divides each coordinate by the root of the sum of all its squared gradients so far.",
        good_for="Sparse features, where rare coordinates should take larger steps.",
        advantages=("needs no schedule: steps fall like 1 / sqrt(t)", "regret bounds for convex losses"),
        drawbacks=(
            "one steep start slows it for ever",
            "in Optax the sum begins at 0.1, not at 0 as in the paper",
        ),
        well_known=True,
        torch=twins.ADAGRAD,
    ),
    OptimizerEntry(
        "adadelta",
        optax.adadelta,
        (
            _rate(2.2, _MULTIPLIER),
            _decay("rho", 0.9, "squared gradients and squared updates"),
            _log("eps", 1e-6, 1e-12, 1e-1, "added under both roots; sets the size of the first steps"),
            _L2,
        ),
        formula=r"v \leftarrow \rho v + (1 - \rho)\, g^2"
        r" \\ u \leftarrow g \sqrt{w + \epsilon} / \sqrt{v + \epsilon}"
        r" \\ w \leftarrow \rho w + (1 - \rho)\, u^2 \\ \theta \leftarrow \theta - \eta\, u",
        year=2012,
        paper="Zeiler (2012), ADADELTA: An Adaptive Learning Rate Method, arXiv:1212.5701",
        summary="Takes the size of its next update from the size of its past ones, so that units cancel.",
        good_for="Runs for which no learning rate is known, if the start may be slow.",
        advantages=("does not depend on the scale of the loss", "updates have the units of the parameters"),
        drawbacks=(
            "starts slowly, with steps of about sqrt(eps): in effect eps is the rate",
            "without a learning rate Optax 0.2.8 does not turn the sign, and climbs",
        ),
        torch=twins.ADADELTA,
    ),
    OptimizerEntry(
        "rmsprop",
        optax.rmsprop,
        (
            _rate(0.0087),
            _decay("decay", 0.9, "squared gradients"),
            replace(_EPS, meaning="added to the mean square, or to its root without `eps_in_sqrt`"),
            _linear("initial_scale", 0.0, 0.0, 10.0, "where the average of squared gradients begins"),
            _choice("eps_in_sqrt", True, "add eps under the root; off: outside it, as PyTorch does"),
            _choice("centered", False, "divide by the standard deviation instead of the root mean square"),
            _MOMENTUM,
            _NESTEROV,
            _choice("bias_correction", False, "correct the averages for their beginning at zero"),
        ),
        formula=r"v \leftarrow \rho v + (1 - \rho)\, g^2 \\ u \leftarrow \eta\, g / \sqrt{v + \epsilon}"
        r" \\ m \leftarrow \mu m + u \\ \theta \leftarrow \theta - m",
        year=2012,
        paper="Tieleman & Hinton (2012), Lecture 6.5: RMSProp, Coursera, Neural Networks for Machine Learning",
        summary="Divides each coordinate by the root mean square of its recent gradients.",
        good_for="Recurrent networks and reinforcement learning, where gradients change their scale.",
        advantages=("forgets old gradients, unlike Adagrad", "one buffer of state"),
        drawbacks=(
            "first steps are 1 / sqrt(1 - decay) times too long without bias correction",
            "never settles at a constant rate",
        ),
        well_known=True,
        torch=twins.RMSPROP,
    ),
    OptimizerEntry(
        "sm3",
        optax.sm3,
        (_rate(6.0), _decay("momentum", 0.9, "directions")),
        formula=r"v_i \leftarrow g_i^2 + \min_{r \ni i} \mu_r \\ \mu_r \leftarrow \max_{i \in r} v_i"
        r" \\ m \leftarrow \beta m + (1 - \beta)\, g / \sqrt{v + 10^{-8}} \\ \theta \leftarrow \theta - \eta\, m",
        year=2019,
        paper="Anil et al. (2019), Memory-Efficient Adaptive Optimization, NeurIPS 2019, arXiv:1901.11150",
        summary="Adagrad whose sums are kept per row and column of a matrix instead of per entry.",
        good_for="Very large embeddings and other tensors for which Adagrad's sums do not fit in memory.",
        advantages=(
            "state of the size of rows plus columns, not their product",
            "regret bounds as for Adagrad",
        ),
        drawbacks=(
            "on a vector it is Adagrad with momentum, with nothing saved",
            "in Optax it fails on scalar parameters",
            "the momentum buffer has the full size all the same",
        ),
    ),
    OptimizerEntry(
        "adafactor",
        optax.adafactor,
        (
            _rate(0.18, _RELATIVE),
            _count("min_dim_size_to_factor", 128, 2, 1024, "shortest side of matrices to factor", True),
            _linear("decay_rate", 0.8, 0.1, 1.0, "power of t in the decay of the squares"),
            _choice("multiply_by_parameter_scale", True, "steps relative to the parameters' size"),
            _linear("clipping_threshold", 1.0, 1.0, 10.0, "largest root mean square of an unscaled update"),
            replace(_MOMENTUM, meaning="share kept per step in the average of steps; absent: none"),
            _linear("weight_decay_rate", None, 0.0, 0.01, "share of the parameters taken away per step"),
            _log("eps", 1e-30, 1e-36, 1e-3, "added to the squared gradient"),
            _choice("factored", True, "keep row and column sums for matrices in place of every entry"),
        ),
        formula=r"\beta \leftarrow 1 - t^{-\mathrm{decay\_rate}}"
        r" \\ v \leftarrow \beta v + (1 - \beta)(g^2 + \epsilon) \\ u \leftarrow g / \sqrt{v}"
        r" \\ u \leftarrow u / \max(1, \mathrm{rms}(u) / \mathrm{threshold})"
        r" \\ \theta \leftarrow \theta - \eta\, \max(10^{-3}, \mathrm{rms}(\theta))\, u",
        year=2018,
        paper="Shazeer & Stern (2018), Adafactor: Adaptive Learning Rates with Sublinear Memory Cost, "
        "ICML 2018, arXiv:1804.04235",
        summary="Adam without momentum, with factored squares and clipped, relative steps.",
        good_for="Large transformers when memory is short.",
        advantages=("second moments of the size of rows plus columns", "clipped updates need no warm-up"),
        drawbacks=(
            "vectors and matrices below `min_dim_size_to_factor` are not factored",
            "relative steps are tiny for parameters near zero",
            "weight decay is not multiplied by the learning rate",
        ),
        torch=twins.ADAFACTOR,
    ),
    OptimizerEntry(
        "madgrad",
        optax.contrib.madgrad,
        (
            _rate(0.065, "weight of the gradients; steps grow like its 2/3 power"),
            replace(_MOMENTUM, default=0.9, meaning="share of the old parameters in the new ones"),
            _L2,
            _log("eps", 1e-6, 1e-12, 1e-2, "added to the cube root and to the learning rate"),
        ),
        formula=r"\ell \leftarrow (\eta + \epsilon) \sqrt{t} \\ v \leftarrow v + \ell g^2"
        r" \\ s \leftarrow s + \ell g \\ z \leftarrow \theta_0 - s / (\sqrt[3]{v} + \epsilon)"
        r" \\ \theta \leftarrow \mu \theta + (1 - \mu)\, z",
        year=2021,
        paper="Defazio & Jelassi (2021), Adaptivity without Compromise: A Momentumized, Adaptive, "
        "Dual Averaged Gradient Method for Stochastic Optimization, JMLR 2022, arXiv:2101.11075",
        summary="Dual averaging: from the start along all gradients, over a cube root of their squares.",
        good_for="Image reconstruction and other problems where Adam trains well but generalises badly.",
        advantages=("noise cancels over the whole run", "suits sparse gradients"),
        drawbacks=(
            "remembers the steep start of a run for ever",
            "needs less weight decay than SGD, often none",
        ),
    ),
    # The Adam family.
    OptimizerEntry(
        "adam",
        optax.adam,
        (_rate(1.3), *_ADAM, _NESTEROV),
        formula=_MOMENTS + _HATS + _STEP,
        year=2014,
        paper="Kingma & Ba (2014), Adam: A Method for Stochastic Optimization, ICLR 2015, arXiv:1412.6980",
        summary="A running mean of gradients over the root of a running mean of their squares.",
        good_for="Almost anything as a first try.",
        advantages=(
            "does not depend on the scale of the loss",
            "steps hardly longer than the learning rate",
            "forgiving of its hyperparameters",
        ),
        drawbacks=(
            "with noise it does not settle at a constant rate",
            "can fail to converge even on convex losses",
        ),
        well_known=True,
        torch=twins.ADAM,
    ),
    OptimizerEntry(
        "adamw",
        optax.adamw,
        (_rate(0.81), *_ADAM, replace(_DECOUPLED, default=1e-4), _NESTEROV),
        formula=_MOMENTS + _HATS + _DECAYED_STEP,
        year=2017,
        paper="Loshchilov & Hutter (2017), Decoupled Weight Decay Regularization, ICLR 2019, arXiv:1711.05101",
        summary="Adam with weight decay applied to the parameters themselves, not through the gradient.",
        good_for="Transformers and most other large networks.",
        advantages=(
            "all weights decay at one rate, whatever their gradients",
            "the usual default in deep learning",
        ),
        drawbacks=(
            "decay shifts the minimum towards zero",
            "Optax's default decay is 1e-4, PyTorch's is 1e-2",
        ),
        torch=twins.ADAMW,
    ),
    OptimizerEntry(
        "nadam",
        optax.nadam,
        (_rate(0.29), *_ADAM),
        formula=_MOMENTS + _NADAM_HATS + _STEP,
        year=2016,
        paper="Dozat (2016), Incorporating Nesterov Momentum into Adam, ICLR 2016 Workshop",
        summary="Adam whose mean of gradients looks one step ahead, as Nesterov's momentum does.",
        good_for="Problems on which Adam works but reacts too slowly.",
        advantages=("reacts to the present gradient at once", "no more state than Adam"),
        drawbacks=("the gain over Adam is often small", "without the paper's momentum schedule"),
        torch=twins.NADAM,
    ),
    OptimizerEntry(
        "nadamw",
        optax.nadamw,
        (_rate(0.29), *_ADAM, replace(_DECOUPLED, default=1e-4)),
        formula=_MOMENTS + _NADAM_HATS + _DECAYED_STEP,
        year=2016,
        paper="Dozat (2016), Incorporating Nesterov Momentum into Adam, ICLR 2016 Workshop; decay as in "
        "Loshchilov & Hutter (2017), arXiv:1711.05101",
        summary="NAdam with decoupled weight decay.",
        good_for="Benchmarks of neural network training, where it is a hard baseline to beat.",
        advantages=("AdamW that reacts faster", "no more state than AdamW"),
        drawbacks=("decay shifts the minimum towards zero", "the gain over AdamW is often small"),
        torch=twins.NADAMW,
    ),
    OptimizerEntry(
        "amsgrad",
        optax.amsgrad,
        (
            _rate(1.3),
            *_ADAM,
            _choice("bias_correction_mu", True, "correct the mean for its beginning at zero"),
            _choice("bias_correction_nu", True, "correct the mean square before the maximum"),
        ),
        formula=_MOMENTS + _HATS + r" \\ \bar{v} \leftarrow \max(\bar{v}, \hat{v})"
        r" \\ \theta \leftarrow \theta - \eta\, \hat{m} / (\sqrt{\bar{v}} + \epsilon)",
        year=2018,
        paper="Reddi et al. (2018), On the Convergence of Adam and Beyond, ICLR 2018, arXiv:1904.09237",
        summary="Adam that divides by the largest mean square so far, so that no coordinate's rate can grow again.",
        good_for="Rare large gradients, which Adam forgets too soon.",
        advantages=("converges where Adam provably does not", "its rate per coordinate cannot grow again"),
        drawbacks=(
            "one steep start slows it for ever",
            "Optax corrects the bias by default; the paper does not",
        ),
        torch=twins.AMSGRAD,
    ),
    OptimizerEntry(
        "adamax",
        optax.adamax,
        (_rate(2.2), _B1, replace(_B2, meaning="share kept per step of the largest gradient"), _EPS),
        formula=r"m \leftarrow \beta_1 m + (1 - \beta_1)\, g \\ v \leftarrow \max(\beta_2 v, |g| + \epsilon)"
        r" \\ \hat{m} \leftarrow m / (1 - \beta_1^t) \\ \theta \leftarrow \theta - \eta\, \hat{m} / v",
        year=2014,
        paper="Kingma & Ba (2014), Adam: A Method for Stochastic Optimization, section 7.1, ICLR 2015, arXiv:1412.6980",
        summary="Adam with a decaying maximum of gradients in place of their mean square.",
        good_for="Sparse updates such as embeddings, where zero gradients should not lift the step.",
        advantages=(
            "no coordinate moves by much more than the learning rate",
            "its maximum needs no bias correction",
        ),
        drawbacks=("one outlier shrinks the steps for about 1 / (1 - b2) iterations",),
        torch=twins.ADAMAX,
    ),
    OptimizerEntry(
        "adamaxw",
        optax.adamaxw,
        (
            _rate(2.2),
            _B1,
            replace(_B2, meaning="share kept per step of the largest gradient"),
            _EPS,
            replace(_DECOUPLED, default=1e-4),
        ),
        formula=r"m \leftarrow \beta_1 m + (1 - \beta_1)\, g \\ v \leftarrow \max(\beta_2 v, |g| + \epsilon)"
        r" \\ \hat{m} \leftarrow m / (1 - \beta_1^t)"
        r" \\ \theta \leftarrow \theta - \eta\, (\hat{m} / v + \lambda \theta)",
        year=2017,
        paper="Kingma & Ba (2014), section 7.1, arXiv:1412.6980, with the decay of Loshchilov & Hutter "
        "(2017), ICLR 2019, arXiv:1711.05101",
        summary="AdaMax with decoupled weight decay.",
        good_for="The same problems as AdaMax, when weights should stay small.",
        advantages=("bounded steps", "all weights decay at one rate"),
        drawbacks=("decay shifts the minimum towards zero", "outliers shrink the steps for long"),
    ),
    OptimizerEntry(
        "radam",
        optax.radam,
        (
            _rate(9.3e-5),
            _B1,
            replace(_B2, low=0.9),
            _EPS,
            _EPS_ROOT,
            _linear("threshold", 5.0, 4.0, 10.0, "samples before the mean square is trusted"),
            _NESTEROV,
        ),
        formula=_MOMENTS + _HATS + r" \\ \rho_\infty = 2 / (1 - \beta_2) - 1,"
        r" \; \rho \leftarrow \rho_\infty - 2 t \beta_2^t / (1 - \beta_2^t)"
        r" \\ r \leftarrow \sqrt{(\rho - 4)(\rho - 2) \rho_\infty / ((\rho_\infty - 4)(\rho_\infty - 2)"
        r" \rho)}"
        r" \\ u \leftarrow r\, \hat{m} / (\sqrt{\hat{v}} + \epsilon)"
        r" \;\mathrm{if}\; \rho \geq \mathrm{threshold,} \;\mathrm{else}\; \hat{m}"
        r" \\ \theta \leftarrow \theta - \eta\, u",
        year=2019,
        paper="Liu et al. (2019), On the Variance of the Adaptive Learning Rate and Beyond, ICLR 2020, "
        "arXiv:1908.03265",
        summary="Adam with a warm-up that follows from how many gradients its mean square is worth.",
        good_for="Noisy gradients, where Adam would need a hand-made warm-up.",
        advantages=("no warm-up schedule to choose", "approaches Adam within some thousand steps"),
        drawbacks=("its first five steps are plain momentum: a steep start forces a tiny rate",),
        torch=twins.RADAM,
    ),
    OptimizerEntry(
        "adabelief",
        optax.adabelief,
        (
            _rate(1.3),
            replace(_B1, low=0.5),
            replace(_B2, meaning="share kept per step in the average of squared deviations"),
            replace(_EPS, default=1e-16, low=1e-18),
            _log("eps_root", 1e-16, 1e-18, 1e-4, "added to the mean squared deviation at every step"),
            _NESTEROV,
        ),
        formula=r"m \leftarrow \beta_1 m + (1 - \beta_1)\, g"
        r" \\ v \leftarrow \beta_2 v + (1 - \beta_2)(g - m)^2 + \bar{\epsilon}" + _HATS + _STEP,
        year=2020,
        paper="Zhuang et al. (2020), AdaBelief Optimizer: Adapting Stepsizes by the Belief in Observed "
        "Gradients, NeurIPS 2020, arXiv:2010.07468",
        summary="Adam that divides by how far gradients stray from their mean, not by their size.",
        good_for="Slopes that are steady in some directions and noisy in others.",
        advantages=("long steps where the gradient is predictable", "no more state than Adam"),
        drawbacks=("steps explode where the gradient hardly changes", "sensitive to the two small constants"),
    ),
    OptimizerEntry(
        "acprop",
        optax.contrib.acprop,
        (
            _rate(0.0019),
            _B1,
            replace(_B2, meaning="share kept per step in the average of squared deviations"),
            replace(_EPS, default=1e-16, low=1e-18),
            _log("eps_root", 1e-16, 1e-18, 1e-4, "added to the mean squared deviation at every step"),
            _DECOUPLED,
        ),
        formula=r"\hat{v} \leftarrow v / (1 - \beta_2^{t-1}), \;\mathrm{or}\; 1 \;\mathrm{at}\; t = 1"
        r" \\ \theta \leftarrow \theta - \eta\, (g / (\sqrt{\hat{v}} + \epsilon) + \lambda \theta)"
        r" \\ v \leftarrow \beta_2 v + (1 - \beta_2)(g - m)^2 + \bar{\epsilon}"
        r" \\ m \leftarrow \beta_1 m + (1 - \beta_1)\, g",
        year=2021,
        paper="Zhuang et al. (2021), Momentum Centering and Asynchronous Update for Adaptive Gradient "
        "Methods, NeurIPS 2021, arXiv:2110.05454",
        summary="AdaBelief with the present gradient over a denominator of earlier ones only.",
        good_for="Sparse or heavily noisy gradients, for which the independence of the two matters.",
        advantages=("converges under weaker conditions than Adam", "no more state than Adam"),
        drawbacks=(
            "the first step is the unscaled gradient times the rate, far too long on a steep start",
            "no momentum in the direction",
        ),
    ),
    OptimizerEntry(
        "yogi",
        optax.yogi,
        (_rate(1.3), _B1, _B2, replace(_EPS, default=1e-3, high=1e-1)),
        formula=r"m \leftarrow \beta_1 m + (1 - \beta_1)\, g \;(m_0 = v_0 = 10^{-6})"
        r" \\ v \leftarrow v - (1 - \beta_2)\, \mathrm{sign}(v - g^2)\, g^2" + _HATS + _STEP,
        year=2018,
        paper="Zaheer et al. (2018), Adaptive Methods for Nonconvex Optimization, NeurIPS 2018",
        summary="Adam whose mean square moves by additive steps, so that it forgets large gradients slowly.",
        good_for="Sparse gradients, where Adam's steps grow too fast between two visits.",
        advantages=("steps grow in a controlled way", "less hurt by rare large gradients than Adam"),
        drawbacks=(
            "once v is large it stays so: a steep start slows it for long",
            "its eps of 1e-3 matters once gradients are small",
        ),
    ),
    OptimizerEntry(
        "adan",
        optax.adan,
        (
            _rate(0.18),
            replace(_B1, default=0.98),
            _decay("b2", 0.92, "gradient changes"),
            _decay("b3", 0.99, "squared extrapolated gradients", 0.5, 0.9999),
            _EPS,
            replace(_EPS_ROOT, default=1e-8),
            _DECOUPLED,
        ),
        formula=r"d \leftarrow g_t - g_{t-1} \;(g_0 = g_1) \\ m \leftarrow \beta_1 m + (1 - \beta_1)\, g_t"
        r" \\ w \leftarrow \beta_2 w + (1 - \beta_2)\, d"
        r" \\ v \leftarrow \beta_3 v + (1 - \beta_3)(g_t + (1 - \beta_2)\, d)^2"
        r" \\ \hat{m} \leftarrow m / (1 - \beta_1^t), \; \hat{w} \leftarrow w / (1 - \beta_2^t),"
        r" \; \hat{v} \leftarrow v / (1 - \beta_3^t)"
        r" \\ \theta \leftarrow \theta - \eta\, ((\hat{m} + (1 - \beta_2)\, \hat{w}) / (\sqrt{\hat{v} +"
        r" \bar{\epsilon}} + \epsilon) + \lambda \theta)",
        year=2022,
        paper="Xie et al. (2022), Adan: Adaptive Nesterov Momentum Algorithm for Faster Optimizing Deep "
        "Models, arXiv:2208.06677",
        summary="Adam with an average of how the gradient changes, in place of Nesterov's look ahead.",
        good_for="Vision transformers and large batches.",
        advantages=("tolerates large learning rates", "anticipates a changing gradient"),
        drawbacks=(
            "three buffers and the last gradient: twice Adam's state",
            "Optax 0.2.8 weights the change by 1 - b2 (0.08), the authors' code by b2 (0.92)",
        ),
    ),
    OptimizerEntry(
        "adopt",
        optax.contrib.adopt,
        (
            _rate(10.0),
            _B1,
            replace(_B2, default=0.9999, high=0.99999),
            _log("eps", 1e-6, 1e-12, 1e-2, "smallest denominator, in units of the gradient"),
            _NESTEROV,
            _choice("use_clipping", True, "limit coordinates to the fourth root of the step number"),
        ),
        formula=r"c \leftarrow g / \max(\sqrt{v}, \epsilon), \;\mathrm{within}\; \pm (t - 1)^{1/4}"
        r" \\ m \leftarrow \beta_1 m + (1 - \beta_1)\, c \\ \theta \leftarrow \theta - \eta\, m"
        r" \\ v \leftarrow \beta_2 v + (1 - \beta_2)\, g^2"
        r" \;(\mathrm{at}\; t = 1 \;\mathrm{only}\; v \leftarrow g^2)",
        year=2024,
        paper="Taniguchi et al. (2024), ADOPT: Modified Adam Can Converge with Any β2 with the Optimal "
        "Rate, NeurIPS 2024, arXiv:2411.02853",
        summary="Adam that divides by earlier gradients only and averages after dividing.",
        good_for="Training where Adam's convergence depends on the choice of b2.",
        advantages=("converges for any b2 in theory", "no more state than Adam"),
        drawbacks=(
            "the first step does not move: it only sets the scale",
            "v begins at the first squared gradient: a steep start slows it for about 1 / (1 - b2) steps",
        ),
    ),
    OptimizerEntry(
        "ademamix",
        optax.contrib.ademamix,
        (
            _rate(0.18),
            replace(_B1, meaning="share kept per step in the fast average of gradients"),
            _B2,
            _decay("b3", 0.9999, "gradients, the slow one", 0.9, 0.99999),
            _linear("alpha", 5.0, 0.0, 20.0, "weight of the slow average"),
            _EPS,
            _EPS_ROOT,
            _DECOUPLED,
        ),
        formula=r"m_1 \leftarrow \beta_1 m_1 + (1 - \beta_1)\, g"
        r" \\ m_2 \leftarrow \beta_3 m_2 + (1 - \beta_3)\, g \\ v \leftarrow \beta_2 v + (1 - \beta_2)\, g^2"
        r" \\ \hat{m}_1 \leftarrow m_1 / (1 - \beta_1^t), \; \hat{v} \leftarrow v / (1 - \beta_2^t)"
        r" \\ \theta \leftarrow \theta - \eta\, ((\hat{m}_1 + \alpha m_2) / (\sqrt{\hat{v}} + \epsilon) +"
        r" \lambda \theta)",
        year=2024,
        paper="Pagliardini et al. (2024), The AdEMAMix Optimizer: Better, Faster, Older, ICLR 2025, arXiv:2409.03137",
        summary="AdamW with a second, very slow average of gradients.",
        good_for="Long runs of language models, where gradients of thousands of steps ago still help.",
        advantages=("uses old gradients and stays responsive", "forgets training data more slowly"),
        drawbacks=(
            "meant for far more than 1000 steps: b3 = 0.9999 averages over 10,000",
            "overshoots: old gradients push on",
            "three buffers of state",
        ),
    ),
    OptimizerEntry(
        "simplified_ademamix",
        optax.contrib.simplified_ademamix,
        (
            _rate(0.0012, "step size: one move is about 1 / (1 - b1) of it, in parameter units"),
            replace(_B1, default=0.99, meaning="share kept per step in the sum of gradients"),
            replace(_B2, default=0.95),
            _linear("alpha", 0.0, 0.0, 100.0, "weight of the present gradient beside the sum"),
            _EPS,
            _EPS_ROOT,
            _DECOUPLED,
        ),
        formula=r"m \leftarrow \beta_1 m + g \\ v \leftarrow \beta_2 v + (1 - \beta_2)\, g^2"
        r" \\ \hat{v} \leftarrow v / (1 - \beta_2^t)"
        r" \\ \theta \leftarrow \theta - \eta\, ((m + \alpha g) / (\sqrt{\hat{v}} + \epsilon) + \lambda"
        r" \theta)",
        year=2025,
        paper="Morwani et al. (2025), Connections between Schedule-Free Optimizers, AdEMAMix, "
        "and Accelerated SGD Variants, arXiv:2502.02431",
        summary="One slow sum of gradients plus the present gradient, over Adam's root mean square.",
        good_for="The same runs as AdEMAMix, with one buffer and no schedule for the mixture.",
        advantages=("as little state as Adam", "no schedule for alpha"),
        drawbacks=(
            "a sum, not an average: the rate must be about 1 - b1 times Adam's",
            "overshoots: old gradients push on",
        ),
    ),
    OptimizerEntry(
        "mars_adamw",
        mars.mars_adamw,
        (
            _rate(0.0087),
            replace(_B1, default=0.95),
            replace(_B2, default=0.99),
            _EPS,
            _DECOUPLED,
            _linear("gamma", 0.025, 0.0, 1.0, "share of the variance reduction; 0: AdamW on clipped gradients"),
            _log("max_norm", 1.0, 1e-3, 1e6, "longest corrected gradient let through, as an L2 norm"),
            _choice("exact", False, "take both gradients of the correction at one sample, which needs a second one"),
        ),
        formula=r"c \leftarrow g_t + \gamma\, \beta_1 / (1 - \beta_1)\, (g_t - g_{t-1}) \;(g_0 = g_1),"
        r" \; c \leftarrow c\, \min(1, C / \|c\|)"
        r" \\ m \leftarrow \beta_1 m + (1 - \beta_1)\, c \\ v \leftarrow \beta_2 v + (1 - \beta_2)\, c^2"
        + _HATS
        + _DECAYED_STEP,
        year=2024,
        paper="Yuan et al. (2024), MARS: Unleashing the Power of Variance Reduction for Training Large Models, "
        "ICML 2025, arXiv:2411.10438",
        summary="AdamW on gradients that are corrected by how they changed since the last step, and clipped.",
        good_for="Pre-training of language models with noisy gradients.",
        advantages=(
            "exact: the noise of a step is partly cancelled by that of the same sample one step before",
            "the clipped gradient bounds what an outlier can do",
        ),
        drawbacks=(
            "exact: two gradients per step: count those, not steps",
            "one more copy of the parameters",
            "while gradients are longer than max_norm, only their directions count",
        ),
    ),
    OptimizerEntry(
        "cautious_adamw",
        cautious.cautious_adamw,
        (_rate(0.81), _B1, _B2, _EPS, _DECOUPLED),
        formula=_MOMENTS + _HATS + r" \\ u \leftarrow \hat{m} / (\sqrt{\hat{v}} + \epsilon)"
        r" \\ k \leftarrow 1 \;\mathrm{where}\; u g > 0, \; 0 \;\mathrm{elsewhere}"
        r" \\ \theta \leftarrow \theta - \eta\, (u k / \max(\mathrm{mean}(k), 0.001) + \lambda \theta)",
        year=2024,
        paper="Liang et al. (2024), Cautious Optimizers: Improving Training with One Line of Code, arXiv:2411.16085",
        summary="AdamW that leaves out the coordinates in which its momentum goes uphill.",
        good_for="Trying the mask on the usual optimizer; `cautious` puts it around any other.",
        advantages=("to first order no step climbs", "overshoots less than Adam", "no further state and no number"),
        drawbacks=(
            "the coordinates kept take longer steps, by the reciprocal of their share in the leaf",
            "noise in the gradient decides what is left out",
        ),
    ),
    OptimizerEntry(
        "optimistic_adam_v2",
        optax.optimistic_adam_v2,
        (
            _rate(0.11),
            _linear("alpha", 1.0, 0.0, 2.0, "weight of Adam's direction"),
            _linear("beta", 1.0, 0.0, 2.0, "weight of the change of that direction since the last step"),
            *_ADAM,
            replace(_NESTEROV, default=True),
        ),
        formula=_MOMENTS + _NADAM_HATS + r" \\ r_t \leftarrow \hat{m} / (\sqrt{\hat{v}} + \epsilon) \;(r_0 = r_1)"
        r" \\ \theta \leftarrow \theta - \eta\, ((\alpha + \beta)\, r_t - \beta\, r_{t-1})",
        year=2017,
        paper="Daskalakis et al. (2017), Training GANs with Optimism, ICLR 2018, arXiv:1711.00141",
        summary="Adam that expects its direction to go on changing as it did in the last step.",
        good_for="Adversarial training, where Adam's two players circle around each other.",
        advantages=("damps the circling of games", "scale-free like Adam"),
        drawbacks=("no gain on a plain minimum", "one more buffer than Adam"),
    ),
    # Steps measured by the norm of a layer.
    OptimizerEntry(
        "novograd",
        optax.novograd,
        (
            _rate(0.0007, "step size: one move is at most 1 / (1 - b1) of it, in parameter units"),
            replace(_B1, meaning="share kept per step in the sum of directions"),
            _decay("b2", 0.25, "squared norms"),
            replace(_EPS, default=1e-6),
            _EPS_ROOT,
            replace(_L2, meaning="added to the normalised gradient, times the parameters"),
        ),
        formula=r"v \leftarrow \beta_2 v + (1 - \beta_2) \|g\|^2"
        r" \;(\mathrm{at}\; t = 1\mathrm{:}\; v \leftarrow \|g\|^2)"
        r" \\ m \leftarrow \beta_1 m + g / (\sqrt{v} + \epsilon) + \lambda \theta"
        r" \\ \theta \leftarrow \theta - \eta\, m",
        year=2019,
        paper="Ginsburg et al. (2019), Stochastic Gradient Methods with Layer-wise Adaptive Moments for "
        "Training of Deep Networks, arXiv:1905.11286",
        summary="Normalises the gradient of each layer by its norm, then adds momentum.",
        good_for="Speech and vision networks with large batches.",
        advantages=(
            "one number of second moment per layer: half of Adam's state",
            "robust to the scale of a layer",
        ),
        drawbacks=(
            "a sum, not an average: steps are up to 1 / (1 - b1) rates long",
            "never settles at a constant rate",
        ),
    ),
    OptimizerEntry(
        "lars",
        optax.lars,
        (
            _rate(3.7, "global factor on the relative step"),
            _L2,
            _log("trust_coefficient", 0.001, 1e-5, 1.0, "step as a share of the norm of a layer"),
            _linear("eps", 0.0, 0.0, 1e-2, "added to the norm of the gradient"),
            _HEAVY,
            _NESTEROV,
        ),
        formula=r"g \leftarrow g + \lambda \theta \\ r \leftarrow \tau \|\theta\| / (\|g\| + \epsilon)"
        r" \\ m \leftarrow \mu m + \eta\, r g \\ \theta \leftarrow \theta - m",
        year=2017,
        paper="You et al. (2017), Large Batch Training of Convolutional Networks, arXiv:1708.03888",
        summary="Momentum with the step of each layer in proportion to the norm of its weights.",
        good_for="Convolutional networks with batches of many thousands.",
        advantages=("no layer can move by more than a fixed share of itself", "one buffer of state"),
        drawbacks=(
            "cannot slow down near a minimum away from zero",
            "a layer near zero hardly moves",
            "Optax 0.2.8 divides by |g + weight_decay w|, the paper by |g| + weight_decay |w|",
        ),
    ),
    OptimizerEntry(
        "lamb",
        optax.lamb,
        (_rate(0.024, _RELATIVE), _B1, _B2, replace(_EPS, default=1e-6), _EPS_ROOT, _DECOUPLED),
        formula=_MOMENTS + _HATS + r" \\ u \leftarrow \hat{m} / (\sqrt{\hat{v}} + \epsilon) + \lambda \theta"
        r" \\ \theta \leftarrow \theta - \eta\, u \|\theta\| / \|u\|",
        year=2019,
        paper="You et al. (2019), Large Batch Optimization for Deep Learning: Training BERT in 76 minutes, "
        "ICLR 2020, arXiv:1904.00962",
        summary="Adam's direction, rescaled per layer to a fixed share of the norm of its weights.",
        good_for="Transformers with batches of many thousands.",
        advantages=("one rate for layers of all scales", "keeps large batches stable"),
        drawbacks=(
            "every step has the same relative length, so it never settles at a constant rate",
            "a layer near zero hardly moves",
        ),
    ),
    OptimizerEntry(
        "fromage",
        optax.fromage,
        (
            _rate(0.039, _RELATIVE),
            _log("min_norm", 1e-6, 1e-12, 1e-1, "smallest norm assumed for gradients and parameters"),
        ),
        formula=r"u \leftarrow g \|\theta\| / \|g\|"
        r" \\ \theta \leftarrow (\theta - \eta\, u) / \sqrt{1 + \eta^2}",
        year=2020,
        paper="Bernstein et al. (2020), On the distance between two neural networks and the stability of "
        "learning, NeurIPS 2020, arXiv:2002.03432",
        summary="Turns the weights of each layer by a fixed relative amount, without letting them grow.",
        good_for="Networks whose layers differ much in scale, generative adversarial ones among them.",
        advantages=("one rate, the relative change per step, carries over between networks", "no state"),
        drawbacks=("never settles at a constant rate", "its shrinking pulls every minimum towards zero"),
    ),
    # No learning rate to tune.
    OptimizerEntry(
        "cocob",
        optax.contrib.cocob,
        (
            _rate(1.0, "factor on the gradient, to which the method is indifferent but for eps"),
            _log("alpha", 100.0, 1.0, 1e4, "how many largest gradients to wait before betting freely"),
            _log("eps", 1e-8, 1e-12, 1e-1, "smallest scale assumed for the gradient"),
            _L2,
        ),
        formula=r"L \leftarrow \max(L, |g|), \; G \leftarrow G + |g|"
        r" \\ R \leftarrow \max(R - g (\theta - \theta_0), 0) \\ S \leftarrow S - g"
        r" \\ \theta \leftarrow \theta_0 + S (L + R) / (L \max(G + L, \alpha L))",
        year=2017,
        paper="Orabona & Tommasi (2017), Training Deep Networks without Learning Rates Through Coin "
        "Betting, NeurIPS 2017, arXiv:1705.07795",
        summary="Treats each coordinate as a gambler who bets a share of past winnings on the next gradient.",
        good_for="Convex losses without any tuning.",
        advantages=("no learning rate", "independent of the scale of the loss"),
        drawbacks=("one steep start makes all later steps small", "state of five copies of the parameters"),
    ),
    OptimizerEntry(
        "dog",
        wrapped.dog,
        (
            _rate(6.0, _MULTIPLIER),
            _log("init_step", 1e-6, 1e-8, 1e-1, "first distance assumed, over 1 + the norm of the start"),
            _log("eps", 1e-8, 1e-12, 1e-2, "added to the sum of squared gradient norms"),
            replace(_L2, default=None),
        ),
        formula=r"\bar{r} \leftarrow \max(\bar{r}, \|\theta - \theta_0\|) \\ G \leftarrow G + \|g\|^2"
        r" \\ \theta \leftarrow \theta - \eta\, \bar{r} g / \sqrt{G + \epsilon}",
        year=2023,
        paper="Ivgi et al. (2023), DoG is SGD's Best Friend: A Parameter-Free Dynamic Step Size Schedule, "
        "ICML 2023, arXiv:2302.12022",
        summary="Step size: the distance travelled so far over the root of all squared gradients.",
        good_for="Fine-tuning, where the solution is near and no rate is known.",
        advantages=("no learning rate", "provable for convex losses"),
        drawbacks=(
            "the authors average the iterates; Optax's does not",
            "one steep start makes all later steps small",
        ),
    ),
    OptimizerEntry(
        "dowg",
        optax.contrib.dowg,
        (
            _rate(2.2, _MULTIPLIER),
            _log("init_estim_sq_dist", None, 1e-12, 1.0, "first squared distance assumed; absent: eps"),
            _log("eps", 1e-4, 1e-12, 1e-2, "added to the root of the weighted sum of squares"),
            replace(_L2, default=None),
        ),
        formula=r"d \leftarrow \max(d, \|\theta - \theta_0\|^2) \\ G \leftarrow G + d \|g\|^2"
        r" \\ \theta \leftarrow \theta - \eta\, d g / (\sqrt{G} + \epsilon)",
        year=2023,
        paper="Khaled et al. (2023), DoWG Unleashed: An Efficient Universal Parameter-Free Gradient Descent "
        "Method, NeurIPS 2023, arXiv:2305.16284",
        summary="DoG with gradients weighted by how far from the start they were seen.",
        good_for="The same problems as DoG, when the start is steeper than the rest.",
        advantages=("no learning rate", "faster than DoG once it has left the start"),
        drawbacks=("analysed for full gradients only", "one rate for all parameters, whatever their scale"),
    ),
    OptimizerEntry(
        "dadapt_adamw",
        wrapped.dadapt_adamw,
        (
            _rate(2.2, _MULTIPLIER),
            _B1,
            _B2,
            _EPS,
            _log("estim_lr0", 1e-6, 1e-10, 1e-1, "first estimate of the distance to go, in parameter units"),
            _DECOUPLED,
        ),
        formula=r"\gamma \leftarrow d\, \eta \sqrt{1 - \beta_2^t} / (1 - \beta_1^t)"
        r" \\ r \leftarrow \sqrt{\beta_2}\, r + (1 - \sqrt{\beta_2})\, \gamma\, g \cdot s /"
        r" (\sqrt{v} + \epsilon) \\ m \leftarrow \beta_1 m + (1 - \beta_1)\, \gamma g"
        r" \\ v \leftarrow \beta_2 v + (1 - \beta_2)\, g^2"
        r" \\ s \leftarrow \sqrt{\beta_2}\, s + (1 - \sqrt{\beta_2})\, \gamma g"
        r" \\ d \leftarrow \max(d, r / ((1 - \sqrt{\beta_2}) \|s\|_1))"
        r" \\ \theta \leftarrow \theta - m / (\sqrt{v} + \epsilon) - \lambda \gamma \theta",
        year=2023,
        paper="Defazio & Mishchenko (2023), Learning-Rate-Free Learning by D-Adaptation, ICML 2023, arXiv:2301.07733",
        summary="AdamW whose learning rate is a growing lower bound of the distance to the solution.",
        good_for="Training runs that are scheduled but have no known learning rate.",
        advantages=("finds Adam's learning rate within one run", "the estimate never shrinks, so it settles"),
        drawbacks=(
            "if the first gradient is zero Optax's turns to NaN and stays so",
            "an estimate once too large stays so",
            "one more buffer than Adam",
        ),
    ),
    OptimizerEntry(
        "prodigy",
        wrapped.prodigy,
        (
            _rate(3.7, _MULTIPLIER),
            _B1,
            _B2,
            _decay("beta3", None, "the distance estimate; absent: the root of b2", 0.5, 0.9999),
            _EPS,
            _log("estim_lr0", 1e-6, 1e-10, 1e-1, "first estimate of the distance to go, in parameter units"),
            _log("estim_lr_coef", 1.0, 0.1, 10.0, "factor on the estimate of the distance"),
            _DECOUPLED,
            _choice("safeguard_warmup", False, "leave the learning rate out of the estimate's denominator"),
        ),
        formula=r"\gamma \leftarrow d\, \eta \sqrt{1 - \beta_2^t} / (1 - \beta_1^t)"
        r" \\ m \leftarrow \beta_1 m + (1 - \beta_1)\, d g"
        r" \\ v \leftarrow \beta_2 v + (1 - \beta_2)\, d^2 g^2"
        r" \\ s \leftarrow \beta_3 s + (d / d_0)\, \gamma g"
        r" \\ r \leftarrow \beta_3 r + (d / d_0)\, \gamma\, g \cdot (\theta_0 - \theta)"
        r" \\ d \leftarrow \max(d, c\, r / \|s\|_1)"
        r" \\ \theta \leftarrow \theta - \gamma\, (m / (\sqrt{v} + d \epsilon) + \lambda \theta)",
        year=2023,
        paper="Mishchenko & Defazio (2023), Prodigy: An Expeditiously Adaptive Parameter-Free Learner, "
        "ICML 2024, arXiv:2306.06101",
        summary="D-Adaptation that weights recent gradients more, so that its estimate grows faster.",
        good_for="Fine-tuning, and runs without a known learning rate.",
        advantages=("no learning rate", "adapts faster than D-Adaptation"),
        drawbacks=(
            "if the first gradient is zero Optax's stays NaN",
            "an estimate once too large stays so",
            "twice Adam's state",
        ),
    ),
    # Step sizes from the value of the loss.
    OptimizerEntry(
        "polyak_sgd",
        optax.polyak_sgd,
        (
            _log("max_learning_rate", 1.0, 1e-6, 10.0, _CAP),
            _log("scaling", 1.0, 0.1, 10.0, "factor on the gradient"),
            _linear("f_min", 0.0, -10.0, 10.0, "the least possible loss, in units of the loss"),
            _linear("eps", 0.0, 0.0, 1.0, "added to the squared norm of the gradient"),
            _choice("variant", "sps", "'sps', or 'sps+' for no step where the loss is below f_min"),
        ),
        formula=r"\gamma \leftarrow \min((f - f_{\min}) / (\|s g\|^2 + \epsilon), \gamma_{\max})"
        r" \\ \theta \leftarrow \theta - \gamma s g",
        year=2020,
        paper="Loizou et al. (2020), Stochastic Polyak Step-size for SGD: An Adaptive Learning Rate for "
        "Fast Convergence, AISTATS 2021, arXiv:2002.10542",
        summary="Steps to where a straight line down the slope would reach the least possible loss.",
        good_for="Losses whose minimum is known, such as 0 for a model that can fit all its data.",
        advantages=("no rate to tune if the minimum is known", "adapts to the slope at every step"),
        drawbacks=(
            "a wrong f_min makes it diverge or stop early",
            "`scaling` enters the norm too: 2 halves the step instead of doubling it",
        ),
        needs=("value",),
    ),
    OptimizerEntry(
        "momo",
        optax.contrib.momo,
        (
            _rate(0.039, _CAP),
            _decay("beta", 0.9, "gradients and losses"),
            _linear("lower_bound", 0.0, -10.0, 10.0, "a lower bound of the loss, in its units"),
            replace(_DECOUPLED, meaning="proximal pull towards zero per step, times the learning rate"),
            _choice("adapt_lower_bound", False, "raise the bound as the run shows it to be too low"),
        ),
        formula=r"\bar{f} \leftarrow \beta \bar{f} + (1 - \beta) f,"
        r" \; m \leftarrow \beta m + (1 - \beta)\, g,"
        r" \; c \leftarrow \beta c + (1 - \beta)\, g \cdot \theta \;(\beta = 0"
        r" \;\mathrm{at}\; t = 1)"
        r" \\ h \leftarrow \max((1 + \eta \lambda)(\bar{f} - f_{\min} - c) + m \cdot \theta, 0)"
        r" \\ \tau \leftarrow \min(\eta, h / \|m\|^2)"
        r" \\ \theta \leftarrow \theta / (1 + \eta \lambda) - \tau m",
        year=2023,
        paper="Schaipp et al. (2023), MoMo: Momentum Models for Adaptive Learning Rates, ICML 2024, arXiv:2305.07583",
        summary="Momentum with Polyak's step size, from a model of the loss averaged over past steps.",
        good_for="Training with momentum when a bound of the loss is known and the rate is not.",
        advantages=("a learning rate that is too large does little harm", "brakes by itself near the bound"),
        drawbacks=(
            "needs the loss and a bound of it",
            "a bound far below the minimum turns it into plain momentum",
        ),
        needs=("value",),
    ),
    OptimizerEntry(
        "momo_adam",
        optax.contrib.momo_adam,
        (
            _rate(3.7, "largest step size allowed: about how far a step may move each coordinate"),
            replace(_B1, meaning="share kept per step in the average of gradients and losses"),
            _B2,
            _EPS,
            _linear("lower_bound", 0.0, -10.0, 10.0, "a lower bound of the loss, in its units"),
            replace(_DECOUPLED, meaning="proximal pull towards zero per step, times the learning rate"),
            _choice("adapt_lower_bound", False, "raise the bound as the run shows it to be too low"),
        ),
        formula=r"\bar{f} \leftarrow \beta_1 \bar{f} + (1 - \beta_1) f,"
        r" \; c \leftarrow \beta_1 c + (1 - \beta_1)\, g \cdot \theta \\ "
        + _MOMENTS
        + r" \\ D \leftarrow \epsilon + \sqrt{v / (1 - \beta_2^t)}, \; b \leftarrow 1 - \beta_1^t"
        r" \\ h \leftarrow \max((1 + \eta \lambda)(\bar{f} - b f_{\min} - c) + m \cdot \theta, 0)"
        r" \\ \tau \leftarrow \min(\eta / b, h / (m \cdot m / D))"
        r" \\ \theta \leftarrow \theta / (1 + \eta \lambda) - \tau m / D",
        year=2023,
        paper="Schaipp et al. (2023), MoMo: Momentum Models for Adaptive Learning Rates, ICML 2024, arXiv:2305.07583",
        summary="Adam whose learning rate is cut by Polyak's rule whenever that rule would step less far.",
        good_for="Transformers when Adam's rate is unknown and the loss has a known bound.",
        advantages=("a wide range of rates works", "brakes by itself near the bound"),
        drawbacks=(
            "needs the loss and a bound of it",
            "a bound far below the minimum turns it into plain Adam",
        ),
        needs=("value",),
    ),
    OptimizerEntry(
        "lbfgs",
        optax.lbfgs,
        (
            _rate(1.0, "factor on the direction before the line search; 1 as in Optax without it"),
            _count("memory_size", 10, 1, 50, "past steps from which the curvature is estimated", True),
            _choice("scale_init_precond", True, "scale the first guess of the curvature by the last step"),
        ),
        formula=r"s_i = \theta_{i+1} - \theta_i, \; y_i = g_{i+1} - g_i \;\mathrm{for\;the\;last}\; k"
        r" \;\mathrm{steps} \\ p \leftarrow -H g, \; H y_i \approx s_i"
        r" \\ \alpha \leftarrow \mathrm{line\;search\;on}\; f(\theta + \alpha p)"
        r" \\ \theta \leftarrow \theta + \alpha p",
        year=1989,
        paper="Liu & Nocedal (1989), On the limited memory BFGS method for large scale optimization, "
        "Mathematical Programming 45, 503-528",
        summary="Estimates the inverse Hessian from the last steps, then searches along a line.",
        good_for="Smooth, exact losses of small and medium size, where it is hard to beat.",
        advantages=("converges superlinearly in practice", "nothing to tune", "the loss never rises much"),
        drawbacks=(
            "several evaluations of the loss per step: count those, not steps",
            "not for noisy gradients",
            "state of 2 * memory_size + 3 copies of the parameters",
        ),
        needs=("line search",),
        torch=twins.LBFGS,
    ),
    OptimizerEntry(
        "emonavi",
        emo.emonavi,
        (_rate(0.11), _B1, _B2, _EPS, *_EMO),
        formula=_EMOTION + r" \\ m \leftarrow \beta_1 m + (1 - \beta_1)\, g"
        r" \\ v \leftarrow \beta_2 v + (1 - \beta_2)\, \tau g^2"
        r" \\ \theta \leftarrow \theta - \eta\, (\varphi\, m / (\sqrt{v} + \epsilon) + \lambda \theta)" + _EMO_CONTROL,
        year=2025,
        paper="muooon (2025), EmoNavi 4.0, program without a paper, github.com/muooon/EmoNavi, commit 4f9a5bd",
        summary="AdamW without bias correction, its learning rate lowered for good while gradients are long.",
        good_for="Seeing what the published program does; version 5.0.2 for the feedback that its text describes.",
        advantages=("slows down by itself after a steep start", "versions 4.1 and 5.0.2 brake when the loss turns"),
        drawbacks=(*_EMO_DRAWBACKS, "first steps are (1 - b1) / sqrt(1 - b2) = 3 rates long, without bias correction"),
        needs=("value",),
    ),
    OptimizerEntry(
        "emofact",
        emo.emofact,
        (
            _rate(0.11),
            replace(_B1, meaning="share kept per step in the averages of rows and columns, of gradients for vectors"),
            replace(_B2, meaning="share kept per step in the average of squared gradients, for vectors"),
            _EPS,
            *_EMO,
        ),
        formula=_EMOTION + r" \\ r \leftarrow \beta_1 r + (1 - \beta_1)\, \tau \sqrt{R + \epsilon}, \;"
        r" c \leftarrow \beta_1 c + (1 - \beta_1)\, \tau \sqrt{C + \epsilon}"
        r" \;(R, C \;\mathrm{means\;of}\; g^2 \;\mathrm{over\;rows,\;columns})"
        r" \\ u \leftarrow g / (\sqrt{r c} + \epsilon)"
        r" \\ \mathrm{vectors:} \; m \leftarrow \beta_1 m + (1 - \beta_1)\, \tau g, \;"
        r" v \leftarrow \beta_2 v + (1 - \beta_2)\, g^2, \; u \leftarrow m / (\sqrt{v} + \epsilon)"
        r" \\ \theta \leftarrow \theta - \eta\, (\varphi\, u + \lambda \theta)" + _EMO_CONTROL,
        year=2025,
        paper="muooon (2025), EmoFact 4.0, program without a paper, github.com/muooon/EmoNavi, commit 4f9a5bd",
        summary="Divides matrices by root mean squares of rows and columns, at a learning rate that only falls.",
        good_for="Matrices when memory is short; on a vector it is EmoNavi (version 4.0).",
        advantages=("state of the size of rows plus columns", "slows down by itself after a steep start"),
        drawbacks=(
            *_EMO_DRAWBACKS,
            "no momentum for matrices: it circles around a minimum",
            "from version 4.1 on vectors move by ten to thirty rates per step",
        ),
        needs=("value", "matrix"),
    ),
    OptimizerEntry(
        "emolynx",
        emo.emolynx,
        (
            _rate(0.29),
            replace(_B1, meaning="share of the average in the mixture whose sign is taken"),
            _decay("b2", 0.99, "gradients"),
            replace(_EPS, meaning="accepted and never used, as in the original"),
            *_EMO,
            _choice("decoupled_weight_decay", False, "decay per step: weight_decay times the rate over the first rate"),
        ),
        formula=_EMOTION + r" \\ c \leftarrow \beta_1 \tau m + (1 - \beta_1)\, g"
        r" \\ \theta \leftarrow \theta - \eta\, (\varphi\, \mathrm{sign}(c) + \lambda \theta)"
        r" \\ m \leftarrow \beta_2 m + (1 - \beta_2)\, g" + _EMO_CONTROL,
        year=2025,
        paper="muooon (2025), EmoLynx 4.0, program without a paper, github.com/muooon/EmoNavi, commit 4f9a5bd",
        summary="Lion whose learning rate is lowered for good while gradients are long.",
        good_for="Comparing with Lion, which it equals in version 4.0 with max_norm = 0.",
        advantages=("half of Adam's state", "every coordinate moves by the same amount"),
        drawbacks=(*_EMO_DRAWBACKS, "never settles at a constant rate"),
        needs=("value",),
    ),
    # Curvature and matrices.
    OptimizerEntry(
        "newton",
        newton.newton,
        (
            _rate(1.0, "share of the way to where the local parabola is flat; 1 is Newton's method"),
            _linear("damping", 0.0, 0.0, 10.0, "added to every eigenvalue of the Hessian, in units of the curvature"),
        ),
        formula=r"\mathrm{solve}\; (\nabla^2 f(\theta) + \delta I)\, u = g \\ \theta \leftarrow \theta - \eta\, u",
        year=1948,
        paper="Newton (1685) and Simpson (1740); in many dimensions Kantorovich (1948), Functional analysis and "
        "applied mathematics, Uspekhi Matematicheskikh Nauk 3(6), 89-185",
        summary="Jumps to where the parabola that touches the loss is flat.",
        good_for="Seeing what full curvature gives: the end of a run of few parameters, to the last digit.",
        advantages=(
            "one step on a quadratic, quadratic convergence near a minimum",
            "does not depend on scale, rotation or condition of the parameters",
        ),
        drawbacks=(
            "as glad of saddles and maxima as of minima",
            "far away its steps can be of any length",
            "forms and solves a matrix of all parameters by all parameters",
        ),
        needs=("hessian",),
    ),
    OptimizerEntry(
        "damped_newton",
        newton.damped_newton,
        (_log("damping", 1e-3, 1e-8, 10.0, "first damping, as a share of the largest curvature at the start"),),
        formula=r"H = \nabla^2 f(\theta), \; \mu = \delta \max |\lambda(H)| \;\mathrm{at\;the\;start},"
        r" \; s = \mu + \max(0, -\min \lambda(H))"
        r" \\ \mathrm{solve}\; (H + s I)\, h = -g"
        r" \\ \rho \leftarrow (f(\theta) - f(\theta + h)) / (h \cdot (s h - g) / 2)"
        r" \\ \mathrm{if}\; \rho > 0 \mathrm{:}\; \theta \leftarrow \theta + h, \;"
        r" \mu \leftarrow \mu \max(1/3, 1 - (2 \rho - 1)^3), \; \nu \leftarrow 2"
        r" \\ \mathrm{else:}\; \mu \leftarrow \mu \nu, \; \nu \leftarrow 2 \nu \;(\nu = 2 \;\mathrm{at\;the\;start})",
        year=1966,
        paper="Goldfeld, Quandt & Trotter (1966), Maximization by Quadratic Hill-Climbing, Econometrica 34(3), "
        "541-551; the rule for the damping is Nielsen's (1999)",
        summary="Newton's method kept downhill by a damping that grows when a step fails and shrinks when it succeeds.",
        good_for="Smooth, exact losses of few parameters, saddles included.",
        advantages=("the loss never rises", "leaves saddles along negative curvature", "nothing to tune"),
        drawbacks=(
            "an eigendecomposition of all parameters by all parameters at every step",
            "not for noisy losses: it trusts single comparisons",
            "a step that fails does not move",
        ),
        needs=("hessian",),
    ),
    OptimizerEntry(
        "gauss_newton",
        least_squares.gauss_newton,
        (
            _rate(1.0, "share of the way to the least squares of the linear model; 1 is the method of Gauss"),
            _linear("damping", 0.0, 0.0, 10.0, "added to every eigenvalue of the matrix, in units of the curvature"),
        ),
        formula=r"f = \|r(\theta)\|^2 / 2, \; J = \partial r / \partial \theta"
        r" \\ u \leftarrow \mathrm{argmin}\; \|J u - r\|^2 + \delta \|u\|^2 \\ \theta \leftarrow \theta - \eta\, u",
        year=1961,
        paper="Gauss (1809); with a factor on the step Hartley (1961), The Modified Gauss-Newton Method for the "
        "Fitting of Non-Linear Regression Functions by Least Squares, Technometrics 3(2), 269-280",
        summary="Replaces the residuals by their linear model and jumps to its least squares.",
        good_for="Sums of squares that nearly vanish at the minimum.",
        advantages=(
            "Newton's speed from first derivatives, where residuals are small",
            "never goes uphill to first order: its matrix has no negative eigenvalue",
        ),
        drawbacks=(
            "steps of any length where the Jacobian is nearly singular",
            "slow or divergent where residuals stay large and curved",
            "a loss without residuals counts as one, sqrt(2 f), which knows nothing of curvature",
        ),
        needs=("residuals",),
    ),
    OptimizerEntry(
        "levenberg_marquardt",
        least_squares.levenberg_marquardt,
        (_log("damping", 1e-3, 1e-8, 10.0, "first damping, as a share of the largest curvature at the start"),),
        formula=r"f = \|r(\theta)\|^2 / 2, \; J = \partial r / \partial \theta, \;"
        r" \mu = \delta \max \mathrm{diag}(J^\top J) \;\mathrm{at\;the\;start}"
        r" \\ \mathrm{solve}\; (J^\top J + \mu I)\, h = -g"
        r" \\ \rho \leftarrow (f(\theta) - f(\theta + h)) / (h \cdot (\mu h - g) / 2)"
        r" \\ \mathrm{if}\; \rho > 0 \mathrm{:}\; \theta \leftarrow \theta + h, \;"
        r" \mu \leftarrow \mu \max(1/3, 1 - (2 \rho - 1)^3), \; \nu \leftarrow 2"
        r" \\ \mathrm{else:}\; \mu \leftarrow \mu \nu, \; \nu \leftarrow 2 \nu \;(\nu = 2 \;\mathrm{at\;the\;start})",
        year=1963,
        paper="Levenberg (1944) and Marquardt (1963), An Algorithm for Least-Squares Estimation of Nonlinear "
        "Parameters, SIAM Journal 11(2), 431-441; as Algorithm 3.16 of Madsen, Nielsen & Tingleff (2004), Methods "
        "for Non-Linear Least Squares Problems",
        summary="Gauss-Newton near the minimum, short steps down the gradient far from it, and anything between.",
        good_for="Fitting curves: sums of squares of few parameters from a poor start.",
        advantages=("the loss never rises", "nothing to tune", "first derivatives only"),
        drawbacks=(
            "a singular value decomposition of all residuals by all parameters at every step",
            "not for noisy losses: it trusts single comparisons",
            "a step that fails does not move",
        ),
        needs=("residuals",),
    ),
    OptimizerEntry(
        "sophia",
        optax.contrib.sophia,
        (
            _rate(0.065),
            replace(_B1, default=0.965),
            _decay("b2", 0.99, "the Hessian diagonal, per estimate", 0.5, 0.9999),
            _log("eps", 1e-8, 1e-15, 1e-2, "smallest denominator"),
            replace(_DECOUPLED, default=1e-4),
            _log("gamma", 0.01, 1e-4, 10.0, "factor on the Hessian diagonal; smaller: longer steps"),
            _log("clip_threshold", 1.0, 0.01, 100.0, "largest step per coordinate, in learning rates"),
            _count("update_interval", 10, 1, 100, "steps between two estimates of the Hessian diagonal"),
        ),
        formula=r"m \leftarrow \beta_1 m + (1 - \beta_1)\, g, \; \hat{m} \leftarrow m / (1 - \beta_1^t)"
        r" \\ u \leftarrow \hat{m} / \max(\gamma h, \epsilon), \;\mathrm{within}\; \pm \mathrm{clip}"
        r" \\ \mathrm{every}\; k \;\mathrm{steps,}\; z = \pm 1 \mathrm{:}"
        r" \; h \leftarrow \beta_2 h + (1 - \beta_2)\, z \odot (\nabla^2 f(\theta)\, z)"
        r" \\ \theta \leftarrow \theta - \eta\, (u + \lambda \theta)",
        year=2023,
        paper="Liu et al. (2023), Sophia: A Scalable Stochastic Second-order Optimizer for Language Model "
        "Pre-training, ICLR 2024, arXiv:2305.14342",
        summary="Divides by a sampled Hessian diagonal and clips where that is small or negative.",
        good_for="Pre-training of language models; losses whose curvature differs between coordinates.",
        advantages=("real curvature for little more work per step", "clipping guards against bad estimates"),
        drawbacks=(
            "needs the loss as a function to differentiate twice",
            "sees the diagonal only: a slanted valley looks steep both ways",
            "the first steps are sign steps: the curvature is unknown yet",
        ),
        needs=("hessian",),
    ),
    OptimizerEntry(
        "sophia_h",
        sophia.sophia_h,
        (
            _rate(0.039),
            replace(_B1, default=0.96),
            _decay("b2", 0.99, "the Hessian diagonal, per estimate", 0.5, 0.9999),
            _log("eps", 1e-12, 1e-15, 1e-2, "smallest denominator"),
            _DECOUPLED,
            _log("gamma", 0.01, 1e-4, 10.0, "factor on the Hessian diagonal; smaller: longer steps"),
            _log("clip_threshold", 1.0, 0.01, 100.0, "largest step per coordinate, in learning rates"),
            _count("update_interval", 10, 1, 100, "steps between two estimates of the Hessian diagonal"),
            _SEED,
        ),
        formula=r"m \leftarrow \beta_1 m + (1 - \beta_1)\, g"
        r" \\ \mathrm{every}\; k \;\mathrm{steps,\;from\;the\;first,}\; z \sim N(0, I) \mathrm{:}"
        r" \; h \leftarrow \beta_2 h + (1 - \beta_2)\, z \odot (\nabla^2 f(\theta)\, z)"
        r" \\ u \leftarrow m / \max(\gamma h, \epsilon), \;\mathrm{within}\; \pm \mathrm{clip}"
        r" \\ \theta \leftarrow \theta - \eta\, (u + \lambda \theta)",
        year=2023,
        paper="Liu et al. (2023), Sophia: A Scalable Stochastic Second-order Optimizer for Language Model "
        "Pre-training, ICLR 2024, arXiv:2305.14342",
        summary="Sophia as published with Hutchinson's estimate of the Hessian diagonal, from normal numbers.",
        good_for="Seeing the published method, where Optax corrects a bias and draws signs.",
        advantages=("real curvature for little more work per step", "clipping guards against bad estimates"),
        drawbacks=(
            "needs the loss as a function to differentiate twice",
            "sees the diagonal only",
            "estimates can be negative: then the step is a sign step",
        ),
        needs=("hessian",),
    ),
    OptimizerEntry(
        "sophia_g",
        sophia.sophia_g,
        (
            _rate(0.18),
            replace(_B1, default=0.96),
            _decay("b2", 0.99, "the Hessian diagonal, per estimate", 0.5, 0.9999),
            _log("eps", 1e-12, 1e-15, 1e-2, "smallest denominator"),
            _DECOUPLED,
            _log("gamma", 0.05, 1e-4, 10.0, "factor on the Hessian diagonal; smaller: longer steps"),
            _log("clip_threshold", 1.0, 0.01, 100.0, "largest step per coordinate, in learning rates"),
            _count("update_interval", 10, 1, 100, "steps between two estimates of the Hessian diagonal"),
            _SEED,
        ),
        formula=r"m \leftarrow \beta_1 m + (1 - \beta_1)\, g"
        r" \\ \mathrm{every}\; k \;\mathrm{steps,\;from\;the\;first,}\; z \sim N(0, I) \mathrm{:}"
        r" \; h \leftarrow \beta_2 h + (1 - \beta_2)\, (J^\top z)^2"
        r" \\ u \leftarrow m / \max(\gamma h, \epsilon), \;\mathrm{within}\; \pm \mathrm{clip}"
        r" \\ \theta \leftarrow \theta - \eta\, (u + \lambda \theta)",
        year=2023,
        paper="Liu et al. (2023), Sophia: A Scalable Stochastic Second-order Optimizer for Language Model "
        "Pre-training, ICLR 2024, arXiv:2305.14342",
        summary="Sophia as published with the Gauss-Newton-Bartlett estimate: the squared gradient for drawn labels.",
        good_for="Sums of squares and, with labels drawn from the model, language models.",
        advantages=("estimates are never negative", "first derivatives only"),
        drawbacks=(
            "needs to know the residuals, or how the model draws labels",
            "sees the diagonal only",
            "an estimate from one draw is off by a factor of its own size",
        ),
        needs=("residuals",),
    ),
    OptimizerEntry(
        "muon",
        optax.contrib.muon,
        (
            _rate(0.29, "step size: the spectral norm of the update of a matrix, in parameter units"),
            _count("ns_steps", 5, 1, 10, "iterations of the orthogonalisation", True),
            _decay("beta", 0.95, "gradients of matrices"),
            _EPS,
            replace(_DECOUPLED, meaning="pull of matrices towards zero per step, times the learning rate"),
            replace(_NESTEROV, default=True),
            _choice("adaptive", False, "scale the update by its overlap with the momentum"),
            _choice("preconditioning", "frobenius", "scaling: 'frobenius', 'spectral', 'aol' or 'schatten'"),
            replace(_B1, name="adam_b1", meaning="b1 of the Adam that updates what is not a matrix"),
            replace(_B2, name="adam_b2", meaning="b2 of that Adam"),
            replace(_EPS_ROOT, name="adam_eps_root", meaning="eps_root of that Adam"),
            replace(_DECOUPLED, name="adam_weight_decay", meaning="weight decay of that Adam"),
            _log("adam_learning_rate", None, 1e-6, 10.0, "step size of that Adam; absent: the learning rate"),
            _log("consistent_rms", None, 0.01, 1.0, "size of a matrix update per entry; absent: by shape"),
        ),
        formula=r"m \leftarrow \beta m + (1 - \beta)\, g"
        r" \\ \hat{m} \leftarrow \beta m / (1 - \beta^{t+1}) + (1 - \beta)\, g / (1 - \beta^t)"
        r" \\ O \leftarrow \mathrm{NewtonSchulz}(\hat{m} / (\|\hat{m}\|_F + \epsilon)) \approx U V^T"
        r" \;\mathrm{of}\; \hat{m} = U \Sigma V^T"
        r" \\ \theta \leftarrow \theta - \eta\, (\sqrt{\max(1, \mathrm{columns} / \mathrm{rows})}\, O +"
        r" \lambda \theta)",
        year=2024,
        paper="Jordan et al. (2024), Muon: An optimizer for hidden layers in neural networks, "
        "https://kellerjordan.github.io/posts/muon/",
        summary="Momentum with all singular values of each matrix update set to about one.",
        good_for="The hidden weight matrices of language models.",
        advantages=("moves every singular direction alike", "half of Adam's state for matrices"),
        drawbacks=(
            "on a vector it is not itself: a 2-vector gets exactly NAdam",
            "never settles at a constant rate",
            "singular values end between about 0.7 and 1.2, not at 1",
        ),
        needs=("matrix",),
        torch=twins.MUON,
    ),
    OptimizerEntry(
        "galore",
        optax.contrib.galore,
        (
            _rate(1.3),
            _count("rank", 128, 1, 1024, "dimensions of the subspace in which moments are kept", True),
            _count("update_proj_gap", 200, 1, 1000, "steps between two choices of the subspace"),
            _log("scale", 1.0, 0.01, 10.0, "factor on the updates of matrices"),
            _DECOUPLED,
        ),
        formula=r"P \leftarrow \mathrm{first}\; r \;\mathrm{left\;singular\;vectors\;of}\; g,"
        r" \;\mathrm{every}\; T \;\mathrm{steps\;(right\;ones,}\; gP \;\mathrm{and}\; uP^T"
        r" \mathrm{,\;if\;wider\;than\;tall)} \\ u \leftarrow \mathrm{Adam}(P^T g)"
        r" \\ \theta \leftarrow \theta - \eta\, (s P u + \lambda \theta)",
        year=2024,
        paper="Zhao et al. (2024), GaLore: Memory-Efficient LLM Training by Gradient Low-Rank Projection, "
        "ICML 2024, arXiv:2403.03507",
        summary="Adam in the subspace of each matrix's gradient that carries most of it.",
        good_for="Training large matrices when Adam's moments do not fit in memory.",
        advantages=(
            "moments of rank times one side of a matrix",
            "all weights are trained, unlike with adapters",
        ),
        drawbacks=(
            "on a vector it is exactly Adam",
            "with the rank of the matrix it is Adam in rotated coordinates, with nothing saved",
            "old moments are kept when the subspace changes",
            "Optax 0.2.8 projects the longer side of a matrix, the paper the shorter",
        ),
        needs=("matrix",),
    ),
    # Optimizers around an optimizer.
    OptimizerEntry(
        "shampoo",
        shampoo.shampoo,
        (
            _rate(2.2),
            _log("eps", 1e-4, 1e-12, 1.0, "where the second moments begin, times the identity; squared gradients"),
            _count("max_precond_dim", 1200, 1, 10000, "longest axis with a matrix; a longer one has a diagonal", True),
        ),
        formula=r"L \leftarrow L + g g^\top, \; R \leftarrow R + g^\top g,"
        r" \; L = R = \epsilon I \;\mathrm{at\;the\;start}"
        r" \\ \theta \leftarrow \theta - \eta\, L^{-1/4} g R^{-1/4}"
        r" \\ \mathrm{of\;a\;vector:}\; \theta \leftarrow \theta - \eta\, L^{-1/2} g",
        year=2018,
        paper="Gupta, Koren & Singer (2018), Shampoo: Preconditioned Stochastic Tensor Optimization, ICML 2018, "
        "arXiv:1802.09568",
        summary="Divides a matrix by roots of its second moments on both sides; on a vector, full-matrix Adagrad.",
        good_for="Weight matrices whose rows or columns are correlated.",
        advantages=(
            "does not depend on a rotation of rows or of columns",
            "two small matrices in place of one of all parameters by all parameters",
        ),
        drawbacks=(
            "an eigendecomposition per axis at every step: its cube in work, its square in state",
            "the sums never forget, so that steps only shrink",
        ),
        needs=("matrix",),
    ),
    OptimizerEntry(
        "soap",
        soap.soap,
        (
            _rate(0.0087),
            replace(_B1, default=0.95),
            replace(_B2, default=0.95, meaning="share kept per step in the averages of squares and second moments"),
            _EPS,
            _DECOUPLED,
            _count("precondition_frequency", 10, 1, 100, "steps between two turns of the basis"),
            _choice("precondition_1d", False, "turn vectors too"),
            _count("max_precond_dim", 10000, 1, 10000, "longest axis that is turned", True),
        ),
        formula=r"g' \leftarrow Q_L^\top g\, Q_R, \; m \leftarrow \beta_1 m + (1 - \beta_1)\, g, \;"
        r" v \leftarrow \beta_2 v + (1 - \beta_2)\, g'^2"
        r" \\ \hat{m} \leftarrow Q_L^\top m\, Q_R / (1 - \beta_1^{t-1}), \; \hat{v} \leftarrow v / (1 - \beta_2^{t-1})"
        r" \\ \theta \leftarrow \theta - \eta\, (Q_L\, [\hat{m} / (\sqrt{\hat{v}} + \epsilon)]\, Q_R^\top"
        r" + \lambda \theta)"
        r" \\ L \leftarrow \beta_2 L + (1 - \beta_2)\, g g^\top, \; R \leftarrow \beta_2 R + (1 - \beta_2)\, g^\top g"
        r" \\ \mathrm{every}\; k \;\mathrm{steps:}\; Q_L \leftarrow \mathrm{qr}(L Q_L),"
        r" \; Q_R \leftarrow \mathrm{qr}(R Q_R)"
        r" \\ \mathrm{the\;first\;step\;makes\;only}\; L, R \;\mathrm{and\;their\;eigenvectors}\; Q_L, Q_R",
        year=2024,
        paper="Vyas et al. (2024), SOAP: Improving and Stabilizing Shampoo using Adam, ICLR 2025, arXiv:2409.11321",
        summary="Adam in the coordinates in which Shampoo's second moments are diagonal.",
        good_for="Pre-training with large batches, where a better direction is worth more work per step.",
        advantages=(
            "Adam's tuning carries over",
            "the basis may be old: Adam corrects for it at every step",
        ),
        drawbacks=(
            "on vectors it is Adam, one step late, unless precondition_1d",
            "four more small matrices per matrix",
            "the first step does not move",
        ),
        needs=("matrix",),
    ),
    OptimizerEntry(
        "lookahead",
        wrapped.lookahead,
        (
            _rate(0.00042, "step size of the fast optimizer, SGD with momentum"),
            _count("sync_period", 5, 1, 50, "fast steps between two slow ones", True),
            _linear("slow_step_size", 0.5, 0.05, 1.0, "share of the way to the fast parameters that is gone"),
            _HEAVY,
        ),
        formula=r"m \leftarrow \mu m + g \\ \theta \leftarrow \theta - \eta\, m"
        r" \\ \mathrm{every}\; k \;\mathrm{steps:} \; \phi \leftarrow \phi + \alpha (\theta - \phi),"
        r" \; \theta \leftarrow \phi",
        year=2019,
        paper="Zhang et al. (2019), Lookahead Optimizer: k steps forward, 1 step back, NeurIPS 2019, arXiv:1907.08610",
        summary="A fast optimizer runs ahead; every few steps a slow copy follows part of the way.",
        good_for="Damping an optimizer that oscillates.",
        advantages=("lowers the variance of the fast optimizer", "tolerates larger rates"),
        drawbacks=(
            "covers only part of the distance: slower along a straight valley",
            "one more copy of the parameters",
        ),
    ),
    OptimizerEntry(
        "sam",
        wrapped.sam,
        (
            _rate(0.0012, _PER_GRADIENT),
            _log("rho", 0.05, 1e-4, 1.0, "how far uphill the second gradient is taken, in parameter units"),
            _count("sync_period", 2, 1, 5, "gradients per step: one, and one after each climb", True),
            _MOMENTUM,
        ),
        formula=r"\hat{\theta} \leftarrow \theta + \rho\, g / \|g\|"
        r" \\ \theta \leftarrow \theta - \eta\, \nabla f(\hat{\theta})",
        year=2020,
        paper="Foret et al. (2020), Sharpness-Aware Minimization for Efficiently Improving Generalization, "
        "ICLR 2021, arXiv:2010.01412",
        summary="Descends with the gradient of the worst point nearby, and so prefers flat minima.",
        good_for="Networks that should generalise, if twice the work per step is affordable.",
        advantages=("leaves sharp minima for flat ones", "works around any optimizer; here SGD"),
        drawbacks=(
            "two gradients per step: count those, not steps",
            "cannot settle closer to a minimum than rho allows",
        ),
        needs=("gradient function",),
    ),
    OptimizerEntry(
        "mechanize",
        wrapped.mechanize,
        (
            _rate(10.0, "step size of the inner SGD, to which a learned factor is applied"),
            _linear("weight_decay", 0.01, 0.0, 0.1, "pull towards zero in the learning of the factor"),
            _log("eps", 1e-8, 1e-12, 1e-4, "added to the denominators, and to |h| in the running maximum"),
            _log("s_init", 1e-6, 1e-10, 1.0, "first value of the factor"),
            _count("num_betas", 6, 1, 8, "decays 0.9, 0.99, ... whose factors are added up", True),
        ),
        formula=r"s = s_1 + \ldots + s_k, \; \Delta \leftarrow (\theta_0 - \theta) / (s + \epsilon)"
        r" \\ h \leftarrow (g + \lambda s \theta \|g\| / (\|\theta\| + \epsilon)) \cdot \Delta,"
        r" \; \Delta \leftarrow \Delta + \eta\, g"
        r" \\ r_i \leftarrow \beta_i r_i + s_i\, \mathrm{clip}(h, \pm m_i),"
        r" \; m_i \leftarrow \max(\beta_i m_i, |h| + \epsilon), \; v_i \leftarrow \beta_i^2 v_i + h^2"
        r" \\ s_i \leftarrow (s_0 m_i / k + \max(r_i, 0)) / (\sqrt{v_i} + \epsilon), \; \beta_i = 1 - 10^{-i}"
        r" \\ \theta \leftarrow \theta_0 - \Delta\, (s_1 + \ldots + s_k)",
        year=2023,
        paper="Cutkosky et al. (2023), Mechanic: A Learning Rate Tuner, NeurIPS 2023, arXiv:2306.00144",
        summary="Learns a factor on the whole displacement of an inner optimizer by betting.",
        good_for="Putting an untuned inner optimizer to use; here SGD.",
        advantages=("tunes the scale of any inner optimizer", "keeps its schedule"),
        drawbacks=(
            "rescales the whole path from the start, which a curved valley does not allow",
            "one more copy of the parameters",
        ),
    ),
    OptimizerEntry(
        "schedule_free_sgd",
        wrapped.schedule_free_sgd,
        (
            _rate(0.0012, _PER_GRADIENT),
            _count("warmup_steps", None, 1, 1000, "steps of linear warm-up"),
            replace(_B1, low=0.1, meaning="place of the gradient: 0 at z, 1 at the average x"),
            replace(_L2, default=None),
            _linear("weight_lr_power", 2.0, 0.0, 4.0, "power of the rate in the weights of the average"),
        ),
        formula=r"z \leftarrow z - \eta\, g"
        r" \\ w \leftarrow (\max \eta)^p, \; W \leftarrow W + w, \; c \leftarrow w / W"
        r" \\ x \leftarrow (1 - c)\, x + c z \\ \theta \leftarrow \beta_1 x + (1 - \beta_1)\, z",
        year=2024,
        paper="Defazio et al. (2024), The Road Less Scheduled, NeurIPS 2024, arXiv:2405.15682",
        summary="SGD whose iterates are averaged as it goes, with gradients taken near the average.",
        good_for="Runs of unknown length: the average x is good at any time, without a schedule.",
        advantages=("no schedule and no end to fix in advance", "tolerates larger rates"),
        drawbacks=(
            "the loss counts at the average x, not at the parameters",
            "the average remembers the start: on a long path it lags behind",
        ),
    ),
    OptimizerEntry(
        "schedule_free_adamw",
        wrapped.schedule_free_adamw,
        (
            _rate(3.7),
            _count("warmup_steps", None, 1, 1000, "steps of linear warm-up"),
            replace(_B1, low=0.1, meaning="place of the gradient: 0 at z, 1 at the average x"),
            _B2,
            _EPS,
            _DECOUPLED,
            _linear("weight_lr_power", 2.0, 0.0, 4.0, "power of the rate in the weights of the average"),
        ),
        formula=r"v \leftarrow \beta_2 v + (1 - \beta_2)\, g^2, \; \hat{v} \leftarrow v / (1 - \beta_2^t)"
        r" \\ z \leftarrow z - \eta\, (g / (\sqrt{\hat{v}} + \epsilon) + \lambda \theta)"
        r" \\ w \leftarrow (\max \eta)^p, \; W \leftarrow W + w, \; c \leftarrow w / W"
        r" \\ x \leftarrow (1 - c)\, x + c z \\ \theta \leftarrow \beta_1 x + (1 - \beta_1)\, z",
        year=2024,
        paper="Defazio et al. (2024), The Road Less Scheduled, NeurIPS 2024, arXiv:2405.15682",
        summary="AdamW with averaging in place of momentum and of a schedule.",
        good_for="Deep networks trained without knowing for how long.",
        advantages=("no schedule and no end to fix in advance", "as little state as AdamW"),
        drawbacks=(
            "the loss counts at the average x, not at the parameters",
            "the average remembers the start: on a long path it lags behind",
        ),
    ),
)
