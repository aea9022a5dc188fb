"""Settings of every test: compiled programs are kept between runs and shared between workers."""

import os
import sys
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("MPLBACKEND", "agg")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parent.parent / ".jax_cache"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
# Most of a test's time is that of XLA's compiler, which this halves: fused operations go to LLVM without MLIR.
# Benchmarks run what users run. XLA ends a process that gives it a flag which it does not know.
if "--benchmark-enable" not in sys.argv and version("jaxlib").startswith("0.10."):
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_use_fusion_emitters=false"
os.environ["COLUMNS"] = "200"  # rich takes the width of the terminal once, when it is first imported

import jax
import jaxtyping
import pytest

import tests.typechecking  # noqa: F401 - jaxtyping finds it by its full name

# Shapes and types of every call in the tests are checked; users pay nothing for it, and benchmarks neither.
if "--benchmark-enable" not in sys.argv:
    jaxtyping.install_import_hook(["optviz", "surfaces"], "tests.typechecking.checked")


@pytest.fixture(scope="module", autouse=True)
def _programs_of_one_module_only():
    """Compiled programs go with their module: a process may map 65,530 pieces of memory, and each takes several."""
    yield
    jax.clear_caches()


@pytest.fixture(scope="module")
def compiled_quickly():
    """Without XLA's optimizations, for programs that are many, small and run a few times, here and in workers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
        jax.config.update("jax_disable_most_optimizations", True)
        yield
        jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture
def unchecked():
    """As a user runs it, without the type checks that would refuse bad input before the code under test does."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def x64():
    """Double precision for one test."""
    with jax.enable_x64(True):
        yield


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    """The test in single and in double precision."""
    with jax.enable_x64(request.param == "float64"):
        yield request.param
