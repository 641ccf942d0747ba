"""LIF files, whose scans may be planes of x and z."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_im2im.errors import ImageError
from napari_im2im.images import open_image

if TYPE_CHECKING:
    from pathlib import Path

XZT = np.random.default_rng(0).integers(0, 255, (4, 2, 5, 6), np.uint8)
"""Axes t, c, z, x."""

_CHANNEL = (
    '<ChannelDescription DataType="0" ChannelTag="0" Resolution="8" '
    'NameOfMeasuredQuantity="" Min="0" Max="255" Unit="" LUTName="{name}" '
    'IsLUTInverted="0" BytesInc="{step}" BitInc="0"/>'
)
_DIMENSION = (
    '<DimensionDescription DimID="{id}" NumberOfElements="{size}" Origin="0" '
    'Length="{length}" Unit="{unit}" BitInc="0" BytesInc="{step}"/>'
)


def _element(name: str, block: int) -> str:
    channels = _CHANNEL.format(name="Green", step=0) + _CHANNEL.format(
        name="Red", step=30
    )
    dimensions = (
        _DIMENSION.format(id=1, size=6, length=5 * 2e-7, unit="m", step=1)
        + _DIMENSION.format(id=3, size=5, length=4 * 5e-7, unit="m", step=6)
        + _DIMENSION.format(id=4, size=4, length=3 * 2.0, unit="s", step=60)
    )
    return (
        f'<Element Name="{name}" Visibility="1" UniqueID="{block}"><Data><Image>'
        f"<ImageDescription><Channels>{channels}</Channels>"
        f"<Dimensions>{dimensions}</Dimensions></ImageDescription></Image></Data>"
        f'<Memory Size="{XZT.size}" MemoryBlockID="Block_{block}"/>'
        "<Children/></Element>"
    )


def write_lif(path: Path) -> Path:
    """Write two images, the second with inverted values."""
    xml = (
        '<LMSDataContainerHeader Version="2"><Element Name="project" UniqueID="0">'
        "<Data><Experiment/></Data><Memory Size='0' MemoryBlockID='Block_0'/>"
        f"<Children>{_element('first', 1)}{_element('second', 2)}</Children>"
        "</Element></LMSDataContainerHeader>"
    ).encode("utf-16-le")
    head = struct.pack("<BI", 0x2A, len(xml) // 2) + xml
    parts = [struct.pack("<II", 0x70, len(head)), head]
    for block, pixels in ((1, XZT), (2, 255 - XZT)):
        name = f"Block_{block}".encode("utf-16-le")
        head = struct.pack("<BQBI", 0x2A, pixels.size, 0x2A, len(name) // 2) + name
        parts += [struct.pack("<II", 0x70, len(head)), head, pixels.tobytes()]
    path.write_bytes(b"".join(parts))
    return path


def test_planes_of_x_and_z(tmp_path: Path) -> None:
    image = open_image(write_lif(tmp_path / "scan.lif"))
    assert image.axes == ("time", "channel", "z", "x")
    assert image.scale == pytest.approx({"time": 2.0, "z": 0.5, "x": 0.2})
    assert image.units == {"time": "second", "z": "micrometer", "x": "micrometer"}
    assert image.channel_names == ("Green", "Red")
    assert image.name == "scan first"
    np.testing.assert_array_equal(image.read(), XZT)


@pytest.mark.parametrize("scene", [1, "second"])
def test_parts_of_the_second_image(tmp_path: Path, scene: int | str) -> None:
    image = open_image(write_lif(tmp_path / "scan.lif"), scene=scene)
    part = image.select("channel", 1).crop({"time": slice(1, 4, 2), "x": slice(2, 4)})
    np.testing.assert_array_equal(part.read(), 255 - XZT[1:4:2, 1, :, 2:4])
    with pytest.raises(ImageError, match="no image 'third': choose one of first, sec"):
        open_image(tmp_path / "scan.lif", scene="third")
