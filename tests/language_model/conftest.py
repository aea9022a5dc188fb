"""What tests of the language model share."""

import jax
import pytest


@pytest.fixture(scope="module", autouse=True)
def _compiled_quickly():
    """Without XLA's optimizations: these programs are many, tiny and run a few times, here and in worker processes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
        jax.config.update("jax_disable_most_optimizations", True)
        yield
        jax.config.update("jax_disable_most_optimizations", False)
