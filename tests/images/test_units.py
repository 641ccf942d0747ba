from __future__ import annotations

import pytest

from napari_im2im.images.units import known_sizes, spell_out


@pytest.mark.parametrize(
    ("written", "unit"),
    [
        ("µm", "micrometer"),
        ("\\u00B5m", "micrometer"),
        ("micron", "micrometer"),
        ("Micrometers", "micrometer"),
        ("seconds", "second"),
        ("s", "second"),
        ("nm", "nanometer"),
        ("m", "meter"),
        ("pixel", None),
        ("", None),
        (None, None),
    ],
)
def test_units_are_spelled_out(written: str | None, unit: str | None) -> None:
    assert spell_out(written) == unit


def test_sizes_that_say_nothing_are_left_out() -> None:
    sizes = {"time": None, "z": 0.0, "y": float("inf"), "x": 1.0}
    assert known_sizes(sizes, {}) == ({}, {})
    assert known_sizes({"x": 1.0}, {"x": "um"}) == ({"x": 1.0}, {"x": "micrometer"})
    assert known_sizes({"x": -0.5}, {"x": "pixel"}) == ({"x": 0.5}, {})
