"""A prediction equals one forward of the whole image, whatever the tiles are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from inference.models import FakeModel, FakeRuntime, events_of, predicted, whole
from inference.networks import UNet, as_function
from inference.specs import input_spec, output_spec
from napari_im2im.errors import ConfigError, ImageError, ModelError
from napari_im2im.events import Message, PredictionFinished, PredictionStarted, TileDone
from napari_im2im.images.image import Image
from napari_im2im.inference.config import PredictConfig
from napari_im2im.inference.prediction import predict_with
from napari_im2im.inference.tiling import planning
from napari_im2im.models.tensors import FixedSize, Step, SteppedSize

if TYPE_CHECKING:
    from pathlib import Path

UNET = as_function(UNet(), gain=1.5)
UNET_3D = as_function(UNet(3, width=2), gain=1.5)
MODEL = FakeModel((input_spec(),), (output_spec(),))
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]


def pixels(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def largest_difference(result: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest difference, in standard deviations of what is expected."""
    assert result.shape == expected.shape
    # A few pixels have hardly any spread; the networks here make about 1.
    return float(np.abs(result - expected).max() / max(expected.std(), 0.1))


@settings(max_examples=25, deadline=None, suppress_health_check=SLOW)
@given(
    height=st.integers(1, 150),
    width=st.integers(1, 150),
    tile=st.sampled_from([36, 40, 64, 100]),
    minimum=st.sampled_from([4, 32]),
    step=st.sampled_from([4, 8]),
)
def test_tiled_equals_whole(
    height: int, width: int, tile: int, minimum: int, step: int
) -> None:
    model = FakeModel((input_spec(size=SteppedSize(minimum, step)),), (output_spec(),))
    array = pixels(height, width)
    result = predicted(
        model,
        UNET,
        Image(array, ("y", "x")),
        tile={"y": tile, "x": tile},
        halo="exact",
    )
    expected = whole(model, UNET, array[None, None])[0]
    assert largest_difference(result, expected) < 1e-5


@settings(max_examples=6, deadline=None, suppress_health_check=SLOW)
@given(depth=st.integers(1, 40), height=st.integers(20, 60), width=st.integers(20, 60))
def test_tiled_equals_whole_in_3d(depth: int, height: int, width: int) -> None:
    model = FakeModel((input_spec("zyx"),), (output_spec("zyx"),), sha256="3" * 64)
    array = pixels(depth, height, width)
    tile = {"z": 32, "y": 40, "x": 40}
    image = Image(array, ("z", "y", "x"))
    result = predicted(model, UNET_3D, image, tile=tile, halo="exact")
    expected = whole(model, UNET_3D, array[None, None])[0]
    assert largest_difference(result, expected) < 1e-5


def test_sizes_that_are_no_multiple_of_the_stride() -> None:
    """A network that takes any size is given the image as it is."""
    network = nn.Sequential(
        nn.MaxPool2d(2, ceil_mode=True), nn.Upsample(scale_factor=2)
    )

    def run(arrays: list[np.ndarray]) -> list[np.ndarray]:
        height, width = arrays[0].shape[2:]
        return [as_function(network)(arrays)[0][:, :, :height, :width]]

    model = FakeModel(
        (input_spec(size=SteppedSize(1, 1)),), (output_spec(),), sha256="1" * 64
    )
    array = pixels(61, 75)
    image = Image(array, ("y", "x"))
    result = predicted(model, run, image, tile={"y": 16, "x": 16}, halo="exact")
    np.testing.assert_array_equal(result[0], run([array[None, None]])[0][0, 0])


@pytest.mark.parametrize("shape", [(50, 60), (64, 64), (150, 131)])
def test_a_fixed_size_is_fed_exactly(shape: tuple[int, int]) -> None:
    model = FakeModel(
        (input_spec(size=FixedSize(64)),), (output_spec(),), sha256="f" * 64
    )
    free = FakeModel((input_spec(size=SteppedSize(64, 4)),), (output_spec(),))
    runtime = FakeRuntime(UNET)
    array = pixels(*shape)
    result = predicted(model, runtime, Image(array, ("y", "x")), halo="exact")
    assert {s[2:] for s in runtime.shapes} == {(64, 64)}
    assert largest_difference(result, whole(free, UNET, array[None, None])[0]) < 1e-5


