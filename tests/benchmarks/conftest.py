"""What the measurements share."""

import pytest


@pytest.fixture
def figure(benchmark):
    """`figure(measured, asked, unit)`: print, keep, and hold to what was asked, when benchmarks are on."""

    def report(name, measured, asked, unit, more_is_better):
        benchmark.extra_info[name] = measured
        print(f"\n{name}: {measured:.3g} {unit} (asked: {'at least' if more_is_better else 'at most'} {asked:g})")
        if benchmark.enabled:
            assert measured >= asked if more_is_better else measured <= asked

    return report
