"""What tests of the language model share."""

import pytest


@pytest.fixture(scope="module", autouse=True)
def _quickly(compiled_quickly):
    """Their models are tiny, and much of their time is the compiler's."""
