"""What tiling needs to know of a model, measured once and remembered."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from napari_im2im.folders import cache_folder
from napari_im2im.inference.halo import measure_halo
from napari_im2im.inference.receptive_field import (
    ReceptiveField,
    measure_receptive_field,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from napari_im2im.inference.receptive_field import Windows
    from napari_im2im.models.tensors import TensorSpec

_VERSION = 1


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

    def field(self, windows: Windows) -> ReceptiveField:
        """Return the receptive field, measured if it isn't known."""
        if "field" not in self._data:
            self._data["field"] = field_as_data(measure_receptive_field(windows))
            self._write()
        return field_from_data(self._data["field"])

    def halo(
        self, windows: Windows, field: ReceptiveField, tolerance: float
    ) -> dict[str, int]:
        """Return the halo for a tolerance, measured if it isn't known."""
        halos = self._data.setdefault("halo", {})
        key = repr(tolerance)
        if key not in halos:
            halos[key] = measure_halo(windows, field, tolerance)
            self._write()
        return dict(halos[key])

    def _write(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_suffix(".tmp")
        text = json.dumps({"version": _VERSION, **self._data})
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(self._path)


def declared_halo(outputs: Sequence[TensorSpec]) -> dict[str, int]:
    """Return the halo that a description declares, in pixels of the output."""
    halo: dict[str, int] = {}
    for spec in outputs:
        for axis in spec.axes:
            if axis.halo:
                halo[axis.name] = max(axis.halo, halo.get(axis.name, 0))
    return halo
