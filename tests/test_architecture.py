"""The house rules that a machine can check: imports point down, and importing optviz stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS = (
    ("surfaces", "optviz.parallel", "optviz.terminal"),
    ("optviz.optimizers",),
    ("optviz.trace", "optviz.arguments", "optviz.manifest"),
    ("optviz.torch_state",),
    ("optviz.metrics", "optviz.torch", "optviz.folders"),
    ("optviz.sweeps",),
    ("optviz.conformance",),
    ("optviz.plotting", "optviz.store", "optviz.tensorboard"),
    ("optviz.language_model",),
    ("optviz.job",),
    ("optviz.playground",),
    ("optviz.widget",),
    ("optviz",),
    ("experiments", "optviz.lm_options"),
    ("optviz.app", "optviz.lm_report", "optviz.lm_self_play_command"),
    ("optviz.lm_compare_command",),
    ("optviz.sweep_command", "optviz.check_command", "optviz.app_command", "optviz.lm_command", "optviz.pytest_plugin"),
    ("optviz.cli",),
    ("optviz.__main__",),
)
MODULES = sorted(p for top in ("optviz", "surfaces", "experiments") for p in (ROOT / top).rglob("*.py"))


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def part(module):
    """The longest entry of LAYERS that `module` belongs to."""
    names = [n for layer in LAYERS for n in layer if module == n or module.startswith(n + ".")]
    names = [n for n in names if n != "optviz" or module == "optviz"]
    assert names, f"{module} has no place in the layers"
    return max(names, key=len)


def level(name):
    return next(i for i, layer in enumerate(LAYERS) if name in layer)


def imports(tree, everywhere=True):
    """The project's modules that a file imports, inside functions too if `everywhere`."""
    known = {module_name(p) for p in MODULES}
    for node in ast.walk(tree) if everywhere else tree.body:
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                if full in known or node.module in known:
                    yield full if full in known else node.module


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_imports_point_down(path):
    own = part(module_name(path))
    for imported in imports(ast.parse(path.read_text())):
        target = part(imported)
        assert target == own or level(target) < level(own), f"{module_name(path)} imports {imported}"


def test_modules_import_each_other_without_cycles():
    graph = {module_name(p): set(imports(ast.parse(p.read_text()), everywhere=False)) for p in MODULES}
    done = set()

    def visit(module, above):
        assert module not in above, f"cycle: {' -> '.join([*above, module])}"
        if module not in done:
            for imported in graph[module] - {module}:
                visit(imported, [*above, module])
            done.add(module)

    for module in graph:
        visit(module, [])


def test_importing_optviz_brings_no_library_at_all():
    heavy = "{'jax', 'numpy', 'matplotlib', 'plotly', 'xarray', 'torch', 'tensorboardX', 'nicegui', 'pandas', 'typer'}"
    code = f"import sys, optviz, optviz.pytest_plugin; print(sorted({heavy} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert result.stdout.strip() == "[]"


def test_every_public_name_exists():
    import optviz
    import surfaces

    for module in (optviz, surfaces):
        for name in module.__all__:
            assert getattr(module, name) is not None
