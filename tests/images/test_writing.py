"""What is saved comes back as it was."""

from __future__ import annotations

import errno
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from napari_im2im.errors import ImageError
from napari_im2im.images import AXES, Image, open_image, save_image
from napari_im2im.images import writing as writing_module

PLANE = Image(
    np.arange(24, dtype=np.uint16).reshape(4, 6),
    ("y", "x"),
    scale={"y": 0.25, "x": 0.5},
    units={"y": "micrometer", "x": "micrometer"},
    name="plane",
)
DTYPES = ("bool", "int8", "uint8", ">u2", "int16", "int32", "float32", "float64")


@st.composite
def images(draw: st.DrawFn) -> Image:
    extra = draw(st.sets(st.sampled_from(("time", "channel", "z"))))
    axes = draw(st.permutations([*sorted(extra), "y", "x"]))
    shape = [draw(st.integers(1, 5)) for _ in axes]
    scaled = [a for a in axes if a != "channel" and draw(st.booleans())]
    channels = shape[axes.index("channel")] if "channel" in axes else 1
    names = draw(
        st.lists(st.text("aé <0", min_size=1), min_size=channels, max_size=channels)
    )
    return Image(
        draw(arrays.arrays(draw(st.sampled_from(DTYPES)), tuple(shape))),
        tuple(axes),
        scale={a: draw(st.floats(0.01, 100)) for a in scaled},
        units={a: "second" if a == "time" else "nanometer" for a in scaled},
        channel_names=tuple(names) if "channel" in axes and draw(st.booleans()) else (),
        metadata={"napari_im2im": {"model": "<é>", "tile": [1, 2]}},
    )


@settings(max_examples=60, deadline=None)
@given(images(), st.sampled_from([".ome.tif", ".tif", ".ome.zarr"]))
def test_round_trip(image: Image, suffix: str) -> None:
    order = tuple(a for a in AXES if a in image.axes)
    with tempfile.TemporaryDirectory() as folder:
        again = open_image(save_image(image, Path(folder) / f"saved{suffix}"))
        kept = order
        if "tif" in suffix:
            kept = tuple(a for a in order if image.sizes[a] > 1 or a in ("y", "x"))
        assert again.axes == kept
        assert again.dtype == image.dtype.newbyteorder("=")
        assert again.units == {a: u for a, u in image.units.items() if a in kept}
        assert again.scale == pytest.approx(
            {a: s for a, s in image.scale.items() if a in kept}
        )
        assert again.channel_names == image.channel_names
        assert again.metadata["napari_im2im"] == image.metadata["napari_im2im"]
        np.testing.assert_array_equal(again.read(axes=order), image.read(axes=order))


def test_types_that_ome_tiff_lacks_keep_their_values(tmp_path: Path) -> None:
    labels = Image(np.array([[0, 70_000]], dtype=np.int64), ("y", "x"))
    again = open_image(save_image(labels, tmp_path / "labels.ome.tif"))
    assert again.dtype == np.int32
    np.testing.assert_array_equal(again.read(), labels.read())
    half = Image(np.array([[0.1, 7]], dtype=np.float16), ("y", "x"))
    again = open_image(save_image(half, tmp_path / "half.ome.tif"))
    np.testing.assert_array_equal(again.read(), half.read())


def test_values_that_ome_tiff_cannot_hold_are_refused(tmp_path: Path) -> None:
    labels = Image(np.array([[2**40]]), ("y", "x"))
    with pytest.raises(ImageError, match="too large for OME-TIFF"):
        save_image(labels, tmp_path / "labels.ome.tif")
    assert list(tmp_path.iterdir()) == []


def test_large_planes_are_written_in_tiles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing_module, "_LARGEST_PAGE", 1000)
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 99, (2, 700, 530), np.uint8)
    again = open_image(save_image(Image(pixels, ("z", "y", "x")), tmp_path / "big.tif"))
    assert again.data[0:1, 0:9, 0:9].shape == (1, 9, 9)
    np.testing.assert_array_equal(again.read(), pixels)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_png_round_trip(tmp_path: Path, dtype: type, channels: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (channels, 5, 7), dtype)
    image = Image(pixels * np.iinfo(dtype).max // 255, ("channel", "y", "x"))
    again = open_image(save_image(image, tmp_path / "picture.png"))
    assert again.dtype == dtype
    np.testing.assert_array_equal(again.read(axes=("channel", "y", "x")), image.read())


@pytest.mark.parametrize(
    ("image", "name", "match"),
    [
        (PLANE, "image.xyz", "end the name with"),
        (Image(np.zeros((2, 3, 4), np.uint8), ("z", "y", "x")), "a.png", "2 z × 3 y"),
        (Image(np.zeros((3, 4)), ("y", "x")), "a.png", "holds float64"),
        (Image(np.zeros((3, 4)), ("z", "x")), "a.ome.tif", "only images with y and x"),
    ],
)
def test_what_a_format_cannot_hold(
    tmp_path: Path, image: Image, name: str, match: str
) -> None:
    with pytest.raises(ImageError, match=match):
        save_image(image, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".ome.tif", ".ome.zarr", ".png"])
def test_existing_files_are_only_replaced_on_request(
    tmp_path: Path, suffix: str
) -> None:
    path = save_image(PLANE, tmp_path / f"plane{suffix}")
    other = Image(PLANE.read() + 1, ("y", "x"))
    with pytest.raises(ImageError, match="exists already"):
        save_image(other, path)
    np.testing.assert_array_equal(open_image(path).read(), PLANE.read())
    save_image(other, path, overwrite=True)
    np.testing.assert_array_equal(open_image(path).read(), other.read())
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_folder_of_other_files_is_never_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "results.zarr"
    folder.mkdir()
    (folder / "thesis.txt").write_text("precious")
    with pytest.raises(ImageError, match="folder of other files"):
        save_image(PLANE, folder, overwrite=True)
    assert (folder / "thesis.txt").read_text() == "precious"


class FullDisk:
    """Pixels that can be read in part, until the disk is full."""

    shape = (3, 40, 40)
    dtype = np.dtype("uint8")

    def __getitem__(self, key: tuple[Any, ...]) -> np.ndarray:
        if key[0].stop == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        return np.zeros(self.shape, self.dtype)[key]


@pytest.mark.parametrize("suffix", [".ome.tif", ".ome.zarr"])
def test_a_full_disk_leaves_the_earlier_file(tmp_path: Path, suffix: str) -> None:
    path = save_image(PLANE, tmp_path / f"plane{suffix}")
    with pytest.raises(ImageError, match="the disk is full"):
        save_image(Image(FullDisk(), ("z", "y", "x")), path, overwrite=True)
    np.testing.assert_array_equal(open_image(path).read(), PLANE.read())
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_forbidden_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(ImageError, match="choose another folder"):
        save_image(PLANE, tmp_path / "sub" / "plane.ome.tif")


def test_zarr_source_is_copied_in_parts(tmp_path: Path) -> None:
    source = zarr.create_array(
        {}, shape=(3, 64, 700), chunks=(1, 64, 64), dtype=np.float32, fill_value=2
    )
    again = open_image(
        save_image(Image(source, ("channel", "y", "x")), tmp_path / "copy.ome.zarr")
    )
    assert again.data.chunks == (1, 64, 512)
    np.testing.assert_array_equal(again.read(), source[:])
