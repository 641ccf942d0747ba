"""Predictions into files: streamed, resumable, with their provenance."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
import zarr

from inference.models import FakeModel, FakeRuntime, events_of, predicted
from inference.networks import UNet, as_function
from inference.specs import input_spec, output_spec
from napari_im2im.errors import ConfigError, ImageError
from napari_im2im.events import (
    Message,
    PredictionFinished,
    PredictionStarted,
    TileDone,
)
from napari_im2im.images import open_image, save_image
from napari_im2im.images.image import Image
from napari_im2im.inference import collection, sources, targets
from napari_im2im.inference.config import PredictConfig
from napari_im2im.inference.file_tasks import PredictionTask, plan_predictions
from napari_im2im.inference.prediction import predict_with
from napari_im2im.models.tensors import Step

if TYPE_CHECKING:
    from collections.abc import Sequence

UNET = as_function(UNet(), gain=1.5)
FIELD = {
    "receptive_field": {
        "stride": {"y": 4, "x": 4},
        "radius": {"y": [13, 13], "x": [13, 13]},
        "exact": True,
        "reason": "",
    }
}
MODEL = FakeModel((input_spec(),), (output_spec(),), config=FIELD)
SCALED = FakeModel(
    (input_spec(),),
    (output_spec(steps=(Step("scale_range", {"max_percentile": 99.0}),)),),
    config=FIELD,
)
TILE = {"y": 64, "x": 64}


def image(*shape: int) -> Image:
    pixels = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    return Image(
        pixels,
        ("y", "x"),
        scale={"y": 0.25, "x": 0.25},
        units={"y": "micrometer", "x": "micrometer"},
    )


@pytest.mark.parametrize("name", ["result.ome.zarr", "result.ome.tif"])
def test_a_file_has_pixels_scale_and_provenance(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    source = image(150, 130)
    config: dict[str, Any] = {"tile": TILE, "halo": "exact"}
    finished = events_of(MODEL, UNET, source, output=path, **config)[-1]
    assert isinstance(finished, PredictionFinished)
    assert finished.outputs[0].source == path
    assert [p.name for p in tmp_path.iterdir()] == [name]
    read = open_image(path)
    expected = predicted(MODEL, UNET, source, **config)
    np.testing.assert_array_equal(np.squeeze(read.data[...]), expected[0])
    np.testing.assert_array_equal(np.asarray(finished.outputs[0].data), expected)
    assert read.scale["x"] == pytest.approx(0.25)
    assert read.units["x"] == "micrometer"


def test_what_a_picture_cannot_hold_is_said_before_the_first_tile(
    tmp_path: Path,
) -> None:
    runtime = FakeRuntime(UNET)
    config = PredictConfig(output=tmp_path / "result.png", halo="exact", tile=TILE)
    with pytest.raises(ImageError, match=r"holds float32: save it as \.ome\.tif"):
        list(predict_with(MODEL, runtime, config, [image(150, 130)]))
    assert not list(tmp_path.iterdir())


def test_a_job_goes_on_after_the_first_of_two_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def network(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [arrays[0] + 1, arrays[0] + 2]

    whole = (Step("scale_range", {"max_percentile": 99.0}),)
    specs = output_spec(id="one", steps=whole), output_spec(id="two", steps=whole)
    model = FakeModel((input_spec(),), specs, config=FIELD)
    config: dict[str, Any] = {"tile": TILE, "halo": "exact"}
    expected = predicted(model, network, image(90, 80), **config)
    config["output"] = tmp_path / "result.tif"

    def once(image: Image, path: Path, **options: Any) -> None:
        if path.name != "result_one.tif":
            raise ImageError("the disk is full")
        save_image(image, path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(targets, "save_image", once)
        with pytest.raises(ImageError, match="full"):
            events_of(model, network, image(90, 80), **config)
    events_of(model, network, image(90, 80), resume=True, **config)
    files = sorted(tmp_path.iterdir())
    assert [path.name for path in files] == ["result_one.tif", "result_two.tif"]
    np.testing.assert_allclose(open_image(files[0]).read(), expected[0], rtol=1e-6)


def test_provenance_is_in_the_store(tmp_path: Path) -> None:
    path = tmp_path / "result.zarr"
    events_of(MODEL, UNET, image(60, 60), output=path, halo="exact")
    written = zarr.open_group(path, mode="r").attrs["napari_im2im"]
    assert written["model"]["sha256"] == MODEL.sha256
    assert PredictConfig(**written["config"]).halo == "exact"


@pytest.mark.parametrize("model", [MODEL, SCALED])
@pytest.mark.parametrize("name", ["result.ome.zarr", "result.tif"])
@pytest.mark.parametrize("tiles", [1, 7])
def test_a_stopped_job_goes_on_bit_for_bit(
    tmp_path: Path, model: FakeModel, name: str, tiles: int
) -> None:
    source = image(200, 180)
    config: dict[str, Any] = {"tile": TILE, "halo": "exact"}
    reference = predicted(model, UNET, source, **config)
    path = tmp_path / name
    events = predict_with(
        model, FakeRuntime(UNET), PredictConfig(output=path, **config), [source]
    )
    for event in events:
        if isinstance(event, TileDone) and event.index == tiles:
            break
    events.close()
    rest = events_of(model, UNET, source, output=path, resume=True, **config)
    started = next(e for e in rest if isinstance(e, PredictionStarted))
    assert tiles <= started.done < started.tiles
    assert sum(isinstance(e, TileDone) for e in rest) == started.tiles - started.done
    finished = rest[-1]
    assert isinstance(finished, PredictionFinished)
    np.testing.assert_array_equal(np.squeeze(open_image(path).data[...]), reference[0])
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_a_line_that_was_cut_off_is_done_again(tmp_path: Path) -> None:
    path = tmp_path / "result.zarr"
    source = image(200, 180)
    config: dict[str, Any] = {"tile": TILE, "halo": "exact", "output": path}
    events = predict_with(MODEL, FakeRuntime(UNET), PredictConfig(**config), [source])
    for event in events:
        if isinstance(event, TileDone) and event.index == 5:
            break
    events.close()
    journal = tmp_path / ".result.zarr.journal"
    journal.write_text(journal.read_text()[:-3])
    rest = events_of(MODEL, UNET, source, resume=True, **config)
    assert isinstance(rest[-1], PredictionFinished)


def test_another_job_is_not_continued(tmp_path: Path) -> None:
    path = tmp_path / "result.zarr"
    source = image(200, 180)
    config: dict[str, Any] = {"tile": TILE, "halo": "exact", "output": path}
    events = predict_with(MODEL, FakeRuntime(UNET), PredictConfig(**config), [source])
    next(e for e in events if isinstance(e, TileDone))
    events.close()
    with pytest.raises(ConfigError, match="begun with another image"):
        events_of(MODEL, UNET, image(100, 180), resume=True, **config)
    other = replace(source, source=tmp_path / "other.tif")
    with pytest.raises(ConfigError, match="begun with another input"):
        events_of(MODEL, UNET, other, resume=True, **config)


def test_each_output_of_several_becomes_a_plate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plate = zarr.create_group(tmp_path / "p.zarr", zarr_format=2)
    plate.attrs["plate"] = {"wells": [{"path": "A/1"}, {"path": "B/2"}]}
    for well in ("A/1", "B/2"):
        plate.create_group(well).attrs["well"] = {"images": [{"path": "0"}]}
        save_image(image(40, 40), tmp_path / "p.zarr" / well / "0.zarr")
        (tmp_path / "p.zarr" / well / "0.zarr").rename(tmp_path / "p.zarr" / well / "0")

    def network(arrays: list[np.ndarray]) -> list[np.ndarray]:
        return [arrays[0] + 1, arrays[0] + 2]

    specs = [output_spec(id=name) for name in ("one", "two")]
    model = FakeModel((input_spec(),), tuple(specs), config=FIELD)

    def predict(config: PredictConfig, **_: Any) -> Any:
        path = Path(config.inputs[0])
        return predict_with(model, FakeRuntime(network), config, [open_image(path)])

    monkeypatch.setattr(collection, "predict_events", predict)
    monkeypatch.setattr(collection, "task_config", of_task)
    out = tmp_path / "out"
    tasks = plan_predictions([str(tmp_path / "p.zarr")], 1, out, "m", ["one", "two"])
    for task in tasks:
        loaded: Any = SimpleNamespace(package=None)
        list(collection.predict_task(PredictConfig(), task, loaded))
    assert sorted(path.name for path in out.iterdir()) == [
        "p_m_one.ome.zarr",
        "p_m_two.ome.zarr",
    ]
    for number, name in enumerate(("one", "two"), start=1):
        result = out / f"p_m_{name}.ome.zarr"
        assert "plate" in zarr.open_group(result, mode="r").attrs["ome"]
        for well in ("A/1", "B/2"):
            images = [path.name for path in (result / well).iterdir() if path.is_dir()]
            assert images == ["0"]
            read = np.squeeze(open_image(result / well / "0").data[...])
            np.testing.assert_allclose(read, image(40, 40).data + number, rtol=1e-6)


def of_task(config: PredictConfig, task: PredictionTask, _: Any) -> PredictConfig:
    values = {"inputs": [str(task.inputs[0])], "output": task.output, "halo": "exact"}
    return config.model_copy(update=values)


def test_memory_does_not_grow_with_the_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def network(arrays: list[np.ndarray]) -> list[np.ndarray]:
        return [arrays[0] * 2]

    monkeypatch.setattr(sources, "BLOCK_BYTES", 1 << 20)
    peaks = []
    for rows in (2048, 16384):
        source = zarr.create_array(
            tmp_path / f"{rows}.zarr",
            shape=(rows, 512),
            chunks=(256, 256),
            dtype="uint8",
            fill_value=7,
        )
        steps = (Step("zero_mean_unit_variance", {"eps": 1e-6}),)
        model = FakeModel((input_spec(steps=steps),), (output_spec(),), config=FIELD)
        config = PredictConfig(
            tile={"y": 256, "x": 256},
            halo="exact",
            output=tmp_path / f"{rows}-result.zarr",
        )
        tracemalloc.start()
        events = predict_with(
            model, FakeRuntime(network), config, [Image(source, ("y", "x"))]
        )
        for event in events:
            # The pyramid afterwards has its own bound, of 64 MB.
            if isinstance(event, TileDone) and event.index == event.total:
                break
        peaks.append(tracemalloc.get_traced_memory()[1])
        events.close()
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]


def damaged(folder: Path) -> Image:
    """Return an image of which the chunk (2, 1) is cut off."""
    array = zarr.create_array(
        folder / "source.zarr", shape=(256, 192), chunks=(64, 64), dtype="float32"
    )
    array[...] = np.random.default_rng(0).standard_normal((256, 192))
    chunk = folder / "source.zarr" / "c" / "2" / "1"
    chunk.write_bytes(chunk.read_bytes()[:100])
    return Image(array, ("y", "x"), name="source")


def test_a_damaged_chunk_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"source .* chunk \(2, 1\)"):
        events_of(MODEL, UNET, damaged(tmp_path), tile=TILE, halo="exact")


def test_a_damaged_part_of_a_tiff_is_named_and_skipped(tmp_path: Path) -> None:
    path = tmp_path / "source.tif"
    pixels = np.random.default_rng(0).standard_normal((256, 192)).astype(np.float32)
    tifffile.imwrite(path, pixels, tile=(64, 64), compression="zlib")
    with tifffile.TiffFile(path) as file:
        start = file.pages[0].dataoffsets[2 * 3 + 1]
    content = bytearray(path.read_bytes())
    content[start : start + 100] = bytes(100)
    path.write_bytes(content)
    source = open_image(path)
    with pytest.raises(ImageError, match=r"source .* chunk \(2, 1\)"):
        events_of(MODEL, UNET, source, tile=TILE, halo="exact")
    events = events_of(MODEL, UNET, source, tile=TILE, halo="exact", unreadable="skip")
    finished = events[-1]
    assert isinstance(finished, PredictionFinished)
    result = np.asarray(finished.outputs[0].data)[0]
    assert not result[140:180, 70:120].any()
    assert result[:64].all()


def test_or_skipped_if_that_is_asked_for(tmp_path: Path) -> None:
    source = damaged(tmp_path)
    events = events_of(MODEL, UNET, source, tile=TILE, halo="exact", unreadable="skip")
    left_out = [e for e in events if isinstance(e, Message)]
    assert "chunk (2, 1)" in left_out[0].text
    finished = events[-1]
    assert isinstance(finished, PredictionFinished)
    result = np.asarray(finished.outputs[0].data)[0]
    assert not result[140:180, 70:120].any()
    assert result[:64].all()
    assert result[230:].all()
