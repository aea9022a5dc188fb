"""The modules of the widget, and the one text into which they are joined for a notebook."""

import re

import pytest

from optviz.widget import MODULES, explore, joined

IMPORT = re.compile(r'^import [^;]*? from "\./(\w+)\.js";$', re.MULTILINE)
DEFINED = re.compile(r"^(?:export )?(?:const|let|async function|function|class) (\w+|\[[^\]]*\])", re.MULTILINE)


def names(text):
    """What a module defines at its top level."""
    return [name for found in DEFINED.findall(text) for name in re.findall(r"\w+", found)]


def test_every_module_is_listed_after_those_that_it_imports():
    seen = []
    for module in MODULES:
        assert set(IMPORT.findall(module.read_text())) <= set(seen)
        seen.append(module.stem)
    assert sorted(seen) == sorted(file.stem for file in MODULES[0].parent.glob("*.js"))


def test_no_name_is_defined_twice_so_that_modules_can_be_joined():
    defined = [name for module in MODULES for name in names(module.read_text())]
    assert len(defined) > 50
    assert len(defined) == len(set(defined))


def test_no_name_is_changed_by_an_import():
    """Joined, a name is the one under which it was defined."""
    assert not any(re.search(r"^import [^;]*( as |\*)", module.read_text(), re.MULTILINE) for module in MODULES)


def test_joining_drops_imports_and_exports_and_nothing_else():
    def kept(text):
        return re.sub(r"^(import [^;]*;|export {[^}]*};|export (?!default))", "", text, flags=re.MULTILINE).split()

    assert joined().split() == [word for module in MODULES for word in kept(module.read_text())]
    assert re.findall(r"^(?:import|export)\b.*", joined(), re.MULTILINE) == ["export default {"]


def test_the_joined_text_is_what_a_notebook_runs():
    """In the browser too: `/notebook` of `conftest.py` imports it."""
    assert explore("sphere", "gd")._esm == joined()


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.stem)
def test_every_label_is_found_by_the_catalogues_of_languages(module):
    """Babel does not look into template literals: a label marked there would stay English."""
    texts = pytest.importorskip("optviz.app.texts", reason="the extra `app` is not installed")
    marked = re.findall(r'\bt\(\s*"([^"]+)"', module.read_text())
    assert set(marked) <= set(texts.messages_of_the_module())
