"""What an experiment returns, prints and writes; and the options that experiments share."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from optviz.arguments import parse_optimizer, require_writable
from optviz.folders import publish, scratch_folder
from optviz.job import well_known
from optviz.manifest import environment
from optviz.terminal import console, one_sentence, prepare

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes

Optimizers = Annotated[
    list[str] | None,
    typer.Option("--optimizer", help="NAME or NAME:KEY=VALUE,... Repeatable. Default: well-known ones."),
]
SurfaceName = Annotated[str, typer.Option("--surface", help="NAME or NAME:KEY=VALUE,... (see optviz list surfaces).")]
Start = Annotated[str | None, typer.Option("--start", help="Numbers, e.g. -2,2. Default: the surface's own.")]
Steps = Annotated[int, typer.Option("--steps", min=1, help="Number of steps of each run.")]
Points = Annotated[int, typer.Option("--points", min=2, help="How many values along each axis.")]
Seeds = Annotated[int, typer.Option("--seeds", min=1, help="How many seeds.")]
Out = Annotated[Path, typer.Option("--out", help="Folder for the experiment's own folder.")]
RUNS = Path("runs")


@dataclasses.dataclass(frozen=True)
class Report:
    """What an experiment found: the answer in words, and what it rests on.

    `answer` is one sentence per line, each computed from the data. `table` has a mapping per row, all with the same
    keys in the same order. `data` are the measurements by name, `pictures` axes of each figure by name.
    """

    name: str
    question: str
    answer: str
    table: Sequence[Mapping[str, Any]]
    data: Mapping[str, xarray.Dataset]
    pictures: Mapping[str, Axes]

    def write(self, out: str | Path = RUNS) -> Path:
        """Write answer, table (CSV), data (NetCDF), pictures (PNG) and a manifest to a new folder under `out`."""
        import matplotlib.pyplot as plt

        from optviz.plotting.files import save_picture

        now = datetime.now(UTC)
        with scratch_folder(out) as folder:
            (folder / "answer.txt").write_text(f"{self.question}\n\n{self.answer}\n", "utf-8")
            with (folder / "table.csv").open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, list(self.table[0]))
                writer.writeheader()
                writer.writerows(self.table)
            for name, dataset in self.data.items():
                dataset.to_netcdf(folder / f"{name}.nc")
            for name, axes in self.pictures.items():
                save_picture(axes, folder / f"{name}.png")
                plt.close(axes.get_figure(root=True))
            manifest = {"experiment": self.name, "created": now.isoformat(timespec="seconds"), **environment()}
            (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", "utf-8")
            return publish(folder, Path(out) / f"{self.name}-{now:%Y%m%d-%H%M%S}")

    def print(self) -> None:
        """Print question, answer and table."""
        console.print(f"[bold]{escape(self.question)}[/bold]\n", soft_wrap=True)
        console.print(escape(self.answer) + "\n", highlight=False, soft_wrap=True)
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
        for heading, value in self.table[0].items():
            table.add_column(heading, justify="left" if isinstance(value, str) else "right")
        for row in self.table:
            table.add_row(*(_cell(value) for value in row.values()))
        # Wider than the terminal rather than cut: numbers without their last digits say something else.
        needed = console.measure(table, options=console.options.update_width(500)).maximum
        Console(width=max(console.width, needed)).print(table)


def _cell(value: Any) -> str:
    """Numbers in three digits, nothing for what is not known."""
    if isinstance(value, float):
        return "-" if math.isnan(value) else f"{value:.3g}"
    return escape(str(value))


def parse_optimizers(texts: Sequence[str] | None) -> list[Any]:
    """The optimizers of the option `--optimizer`; the well-known ones if there is none."""
    return [parse_optimizer(text) for text in texts] if texts else well_known()


def present(experiment: Callable[[], Report], out: Path) -> None:
    """Run an experiment, print what it found and write it; bad input ends with one sentence and exit code 2."""
    with one_sentence((OSError, ValueError, TypeError)):
        require_writable("--out", out)
        report = experiment()
        report.print()
        folder = report.write(out)
    console.print(f"Written to [bold]{escape(str(folder))}[/bold]", soft_wrap=True)


def script(main: Callable[..., None], args: Sequence[str] | None = None, name: str | None = None) -> None:
    """Run `main` as a command: on the words of the command line, or on `args`."""
    prepare()
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    app(args, prog_name=name)
