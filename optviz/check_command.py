"""`optviz check`: every law on an optimizer of one's own, from the command line."""

from __future__ import annotations

import importlib
import io
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

import surfaces
from optviz.arguments import parse_value
from optviz.conformance import Report, check_optimizer
from optviz.conformance.law import described
from optviz.optimizers import CATALOGUE, as_optimizer, entry
from optviz.optimizers.spec import OptimizerSpec
from optviz.terminal import console, one_sentence


def check(
    target: Annotated[str, typer.Argument(help="PACKAGE.MODULE:FACTORY, or an optimizer of the catalogue.")],
    words: Annotated[
        list[str] | None, typer.Argument(help="Its hyperparameters: --learning_rate 0.1 --b1 0.8.")
    ] = None,
    expect: Annotated[list[str] | None, typer.Option(help="LAW=REASON of a known failure. Repeatable.")] = None,
    only: Annotated[list[str] | None, typer.Option(help="A law, or a group of them: edges. Repeatable.")] = None,
    reference: Annotated[str | None, typer.Option(help="An optimizer to agree with, as TARGET.")] = None,
    budget: Annotated[int, typer.Option(min=1, help="Steps in which it must descend a bowl.")] = 1000,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    page: Annotated[Path | None, typer.Option("--html", help="Write the report as a page.")] = None,
) -> None:
    """Check an optimizer against every law; exit code 0 if nothing fails, 1 if something does."""
    with one_sentence((ValueError, TypeError, ImportError, AttributeError, OSError)):
        given = _hyperparameters(words or [])
        optimizer = _target(target)
        other = None if reference is None else _built(_target(reference), given)
        report = check_optimizer(
            optimizer,
            expected_failures={**_known_failures(target), **dict(map(_expectation, expect or []))},
            only=only,
            reference=other,
            budget=budget,
            **given,
        )
        if page is not None:
            report.write_html(page, _picture(_built(optimizer, given)) if _runs(report) else None)
    if as_json:
        typer.echo(report.as_json())
    else:
        _print(report)
    raise typer.Exit(0 if report.passed else 1)


def _runs(report: Report) -> bool:
    """Whether there is a path to draw."""
    return all(r.law.id != "protocol.runs" for r in report.failures)


def _print(report: Report) -> None:
    console.print(report.table())
    if report.traits:
        console.print("\nTraits, reported and not judged")
    for trait, value in report.traits.items():
        console.print(f"  {trait}: {value}", highlight=False)


def _target(text: str) -> Any:
    """The factory or transformation that `package.module:name` names, or an optimizer of the catalogue."""
    module, colon, name = text.partition(":")
    if not colon:
        if text not in (e.name for e in CATALOGUE) and "." in text:
            raise ValueError(f"Expected PACKAGE.MODULE:FACTORY or an optimizer of the catalogue, got {text!r}.")
        return entry(text).spec()
    if str(Path.cwd()) not in sys.path:  # as `python -m` does it
        sys.path.insert(0, str(Path.cwd()))
    try:
        found: Any = importlib.import_module(module)
    except Exception as error:
        raise ValueError(f"{module} cannot be imported: {described(error)}") from error
    for part in name.split("."):
        found = getattr(found, part)
    return found


def _built(optimizer: Any, given: dict[str, Any]) -> Any:
    if callable(optimizer) and not hasattr(optimizer, "update"):
        return OptimizerSpec(optimizer, **given)
    return optimizer.replace(**given) if given and isinstance(optimizer, OptimizerSpec) else as_optimizer(optimizer)


def _hyperparameters(words: Sequence[str]) -> dict[str, Any]:
    """`--learning_rate 0.1 --nesterov true` as hyperparameters."""
    pairs: list[str] = []
    for word in words:
        name, equals, value = word.partition("=")
        pairs += [name, value] if equals and word.startswith("--") else [word]
    names, values = pairs[::2], pairs[1::2]
    if len(names) != len(values) or not all(name.startswith("--") for name in names):
        raise ValueError(f"Hyperparameters are given as --NAME VALUE, got {' '.join(words)!r}.")
    names = [name.removeprefix("--").replace("-", "_") for name in names]
    return {name: parse_value(value, name) for name, value in zip(names, values, strict=True)}


def _known_failures(target: str) -> Mapping[str, str]:
    return {} if ":" in target else entry(target).known_failures


def _expectation(text: str) -> tuple[str, str]:
    law, equals, reason = text.partition("=")
    if not (law and equals and reason):
        raise ValueError(f"--expect needs LAW=REASON, got {text!r}.")
    return law, reason


def _picture(optimizer: Any) -> str:
    """The path on a bowl, as SVG text."""
    import matplotlib.pyplot as plt

    from optviz.plotting import plot_trajectory
    from optviz.trace import record

    bowl = surfaces.QuadraticBowl()
    axes = plot_trajectory(record(optimizer, bowl, bowl.start, 100))
    figure: Any = axes.get_figure(root=True)
    text = io.StringIO()
    figure.savefig(text, format="svg", bbox_inches="tight")
    plt.close(figure)
    return text.getvalue()[text.getvalue().index("<svg") :]
