"""Units of pixel sizes, spelled as OME-Zarr and napari do."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAMES = {
    "micrometer": ("um", "µm", "μm", "\\u00b5m", "micron", "microns", "micrometre"),
    "nanometer": ("nm", "nanometre"),
    "picometer": ("pm", "picometre"),
    "millimeter": ("mm", "millimetre"),
    "centimeter": ("cm", "centimetre"),
    "meter": ("m", "metre"),
    "angstrom": ("å", "ångström", "a"),
    "second": ("s", "sec"),
    "millisecond": ("ms", "msec"),
    "microsecond": ("us", "µs", "μs"),
    "minute": ("min",),
    "hour": ("h", "hr"),
    "day": ("d",),
}
_SPELLED_OUT = {short: name for name, shorts in _NAMES.items() for short in shorts}

SYMBOLS = {name: shorts[0] for name, shorts in _NAMES.items()} | {
    "micrometer": "µm",
    "microsecond": "µs",
    "angstrom": "Å",
}
"""Symbol of each unit, as OME-TIFF writes it."""


_METERS = {
    "picometer": 1e-12,
    "angstrom": 1e-10,
    "nanometer": 1e-9,
    "micrometer": 1e-6,
    "millimeter": 1e-3,
    "centimeter": 1e-2,
    "meter": 1.0,
}


def spell_out(unit: str | None) -> str | None:
    """Return the unit spelled out (``"µm"`` is ``"micrometer"``), or None.

    A pixel or an unknown word is no unit.
    """
    word = (unit or "").strip().lower()
    word = word if word in _NAMES else word.removesuffix("s") if len(word) > 3 else word
    return word if word in _NAMES else _SPELLED_OUT.get((unit or "").strip().lower())


def known_sizes(
    sizes: Mapping[str, float | None], units: Mapping[str, str | None]
) -> tuple[dict[str, float], dict[str, str]]:
    """Return the pixel sizes that say something, and their units spelled out.

    Left out are sizes that are missing, zero or not finite, and sizes of 1
    without a unit, which files carry where nobody has measured anything.

    Parameters
    ----------
    sizes
        Pixel size by axis.
    units
        Unit by axis, in any spelling.
    """
    spelled = {axis: spell_out(unit) for axis, unit in units.items()}
    scale = {
        axis: abs(float(size))
        for axis, size in sizes.items()
        if size
        and math.isfinite(size)
        and not (size == 1 and spelled.get(axis) is None)
    }
    return scale, {axis: unit for axis in scale if (unit := spelled.get(axis))}


def in_meters(size: float | None, unit: str | None) -> float | None:
    """Return a length in meters, None if the size or its unit isn't known."""
    factor = _METERS.get(spell_out(unit) or "")
    return None if size is None or factor is None else size * factor
