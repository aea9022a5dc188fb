"""Questions about optimizers. One file, one question: a function that returns a `Report`, and a script.

    python -m experiments.learning_rate_sweep --surface rosenbrock --optimizer adam
    optviz experiment learning_rate_sweep --surface rosenbrock --optimizer adam

What was found, with dates and negative results, is in `LOG.md`.
"""

NAMES = (
    "learning_rate_sweep",
    "momentum_effects",
    "adaptive_lr_behavior",
    "convergence_analysis",
    "hyperparameter_interactions",
    "pathological_cases",
    "stability_boundary",
    "noise_robustness",
)
