"""What tiling needs to know of a model, measured once and remembered."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_im2im.folders import cache_folder
from napari_im2im.images.atomic import write_atomically
from napari_im2im.inference.jobs import Job
from napari_im2im.inference.sources import UnreadableChunkError
from napari_im2im.inference.tiling.halo import measure_halo, measuring_pixels
from napari_im2im.inference.tiling.receptive_field import (
    ReceptiveField,
    measure_receptive_field,
)
from napari_im2im.inference.tiling.tiles import AxisTile
from napari_im2im.inference.tiling.windows import Windows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np

    from napari_im2im.inference.config import PredictConfig
    from napari_im2im.inference.jobs import Network, TileRunner
    from napari_im2im.models.tensors import TensorSpec

_VERSION = 3
_SAMPLE = {1: 1 << 16, 2: 768, 3: 160}
"""Pixels of the image to look at along each axis, by the number of axes."""


def field_as_data(field: ReceptiveField) -> dict[str, Any]:
    """Return a receptive field as plain data, for a package's config or a file."""
    return {
        "stride": dict(field.stride),
        "radius": {axis: list(sides) for axis, sides in field.radius.items()},
        "exact": field.exact,
        "reason": field.reason,
    }


def field_from_data(data: Mapping[str, Any]) -> ReceptiveField:
    """Return a receptive field from what `field_as_data` made of it."""
    return ReceptiveField(
        stride=dict(data["stride"]),
        radius={axis: (s[0], s[1]) for axis, s in data["radius"].items()},
        exact=data["exact"],
        reason=data["reason"],
    )


def _windows(runner: TileRunner, measuring: Network | None) -> Windows:
    """Return windows on the network of the inputs that are given."""
    sources = runner.matching.sources[0]
    given = [index for index, source in enumerate(sources) if source is not None]
    run = measuring or runner.network

    def network(inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        every: list[np.ndarray | None] = [None] * len(sources)
        for index, array in zip(given, inputs, strict=True):
            every[index] = array
        return run(every)

    geometry = runner.geometry
    return Windows(
        network,
        [runner.inputs[index] for index in given],
        runner.outputs,
        replace(geometry, inputs=tuple(geometry.inputs[index] for index in given)),
        _sample(runner),
    )


def _sample(runner: TileRunner) -> list[np.ndarray] | None:
    """Return the middle of the image, preprocessed."""
    matching = runner.matching
    whole = {axis: slice(0, size) for axis, size in matching.over.items()}
    planes = [plane for plane in matching.planes(whole) if plane.group == 0]
    largest = _SAMPLE.get(len(matching.sizes), 96)
    tile = {}
    for axis, size in matching.sizes.items():
        length = min(size, largest)
        start = (size - length) // 2
        start -= start % runner.geometry.denominators[axis]
        tile[axis] = AxisTile(start, start + length, start, start + length)
    try:
        arrays = runner.read(Job((planes[len(planes) // 2],), tile))
    except UnreadableChunkError:
        if any(s is not None and s.skip_unreadable for s in matching.sources[0]):
            return None
        raise
    return [array for array in arrays if array is not None]


class Calibration:
    """Receptive field and halo of one model, kept in the cache folder.

    Parameters
    ----------
    key
        Identifies the model: the sha256 of its description.
    known
        What the package itself says: ``receptive_field`` as `field_as_data` writes
        it; nothing is measured then.
    """

    def __init__(self, key: str, known: Mapping[str, Any] | None = None) -> None:
        self._path: Path = cache_folder() / "receptive_fields" / f"{key}.json"
        self._data: dict[str, Any] = {}
        if self._path.is_file():
            try:
                data = json.loads(self._path.read_text(encoding="utf-8"))
            except ValueError:
                data = {}  # It was cut off while it was written: measure again.
            if data.get("version") == _VERSION:
                self._data = data
        if known and "receptive_field" in known:
            self._data["field"] = known["receptive_field"]

    @property
    def measured(self) -> bool:
        """Whether the receptive field is known already."""
        return "field" in self._data

    def field(
        self, runner: TileRunner, measuring: Network | None = None
    ) -> ReceptiveField:
        """Return the receptive field, measured if it isn't known.

        Parameters
        ----------
        runner
            Reads the image and runs the network.
        measuring
            Runs the network instead, where `runner` lacks precision.
        """
        if "field" not in self._data:
            windows = _windows(runner, measuring)
            self._data["field"] = field_as_data(measure_receptive_field(windows))
            self._write()
        return field_from_data(self._data["field"])

    def asked_halo(
        self, field: ReceptiveField, config: PredictConfig
    ) -> dict[str, tuple[int, int]]:
        """Return the halo ``(before, after)`` that the job names: the whole radius."""
        if field.exact and isinstance(config.halo, dict):
            return _both_ends(config.halo, field)
        return dict(field.radius)

    def known_halo(
        self,
        outputs: Sequence[TensorSpec],
        field: ReceptiveField,
        config: PredictConfig,
    ) -> dict[str, tuple[int, int]]:
        """Return the halo that was declared or measured before, empty if none was."""
        usual = config.tolerance == type(config)().tolerance
        halo = declared_halo(outputs) if usual else {}
        measured = self._data.get("halo", {}).get(repr(config.tolerance), {})
        return _both_ends(halo or measured, field) if halo or measured else {}

    def measuring_pixels(self, runner: TileRunner, field: ReceptiveField) -> int:
        """Return how many pixels are computed to measure the halo."""
        return measuring_pixels(runner.geometry, field)

    def measured_halo(
        self,
        runner: TileRunner,
        field: ReceptiveField,
        config: PredictConfig,
        measuring: Network | None = None,
    ) -> dict[str, tuple[int, int]]:
        """Measure the halo ``(before, after)``, and remember it."""
        windows = _windows(runner, measuring)
        halo = measure_halo(windows, field, config.tolerance)
        self._data.setdefault("halo", {})[repr(config.tolerance)] = halo
        self._write()
        return _both_ends(halo, field)

    def _write(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"version": _VERSION, **self._data})
        write_atomically(self._path, text.encode())


def _both_ends(
    halo: Mapping[str, int], field: ReceptiveField
) -> dict[str, tuple[int, int]]:
    """Return a halo with both ends; the whole radius of axes that it doesn't name."""
    both = {axis: (size, size) for axis, size in halo.items() if axis in field.radius}
    return {**field.radius, **both}


def declared_halo(outputs: Sequence[TensorSpec]) -> dict[str, int]:
    """Return the halo that a description declares, in pixels of the output."""
    halo: dict[str, int] = {}
    for spec in outputs:
        for axis in spec.axes:
            if axis.halo:
                halo[axis.name] = max(axis.halo, halo.get(axis.name, 0))
    return halo