@pytest.mark.parametrize(("scale", "offset"), [(2.0, 0), (0.5, 0), (1.0, -6)])
def test_outputs_of_another_size(scale: float, offset: int) -> None:
    layers = {
        2.0: [nn.Conv2d(1, 2, 3, padding=1), nn.Upsample(scale_factor=2)],
        0.5: [nn.Conv2d(1, 2, 3, padding=1), nn.AvgPool2d(2)],
        1.0: [nn.Conv2d(1, 2, 7)],
    }[scale]
    network = as_function(nn.Sequential(*layers))
    model = FakeModel(
        (input_spec(size=SteppedSize(8, 2)),),
        (output_spec(channels=2, scale=scale, offset=offset),),
        sha256=f"{scale}",
    )
    array = pixels(70, 52)
    image = Image(array, ("y", "x"), scale={"y": 0.5, "x": 0.5})
    events = events_of(model, network, image, tile={"y": 24, "x": 24}, halo="exact")
    finished = events[-1]
    assert isinstance(finished, PredictionFinished)
    (output,) = finished.outputs
    expected = whole(model, network, array[None, None])[0]
    assert largest_difference(np.asarray(output.data), expected) < 1e-5
    assert output.scale["x"] == pytest.approx(0.5 / scale)


def test_the_measured_halo_keeps_its_tolerance() -> None:
    array = pixels(200, 200)
    image = Image(array, ("y", "x"))
    tile = {"y": 48, "x": 48}
    result = predicted(MODEL, UNET, image, tile=tile, tolerance=1e-2)
    expected = whole(MODEL, UNET, array[None, None])[0]
    assert largest_difference(result, expected) < 1e-2


def test_whole_image_statistics_and_target_units() -> None:
    """The steps run before and after, with statistics of the whole image."""
    steps = (Step("zero_mean_unit_variance", {"eps": 1e-6, "axes": ("y", "x")}),)
    back = (Step("scale_linear", {"gain": 10.0, "offset": 100.0}),)
    model = FakeModel((input_spec(steps=steps),), (output_spec(steps=back),))
    array = (pixels(120, 90) * 50 + 1000).astype(np.uint16)
    array[:60] += 500
    image = Image(array, ("y", "x"))
    result = predicted(model, UNET, image, tile={"y": 48, "x": 48}, halo="exact")
    normalised = ((array - array.mean()) / array.std()).astype(np.float32)
    expected = whole(model, UNET, normalised[None, None])[0] * 10 + 100
    assert largest_difference(result, expected) < 1e-4


def test_postprocessing_with_statistics_of_the_whole_result() -> None:
    steps = (Step("scale_range", {"min_percentile": 0.0, "max_percentile": 100.0}),)
    model = FakeModel((input_spec(),), (output_spec(steps=steps),))
    array = pixels(120, 90)
    image = Image(array, ("y", "x"))
    result = predicted(model, UNET, image, tile={"y": 48, "x": 48}, halo="exact")
    assert result.min() == 0
    assert result.max() == pytest.approx(1, abs=1e-5)


def test_a_2d_model_runs_over_z_time_and_channels() -> None:
    array = pixels(2, 3, 2, 40, 50)
    image = Image(
        array,
        ("time", "channel", "z", "y", "x"),
        scale={"time": 2.0, "z": 1.5, "y": 0.2, "x": 0.2},
        units={"z": "micrometer", "y": "micrometer", "x": "micrometer"},
        channel_names=("a", "b", "c"),
    )
    finished = events_of(MODEL, UNET, image, tile={"y": 36, "x": 36}, halo="exact")[-1]
    assert isinstance(finished, PredictionFinished)
    (output,) = finished.outputs
    assert output.axes == ("time", "channel", "z", "y", "x")
    assert output.scale == image.scale
    assert output.units == image.units
    assert output.channel_names == ("a", "b", "c")
    flat = array.reshape(-1, 1, 40, 50)
    expected = whole(MODEL, UNET, flat).reshape(array.shape)
    assert largest_difference(np.asarray(output.data), expected) < 1e-5


