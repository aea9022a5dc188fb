"""A comparison as a Python program that computes it again, to the last bit."""

from __future__ import annotations

import pprint

from optviz.playground.settings import Settings, to_json

_PROGRAM = '''"""A comparison of the playground of optviz, computed again to the last bit."""

import optviz
from optviz.playground import compute, exports, listing, settings

comparison = settings.from_json(
{settings}
)

found = zip(compute.runs(comparison), compute.paths(comparison), strict=True)
# The surface may not suit an optimizer, which then has no path.
runs, paths = zip(*((run, path) for run, path in found if isinstance(path, compute.Path)), strict=True)
for run, path in zip(runs, paths, strict=True):
    x, y, loss, gradient_norm = path.points[-1]
    name = listing.title(comparison, run)
    print(f"{{name}}: loss {{loss:.9g}} at ({{x:.9g}}, {{y:.9g}}) after {{path.num_steps}} steps")

# The same runs as traces, for metrics and pictures: another compiled program, so that their last bits may differ.
traces = []
for run in runs:
    arguments, others = compute.as_recorded(comparison, run)
    traces.append(optviz.record(*arguments, **others))
looks = exports.looks(comparison, runs, traces)
axes = optviz.plot_comparison(traces, surface=compute.surface_of(comparison), looks=looks)
axes.figure.savefig("comparison.png")
'''


def script(chosen: Settings) -> bytes:
    """The program: every number of the settings stands in it; it prints how each run ended, and draws them."""
    literal = pprint.pformat(to_json(chosen), width=100, sort_dicts=False)
    indented = "\n".join(f"    {line}" for line in literal.splitlines())
    return _PROGRAM.format(settings=indented).encode()
