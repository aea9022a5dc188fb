"""The figures that the README states, each a ratio or a time measured in one run.

`pytest tests/benchmarks --benchmark-enable -n 0 -s` measures and holds them to what was asked; the ordinary run of the
tests executes each of them once, so that they cannot rot, and times nothing.
"""

import statistics
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax

import optviz
import surfaces

NUM_STEPS = 1000
SURFACE = surfaces.Rosenbrock()
SPEC = optviz.optimizer("adam", learning_rate=0.1)
START = jnp.array([-2.0, 2.0])


def seconds(function, repeats):
    """Median wall time of one call, in seconds, after a call that is not counted."""
    times = []
    for _ in range(repeats + 1):
        begin = time.perf_counter()
        jax.block_until_ready(function())
        times.append(time.perf_counter() - begin)
    return statistics.median(times[1:])


def recorded():
    return optviz.record(SPEC, SURFACE, START, NUM_STEPS).rows


def numpy_loss(params):
    x, y = params
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


def numpy_gradient(params):
    x, y = params
    return np.array([-2 * (1 - x) - 400 * x * (y - x**2), 200 * (y - x**2)])


def numpy_adam(grads, state, learning_rate=0.1, b1=0.9, b2=0.999, eps=1e-8):
    count, m, v = state
    count, m, v = count + 1, b1 * m + (1 - b1) * grads, b2 * v + (1 - b2) * grads**2
    updates = -learning_rate * (m / (1 - b1**count)) / (np.sqrt(v / (1 - b2**count)) + eps)
    return updates, (count, m, v)


def numpy_loop():
    """Adam on Rosenbrock step by step in NumPy, the same columns kept; gradients by hand, not by autodiff."""
    params, state, rows = np.array([-2.0, 2.0]), (0, np.zeros(2), np.zeros(2)), []
    for t in range(NUM_STEPS):
        loss, grads = numpy_loss(params), numpy_gradient(params)
        updates, new_state = numpy_adam(grads, state)
        rows.append((t, params, grads, state, updates, loss, np.linalg.norm(grads), np.linalg.norm(updates)))
        params, state = params + updates, new_state
    return rows


def optax_loop():
    """A Python loop over a jitted Optax step, the same columns kept."""
    transformation = optax.adam(0.1)

    @jax.jit
    def step(params, state):
        loss, grads = jax.value_and_grad(SURFACE)(params)
        updates, new_state = transformation.update(grads, state, params)
        row = (params, grads, state, updates, loss, optax.tree.norm(grads), optax.tree.norm(updates))
        return optax.apply_updates(params, updates), new_state, row

    def run():
        params, state, rows = START, transformation.init(START), []
        for _ in range(NUM_STEPS):
            params, state, row = step(params, state)
            rows.append(row)
        return rows

    return run


def test_recording_against_python_loops(benchmark, figure):
    benchmark(lambda: jax.block_until_ready(recorded()))
    repeats = 9 if benchmark.enabled else 1
    ours = seconds(recorded, 20 * repeats)
    print(f"\nrecord {NUM_STEPS} steps: {1e6 * ours:.3g} us")
    figure("NumPy loop / record", seconds(numpy_loop, repeats) / ours, 100, "times", more_is_better=True)
    figure("jitted Optax loop / record", seconds(optax_loop(), repeats) / ours, 100, "times", more_is_better=True)


def python(code):
    """Seconds that a fresh interpreter takes to run `code`, the best of three."""

    def once():
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
        return time.perf_counter() - begin

    return min(once() for _ in range(3))


def test_importing_optviz_beyond_jax(benchmark, figure):
    if not benchmark.enabled:
        benchmark(lambda: python("import optviz"))
        return
    alone = python("import jax")
    together = benchmark.pedantic(lambda: python("import jax, optviz"), rounds=1)
    figure("import optviz beyond import jax", together - alone, 1.0, "s", more_is_better=False)


def test_the_main_job_from_a_cold_process(benchmark, figure, tmp_path):
    code = f"import sys; sys.argv = ['optviz', 'run', '--out', {str(tmp_path)!r}]; from optviz.cli import main; main()"
    if not benchmark.enabled:
        code = code.replace("'run',", "'run', '--steps', '5',")
        benchmark.pedantic(lambda: subprocess.run([sys.executable, "-c", code], check=True, capture_output=True))
        return
    figure("optviz run, warm cache", benchmark.pedantic(lambda: python(code), rounds=1), 8.0, "s", more_is_better=False)


def test_a_hundred_frames_of_four_paths(benchmark, figure, tmp_path):
    entries = [e for e in optviz.CATALOGUE if e.well_known][:4]
    num_frames, num_steps = (100, NUM_STEPS) if benchmark.enabled else (3, 10)
    traces = [optviz.record(e.spec(), SURFACE, START, num_steps) for e in entries]

    def animate():
        optviz.create_animation(traces, filename=tmp_path / "four.gif", num_frames=num_frames, progress=False)

    benchmark(animate)
    ours = seconds(animate, 3)
    figure("GIF of 100 frames and four paths", ours, 2.0, "s", more_is_better=False)
    figure("FuncAnimation.save / ours", func_animation(traces, tmp_path, num_frames) / ours, 5, "times", True)


def func_animation(traces, folder, num_frames):
    """Seconds that Matplotlib's own writer takes for the same paths on the same level sets."""
    from matplotlib.animation import FuncAnimation
    from matplotlib.figure import Figure

    axes = Figure(figsize=(6.4, 4.8)).subplots()
    SURFACE.plot_contours(ax=axes)
    lines = [axes.plot([], [])[0] for _ in traces]
    paths = [np.asarray(t.path) for t in traces]

    def draw(i):
        end = 1 + i * len(paths[0]) // num_frames
        for line, path in zip(lines, paths, strict=True):
            line.set_data(*path[:end].T)
        return lines

    begin = time.perf_counter()
    FuncAnimation(axes.figure, draw, frames=num_frames).save(folder / "theirs.gif", writer="pillow", fps=10)
    return time.perf_counter() - begin