def test_planes_go_together_in_batches() -> None:
    array = pixels(5, 40, 40)
    runtime = FakeRuntime(UNET)
    image = Image(array, ("z", "y", "x"))
    result = predicted(MODEL, runtime, image, batch_size=2, halo="exact")
    assert [s[0] for s in runtime.shapes[-3:]] == [2, 2, 1]
    expected = whole(MODEL, UNET, array[:, None])
    assert largest_difference(result, expected.transpose(1, 0, 2, 3)) < 1e-5


def test_two_inputs_and_two_outputs() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 2, 5, padding=2)

        def forward(
            self, a: torch.Tensor, b: torch.Tensor
        ) -> tuple[torch.Tensor, torch.Tensor]:
            both = torch.cat([a, nn.functional.avg_pool2d(b, 2)], 1)
            result = self.conv(both)
            return result, torch.nn.functional.max_pool2d(result, 2)

    network = as_function(Two())
    fine = input_spec(id="fine", channels=2)
    first = input_spec(id="raw")
    fine = type(fine)(
        "fine",
        (*fine.axes[:2], *output_spec(scale=2.0).axes[2:]),
        "float32",
    )
    model = FakeModel(
        (first, fine),
        (
            output_spec(id="same", channels=2),
            output_spec(id="half", channels=2, scale=0.5),
        ),
        sha256="2" * 64,
    )
    a, b = pixels(1, 60, 44), pixels(2, 120, 88, seed=1)
    images = [Image(a, ("channel", "y", "x")), Image(b, ("channel", "y", "x"))]
    events = events_of(model, network, images, tile={"y": 20, "x": 20}, halo="exact")
    finished = events[-1]
    assert isinstance(finished, PredictionFinished)
    expected = network([a[None], b[None]])
    for output, array in zip(finished.outputs, expected, strict=True):
        assert largest_difference(np.asarray(output.data), array[0]) < 1e-5


def test_a_region_has_the_values_of_the_whole() -> None:
    array = pixels(130, 120)
    image = Image(array, ("y", "x"))
    tile = {"y": 64, "x": 64}
    everything = predicted(MODEL, UNET, image, tile=tile, halo="exact")
    region = {"y": (33, 101), "x": (7, 120)}
    part = predicted(MODEL, UNET, image, tile=tile, halo="exact", region=region)
    np.testing.assert_allclose(part, everything[:, 33:101, 7:], atol=1e-5)


def test_flips_and_turns_are_averaged() -> None:
    array = pixels(70, 90)
    image = Image(array, ("y", "x"))
    events = events_of(
        MODEL,
        UNET,
        image,
        tile={"y": 48, "x": 48},
        halo="exact",
        test_time_augmentation=True,
    )
    finished = events[-1]
    assert isinstance(finished, PredictionFinished)
    mean, spread = finished.outputs
    padded = np.pad(array, ((0, 2), (0, 2)), mode="reflect")[None, None]
    results = []
    for turns in range(4):
        for flip in (False, True):
            turned = np.rot90(padded, turns, (2, 3))
            turned = np.flip(turned, 3) if flip else turned
            result = UNET([np.ascontiguousarray(turned)])[0]
            result = np.flip(result, 3) if flip else result
            results.append(np.rot90(result, -turns, (2, 3))[0, :, :70, :90])
    assert largest_difference(np.asarray(mean.data), np.mean(results, 0)) < 1e-5
    assert largest_difference(np.asarray(spread.data), np.std(results, 0)) < 1e-4


