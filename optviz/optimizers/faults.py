"""Laws of `optviz.conformance` that optimizers of the catalogue are known to break, with the reason.

By name of the optimizer, then by id of the law. The checker expects these failures strictly: one that a later version
of Optax mends is a failure of this table. Found with Optax 0.2.8.
"""

from __future__ import annotations

_MIXED = "arithmetic with a scalar of the whole tree promotes the leaves of lower precision to float32"
_NO_PARAMS = "update maps over params=None, and the error is about the structure of trees"
_ZERO_GRADIENT = "the estimate of the distance is 0 / 0 until a gradient is not zero, and NaN stays"
_UNDERFLOW = "squares or eps of the estimate underflow, and zero is divided by zero"
_ROOT = "the root of zero, taken at the first step, has an infinite derivative, and 0 times infinity is NaN"
_REFUSED = "update takes grad_fn and refuses the other arguments, which wrappers hand on to all"
_HESSIAN = "the Hessian of n parameters is a matrix of n times n numbers: this is the method itself"

FAULTS: dict[str, dict[str, str]] = {
    "rprop": {
        "wrapping.schedule": "the rate fills the first step sizes, so that a callable is no number where one is needed",
    },
    "sm3": {
        "wrapping.schedule": "the factory negates the rate itself instead of using scale_by_learning_rate",
        "edges.scalar_leaf": "it indexes the first axis, which a scalar has not",
        "edges.empty_matrix": "the maximum over an axis of length 0 has no value",
    },
    "radam": {
        "transformations.differentiable": "the rectification is a root of a negative number in the branch not taken",
    },
    "novograd": {"protocol.needs_params_or_not": _NO_PARAMS},
    "dpsgd": {"types.mixed_tree": _MIXED},
    "dog": {
        "protocol.needs_params_or_not": _NO_PARAMS,
        "transformations.differentiable": _ROOT,
        "types.mixed_tree": _MIXED,
    },
    "dowg": {"protocol.needs_params_or_not": _NO_PARAMS, "types.mixed_tree": _MIXED},
    "dadapt_adamw": {
        "types.float16": _UNDERFLOW,
        "edges.zero_first_gradient": _ZERO_GRADIENT,
        "edges.zero_gradients": _ZERO_GRADIENT,
    },
    "prodigy": {
        "types.float16": _UNDERFLOW,
        "types.mixed_tree": _MIXED,
        "edges.zero_first_gradient": _ZERO_GRADIENT,
        "edges.zero_gradients": _ZERO_GRADIENT,
    },
    "polyak_sgd": {"types.mixed_tree": _MIXED},
    "momo": {"types.mixed_tree": _MIXED},
    "momo_adam": {"types.mixed_tree": _MIXED},
    "mechanize": {
        "transformations.differentiable": _ROOT,
        "types.bfloat16": "an update is the difference of two displacements, which in 8 bits are the same",
        "types.float16": _UNDERFLOW,
        "types.mixed_tree": "a clamp between bounds of other types than the leaf raises TypeError",
    },
    "sophia": {
        "types.mixed_tree": "the random signs of all leaves are cast to the type of one, and jvp wants that of each"
    },
    "galore": {
        "types.complex64": "averages are cast from complex to real numbers, which drops the imaginary part",
        "edges.none_leaf": "it asks every leaf for its dtype, and None has none",
    },
    "muon": {"edges.empty_matrix": "the quotient of an empty matrix's sides divides by zero"},
    "lbfgs": {
        "protocol.needs_params_or_not": _NO_PARAMS,
        "transformations.scan": "the line search counts its steps from a weakly typed 0 and goes on with a strong type",
        "transformations.no_retrace": "the same weak type, gone after the first step, is another program",
        "transformations.differentiable": "the line search is a while loop, which has no reverse mode",
        "types.mixed_tree": _MIXED,
        "wrapping.tree_map_params": "the state's shape depends on the size of the parameters that init is given",
        "edges.zero_first_gradient": "without a slope the line search fails, and the next begins at its rate of 0",
    },
    "lookahead": {"protocol.needs_params_or_not": _NO_PARAMS},
    "schedule_free_sgd": {"protocol.needs_params_or_not": _NO_PARAMS},
    "sam": {
        "wrapping.inject_hyperparams": _REFUSED,
        "wrapping.multi_steps": _REFUSED,
        "wrapping.chain": _REFUSED,
        "wrapping.apply_if_finite": _REFUSED,
    },
    "newton": {"edges.huge_leaf": _HESSIAN},
    "damped_newton": {"edges.huge_leaf": _HESSIAN},
}
