"""The figures of sweeps: steps per second, traces, growth from a thousand to a million runs, devices, a large map."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

import optviz
import surfaces
from tests.benchmarks import memory
from tests.benchmarks.test_figures import NUM_STEPS, SPEC, START, SURFACE, optax_loop, seconds


def swept(num_runs, num_steps=NUM_STEPS, **options):
    axes = {"learning_rate": np.geomspace(1e-3, 1.0, num_runs)}
    return optviz.sweep(SPEC, SURFACE, START, num_steps, axes=axes, **options)


def test_sweeping_against_a_python_loop(benchmark, figure):
    num_runs, repeats = (10_000, 15) if benchmark.enabled else (10, 1)
    benchmark.pedantic(lambda: swept(num_runs), rounds=1)
    speed = num_runs * NUM_STEPS / seconds(lambda: swept(num_runs), repeats)
    figure("optimizer steps of a sweep", speed, 8e8, "steps/s", more_is_better=True)
    loop = NUM_STEPS / seconds(optax_loop(), 3)
    figure("sweep / jitted Optax loop, in steps per second", speed / loop, 1000, "times", more_is_better=True)


def test_keeping_every_step_against_a_copy_of_the_same_bytes(benchmark, figure):
    num_runs, repeats = (10_000, 15) if benchmark.enabled else (10, 1)
    kept = benchmark.pedantic(lambda: swept(num_runs, trace=True), rounds=1)
    bytes_kept = kept.params.nbytes + kept.loss.nbytes
    copied = np.ones(bytes_kept // 4, np.float32)
    ratio = seconds(lambda: swept(num_runs, trace=True), repeats) / seconds(copied.copy, repeats)
    figure("sweep with parameters and losses kept / copying them", ratio, 3, "times", more_is_better=False)


def measured(code, **environment):
    """What a fresh process prints as JSON."""
    command = [sys.executable, "-c", f"from tests.benchmarks.test_sweeps import *; {code}"]
    return json.loads(
        subprocess.run(command, check=True, capture_output=True, env={**os.environ, **environment}).stdout
    )


def growth(smaller, larger, num_steps):
    """Seconds a run in sweeps of two sizes, and by how many bytes the larger one lets the peak of memory grow."""
    peaks, times = [], []
    for num_runs in (smaller, larger):
        times.append(seconds(lambda n=num_runs: swept(n, num_steps), 3) / num_runs)
        peaks.append(memory.peak())
    print(json.dumps({"times": times, "bytes": peaks[1] - peaks[0]}))


def test_a_million_runs_cost_a_thousand_times_a_thousand(benchmark, figure):
    if not memory.is_known:
        pytest.skip("the peak of memory is read from Linux's /proc")
    sizes = (1_000, 1_000_000, 100) if benchmark.enabled else (10, 100, 2)
    found = benchmark.pedantic(lambda: measured(f"growth{sizes}"), rounds=1)
    figure("time of a run, of 1e6 / of 1e3", found["times"][1] / found["times"][0], 1.2, "times", more_is_better=False)
    figure("peak of memory for 1e6 runs beyond 1e3", found["bytes"] / 1e6, 500, "MB", more_is_better=False)


def devices(num_runs, num_steps):
    """Seconds of one program on one device, and shared by all."""
    from optviz.sweeps.metrics import DEFAULT_METRICS, METRICS
    from optviz.sweeps.program import Program, run_points
    from optviz.sweeps.running import devices_in_one_program, shared_points

    metrics = tuple(METRICS[name] for name in DEFAULT_METRICS)
    program = Program(SPEC, SURFACE, START, np.uint32(0), num_steps, metrics, ())
    points, mesh = {"learning_rate": np.geomspace(1e-3, 1.0, num_runs)}, devices_in_one_program()
    one = seconds(lambda: run_points(program, points), 9)
    print(json.dumps([one, seconds(lambda: run_points(program, shared_points(points, mesh), mesh=mesh), 9)]))


def test_two_devices_against_one(benchmark, figure):
    sizes = (10_000, 1000) if benchmark.enabled else (10, 2)
    flags = "--xla_force_host_platform_device_count=2"
    one, two = benchmark.pedantic(lambda: measured(f"devices{sizes}", XLA_FLAGS=flags), rounds=1)
    figure("one device / two, the same runs", one / two, 1.7, "times", more_is_better=True)


def test_a_map_of_a_million_runs(benchmark, figure):
    points = 1000 if benchmark.enabled else 10
    momentum, bowl = optviz.optimizer("momentum"), surfaces.QuadraticBowl()
    axes = {"learning_rate": np.geomspace(1e-3, 10.0, points), "momentum": np.linspace(0, 0.999, points)}

    def stability():
        return optviz.sweep(momentum, bowl, bowl.start, 500, axes=axes)

    benchmark.pedantic(stability, rounds=1)
    figure("1000 x 1000 rates and momenta, 500 steps", seconds(stability, 1), 10, "s", more_is_better=False)
