"""Files of many kinds open with the right shape, axes, pixel size and names."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import psutil
import pytest
import tifffile
import zarr
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Picture

from napari_im2im.errors import ImageError
from napari_im2im.images import open_image
from napari_im2im.images.formats.contents import UNKNOWN
from napari_im2im.images.formats.lazy import FileArray
from napari_im2im.images.reading import guess_axes
from napari_im2im.images.view import ArrayView

if TYPE_CHECKING:
    from collections.abc import Callable

DATA = Path(__file__).parents[1] / "data" / "images"
STACK = np.random.default_rng(0).integers(0, 999, (3, 2, 5, 20, 30), np.uint16)
UM = {"z": "micrometer", "y": "micrometer", "x": "micrometer"}


@pytest.mark.parametrize(
    ("name", "shape", "axes", "dtype", "scale", "channels", "values"),
    [
        ("bilevel_zyx.tiff", (2, 100, 100), "zyx", "bool", 1.0, (), (0, 1)),
        (
            "rgba.ome.tiff",
            (25, 26, 4),
            "yxc",
            "uint8",
            None,
            ("red", "green", "blue", "alpha"),
            (0, 255),
        ),
        ("metaseries.tif", (512, 512), "yx", "uint16", 1.3668, (), (78, 24192)),
        ("int8_cyx.ome.tif", (3, 167, 439), "cyx", "int8", None, (), (-1, 96)),
        (
            "tzcyx.nd2",
            (3, 2, 10, 31, 38),
            "tczyx",
            "uint16",
            0.16781,
            ("5-FAM/pH 9.0", "FM 4-64/2% CHAPS"),
            (0, 3033),
        ),
        (
            "plate.zarr/B/03/0",
            (2, 1, 1080, 1280),
            "czyx",
            "uint16",
            0.1625,
            ("some-label-1", "some-label-2"),
            (1, 1),
        ),
    ],
)
def test_files_of_the_wild(
    name: str,
    shape: tuple[int, ...],
    axes: str,
    dtype: str,
    scale: Any,
    channels: tuple[str, ...],
    values: tuple[int, int],
) -> None:
    image = open_image(DATA / name)
    assert image.shape == shape
    assert "".join(axis[0] for axis in image.axes) == axes
    assert image.dtype == dtype
    assert image.scale.get("x") == (scale and pytest.approx(scale, abs=1e-5))
    assert image.units.get("x") == (scale and "micrometer")
    assert image.channel_names == channels
    assert "axes_guessed" not in image.metadata
    assert not isinstance(image.data, np.ndarray)
    pixels = image.read()
    assert (pixels.min(), pixels.max()) == values


def test_an_axis_without_a_name_is_guessed_and_said() -> None:
    image = open_image(DATA / "unnamed_axis.tiff")
    assert image.axes == ("z", "y", "x")
    assert image.metadata["axes_guessed"] is True


def test_axes_that_the_user_names_win() -> None:
    image = open_image(DATA / "unnamed_axis.tiff", axes="tyx")
    assert image.axes == ("time", "y", "x")
    assert "axes_guessed" not in image.metadata
    with pytest.raises(ImageError, match="60 × 256 × 256, but 2 axes are named"):
        open_image(DATA / "unnamed_axis.tiff", axes="yx")


def test_axes_of_size_one_may_be_left_out_when_naming() -> None:
    assert open_image(DATA / "plate.zarr/B/03/0", axes="cyx").shape == (2, 1080, 1280)


def write_imagej(path: Path, pixels: np.ndarray, axes: str, **metadata: Any) -> Path:
    tifffile.imwrite(
        path,
        pixels,
        imagej=True,
        byteorder=">",
        resolution=(8, 4),
        metadata={"axes": axes, **metadata},
    )
    return path


def test_imagej_hyperstack(tmp_path: Path) -> None:
    pixels = STACK.swapaxes(1, 2)
    path = write_imagej(
        tmp_path / "a.tif", pixels, "TZCYX", unit="\\u00B5m", spacing=0.5, finterval=10
    )
    image = open_image(path)
    assert image.axes == ("time", "z", "channel", "y", "x")
    assert image.scale == {"z": 0.5, "x": 0.125, "y": 0.25, "time": 10}
    assert image.units == UM | {"time": "second"}
    assert image.dtype == ">u2"
    np.testing.assert_array_equal(image.read(), pixels)
    assert image.read().dtype == np.uint16


def test_resolution_without_a_unit_is_no_pixel_size(tmp_path: Path) -> None:
    path = write_imagej(tmp_path / "a.tif", STACK[0, 0], "ZYX")
    image = open_image(path)
    assert image.axes == ("z", "y", "x")
    assert image.scale == {}


@pytest.mark.parametrize("compression", [None, "zlib", "lzw", "packbits"])
@pytest.mark.parametrize("dtype", ["uint8", "float16", ">i4", "float64"])
def test_plain_tiff(tmp_path: Path, compression: str | None, dtype: str) -> None:
    pixels = STACK[0, 0, 0].astype(dtype)
    path = tmp_path / "plain.tif"
    tifffile.imwrite(path, pixels, compression=compression, metadata=None)
    image = open_image(path)
    assert image.axes == ("y", "x")
    np.testing.assert_array_equal(image.read(), pixels)


def test_a_palette_keeps_its_indices(tmp_path: Path) -> None:
    path = tmp_path / "palette.tif"
    pixels = STACK[0, 0, 0].astype(np.uint8)
    ramp = np.tile(np.arange(256, dtype=np.uint16) * 257, (3, 1))
    tifffile.imwrite(path, pixels, photometric="palette", colormap=ramp)
    image = open_image(path)
    assert image.axes == ("y", "x")
    np.testing.assert_array_equal(image.read(), pixels)


def test_scenes_of_a_tiff_file(tmp_path: Path) -> None:
    path = tmp_path / "two.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as writer:
        writer.write(STACK[0, 0], metadata={"axes": "ZYX", "Name": "first"})
        writer.write(STACK[0, :, 0, :9], metadata={"axes": "CYX", "Name": "second"})
    assert open_image(path).shape == (5, 20, 30)
    for scene in (1, "second"):
        image = open_image(path, scene=scene)
        assert image.axes == ("channel", "y", "x")
        assert image.metadata["scenes"] == ("first", "second")
        np.testing.assert_array_equal(image.read(), STACK[0, :, 0, :9])
    with pytest.raises(ImageError, match="no image 'third': choose first, second"):
        open_image(path, scene="third")


def test_thousands_of_files_can_be_open(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", STACK[0, 0], compression="zlib")
    images = []
    for i in range(40):
        path = tmp_path / f"{i}.tif"
        path.write_bytes((tmp_path / "a.tif").read_bytes())
        images.append(open_image(path, axes="zyx"))
    for image in images:
        np.testing.assert_array_equal(image.read({"z": slice(1, 2)}), STACK[0, 0, 1:2])
    open_files = [Path(file.path) for file in psutil.Process().open_files()]
    assert 0 < len([file for file in open_files if file.parent == tmp_path]) <= 16


def test_a_file_that_changed_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Picture.fromarray(np.zeros((4, 5), np.uint8)).save(path)
    assert open_image(path).read().max() == 0
    Picture.fromarray(np.ones((4, 5), np.uint8)).save(path)
    assert open_image(path).read().max() == 1


def test_images_in_files_can_be_sent_to_other_processes() -> None:
    image = open_image(DATA / "unnamed_axis.tiff")
    again = pickle.loads(pickle.dumps(image))
    np.testing.assert_array_equal(again.read(), image.read())


@pytest.mark.parametrize("version", [2, 3])
def test_ome_zarr_whose_only_level_is_called_2(tmp_path: Path, version: int) -> None:
    path = tmp_path / "image.zarr"
    group = zarr.create_group(path, zarr_format=version)
    array = group.create_array("2", shape=(2, 20, 30), dtype="uint16", chunks=(1, 8, 8))
    array[:] = STACK[0, :, 0]
    multiscales = [
        {
            "axes": [
                {"name": "c", "type": "channel"},
                {"name": "y", "type": "space", "unit": "micrometer"},
                {"name": "x", "type": "space", "unit": "micrometer"},
            ],
            "datasets": [
                {
                    "path": "2",
                    "coordinateTransformations": [
                        {"type": "scale", "scale": [1, 1.5, 1.5]}
                    ],
                }
            ],
            "coordinateTransformations": [{"type": "scale", "scale": [1, 2, 1]}],
        }
    ]
    ome = {
        "multiscales": multiscales,
        "omero": {"channels": [{"label": "LaminB1"}, {}]},
    }
    group.attrs.put(ome if version == 2 else {"ome": ome | {"version": "0.5"}})
    for opened in (open_image(path), open_image(path / "2")):
        assert opened.axes == ("channel", "y", "x")
        assert opened.scale == {"y": 3.0, "x": 1.5}
        assert opened.units == {"y": "micrometer", "x": "micrometer"}
        assert opened.channel_names == ("LaminB1", "1")
        np.testing.assert_array_equal(opened.read(), STACK[0, :, 0])


def test_a_plate_of_one_image_opens_it() -> None:
    assert open_image(DATA / "plate.zarr").shape == (2, 1, 1080, 1280)
    assert open_image(DATA / "plate.zarr", scene="B/03/0").axes[0] == "channel"


def test_a_plate_of_several_images_asks_for_one(tmp_path: Path) -> None:
    group = zarr.create_group(tmp_path / "plate.zarr", zarr_format=2)
    wells = [{"path": "A/01"}, {"path": "A/02"}]
    group.attrs["plate"] = {"wells": wells}
    for well in wells:
        well_group = group.create_group(well["path"])
        well_group.attrs["well"] = {"images": [{"path": "0"}]}
        well_group.create_group("0").attrs["multiscales"] = []
    with pytest.raises(ImageError, match=r"holds 2 images.*plate\.zarr/A/01/0"):
        open_image(tmp_path / "plate.zarr")


@pytest.mark.parametrize("mode", ["1", "L", "I;16", "RGB", "RGBA", "LA"])
def test_pictures(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "picture.png"
    picture = Picture.fromarray(STACK[0, 0, 0]).convert(mode)
    picture.save(path)
    image = open_image(path)
    assert isinstance(image.data, FileArray)
    assert image.axes == ("y", "x", "channel")[: image.data.ndim]
    np.testing.assert_array_equal(image.read(), np.asarray(picture))
    assert image.read().dtype == image.dtype
    assert image.channel_names[:1] == {"R": ("red",), "LA": ("gray",)}.get(
        mode if mode == "LA" else mode[0], ()
    )


def test_a_grey_palette_picture_is_grey(tmp_path: Path) -> None:
    ramp = Picture.fromarray(STACK[0, 0, 0].astype(np.uint8))
    ramp.putpalette([value for value in range(255, -1, -1) for _ in range(3)])
    ramp.save(tmp_path / "grey.png")
    image = open_image(tmp_path / "grey.png")
    np.testing.assert_array_equal(image.read(), 255 - STACK[0, 0, 0].astype(np.uint8))


def test_hdf5(tmp_path: Path) -> None:
    path = tmp_path / "volume.h5"
    with h5py.File(path, "w") as file:
        file["label"] = STACK[0, 0]
        file["raw"] = STACK[1, 0]
        file["raw"].attrs["element_size_um"] = [0.3, 0.1, 0.1]
        file["tables/cells"] = np.zeros(5)
    image = open_image(path)
    assert image.metadata["scenes"] == ("raw", "label")
    assert image.scale == {"z": 0.3, "y": 0.1, "x": 0.1}
    assert image.units == UM
    np.testing.assert_array_equal(image.read(), STACK[1, 0])
    np.testing.assert_array_equal(open_image(path / "label").read(), STACK[0, 0])
    with pytest.raises(ImageError, match="no dataset 'mask': choose one of raw, label"):
        open_image(path / "mask")


def test_ilastik_names_the_axes_of_its_hdf5_files(tmp_path: Path) -> None:
    path = tmp_path / "ilastik.h5"
    with h5py.File(path, "w") as file:
        file["exported_data"] = STACK
        tags = ", ".join(f'{{"key": "{key}"}}' for key in "tczyx")
        file["exported_data"].attrs["axistags"] = f'{{"axes": [{tags}]}}'
    image = open_image(path)
    assert image.axes == ("time", "channel", "z", "y", "x")
    assert "axes_guessed" not in image.metadata


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((60, 256, 256), "zyx"),
        ((3, 256, 256), "cyx"),
        ((256, 256, 3), "yxc"),
        ((75, 2, 75, 75), "zcyx"),
        ((5, 2, 30, 64, 64), "tczyx"),
        ((5, 33, 77, 45, 2), "tzyxc"),
        ((9, 30, 64, 64), "tzyx"),
    ],
)
def test_guesses(shape: tuple[int, ...], axes: str) -> None:
    guessed = guess_axes((UNKNOWN,) * len(shape), shape)
    assert "".join(axis[0] for axis in guessed) == axes


@given(st.lists(st.integers(1, 99), min_size=2, max_size=5))
def test_every_guess_names_each_axis_once(shape: list[int]) -> None:
    guessed = guess_axes((UNKNOWN,) * len(shape), shape)
    assert len(set(guessed)) == len(shape)
    assert {"y", "x"} <= set(guessed)


def test_more_axes_than_names() -> None:
    with pytest.raises(ImageError, match="6 axes"):
        guess_axes((UNKNOWN,) * 6, (2,) * 6)


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("missing.tif", None, "There is no file"),
        ("broken.tif", b"II*\0garbage", "TIFF file without an image"),
        ("text.tif", b"garbage", "can't be read as an image"),
        ("empty.png", b"", "can't be read as an image"),
        ("broken.h5", b"nothing", "can't be read as an image"),
        ("broken.nd2", b"nothing", "refused by the reader of its format"),
        ("scan.ics", b"ics_version 2.0", r"pip install 'napari-im2im\[bioformats\]'"),
        ("notes.txt", b"hello", "needs a reader for .txt"),
    ],
)
def test_what_cannot_be_opened_says_why(
    tmp_path: Path, name: str, content: bytes | None, match: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ImageError, match=match):
        open_image(tmp_path / name)


def test_a_file_that_may_not_be_read_is_named(
    tmp_path: Path, forbid: Callable[[Path], None]
) -> None:
    path = tmp_path / "cells.tif"
    tifffile.imwrite(path, STACK[0, 0])
    forbid(path)
    with pytest.raises(ImageError, match=r"cells\.tif .*ask for the right to read it"):
        open_image(path)


def test_a_folder_that_is_no_image(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="is a folder, but no OME-Zarr image"):
        open_image(tmp_path)


def test_a_damaged_file_is_named_when_its_pixels_are_read(tmp_path: Path) -> None:
    path = tmp_path / "cells.tif"
    tifffile.imwrite(path, STACK[0, 0], compression="zlib")
    image = open_image(path)
    path.write_bytes(path.read_bytes()[:-999])
    with pytest.raises(ImageError, match=r"pixels of cells\.tif can't be read"):
        image.read()


def test_planes_before_the_end_of_a_cut_off_file_are_read(tmp_path: Path) -> None:
    path = tmp_path / "cells.tif"
    tifffile.imwrite(path, STACK[0, 0])
    with tifffile.TiffFile(path) as file:
        start = file.pages[0].dataoffsets[0]
    path.write_bytes(path.read_bytes()[: start + STACK[0, 0].nbytes - 99])
    image = open_image(path, axes="zyx")
    np.testing.assert_array_equal(image.read({"z": slice(0, 1)})[0], STACK[0, 0, 0])
    with pytest.raises(ImageError, match=r"cells\.tif can't be read"):
        image.read({"z": slice(4, 5)})


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_file_that_another_replaces_is_named(
    tmp_path: Path, compression: str | None
) -> None:
    path = tmp_path / "cells.tif"
    tifffile.imwrite(path, np.zeros((20, 30)), compression=compression)
    image = open_image(path)
    tifffile.imwrite(path, np.zeros((40, 50)), compression=compression)
    with pytest.raises(ImageError, match=r"cells\.tif was changed after"):
        image.read()


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("a.h5", "h5py"),
        ("a.lif", "liffile"),
        ("a.czi", "bioio"),
    ],
)
def test_a_missing_reader_names_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, module: str
) -> None:
    (tmp_path / name).write_bytes(b"")
    for ours in ("hdf5", "lif", "vendor"):
        monkeypatch.delitem(
            sys.modules, f"napari_im2im.images.formats.{ours}", raising=False
        )
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImageError, match=r"pip install 'napari-im2im\[formats\]'"):
        open_image(tmp_path / name)


def test_padding_is_left_out_without_reading() -> None:
    assert isinstance(open_image(DATA / "int8_cyx.ome.tif").data, ArrayView)
