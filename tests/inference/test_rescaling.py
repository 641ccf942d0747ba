"""A prediction in the model's pixel size comes back in that of the image."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
import zarr
from torch import nn

from inference.models import FakeModel, FakeRuntime, events_of, predicted
from inference.networks import UNet, as_function
from inference.specs import input_spec, output_spec
from napari_im2im.errors import ConfigError, ImageError
from napari_im2im.events import PredictionFinished, PredictionStarted, TileDone
from napari_im2im.images.image import Image
from napari_im2im.images.reading import open_image
from napari_im2im.inference import targets
from napari_im2im.inference.config import PredictConfig
from napari_im2im.inference.file_tasks import PredictionTask
from napari_im2im.inference.prediction import predict_with
from napari_im2im.inference.resampling import Grid, Resampled
from napari_im2im.models.tensors import Step

if TYPE_CHECKING:
    from pathlib import Path

UNET = as_function(UNet(), gain=1.5)
IDENTITY = as_function(nn.Identity())


def model(
    pixel_size: float | None = 0.5, name: str = "unet", **output: Any
) -> FakeModel:
    spec = input_spec()
    axes = [
        replace(axis, pixel_size=pixel_size, unit="micrometer")
        if axis.name in "yx"
        else axis
        for axis in spec.axes
    ]
    spec = replace(spec, axes=tuple(axes))
    return FakeModel((spec,), (output_spec(**output),), sha256=f"rescaled {name}")


def image(height: int = 90, width: int = 70, size: float = 250) -> Image:
    """Return something smooth, in nanometers."""
    y, x = np.mgrid[:height, :width] / 12
    array = (np.sin(y) + np.cos(x)).astype(np.float32)
    scale, units = {"y": size, "x": size}, dict.fromkeys("yx", "nanometer")
    return Image(array, ("y", "x"), scale=scale, units=units)


@pytest.mark.parametrize("size", [250.0, 1000.0, 370.0])
def test_there_and_back_is_the_image(size: float) -> None:
    pixels = image(size=size)
    events = events_of(
        model(name="identity"),
        IDENTITY,
        pixels,
        rescale=True,
        tile={"y": 16, "x": 16},
    )
    finished = events[-1]
    assert isinstance(finished, PredictionFinished)
    (output,) = finished.outputs
    assert output.shape == (1, *pixels.shape)
    assert output.scale == pytest.approx(pixels.scale)
    assert output.metadata["config"]["rescale"] is True
    inside = slice(4, -4)
    difference = np.asarray(output.data)[0] - np.asarray(pixels.data)
    assert np.abs(difference[inside, inside]).max() < 0.05


def test_the_network_sees_the_pixels_of_the_model() -> None:
    pixels = image(80, 64)
    to_coarse = (Grid(40, 2.0), Grid(32, 2.0))
    coarse = np.asarray(Resampled(pixels.data, to_coarse, np.dtype(np.float32)))
    alone = predicted(model(), UNET, Image(coarse, ("y", "x")))
    to_fine = (Grid(1), Grid(80, 0.5), Grid(64, 0.5))
    expected = np.asarray(Resampled(alone, to_fine, alone.dtype))
    result = predicted(model(), UNET, pixels, rescale=True)
    np.testing.assert_allclose(result, expected, atol=1e-6)


def test_tiles_leave_no_trace() -> None:
    pixels = image(150, 130)
    whole = predicted(model(), UNET, pixels, rescale=True)
    options = {"rescale": True, "tile": {"y": 40, "x": 40}, "halo": "exact"}
    tiles = predicted(model(), UNET, pixels, **options)
    np.testing.assert_allclose(tiles, whole, atol=1e-5)
    region = {"y": (33, 101), "x": (7, 130)}
    part = predicted(model(), UNET, pixels, region=region, **options)
    np.testing.assert_allclose(part, whole[:, 33:101, 7:], atol=1e-5)


def test_outputs_with_more_pixels_than_the_input() -> None:
    network = as_function(nn.Upsample(scale_factor=2))
    pixels = image(60, 48)
    result = predicted(model(name="finer", scale=2.0), network, pixels, rescale=True)
    assert result.shape == (1, 120, 96)
    means = result[0].reshape(60, 2, 48, 2).mean((1, 3))
    difference = means - np.asarray(pixels.data)
    assert np.abs(difference[4:-4, 4:-4]).max() < 0.05


@pytest.mark.parametrize("name", ["result.ome.zarr", "result.ome.tif"])
def test_a_file_in_the_pixels_of_the_image(tmp_path: Path, name: str) -> None:
    pixels = image()
    path = tmp_path / name
    events = events_of(model(), UNET, pixels, rescale=True, output=path)
    finished = events[-1]
    assert isinstance(finished, PredictionFinished)
    assert finished.outputs[0].source == path
    opened = open_image(path)
    assert opened.sizes["y"] == 90
    assert opened.scale["x"] == pytest.approx(250)
    expected = predicted(model(), UNET, pixels, rescale=True)
    np.testing.assert_allclose(opened.read().ravel(), expected.ravel(), atol=1e-5)
    np.testing.assert_allclose(finished.outputs[0].data, expected, atol=1e-5)
    assert [each.name for each in tmp_path.iterdir()] == [name]


def test_labels_keep_their_values_and_provenance_in_a_file(tmp_path: Path) -> None:
    pixels = image(600, 560)
    path = tmp_path / "classes.ome.zarr"
    steps = (
        Step("scale_linear", {"gain": 90.0}),
        Step("ensure_dtype", {"dtype": "uint8"}),
    )
    network = as_function(nn.ReLU())
    labels = model(name="labels", steps=steps)
    labels = replace(labels, outputs=(replace(labels.outputs[0], kind="labels"),))
    events_of(labels, network, pixels, rescale=True, output=path)
    group = zarr.open_group(path, mode="r")
    assert group.attrs["napari_im2im"]["config"]["rescale"] is True
    first, second = np.asarray(group["0"]), np.asarray(group["1"])
    assert first.max() > 90
    np.testing.assert_array_equal(second, first[:, ::2, ::2])


@pytest.mark.parametrize("stopped", ["computing", "writing"])
def test_a_stopped_job_goes_on(
    tmp_path: Path, stopped: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {
        "rescale": True,
        "tile": {"y": 16, "x": 16},
        "halo": {"y": 0, "x": 0},
    }
    expected = predicted(model(), UNET, image(), **options)
    options["output"] = tmp_path / "result.ome.tif"
    task = PredictionTask((tmp_path / "image.tif",), options["output"])
    runtime = FakeRuntime(UNET)
    events = predict_with(model(), runtime, PredictConfig(**options), [image()])
    if stopped == "computing":
        next(e for e in events if isinstance(e, TileDone) and e.index == 3)
        events.close()
    else:
        with monkeypatch.context() as patch:
            patch.setattr(targets, "save_image", full_disk)
            with pytest.raises(ImageError, match="full"):
                list(events)
    assert task.begun
    rest = events_of(model(), UNET, image(), resume=True, **options)
    started = next(e for e in rest if isinstance(e, PredictionStarted))
    assert started.done >= (3 if stopped == "computing" else started.tiles)
    np.testing.assert_array_equal(open_image(options["output"]).read(), expected[0])
    assert [each.name for each in tmp_path.iterdir()] == ["result.ome.tif"]


def full_disk(*_: Any, **__: Any) -> None:
    raise ImageError("the disk is full")


def test_a_layer_fills_in_the_pixels_of_the_image() -> None:
    pixels = image(100, 100)
    events = events_of(
        model(), UNET, pixels, rescale=True, tile={"y": 32, "x": 32}, halo="exact"
    )
    started = next(e for e in events if isinstance(e, PredictionStarted))
    assert started.outputs[0].shape == (1, 100, 100)
    covered = np.zeros((100, 100), bool)
    for tile in (e for e in events if isinstance(e, TileDone)):
        covered[tile.region["y"], tile.region["x"]] = True
    assert covered.all()


def test_an_unknown_pixel_size_is_named() -> None:
    with pytest.raises(ConfigError, match="this model along y isn't known"):
        events_of(model(None), UNET, image(), rescale=True)
    nameless = Image(np.zeros((40, 40), np.float32), ("y", "x"), name="cells")
    with pytest.raises(ConfigError, match="cells along y isn't known"):
        events_of(model(), UNET, nameless, rescale=True)


def test_a_mask_is_rescaled_too(tmp_path: Path) -> None:
    mask = np.zeros((90, 70), np.uint8)
    mask[:30] = 1
    tifffile.imwrite(tmp_path / "mask.tif", mask)
    options = {"rescale": True, "tile": {"y": 16, "x": 64}, "halo": "exact"}
    file = str(tmp_path / "mask.tif")
    result = predicted(model(), UNET, image(), mask=file, **options)
    everywhere = predicted(model(), UNET, image(), **options)
    np.testing.assert_array_equal(result[:, :30], everywhere[:, :30])
    assert not result[:, 60:].any()


def test_a_lazy_image_is_read_in_parts(tmp_path: Path) -> None:
    pixels = image(200, 160)
    stored = zarr.create_array(
        tmp_path / "image.zarr", data=np.asarray(pixels.data), chunks=(50, 40)
    )
    lazy = replace(pixels, data=stored)
    options = {"rescale": True, "tile": {"y": 40, "x": 40}, "halo": "exact"}
    np.testing.assert_array_equal(
        predicted(model(), UNET, lazy, **options),
        predicted(model(), UNET, pixels, **options),
    )
