"""A sweep in small blocks, run by tests in processes of their own: `python -m tests.sweeps_in_parts store PATH`."""

import sys
from pathlib import Path

import optviz
import surfaces
from optviz.sweeps import program

ARGUMENTS = (optviz.optimizer("adam"), surfaces.Noisy(surfaces.Rosenbrock(), gradient_scale=1.0), [-2.0, 2.0], 2000)
AXES = {"learning_rate": [0.01 * (i + 1) for i in range(12)], "seed": 30}


def swept(**options):
    """The sweep in 12 blocks, deliberately slow ones."""
    program.RUNS_PER_CHUNK = 30
    return optviz.sweep(*ARGUMENTS, axes=AXES, trace=("loss",), **options)


def process_of_two(number: str, port: str, out: str):
    """One of two processes of a single program on loopback."""
    import jax

    jax.config.update("jax_num_cpu_devices", 1)
    jax.distributed.initialize(f"127.0.0.1:{port}", num_processes=2, process_id=int(number))
    assert len(jax.devices()) == 2 and len(jax.local_devices()) == 1
    swept().to_netcdf(out)


if __name__ == "__main__":
    command, *given = sys.argv[1:]
    if command == "store":
        swept(store=Path(given[0]))
    elif command == "file":
        swept().to_netcdf(given[0])
    elif command == "process_of_two":
        process_of_two(*given)
