"""The notebooks run from top to bottom in the Python of the tests, and are stored without what they show."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from ipykernel.kernelspec import write_kernel_spec
from nbformat.v4 import new_code_cell, new_notebook

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))
MOST_CELLS = 16
every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@pytest.fixture
def execute(tmp_path):
    """`pytest --nbmake` on a notebook that is alone in its folder; what the cells show is written into it."""
    folder, settings = tmp_path / "notebooks", tmp_path / "settings"
    folder.mkdir()
    # A kernel of this name found elsewhere on the machine could be another Python.
    write_kernel_spec(settings / "kernels" / "python3")
    environment = {**os.environ, "JUPYTER_PATH": str(settings), "IPYTHONDIR": str(settings / "ipython")}
    environment.pop("MPLBACKEND", None)  # that of the tests would show no picture
    command = [sys.executable, "-m", "pytest", "--nbmake", "--overwrite", "-n", "0"]
    command += ["-p", "no:cacheprovider", "-p", "no:benchmark"]  # which leave folders behind

    def run(notebook, name="notebook.ipynb"):
        nbformat.write(notebook, folder / name)
        result = subprocess.run([*command, name], cwd=folder, env=environment, capture_output=True, text=True)
        return result, nbformat.read(folder / name, 4), sorted(path.name for path in folder.iterdir())

    return run


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_there_are_notebooks():
    assert NOTEBOOKS


@every_notebook
def test_a_notebook_is_short_text_and_code_in_turn_without_outputs(path):
    notebook = nbformat.read(path, nbformat.NO_CONVERT)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert notebook.metadata.kernelspec.name == "python3"
    assert len(notebook.cells) <= MOST_CELLS
    kinds = [cell.cell_type for cell in notebook.cells]
    assert kinds[0] == "markdown" and ("code", "code") not in itertools.pairwise(kinds)
    for cell in code_cells(notebook):
        assert cell.outputs == [] and cell.execution_count is None, cell.source


@every_notebook
def test_a_notebook_runs_draws_first_complains_of_nothing_and_leaves_nothing_behind(path, execute):
    result, executed, left = execute(nbformat.read(path, 4), path.name)
    assert result.returncode == 0, result.stdout[-10_000:]
    outputs = [cell.outputs for cell in code_cells(executed)]
    assert any("image/png" in output.get("data", {}) for output in outputs[0])
    assert [output.text for shown in outputs for output in shown if output.get("name") == "stderr"] == []
    assert left == [path.name]


@pytest.mark.parametrize(
    ("source", "code"), [(f"import sys\nassert sys.executable == {sys.executable!r}", 0), ("1 / 0", 1)]
)
def test_the_kernel_is_this_python_and_a_failing_cell_fails(source, code, execute):
    result, _, _ = execute(new_notebook(cells=[new_code_cell(source)]))
    assert result.returncode == code, result.stdout
