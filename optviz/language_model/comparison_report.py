"""What a comparison leaves in its folder: numbers, tables, pictures and the report."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optviz.language_model.checkpoints import write_whole
from optviz.language_model.comparison_pictures import (
    plot_diagnostics,
    plot_losses,
    plot_paths,
    save_and_close,
    title,
    what_was_equal,
)
from optviz.language_model.standings import RULE, Run, sentences, table
from optviz.manifest import environment, json_number

if TYPE_CHECKING:
    from optviz.language_model.comparison import Comparison


def write_comparison(comparison: Comparison, out: Path) -> None:
    """Write what a comparison leaves into the folder `out`, each file whole or not at all."""
    rows = comparison_table(comparison)
    write_whole(out / "table.csv", _as_csv(rows))
    write_whole(out / "curves.csv", _as_csv(_curve_rows(comparison)))
    write_whole(out / "results.json", _as_json_bytes(results(comparison)))
    save_and_close(plot_losses(comparison)[0], out / "loss_curves.png")
    save_and_close(plot_diagnostics(comparison)[0], out / "diagnostics.png")
    save_and_close(plot_paths(comparison)[0], out / "weight_paths.png")
    write_whole(out / "report.md", report(comparison).encode())


def comparison_table(comparison: Comparison) -> list[dict[str, Any]]:
    """A row for every optimizer, the best first; see `standings.table`."""
    return table(comparison.standings, comparison.target, bits_per_nat(comparison))


def answer(comparison: Comparison) -> list[str]:
    """What the comparison says, a sentence each; see `standings.sentences`."""
    return sentences(comparison.standings)


def bits_per_nat(comparison: Comparison) -> float:
    """Bits per byte of the validation text for each nat per token."""
    about = comparison.model.config["data"]["validation"]
    return (about["tokens"] - 1) / about["predicted_bytes"] / math.log(2)


def results(comparison: Comparison) -> dict[str, Any]:
    """All that was found, as data for JSON; infinite and unknown numbers are still floats."""
    rows = {row["optimizer"]: row for row in comparison_table(comparison)}
    return {
        "plan": comparison.plan.as_json(),
        "model": {k: comparison.model.config[k] for k in ("model", "training", "data", "about")},
        "target": comparison.target,
        "answer": answer(comparison),
        "rule": RULE,
        "optimizers": [
            {
                **rows[standing.label],
                "hyperparameters": dict(standing.hyperparameters),
                "tuning": [run._asdict() for run in standing.tuning],
                "runs": [run._asdict() for run in standing.runs],
            }
            for standing in comparison.standings
        ],
        **environment(),
    }


def report(comparison: Comparison) -> str:
    """The comparison in Markdown: the answer, the table, what was equal, and the rule of significance."""
    rows = [told_row(row) for row in comparison_table(comparison)]
    cells = [list(rows[0]), ["---"] * len(rows[0]), *(list(row.values()) for row in rows)]
    parts = [
        f"# {title(comparison)}",
        "\n".join(f"- {sentence}" for sentence in answer(comparison)),
        "\n".join(f"| {' | '.join(line)} |" for line in cells),
        f"{target_sentence(comparison.target)} {_TIMES}",
        f"Equal for all: {what_was_equal(comparison)}.",
        RULE,
        "![Losses](loss_curves.png)",
        "![What went on inside the runs](diagnostics.png)",
        "![Paths of the weights](weight_paths.png)",
    ]
    return "\n\n".join(parts) + "\n"


_TIMES = (
    "Steps to it are the median over the seeds, on a straight line between validations; seconds are these steps times "
    "the median time of a step, without compilation and validations."
)


def target_sentence(target: float | None) -> str:
    """Which loss was to be reached."""
    if target is None:
        return "There is no target, since the first optimizer diverged."
    return f"The target is a validation loss of {target:.4f} nats per token."


def told_row(row: Mapping[str, Any]) -> dict[str, str]:
    """A row of the table as a person reads it."""
    seconds = row["seconds_per_step"]
    return {
        "optimizer": row["optimizer"],
        "rate": "-" if math.isnan(row["rate"]) else f"{row['rate']:.3g}" + (" (edge)" if row["rate_on_edge"] else ""),
        "validation loss": _with_interval(row, "loss"),
        "bits per byte": _with_interval(row, "bits_per_byte"),
        "steps to target": _time(row["steps_to_target"], ".0f"),
        "seconds to target": _time(row["seconds_to_target"], ".3g"),
        "reached": f"{row['reached_target']} of {row['seeds']}",
        "ms per step": f"{1000 * seconds:.3g}",
        "diverged": f"{row['diverged']} of {row['seeds']}",
    }


def _with_interval(row: Mapping[str, Any], name: str) -> str:
    value, low, high = (row[key] for key in (name, f"{name}_low", f"{name}_high"))
    if not math.isfinite(value):
        return "infinite"
    return f"{value:.4f}" + (f" [{low:.4f}, {high:.4f}]" if math.isfinite(high) else "")


def _time(value: float, form: str) -> str:
    return "-" if math.isnan(value) else "never" if math.isinf(value) else format(value, form)


def _curve_rows(comparison: Comparison) -> list[dict[str, Any]]:
    """Every validation of every run, a row each."""
    bits = bits_per_nat(comparison)
    return [
        {"optimizer": standing.label, "stage": stage, "rate": run.rate, "seed": run.seed, **point}
        for standing in comparison.standings
        for stage, runs in (("tuning", standing.tuning), ("judging", standing.runs))
        for run in runs
        for point in _points(run, bits)
    ]


def _points(run: Run, bits: float) -> list[dict[str, Any]]:
    return [
        {
            "step": step,
            "seconds": step * run.seconds_per_step,
            "training_loss": training,
            "validation_loss": loss,
            "bits_per_byte": loss * bits,
        }
        for step, training, loss in zip(run.steps, run.training_losses, run.losses, strict=True)
    ]


def _as_csv(rows: Sequence[Mapping[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _as_json_bytes(data: Any) -> bytes:
    def plain(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {k: plain(v) for k, v in value.items()}
        return [plain(v) for v in value] if isinstance(value, list | tuple) else json_number(value)

    return (json.dumps(plain(data), indent=1, allow_nan=False) + "\n").encode()
