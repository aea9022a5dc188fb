"""What a result rests on, as JSON data: optimizer, surface, versions, device, precision."""

from __future__ import annotations

import dataclasses
import functools
import platform
import sys
from importlib.metadata import version
from typing import Any

import jax
import numpy as np

from optviz.optimizers.schedules import Schedule
from surfaces.base import LossSurface

PACKAGES = ("optviz", "jax", "jaxlib", "optax", "equinox", "numpy")


def describe_optimizer(optimizer: Any) -> dict[str, Any]:
    """An optimizer's name, hyperparameters and options as JSON data; a schedule as the text that it prints."""
    hyperparameters = getattr(optimizer, "hyperparameters", {})
    options = dict(getattr(optimizer, "options", ()))
    return {
        "name": optimizer.name,
        "hyperparameters": {k: _json_value(v) for k, v in hyperparameters.items()},
        "options": {k: v if isinstance(v, bool | int | str) else repr(v) for k, v in options.items()},
    }


def describe_surface(surface: Any) -> dict[str, Any]:
    """A surface as JSON data: name, coefficients, whole-number and other settings, and the surfaces it is made of."""
    fields = {f.name: getattr(surface, f.name) for f in dataclasses.fields(surface)}
    settings = {k: v for k, v in fields.items() if k not in surface.coefficients}
    return {
        "name": surface.name,
        "coefficients": {k: _json_value(v) for k, v in surface.coefficients.items()},
        "settings": {k: v for k, v in settings.items() if isinstance(v, bool | int | str)},
        **{k: describe_surface(v) for k, v in settings.items() if isinstance(v, LossSurface)},
    }


def environment() -> dict[str, Any]:
    """What a run depends on besides its arguments: versions, device, precision."""
    return {
        "python": platform.python_version(),
        "platform": f"{sys.platform}-{platform.machine()}",
        "device": jax.devices()[0].device_kind,
        "x64": jax.numpy.result_type(float) == np.float64,
        "versions": dict(_versions()),
    }


@functools.cache
def _versions() -> tuple[tuple[str, str], ...]:
    """The versions installed; each is read from a file, which takes as long as thousands of steps."""
    return tuple((name, version(name)) for name in PACKAGES)


def json_number(value: Any) -> Any:
    """`value` as JSON can hold it: non-finite floats as text."""
    if isinstance(value, float) and not np.isfinite(value):
        return "NaN" if np.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def _json_value(value: Any) -> Any:
    if isinstance(value, Schedule):
        return repr(value)
    return jax.tree.map(json_number, np.asarray(value).tolist())
