"""The glossary: the terms that the other pages use, in a sentence or two each."""

from __future__ import annotations

from fastapi import Request
from markupsafe import Markup

from optviz.app.shell import _, frame, joined, write

TERMS = (
    (_("Loss"), _("The number to make small. A surface gives it for every point; a step should lower it.")),
    (
        _("Gradient"),
        _("The vector of slopes. It points uphill, across the level sets, and its length says how steep it is there."),
    ),
    (
        _("Learning rate"),
        _(
            "The factor on every step. Too small: nothing moves. Too large: the path overshoots and the loss grows. "
            "Rates of different optimizers cannot be compared: each has its own unit."
        ),
    ),
    (
        _("Momentum"),
        _(
            "A running sum of past gradients. Along a valley they add up, across it they cancel; so the path is "
            "faster along it and swings less across it."
        ),
    ),
    (
        _("Adaptive step"),
        _("Each coordinate is divided by the size of its recent gradients, so that steep and flat ones move alike."),
    ),
    (
        _("Hessian"),
        _("The matrix of second derivatives: how the gradient changes from place to place, the curvature."),
    ),
    (
        _("Eigenvalues of the Hessian"),
        _(
            "The curvatures along its main directions. All positive: a bowl. One negative: a saddle. Gradient descent "
            "is stable where the rate is below 2 divided by the largest."
        ),
    ),
    (
        _("Condition number"),
        _(
            "The largest curvature divided by the smallest. At 1 the level sets are circles; at 1000 they are a "
            "ravine, in which plain gradient descent takes on the order of 1000 steps."
        ),
    ),
    (
        _("Newton step"),
        _("The step to the minimum of the local quadratic model. Exact on a quadratic; at a saddle it goes astray."),
    ),
    (
        _("Quadratic model"),
        _("The loss near a point as its value, its slope and its curvature say: an ellipse of equal height in a bowl."),
    ),
    (
        _("Saddle point"),
        _("A point without slope that is a minimum one way and a maximum another. Paths linger there."),
    ),
    (_("Local minimum"), _("Lower than everything near it, but not the lowest of all.")),
    (_("Schedule"), _("A rule by which the learning rate changes during a run: a warm-up, a decay, a cycle.")),
    (_("Weight decay"), _("A pull of the parameters to zero. Decoupled: added to the step, not to the loss.")),
    (
        _("Regularisation"),
        _("A penalty on large parameters. The page on regularisation shows what L1, L2 and the elastic net do."),
    ),
    (_("Gradient noise"), _("A random vector added to every gradient, as examples drawn at random would cause it.")),
    (
        _("Seed"),
        _("The number from which the noise is drawn. The same seed gives every optimizer the same draws, every time."),
    ),
    (_("Divergence"), _("A run whose loss grows without bound. It is a result and is shown as such, never cut off.")),
    (
        _("Steps to tolerance"),
        _("How many steps it takes until the loss first comes within the tolerance of its minimum."),
    ),
    (
        _("Fair comparison"),
        _(
            "The same start, the same steps, the same noise, and the same effort of tuning for every optimizer. "
            "One rate for all is not fair."
        ),
    ),
    (_("Basin of attraction"), _("All the starting points from which an optimizer reaches the same minimum.")),
    (_("Level set"), _("All the points of one loss: a line on the map, as on a map of hills.")),
)


def glossary_page(request: Request) -> None:
    """The terms, and the way to the page on regularisation."""
    with frame(request, _("Glossary")) as texts:
        write(
            Markup(
                '<h1>{}</h1><p><a class="button" href="/glossary/regularisation">{}</a></p><dl class="terms">{}</dl>'
            ).format(
                texts("Glossary"),
                texts("Regularisation: L1, L2, elastic net"),
                joined("<dt>{}</dt><dd>{}</dd>", ((texts(term), texts(meaning)) for term, meaning in TERMS)),
            )
        )
