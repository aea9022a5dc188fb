"""The command line: `optviz run`, `optviz list`, `optviz show`.

Bad input ends with exit code 2 and one sentence, before anything is computed or written.
"""

from __future__ import annotations

import importlib
import json
import math
import shlex
from pathlib import Path
from typing import Annotated, Any, Literal

import jax
import numpy as np
import typer
from rich import box
from rich.markup import escape
from rich.table import Table

import experiments.report
import optviz
import surfaces
from optviz import app_command, check_command, job, lm_command, metrics, sweep_command
from optviz.arguments import parse_optimizer, parse_start, parse_surface, require_writable
from optviz.manifest import json_number
from optviz.terminal import console, errors, one_sentence, prepare
from optviz.trace import OptimizerTrace

app = typer.Typer(
    name="optviz",
    help="Optimizers made visible, measurable and checkable.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
# What a surface, an optimizer, the compiler or a picture raises for numbers that make no sense, or no room.
_REFUSALS = (ValueError, TypeError, OverflowError, RuntimeError)


def main() -> None:
    """The console script."""
    prepare()
    app()


@app.callback(invoke_without_command=True)
def _options(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        console.print(f"optviz {optviz.__version__}")
        raise typer.Exit


@app.command()
def run(
    optimizer: Annotated[
        list[str] | None,
        typer.Option(help="NAME or NAME:KEY=VALUE,KEY=VALUE. Repeatable. Default: six well-known ones."),
    ] = None,
    surface: Annotated[str, typer.Option(help="NAME or NAME:KEY=VALUE,... (see optviz list surfaces).")] = (
        "rosenbrock"
    ),
    start: Annotated[str | None, typer.Option(help="Numbers, e.g. -2,2. Default: the surface's own.")] = None,
    steps: Annotated[int, typer.Option(help="Number of steps.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of the noise of a stochastic surface.")] = 0,
    noise: Annotated[float, typer.Option(help="Standard deviation of Gaussian noise on the gradient.")] = 0.0,
    tolerance: Annotated[float, typer.Option(help="Steps are counted until the loss is this near its minimum.")] = (
        metrics.DEFAULT_TOLERANCE
    ),
    out: Annotated[Path, typer.Option(help="Folder for the run's own folder.")] = Path("runs"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Let optimizers descend a surface: record, measure, draw and save every step."""
    with one_sentence():
        specs = [parse_optimizer(text) for text in optimizer] if optimizer else job.well_known()
        descended = parse_surface(surface)
        at = parse_start(start, descended)
        key = _checked(steps=steps, seed=seed, noise=noise, tolerance=tolerance)
        require_writable("--out", out)
        if noise:
            descended = surfaces.Noisy(descended, gradient_scale=noise)
    with one_sentence(_REFUSALS):
        traces = job.record_rivals(specs, descended, at, steps, key)
        summaries = [metrics.summary(trace, tolerance) for trace in traces]
    if not as_json:
        console.print(result_table(traces, summaries, tolerance))
    command = _command(traces, surface, at, steps, seed, noise, tolerance)
    arguments = job.run_arguments(traces, seed, tolerance, command=command, noise=noise)
    with one_sentence((OSError, *_REFUSALS)), errors.status("") as status:
        show = (lambda what: None) if as_json else (lambda what: status.update(f"writing {what}"))
        folder, missing = job.write_run(traces, summaries, out, arguments, show)
    if as_json:
        results = [{"optimizer": t.name, **s} for t, s in zip(traces, summaries, strict=True)]
        results = [{k: json_number(v) for k, v in r.items()} for r in results]
        typer.echo(json.dumps({"folder": str(folder), "results": results}, indent=2))
    else:
        console.print(f"Written to [bold]{escape(str(folder))}[/bold]: {_listing(folder)}", soft_wrap=True)
        for picture, reason in missing.items():
            console.print(f"No {picture}: {escape(reason)}", soft_wrap=True)


app.command("sweep", no_args_is_help=True)(sweep_command.sweep)
app.command("check", context_settings={"ignore_unknown_options": True})(check_command.check)
app.command("app")(app_command.app)
app.add_typer(lm_command.app, name="lm")


@app.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
def experiment(
    name: Annotated[str, typer.Argument(help="One of optviz list experiments.")],
    words: Annotated[list[str] | None, typer.Argument(help="Its own options.")] = None,
) -> None:
    """Ask one of the questions of `optviz list experiments`; --help after its name shows its options."""
    if name == "--help":  # the word belongs to the experiment only after its name
        console.print("Usage: optviz experiment NAME [OPTIONS]; optviz experiment NAME --help shows them.")
        console.print(experiment_table())
        return
    with one_sentence():
        if name not in experiments.NAMES:
            raise ValueError(surfaces.unknown_name("experiment", name, experiments.NAMES))
    module = importlib.import_module(f"experiments.{name}")
    experiments.report.script(module.main, words or [], f"optviz experiment {name}")


@app.command("list")
def list_(what: Annotated[Literal["optimizers", "surfaces", "experiments"], typer.Argument()]) -> None:
    """List the catalogue of optimizers, of surfaces or of experiments."""
    tables = {"optimizers": optimizer_table, "surfaces": surface_table, "experiments": experiment_table}
    console.print(tables[what]())


def _checked(*, steps: int, seed: int, noise: float, tolerance: float) -> int:
    """The seed, once the numbers are known to be sensible."""
    if not 1 <= steps < 2**31:
        raise ValueError(f"--steps must be at least 1 and below 2**31, got {steps}.")
    if not 0 <= seed < 2**32:
        raise ValueError(f"--seed must be between 0 and 2**32 - 1, got {seed}.")
    if not (math.isfinite(noise) and noise >= 0):
        raise ValueError(f"--noise must be a finite number, at least 0, got {noise}.")
    if not (math.isfinite(tolerance) and tolerance > 0):
        raise ValueError(f"--tolerance must be a finite number above 0, got {tolerance}.")
    return seed


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="An optimizer or a surface.")],
    picture: Annotated[Path | None, typer.Option(help="Where to draw it. Default: runs/show/NAME.png.")] = None,
) -> None:
    """Show formula, text, hyperparameters and a picture of one optimizer or surface."""
    with one_sentence():
        shown = _entry_or_surface(name)
        filename = picture or Path("runs") / "show" / f"{name}.png"
        if filename.suffix.lower() not in (".png", ".svg", ".pdf"):
            raise ValueError(f"--picture must end in .png, .svg or .pdf, got {filename}.")
        require_writable("--picture", filename.parent)
    from optviz.plotting.files import save_picture

    if isinstance(shown, optviz.OptimizerEntry):
        _print_entry(shown)
        axes = optviz.plot_trajectory(optviz.record(shown.spec(), surfaces.Rosenbrock(), [-2.0, 2.0], 1000))
    else:
        _print_surface(shown)
        axes = _drawable(shown).plot_contours()
    with one_sentence((OSError,)):
        filename.parent.mkdir(parents=True, exist_ok=True)
        save_picture(axes, filename)
    console.print(f"\nPicture: [bold]{escape(str(filename))}[/bold]", soft_wrap=True)


def result_table(traces: list[OptimizerTrace], summaries: list[dict[str, Any]], tolerance: float) -> Table:
    """The metrics of a comparison, the best final loss in bold; ties are ties."""
    from optviz.plotting.style import labels, learning_rate

    first = traces[0]
    title = f"{first.surface.name}, {first.count} steps"
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", show_edge=False, pad_edge=False)
    table.add_column("optimizer", overflow="fold")
    for heading in ("rate", "final\nloss", "best\nloss", f"steps to\n{tolerance:g}", "distance\nto minimum"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("behaviour", no_wrap=True)
    best = min((s["final_loss"] for s in summaries if not s["diverged"]), default=None)
    for name, trace, result in zip(labels(traces), traces, summaries, strict=True):
        style = "bold green" if result["final_loss"] == best else "red" if result["diverged"] else None
        table.add_row(name, learning_rate(trace) or "-", *_cells(result), result["behaviour"], style=style)
    return table


def optimizer_table() -> Table:
    """The catalogue of optimizers, a line each."""
    table = Table(box=box.SIMPLE_HEAD, title=f"{len(optviz.CATALOGUE)} optimizers", title_justify="left")
    for heading in ("name", "year", "rate", "needs", "what it does"):
        table.add_column(heading, no_wrap=heading in ("name", "year"))
    for e in optviz.CATALOGUE:
        rate = "" if e.learning_rate is None else f"{e.learning_rate:g}"
        table.add_row(e.name, str(e.year), rate, ", ".join(e.needs), escape(e.summary))
    return table


def surface_table() -> Table:
    """The catalogue of surfaces, a line each."""
    table = Table(box=box.SIMPLE_HEAD, title=f"{len(surfaces.CATALOGUE)} surfaces", title_justify="left")
    for heading in ("name", "coefficients", "known minima", "what it is"):
        table.add_column(heading, no_wrap=heading == "name")
    for surface in (make() for make in surfaces.CATALOGUE):
        table.add_row(
            surface.name,
            ", ".join(surface.coefficients),
            str(len(surface.minima)),
            escape(summary_of(surface)),
        )
    return table


def experiment_table() -> Table:
    """The experiments, a line each."""
    table = Table(box=box.SIMPLE_HEAD, title=f"{len(experiments.NAMES)} experiments", title_justify="left")
    for heading in ("name", "question"):
        table.add_column(heading, no_wrap=heading == "name")
    for name in experiments.NAMES:
        table.add_row(name, escape(importlib.import_module(f"experiments.{name}").QUESTION))
    return table


def summary_of(surface: surfaces.LossSurface) -> str:
    """The first sentence of what is said of a surface."""
    return (type(surface).__doc__ or "").strip().splitlines()[0]


def _entry_or_surface(name: str) -> optviz.OptimizerEntry | surfaces.LossSurface:
    optimizers = {e.name: e for e in optviz.CATALOGUE}
    if name in optimizers:
        return optimizers[name]
    known = surfaces.names()
    if name not in known:
        raise ValueError(surfaces.unknown_name("optimizer or surface", name, [*optimizers, *known]))
    return surfaces.surface(name)


def _print_entry(e: optviz.OptimizerEntry) -> None:
    console.print(f"[bold]{e.name}[/bold] ({e.year}). {escape(e.summary)}\n")
    _print_formula(e.formula)
    console.print(f"\nGood for: {escape(e.good_for)}")
    for sign, sentences in (("+", e.advantages), ("-", e.drawbacks)):
        for sentence in sentences:
            console.print(f"  {sign} {escape(sentence)}")
    if e.needs:
        console.print(f"Needs: {', '.join(e.needs)}")
    console.print(f"Source: {escape(e.paper)}")
    table = Table(box=box.SIMPLE_HEAD)
    for heading in ("hyperparameter", "default", "range", "scale", "meaning"):
        table.add_column(heading)
    for h in e.hyperparameters:
        span = "" if h.low is None or h.high is None else f"{h.low:g} to {h.high:g}"
        table.add_row(h.name, "-" if h.default is None else f"{h.default}", span, h.scale, escape(h.meaning))
    console.print(table)
    console.print(f'optviz.optimizer("{e.name}")   |   optviz run --optimizer {e.name}', highlight=False)


def _print_surface(surface: surfaces.LossSurface) -> None:
    console.print(f"[bold]{surface.name}[/bold]. {escape(_prose(surface))}\n", highlight=False)
    _print_formula(surface.formula)
    for name, value in surface.coefficients.items():
        console.print(f"  {name} = {np.array2string(np.asarray(value), precision=4)}")
    console.print(f"Start: {_point(surface.start)}")
    minima = ", ".join(_point(m) for m in surface.minima) or "none known"
    value = surface.minimum_value
    console.print(f"Global minima: {minima}" + ("" if value is None else f"; loss there {float(value):.6g}"))
    console.print(f"Source: {escape(surface.source)}")
    console.print(f"surfaces.{type(surface).__name__}()   |   optviz run --surface {surface.name}", highlight=False)


def _print_formula(latex: str) -> None:
    """The formula in LaTeX, a line for each of its lines."""
    for line in latex.split(r"\\"):
        console.print("  " + escape(line.strip()), style="cyan", highlight=False, soft_wrap=True)


def _drawable(surface: surfaces.LossSurface) -> surfaces.LossSurface:
    """The surface itself if it has two parameters, else a plane through its start."""
    if getattr(surface.start, "shape", None) == (2,):
        return surface
    return surfaces.Slice.random(surface, surface.start, jax.random.key(0))


def _point(params: Any) -> str:
    if not hasattr(params, "shape") or params.size > 8:
        return f"{sum(np.size(leaf) for leaf in jax.tree.leaves(params))} numbers"
    return "(" + ", ".join(f"{float(x):.7g}" for x in np.ravel(params)) + ")"


def _prose(surface: surfaces.LossSurface) -> str:
    return " ".join((type(surface).__doc__ or "").split())


def _cells(result: dict[str, Any]) -> list[str]:
    reached = result["steps_to_tolerance"]
    return [
        f"{result['final_loss']:.3g}",
        f"{result['best_loss']:.3g}",
        f"{reached:.0f}" if math.isfinite(reached) else "-",
        f"{result['distance_to_minimum']:.3g}",
    ]


def _command(
    traces: list[OptimizerTrace],
    surface: str,
    start: Any,
    steps: int,
    seed: int,
    noise: float,
    tolerance: float,
) -> str:
    """The command that repeats this run, every number said."""
    words = ["optviz", "run", "--surface", surface]
    for trace in traces:
        values = {**trace.optimizer.hyperparameters, **dict(trace.optimizer.options)}
        words += ["--optimizer", f"{trace.name}:{','.join(f'{k}={v}' for k, v in values.items())}"]
    if getattr(start, "ndim", 0) == 1:
        words += ["--start=" + ",".join(repr(float(x)) for x in start)]
    words += [
        "--steps",
        str(steps),
        "--seed",
        str(seed),
        "--noise",
        repr(noise),
        "--tolerance",
        repr(tolerance),
    ]
    return shlex.join(words)


def _listing(folder: Path) -> str:
    return ", ".join(sorted(p.name + ("/" if p.is_dir() else "") for p in folder.iterdir()))