def test_what_cannot_be_tiled_is_predicted_in_one_piece(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(planning, "_LARGEST_ON_CPU", 1 << 20)
    network = as_function(UNet(norm="instance"))
    model = FakeModel((input_spec(),), (output_spec(),), sha256="i" * 64)
    array = pixels(100, 80)
    image = Image(array, ("y", "x"))
    events = events_of(model, network, image)
    assert any(isinstance(e, Message) and "one piece" in e.text for e in events)
    finished = events[-1]
    assert isinstance(finished, PredictionFinished)
    result = np.asarray(finished.outputs[0].data)
    assert (
        largest_difference(result, whole(model, network, array[None, None])[0]) < 1e-5
    )


def test_else_tiles_are_blended_without_a_seam() -> None:
    network = as_function(UNet(norm="instance"))
    model = FakeModel((input_spec(),), (output_spec(),), sha256="i" * 64)
    rows = np.linspace(0, 3, 200, dtype=np.float32)
    array = pixels(200, 180) * 0.1 + rows[:, None]
    image = Image(array, ("y", "x"))
    events = events_of(model, network, image, tile={"y": 128, "x": 128})
    message = next(e for e in events if isinstance(e, Message))
    assert message.level == "warning"
    assert "blended" in message.text
    finished = events[-1]
    assert isinstance(finished, PredictionFinished)
    result = np.asarray(finished.outputs[0].data)[0]
    steps = np.abs(np.diff(result, axis=0)).mean(axis=1)[8:-8]
    assert steps.max() < 2 * np.median(steps)


def test_blending_reproduces_what_all_tiles_agree_on() -> None:
    network = as_function(nn.Sequential(nn.Identity()))
    known = {
        "receptive_field": {
            "stride": {"y": 4, "x": 4},
            "radius": {"y": [8, 8], "x": [8, 8]},
            "exact": False,
            "reason": "is said to see everything",
        }
    }
    model = FakeModel((input_spec(),), (output_spec(scale=1.0),), config=known)
    array = pixels(150, 130)
    image = Image(array, ("y", "x"))
    region = {"y": (10, 147), "x": (0, 130)}
    result = predicted(model, network, image, tile={"y": 64, "x": 64}, region=region)
    np.testing.assert_allclose(result[0], array[10:147], atol=1e-6)


def test_short_memory_makes_tiles_smaller() -> None:
    def network(arrays: list[np.ndarray]) -> list[np.ndarray]:
        if arrays[0].shape[-1] * arrays[0].shape[-2] > 64 * 64:
            raise MemoryError
        return UNET(arrays)

    known = {
        "receptive_field": {
            "stride": {"y": 4, "x": 4},
            "radius": {"y": [13, 13], "x": [13, 13]},
            "exact": True,
            "reason": "",
        }
    }
    model = FakeModel((input_spec(),), (output_spec(),), config=known)
    array = pixels(150, 140)
    image = Image(array, ("y", "x"))
    events = events_of(model, network, image, halo="exact")
    assert any(isinstance(e, Message) and "Memory was short" in e.text for e in events)
    done = [e for e in events if isinstance(e, TileDone)]
    assert done[-1].index == done[-1].total == len(done)
    finished = events[-1]
    assert isinstance(finished, PredictionFinished)
    result = np.asarray(finished.outputs[0].data)
    assert largest_difference(result, whole(model, UNET, array[None, None])[0]) < 1e-5

    def nothing(arrays: list[np.ndarray]) -> list[np.ndarray]:
        raise MemoryError

    with pytest.raises(ModelError, match="more memory"):
        events_of(model, nothing, image, halo="exact")


def test_stop_is_closing_the_generator() -> None:
    runtime = FakeRuntime(UNET)
    image = Image(pixels(400, 400), ("y", "x"))
    config = PredictConfig(tile={"y": 40, "x": 40}, halo="exact")
    events = predict_with(MODEL, runtime, config, [image])
    for event in events:
        if isinstance(event, TileDone):
            break
    before = len(runtime.shapes)
    events.close()
    assert len(runtime.shapes) <= before + 1


def test_labels_and_integer_outputs() -> None:
    steps = (Step("sigmoid"), Step("binarize", {"threshold": 0.5}))
    model = FakeModel((input_spec(),), (output_spec(steps=steps, kind="labels"),))
    finished = events_of(model, UNET, Image(pixels(40, 40), ("y", "x")))[-1]
    assert isinstance(finished, PredictionFinished)
    (output,) = finished.outputs
    assert output.dtype == np.uint8
    assert output.metadata["kind"] == "labels"
    assert output.metadata["model"]["sha256"] == model.sha256


def test_started_shows_outputs_that_fill() -> None:
    image = Image(pixels(100, 100), ("y", "x"), name="cells")
    events = predict_with(
        MODEL, FakeRuntime(UNET), PredictConfig(tile={"y": 48, "x": 48}), [image]
    )
    started = next(e for e in events if isinstance(e, PredictionStarted))
    assert started.outputs[0].name == "cells → fake model"
    assert not np.asarray(started.outputs[0].data).any()
    tile = next(e for e in events if isinstance(e, TileDone))
    part = np.asarray(started.outputs[0].data)[0][tile.region["y"], tile.region["x"]]
    assert part.all()
    events.close()


TWO_CHANNELS = FakeModel((input_spec(channels=2),), (output_spec(),))
THREE_D = FakeModel((input_spec("zyx"),), (output_spec("zyx"),))


@pytest.mark.parametrize(
    ("model", "config", "sentence"),
    [
        (TWO_CHANNELS, {}, "reads 2 channels"),
        (THREE_D, {}, "has y/x"),
        (MODEL, {"region": {"y": (10, 50)}}, "isn't inside"),
        (MODEL, {"region": {"z": (0, 1)}}, "names the axis 'z'"),
        (MODEL, {"tile": {"z": 10}}, "no axis 'z'"),
        (MODEL, {"channels": [1]}, "no channel 1"),
        (MODEL, {"output": "result.jpg"}, "no format"),
    ],
)
def test_what_does_not_fit_gets_its_sentence(
    model: FakeModel, config: dict[str, Any], sentence: str
) -> None:
    image = Image(pixels(40, 40), ("y", "x"))
    with pytest.raises(ConfigError, match=sentence):
        events_of(model, UNET, image, **config)


def test_not_a_number_is_refused() -> None:
    array = pixels(40, 40)
    array[3, 4] = np.inf
    with pytest.raises(ImageError, match="NaN or infinite"):
        events_of(MODEL, UNET, Image(array, ("y", "x")))


def test_a_small_image_is_one_tile_and_nothing_is_measured() -> None:
    runtime = FakeRuntime(UNET)
    model = FakeModel((input_spec(),), (output_spec(),), sha256="s" * 64)
    array = pixels(61, 75)
    result = predicted(model, runtime, Image(array, ("y", "x")))
    assert runtime.shapes == [(1, 1, 64, 76)]
    expected = whole(model, UNET, array[None, None])[0]
    np.testing.assert_array_equal(result, expected)


def test_a_description_that_lies_is_noticed() -> None:
    network = as_function(nn.Conv2d(1, 1, 3))
    with pytest.raises(ModelError, match="description"):
        events_of(MODEL, network, Image(pixels(64, 64), ("y", "x")))


def test_an_existing_file_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "result.ome.zarr"
    path.mkdir()
    with pytest.raises(ConfigError, match="there already"):
        events_of(MODEL, UNET, Image(pixels(40, 40), ("y", "x")), output=path)


@pytest.mark.parametrize("output_type", ["uint8", "uint16", "float16"])
def test_the_type_that_is_asked_for_holds_what_it_can(
    output_type: Literal["uint8", "uint16", "float16"],
) -> None:
    steps = (Step("scale_linear", {"gain": 300.0, "offset": 100.0}),)
    model = FakeModel((input_spec(),), (output_spec(steps=steps),))
    image = Image(pixels(60, 60), ("y", "x"))
    expected = predicted(model, UNET, image)
    result = predicted(model, UNET, image, output_type=output_type)
    assert result.dtype == output_type
    if output_type != "float16":
        limits = np.iinfo(output_type)
        assert expected.min() < 0
        expected = np.clip(np.rint(expected), limits.min, limits.max)
    np.testing.assert_allclose(result, expected, rtol=1e-3)


def test_labels_keep_their_type() -> None:
    steps = (Step("sigmoid"), Step("binarize", {"threshold": 0.5}))
    model = FakeModel((input_spec(),), (output_spec(steps=steps, kind="labels"),))
    image = Image(pixels(40, 40), ("y", "x"))
    assert predicted(model, UNET, image, output_type="float32").dtype == np.uint8


def test_exact_tiles_are_blended_where_that_is_asked_for() -> None:
    image = Image(pixels(200, 180), ("y", "x"))
    options = {"tile": {"y": 96, "x": 96}, "halo": {"y": 16, "x": 16}}
    events = events_of(MODEL, UNET, image, overlap="blend", **options)
    started = next(e for e in events if isinstance(e, PredictionStarted))
    assert started.halo == {"y": 16, "x": 16}
    assert not any(isinstance(e, Message) for e in events)
    finished = events[-1]
    assert isinstance(finished, PredictionFinished)
    result = np.asarray(finished.outputs[0].data)
    expected = predicted(MODEL, UNET, image, halo="exact")
    # Near a seam each tile lacks what lies behind its end, but with little weight.
    assert largest_difference(result, expected) < 0.3
