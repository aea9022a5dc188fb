"""The README says what is true: its tables are the catalogues, its Python runs.

`python -m tests.test_readme` writes the tables anew.
"""

import importlib
import re
from pathlib import Path

import pytest

import experiments
import optviz
import surfaces
from optviz.cli import summary_of
from optviz.conformance import LAWS
from optviz.optimizers.twins import ONLY_IN_TORCH

README = Path(__file__).parent.parent / "README.md"


def optimizer_table():
    rows = ["| name | year | rate | needs | what it does |", "|---|---|---|---|---|"]
    for e in optviz.CATALOGUE:
        rate = "" if e.learning_rate is None else f"{e.learning_rate:g}"
        rows.append(f"| `{e.name}` | {e.year} | {rate} | {', '.join(e.needs)} | {e.summary} |")
    return "\n".join(rows)


def surface_table():
    rows = ["| name | coefficients | known minima | what it is |", "|---|---|---|---|"]
    for make in surfaces.CATALOGUE:
        surface = make()
        minima = len(surface.minima) if surface.minima_are_isolated else "a continuum"
        coefficients = ", ".join(f"`{name}`" for name in surface.coefficients)
        rows.append(f"| `{surface.name}` | {coefficients} | {minima or '-'} | {summary_of(surface)} |")
    return "\n".join(rows)


def experiment_table():
    rows = ["| name | question |", "|---|---|"]
    rows += [f"| `{name}` | {importlib.import_module(f'experiments.{name}').QUESTION} |" for name in experiments.NAMES]
    return "\n".join(rows)


def torch_table():
    rows = ["| `torch.optim` | here | agree to | what differs, and how to match it |", "|---|---|---|---|"]
    twins = [(e.torch, e.name) for e in optviz.CATALOGUE if e.torch is not None]
    for twin, name in sorted(twins, key=lambda pair: pair[0].name.lower()):
        agree = "" if twin.differs else f"{twin.tolerance:g}"
        rows.append(f"| `{twin.name}` | `{name}` | {agree} | {twin.differs or twin.note} |")
    rows += [f"| `{name}` |  |  | {reason} |" for name, reason in ONLY_IN_TORCH.items()]
    return "\n".join(rows)


def fault_table():
    known = [(is_optax(e), e.name, law, why) for e in optviz.CATALOGUE for law, why in e.known_failures.items()]
    known.sort(key=lambda row: not row[0])
    theirs = [row for row in known if row[0]]
    optimizers = len({name for _, name, _, _ in theirs})
    head = f"{len(LAWS)} laws on {len(optviz.CATALOGUE)} optimizers: {len(theirs)} failures in {optimizers} of Optax's"
    head += f", {len(known) - len(theirs)} in {len({row[1] for row in known}) - optimizers} of the others."
    rows = [head, "", "| optimizer | of | breaks | because |", "|---|---|---|---|"]
    rows += [f"| `{name}` | {'Optax' if o else 'optviz'} | `{law}` | {why} |" for o, name, law, why in known]
    return "\n".join(rows)


def is_optax(entry):
    """Whether an entry's optimizer is Optax's own, perhaps in a wrapper that gives it a schedule or a key."""
    return entry.factory.__module__.startswith("optax") or entry.factory.__module__.endswith(".wrapped")


TABLES = {
    "faults": fault_table,
    "torch": torch_table,
    "optimizers": optimizer_table,
    "surfaces": surface_table,
    "experiments": experiment_table,
}


def between(text, name):
    return re.search(f"<!-- {name} -->\n(.*?)<!-- /{name} -->", text, re.DOTALL)


@pytest.mark.parametrize("name", TABLES)
def test_the_tables_are_the_catalogues(name):
    assert between(README.read_text(), name).group(1).strip() == TABLES[name](), "run python -m tests.test_readme"


def test_the_python_of_the_readme_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scope = {}
    for block in re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL):
        exec(compile(block, "README.md", "exec"), scope)
    assert (tmp_path / "comparison.png").stat().st_size > 10_000


if __name__ == "__main__":
    text = README.read_text()
    for name, table in TABLES.items():
        start, end = between(text, name).span(1)
        text = f"{text[:start]}{table()}\n{text[end:]}"
    README.write_text(text)
