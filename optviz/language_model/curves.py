"""What a training run records, as CSV and, if wanted, for TensorBoard."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array

from optviz.language_model.checkpoints import write_whole
from optviz.optimizers.states import path_of
from optviz.trace import OptimizerStep

CURVES, VALIDATION = "curves.csv", "validation.csv"
_VALIDATION_COLUMNS = ("step", "seconds", "validation_loss", "bits_per_byte", "sharpness")


def step_columns(row: OptimizerStep) -> dict[str, Array]:
    """What is recorded of a step: the loss in nats, L2 norms before clipping, and the same by part of the model."""
    gradients, updates, weights = (_norms(tree) for tree in (row.gradients, row.updates, row.params))
    ratios = {part: updates[part] / weights[part] for part in weights}
    return {
        "step": row.index,
        "loss": row.loss,
        "learning_rate": jnp.asarray(_learning_rate(row.hyperparameters), float),
        "update_to_weight": row.step_size / optax.tree.norm(row.params),
        "gradient_norm": row.gradient_norm,
        **{f"update_to_weight/{part}": ratio for part, ratio in ratios.items()},
        **{f"gradient_norm/{part}": norm for part, norm in gradients.items()},
    }


def _norms(tree: Any) -> dict[str, Array]:
    """The L2 norm of every part of the weights: embeddings, each block, the last norm."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    names = dict.fromkeys(path_of(path[:2]) for path, _ in leaves)
    return {name: optax.tree.norm([leaf for path, leaf in leaves if path_of(path[:2]) == name]) for name in names}


def _learning_rate(hyperparameters: Any) -> Any:
    """That in force, in the first group if there are groups; NaN for an optimizer without one."""
    for value in (hyperparameters, *hyperparameters.values()):
        if isinstance(value, dict) and value.get("learning_rate") is not None:
            return value["learning_rate"]
    return math.nan


class Curves:
    """The two tables of a run in its folder: `curves.csv` of steps, `validation.csv` of validations.

    Row `step` of either is what was known after that many steps. `curves.csv` has no times: two runs that are alike
    have the same file. `validation.csv` has the seconds spent training.
    """

    def __init__(self, folder: Path, tensorboard: str | Path | None = None):
        self.folder, self._tensorboard, self._writer = folder, tensorboard, None
        self._latest = {"loss": math.nan, "validation_loss": math.nan, "bits_per_byte": math.nan}

    def __enter__(self) -> Curves:
        return self

    def __exit__(self, *error: object) -> None:
        if self._writer is not None:
            self._writer.close()

    def latest(self) -> tuple[float, float, float]:
        """The last loss, validation loss and bits per byte; NaN where there is none."""
        return self._latest["loss"], self._latest["validation_loss"], self._latest["bits_per_byte"]

    def keep_until(self, step: int) -> None:
        """Forget what was recorded after the checkpoint at `step`, from which the run goes on: it comes again."""
        if self._tensorboard is not None:
            # What a killed run wrote beyond `step` comes again.
            self._writer = summary_writer()(str(self._tensorboard), purge_step=step)
        for name, last in ((CURVES, step - 1), (VALIDATION, step if step else -1)):
            table = read_curves(self.folder / name)
            kept = table["step"] <= last if table else np.zeros(0, bool)
            if not kept.any():
                (self.folder / name).unlink(missing_ok=True)
                continue
            lines = (self.folder / name).read_text(encoding="utf-8").splitlines(keepends=True)
            lines = lines[:1] + [line for line, keep in zip(lines[1:], kept, strict=False) if keep]
            write_whole(self.folder / name, "".join(lines).encode())
            self._remember({k: v[kept] for k, v in table.items()})

    def add_steps(self, rows: dict[str, np.ndarray], every: int = 1) -> None:
        """Append the steps of a block, (n,) each column, of which every `every`th is written."""
        self._remember(rows)
        chosen = rows["step"] % every == 0
        self._append(CURVES, {k: v[chosen] for k, v in rows.items()})

    def add_validation(self, step: int, seconds: float, loss: float, bits: float, sharpness: float) -> None:
        """Append one validation."""
        row = dict(zip(_VALIDATION_COLUMNS, (step, seconds, loss, bits, sharpness), strict=True))
        columns = {k: np.array([v]) for k, v in row.items()}
        self._remember(columns)
        self._append(VALIDATION, columns)

    def _remember(self, columns: dict[str, np.ndarray]) -> None:
        self._latest |= {k: float(columns[k][-1]) for k in self._latest if k in columns and len(columns[k])}

    def _append(self, name: str, columns: dict[str, np.ndarray]) -> None:
        path, text = self.folder / name, io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        if not path.exists():
            writer.writerow(columns)
        writer.writerows(zip(*(map(_digits, column) for column in columns.values()), strict=True))
        with path.open("a", encoding="utf-8") as file:
            file.write(text.getvalue())
        self._write_tensorboard(columns)

    def _write_tensorboard(self, columns: dict[str, np.ndarray]) -> None:
        if self._writer is None:
            return
        for name, column in columns.items():
            for step, value in zip(columns["step"], column, strict=True):
                if name != "step" and not math.isnan(value):
                    self._writer.add_scalar(name, float(value), int(step))
        self._writer.flush()


def read_curves(path: str | Path) -> dict[str, np.ndarray]:
    """The columns of `curves.csv` or `validation.csv`, (n,) each; empty if there is no file yet.

    A last line that a killed run left unfinished is left out.

    Raises:
      ValueError: for a file that is no such table.
    """
    path = Path(path)
    if not path.exists():
        return {}
    header, *rows = path.read_bytes().decode("utf-8", errors="replace").split("\n")[:-1] or [""]
    names = header.strip().split(",") if header else []
    try:
        table = np.loadtxt(rows, delimiter=",", ndmin=2, comments=None) if rows else np.zeros((0, len(names)))
    except ValueError:
        table = np.zeros(0)
    if table.shape != (len(rows), len(names)):
        raise ValueError(f"{path} is damaged: not all of its rows are numbers, one for each name in its first line.")
    return {name: table[:, i] for i, name in enumerate(names)}


def told_divergence(folder: Path) -> str:
    """Of a model's folder: a sentence if its last validation loss is higher than its first, or not finite; else ""."""
    losses = read_curves(folder / VALIDATION).get("validation_loss", np.zeros(0))
    if not len(losses) or losses[-1] <= losses[0]:
        return ""
    return (
        f"It diverged: the validation loss was {losses[0]:.4g} at the start and is {losses[-1]:.4g} now. "
        "A new model with a lower learning rate may learn."
    )


def _digits(value: Any) -> str:
    """The shortest text that reads back as the same number."""
    return str(int(value)) if isinstance(value, np.integer) else str(value)


def summary_writer() -> Any:
    """The class that writes for TensorBoard.

    Raises:
      ModuleNotFoundError: if tensorboardX is not installed; the sentence says how it is.
    """
    try:
        from tensorboardX import SummaryWriter
    except ModuleNotFoundError as error:
        sentence = "TensorBoard's curves need tensorboardX: pip install 'optviz[tensorboard]'."
        raise ModuleNotFoundError(sentence, name="tensorboardX") from error
    return SummaryWriter
