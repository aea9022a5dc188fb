"""`optviz sweep`: a sweep from the command line, its best runs, a picture and files that other programs open."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from rich import box
from rich.markup import escape
from rich.table import Table

import surfaces
from optviz.arguments import parse_axis, parse_optimizer, parse_range, parse_start, parse_surface, require_writable
from optviz.folders import publish, scratch_folder
from optviz.sweeps import DEFAULT_METRICS, log_uniform
from optviz.sweeps import sweep as run_sweep
from optviz.terminal import console, one_sentence

if TYPE_CHECKING:
    import xarray

_BEST = 5


def sweep(
    axis: Annotated[
        list[str] | None,
        typer.Option(help="NAME=VALUE,VALUE or NAME=LOW:HIGH:COUNT or NAME=LOW:HIGH:COUNT:log. Repeatable."),
    ] = None,
    random: Annotated[list[str] | None, typer.Option(help="NAME=LOW:HIGH, drawn log-uniformly. Repeatable.")] = None,
    draws: Annotated[int, typer.Option(min=1, help="How many points the random design has.")] = 100,
    optimizer: Annotated[str, typer.Option(help="NAME or NAME:KEY=VALUE,KEY=VALUE.")] = "adam",
    surface: Annotated[str, typer.Option(help="NAME or NAME:KEY=VALUE,... (see optviz list surfaces).")] = "rosenbrock",
    start: Annotated[str | None, typer.Option(help="Numbers, e.g. -2,2. Default: the surface's own.")] = None,
    steps: Annotated[int, typer.Option(min=1, max=2**31 - 1, help="Number of steps of each run.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of the noise and of the random design; the first of the axis.")] = 0,
    noise: Annotated[float, typer.Option(min=0, help="Standard deviation of Gaussian noise on the gradient.")] = 0.0,
    metric: Annotated[list[str] | None, typer.Option(help="A metric to measure. Repeatable.")] = None,
    trace: Annotated[list[str] | None, typer.Option(help="A column of every run to keep. Repeatable.")] = None,
    store: Annotated[Path | None, typer.Option(help="A Zarr folder; a killed sweep goes on from it.")] = None,
    scheduler: Annotated[str | None, typer.Option(help="Address of a Dask scheduler, tcp://HOST:PORT.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for the sweep's own folder.")] = Path("runs"),
) -> None:
    """Run an optimizer at every point of a grid of hyperparameters, coefficients, seeds and starts."""
    with one_sentence((ValueError, TypeError, OSError, OverflowError)):
        require_writable("--out", out)
        descended = parse_surface(surface)
        at = parse_start(start, descended)
        if noise:
            descended = surfaces.Noisy(descended, gradient_scale=noise)
        axes: dict[str, Any] = dict(map(parse_axis, axis or ()))
        if random:
            axes["run"] = log_uniform(draws, seed, **dict(map(parse_range, random)))
        swept = run_sweep(
            parse_optimizer(optimizer),
            descended,
            at,
            steps,
            axes=axes,
            metrics=metric or DEFAULT_METRICS,
            trace=trace or False,
            store=store,
            executor=scheduler,
            seed=seed,
        )
        console.print(best_table(swept))
        folder, missing = write_sweep(swept, descended, out)
    console.print(f"Written to [bold]{escape(str(folder))}[/bold]", soft_wrap=True)
    if missing:
        console.print(f"No picture: {escape(missing)}", soft_wrap=True)


def best_table(swept: xarray.Dataset) -> Table:
    """The best points by the first metric, the median over seeds; how many runs diverged is in the title."""
    metrics = _metrics(swept).drop_vars("diverged", errors="ignore")
    first = next(iter(metrics))
    points = metrics.median("seed") if "seed" in swept.dims else metrics
    rows = points.to_dataframe().reset_index().sort_values(first, na_position="last").head(_BEST)
    title = f"{swept.optimizer} on {swept.surface}, {swept.num_steps} steps, {metrics[first].size} runs"
    if "diverged" in swept:
        title += f", {int(swept.diverged.sum())} diverged"
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", show_edge=False, pad_edge=False)
    for heading in rows:
        table.add_column(escape(str(heading)).replace("_", " "), justify="right")
    for row in rows.itertuples(index=False):
        table.add_row(*(_cell(value) for value in row))
    return table


def _cell(value: Any) -> str:
    number = float(value)
    return "-" if math.isnan(number) else f"{number:.3g}"


def _metrics(swept: xarray.Dataset) -> xarray.Dataset:
    """The metrics, without the columns of runs."""
    return swept[[name for name, v in swept.items() if "step" not in v.dims]]


def write_sweep(swept: xarray.Dataset, surface: surfaces.LossSurface, out: Path) -> tuple[Path, str | None]:
    """Data (NetCDF), metrics (CSV), picture and manifest in a new folder under `out`; why there is no picture."""
    now = datetime.now(UTC)
    with scratch_folder(out) as folder:
        swept.to_netcdf(folder / "sweep.nc")
        _metrics(swept).to_dataframe().to_csv(folder / "metrics.csv")
        manifest = {"created": now.isoformat(timespec="seconds"), **json.loads(swept.manifest)}
        (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", "utf-8")
        missing = _draw(swept, surface, folder / "sweep.png")
        return publish(folder, out / f"sweep-{swept.optimizer}-{swept.surface}-{now:%Y%m%d-%H%M%S}"), missing


def _draw(swept: xarray.Dataset, surface: surfaces.LossSurface, file: Path) -> str | None:
    """The picture that suits the dimensions, or why there is none."""
    import matplotlib.pyplot as plt

    from optviz.plotting.files import save_picture

    try:
        axes = picture(swept, surface)
    except ValueError as reason:
        return str(reason)
    save_picture(axes, file)
    plt.close(axes.get_figure(root=True))
    return None


def picture(swept: xarray.Dataset, surface: surfaces.LossSurface) -> Any:
    """A curve over one dimension, a map over two, a map of basins over starts, else parallel coordinates."""
    from optviz import plotting

    metric = next(str(name) for name in swept)
    dims = [str(dim) for dim in _metrics(swept).dims if dim != "seed"]
    if dims == ["start.x1", "start.x2"] and "nearest_minimum" in swept:
        return plotting.plot_basins(swept, surface=surface)
    if len(dims) == 1 and dims[0] in swept.coords and _is_plain(swept, dims):
        return plotting.plot_rate_curve(swept, metric=metric, over=dims[0])
    if len(dims) == 2 and _is_plain(swept, dims):
        return plotting.plot_heat_map(swept, x=dims[0], y=dims[1], metric=metric)
    return plotting.plot_parallel_coordinates(swept, metric=metric)


def _is_plain(swept: xarray.Dataset, dims: Sequence[str]) -> bool:
    """Whether along each of these dimensions varies what it is called by, in several values."""
    return all(dim in swept.coords and np.unique(swept[dim]).size > 1 and dim != "start" for dim in dims)
