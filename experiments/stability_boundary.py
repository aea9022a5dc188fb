"""Where is the edge between training that converges and training that diverges, and is it a line or a fractal?

A small two-layer tanh network is trained by gradient descent with one learning rate for each layer, once for every
pixel of the plane of the two rates. Sohl-Dickstein (2024), arXiv:2402.06184, found the edge to be a fractal at all
depths that double precision shows, of dimension 1.17 to 1.98 by the box-counting estimate used here.

The sweep runs over the two hyperparameters of an optimizer, `layerwise_gd`, which multiplies the gradient of each layer
by a rate of its own; network, windows and box counts are in `experiments/trainability.py`. Every zoom is drawn around a
pixel of the edge chosen at random. As a control the same pixels are trained in single precision, and the same is
measured of a loss whose edge is straight.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any

import jax
import numpy as np
import typer

from experiments.parts.trainability import (
    FINEST,
    Separable,
    TanhNetwork,
    Window,
    edge_of,
    local_dimensions,
    trainability,
)
from experiments.report import RUNS, Out, Points, Report, Steps, present, script

QUESTION = "Where does training begin to diverge, and is that edge a line or a fractal?"
ZOOM = 8.0
WHOLE = Window(1.6, 12.6, 1.6)
_CHECKED = 200  # pixels along a side that are trained in single precision too


def run_stability_boundary(
    neurons: int = 4,
    seed: int = 3,
    window: Window = WHOLE,
    *,
    points: int = 200,
    num_steps: int = 300,
    zooms: int = 2,
) -> Report:
    """Draw the plane of the two learning rates, and estimate the dimension of the edge.

    Args:
      neurons: of the network, which has as many inputs and `neurons * (neurons + 1)` weights and examples.
      seed: draws network and data, and where to zoom.
      window: the centre of the picture, in rates, and its sides, in decades.
      points: pixels along each side; with less than 16 there are no boxes of two sizes, and no dimension.
      num_steps: the number of training steps for each pixel.
      zooms: how many further pictures, each 8 times smaller than the one before.

    Raises:
      ValueError: for a window that makes no sense, or is too small for double precision.
    """
    _check(window, points, zooms)
    with jax.enable_x64(True):
        network = TanhNetwork.random(neurons, seed)
        views = zoom_in(network, window, points, num_steps, zooms, seed)
        straight = trainability(Separable(), Window(2.0, 2.0, 1.0), points, num_steps)
    changed = changed_in_single_precision(views[0], neurons, seed, window, num_steps)
    named = {("whole" if i == 0 else f"zoom_{i}"): view for i, view in enumerate(views)}
    table = [_row(name, view) for name, view in (*named.items(), ("straight edge", straight))]
    data = {**named, "straight_edge": straight, "single_precision": changed}
    return Report("stability_boundary", QUESTION, _answer(table, changed), table, data, _pictures(named, straight))


def _check(window: Window, points: int, zooms: int) -> None:
    if not (window.first_rate > 0 and window.second_rate > 0 and 0 < window.decades < 20):
        raise ValueError(f"The window needs positive rates at its centre and sides of 0 to 20 decades, got {window}.")
    if points < 2:
        raise ValueError(f"points must be at least 2, got {points}.")
    apart = math.log(10) * window.decades / ZOOM**zooms / points
    if apart < FINEST:
        raise ValueError(
            f"Neighbouring rates would differ by {apart:.1g} of their size, too little for double precision; "
            f"take a larger window, fewer points or fewer zooms than {zooms}."
        )


def zoom_in(network: TanhNetwork, window: Window, points: int, num_steps: int, zooms: int, seed: int) -> list[Any]:
    """The plane in `window`, and in each of the `zooms` smaller ones; fewer if a window holds no edge."""
    views = [trainability(network, window, points, num_steps)]
    for zoom in range(zooms):
        edge = edge_of(views[-1].diverged.values)
        if not edge.any():
            break
        window = window.zoomed(edge, ZOOM, seed + zoom)
        views.append(trainability(network, window, points, num_steps))
    return views


def changed_in_single_precision(view: Any, neurons: int, seed: int, window: Window, num_steps: int) -> Any:
    """Some of the picture's pixels trained in single precision: `diverged`, and whether that is `changed`."""
    stride = -(-view.sizes["first_rate"] // _CHECKED)
    fine = view.isel(first_rate=slice(None, None, stride), second_rate=slice(None, None, stride))
    with jax.enable_x64(False):
        network = TanhNetwork.random(neurons, seed)
        single = trainability(network, window, view.sizes["first_rate"], num_steps, stride)
    near = edge_of(fine.diverged.values)
    changed = fine.diverged.values != single.diverged.values
    single["changed"] = (single.diverged.dims, changed)
    return single.assign_attrs(
        changed=changed.mean(),
        changed_at_edge=changed[near].mean() if near.any() else math.nan,
        dimension=dimension(near),
        dimension_in_single=dimension(edge_of(single.diverged.values)),
    )


def dimension(edge: Any) -> float:
    """The median of the local dimensions; NaN if there are none."""
    slopes = local_dimensions(edge)
    return float(np.median(slopes)) if slopes.size else math.nan


def _row(name: str, view: Any) -> dict[str, Any]:
    diverged = view.diverged.values
    slopes = local_dimensions(edge_of(diverged))
    told = view.attrs
    return {
        "picture": name,
        "first rate": told["first_rate"],
        "second rate": told["second_rate"],
        "decades": told["decades"],
        "diverged %": 100 * float(diverged.mean()),
        "at the edge %": 100 * float(edge_of(diverged).mean()),
        "dimension": dimension(edge_of(diverged)),
        "from": float(slopes.min(initial=math.inf)) if slopes.size else math.nan,
        "to": float(slopes.max(initial=-math.inf)) if slopes.size else math.nan,
        "seconds": told["seconds"],
    }


def _answer(table: Sequence[dict[str, Any]], changed: Any) -> str:
    *views, straight = table
    dimensions = ", ".join(f"{row['dimension']:.2f} ({row['decades']:.2g} decades)" for row in views)
    return "\n".join(
        (
            f"The edge has box-counting dimension {dimensions}, the median over sizes of boxes; a straight edge "
            f"measured in the same way {straight['dimension']:.2f}. Sohl-Dickstein (2024) found 1.17 to 1.98 in six "
            "setups.",
            f"Between sizes of boxes the estimate varies from {min(row['from'] for row in views):.2f} to "
            f"{max(row['to'] for row in views):.2f}: read it as rough, and as a number of these pictures.",
            f"In single precision {100 * changed.attrs['changed']:.2g} % of all pixels and "
            f"{100 * changed.attrs['changed_at_edge']:.2g} % of those at the edge have another verdict; the "
            f"dimension of these pixels is {changed.attrs['dimension_in_single']:.2f} instead of "
            f"{changed.attrs['dimension']:.2f}.",
        )
    )


def _pictures(views: dict[str, Any], straight: Any) -> dict[str, Any]:
    from experiments.parts.trainability_pictures import draw_box_counts, draw_plane

    windows = [Window(*(view.attrs[name] for name in Window._fields)) for view in views.values()]
    following = [*windows[1:], None]
    planes = {name: draw_plane(view, inner) for (name, view), inner in zip(views.items(), following, strict=True)}
    return {**planes, "dimension": draw_box_counts({**views, "straight edge": straight})}


def parse_window(center: str, width: float) -> Window:
    """`1.6,12.6` and a width in decades as a window."""
    try:
        first, second = map(float, center.split(","))
    except ValueError:
        raise ValueError(f"--center needs two learning rates such as 1.6,12.6, got {center!r}.") from None
    return Window(first, second, width)


def main(
    center: Annotated[
        str, typer.Option(help="The rates of the first and the second layer at the centre.")
    ] = "1.6,12.6",
    width: Annotated[float, typer.Option(help="The sides of the picture, in decades.")] = WHOLE.decades,
    zooms: Annotated[int, typer.Option(min=0, help="How many further pictures, each 8 times smaller.")] = 2,
    neurons: Annotated[int, typer.Option(min=1, help="Inputs and hidden neurons of the network.")] = 4,
    seed: Annotated[int, typer.Option(min=0, help="Draws the network, its data, and where to zoom.")] = 3,
    steps: Steps = 300,
    points: Points = 200,
    out: Out = RUNS,
) -> None:
    """Where does training begin to diverge, and is that edge a line or a fractal?"""

    def experiment() -> Report:
        window = parse_window(center, width)
        return run_stability_boundary(neurons, seed, window, points=points, num_steps=steps, zooms=zooms)

    present(experiment, out)


if __name__ == "__main__":
    script(main)
