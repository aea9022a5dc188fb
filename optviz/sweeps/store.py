"""A sweep on disk while it runs: a Zarr folder that xarray opens, a file per block and variable.

A block is written when it is done, each file by a rename, and marked when all its files stand. So a sweep killed at any
moment goes on from the blocks that are marked, and processes that share a store at worst write the same file twice.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from optviz.folders import scratch_folder
from optviz.sweeps.axes import Block
from optviz.sweeps.dataset import Variable, values_of
from optviz.sweeps.program import Results

FORMAT = "optviz-sweep/1"
MARKS = "finished_blocks"


class ZarrStore:
    """The arrays of a sweep in a Zarr folder."""

    def __init__(self, path: str | Path, variables: Mapping[str, Variable]):
        import zarr

        self.path = Path(path)
        self.variables = variables
        self.group = zarr.open_group(self.path, mode="r+")

    @property
    def block_shape(self) -> tuple[int, ...]:
        """The shape of the blocks that the store was made for."""
        return tuple(self.group.attrs["optviz"]["block_shape"])  # type: ignore[index,call-overload]

    def missing(self, num_blocks: int) -> list[int]:
        """The numbers of the blocks that are not marked, another part of them first for every process that asks."""
        numbers = np.flatnonzero(~np.asarray(self.group[MARKS][:]))  # type: ignore[index]
        return np.roll(numbers, os.getpid() * 7919).tolist()

    def is_missing(self, number: int) -> bool:
        """Whether nobody has run block `number` meanwhile."""
        return not self.group[MARKS][number]  # type: ignore[index]

    def write(self, number: int, block: Block, shape: tuple[int, ...], results: Results) -> None:
        """Keep the results of block `number`, and mark it."""
        for name, values, end in values_of(results, self.variables, shape, block):
            if self.variables[name].has_steps:
                values = np.concatenate([values, np.broadcast_to(end, (1, *values.shape[1:]))])
            self.group[name][self.variables[name].at(block)] = values  # type: ignore[index]
        self.group[MARKS][number] = True  # type: ignore[index]

    def dataset(self, coordinates: Mapping[str, Any], attrs: Mapping[str, Any]) -> Any:
        """The sweep as a dataset: metrics in memory, columns of the runs read from the store when they are used."""
        import xarray

        opened = xarray.open_zarr(self.path, consolidated=False, chunks=None)
        data = {n: opened[n].variable if v.has_steps else opened[n].variable.load() for n, v in self.variables.items()}
        return xarray.Dataset(data, coordinates, attrs)


def open_store(
    path: str | Path,
    variables: Mapping[str, Variable],
    coordinates: Mapping[str, Any],
    attrs: Mapping[str, Any],
    identity: Mapping[str, Any],
    block_shape: tuple[int, ...],
    num_blocks: int,
) -> ZarrStore:
    """The store at `path`, made if there is none.

    Raises:
      ValueError: if `path` holds something else, or another sweep; the sentence says what differs.
    """
    path = Path(path)
    if not _is_there(path):
        with scratch_folder(path.absolute().parent) as folder:
            own = {"format": FORMAT, "identity": identity, "block_shape": block_shape}
            _create(folder, variables, coordinates, {**attrs, "optviz": own}, num_blocks)
            try:
                folder.rename(path)
            except OSError:  # another process made it meanwhile
                if not _is_there(path):
                    raise
    _check(path, identity)
    return ZarrStore(path, variables)


def _is_there(path: Path) -> bool:
    return path.exists() and not (path.is_dir() and not any(path.iterdir()))


def _create(
    folder: Path,
    variables: Mapping[str, Variable],
    coordinates: Mapping[str, Any],
    attrs: Mapping[str, Any],
    num_blocks: int,
) -> None:
    import xarray
    import zarr

    xarray.Dataset(coords=coordinates, attrs=attrs).to_zarr(folder, mode="w", zarr_format=3, consolidated=False)
    group, block_shape = zarr.open_group(folder, mode="r+"), attrs["optviz"]["block_shape"]
    for name, v in variables.items():
        whole = v.shape[len(block_shape) + v.has_steps :]
        group.create_array(
            name,
            shape=v.shape,
            chunks=(*v.shape[: v.has_steps], *block_shape, *whole),
            dtype=v.dtype,
            fill_value=v.missing,
            compressors=None,
            dimension_names=v.dims,
            attributes=dict(v.attrs),
        )
    marks = {"chunks": (1,), "dtype": bool, "fill_value": False, "dimension_names": ("block",)}
    group.create_array(MARKS, shape=(num_blocks,), **marks)  # type: ignore[arg-type]


def _check(path: Path, identity: Mapping[str, Any]) -> None:
    """Refuse a folder that is no store of a sweep, or the store of another sweep."""
    import zarr

    try:
        stored: Any = zarr.open_group(path, mode="r").attrs.get("optviz", {})
    except (OSError, ValueError, KeyError):
        stored = {}
    if stored.get("format") != FORMAT:
        raise ValueError(f"{path} is there already and is no store of a sweep; give another path.")
    if differing := list(_differences(stored["identity"], identity)):
        raise ValueError(
            f"{path} holds another sweep: {'; '.join(differing)}. Give another path, or the arguments of that sweep."
        )


def _differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> Iterator[str]:
    """What differs between two identities, in words."""
    names = [name for name in here if name != "first losses"]
    found = [text for name in names for text in _differing(there.get(name), here[name], name)]
    if found:
        yield from found
    # Two functions of one name: what they do tells them apart. Another machine may round otherwise.
    elif not np.allclose(*(np.array(d["first losses"], float) for d in (there, here)), rtol=1e-3, equal_nan=True):
        yield f"the first losses from the start are {there['first losses']} there and {here['first losses']} here"


def _differing(there: Any, here: Any, name: str) -> Iterator[str]:
    if isinstance(there, Mapping) and isinstance(here, Mapping):
        # Of another optimizer or surface the name says it all.
        keys = ["name"] if there.get("name") != here.get("name") else dict.fromkeys([*there, *here])
        for key in keys:
            yield from _differing(there.get(key), here.get(key), f"{name}.{key}")
    elif there != here:
        yield f"{name} is {there!r} there and {here!r} here"
