"""What is said of a prediction before it begins."""

import numpy as np
import pytest

from napari_im2im.images.image import Image
from napari_im2im.inference import forecast as forecasts
from napari_im2im.inference.config import PredictConfig
from napari_im2im.inference.forecast import forecast_prediction, forecast_with
from napari_im2im.inference.jobs import TileRunner
from napari_im2im.inference.loaded import LoadedModel
from napari_im2im.models.package import load_package
from packages import write_smooth_package


@pytest.fixture
def config(tmp_path):
    return PredictConfig(model=str(write_smooth_package(tmp_path / "model")))


def images(*shape):
    pixels = np.random.default_rng(0).normal(size=shape).astype("float32")
    return [Image(pixels, ("time", "y", "x"))]


def test_it_says_how_long_all_tiles_take(config, monkeypatch):
    monkeypatch.setattr(forecasts, "_seconds", lambda *_: 25.0)
    forecast = forecast_prediction(config, images(6, 40, 48))
    assert forecast.seconds == 25 * forecast.tiles
    assert f"in about {25 * forecast.tiles / 60:.0f} min, about" in forecast.describe()


def test_of_images_alike_one_tile_is_timed(config, monkeypatch):
    computed, compute = [], TileRunner.compute

    def count(self, prepared):
        computed.append(prepared)
        return compute(self, prepared)

    monkeypatch.setattr(TileRunner, "compute", count)
    with LoadedModel(load_package(config.model), config) as loaded:
        first, _ = forecast_with(loaded, config, images(3, 40, 48))
        second, outputs = forecast_with(loaded, config, images(3, 40, 48))
    assert len(computed) == 2
    assert first.seconds == second.seconds > 0
    assert outputs[0].sizes == second.shapes[0]


def test_where_memory_is_short_no_time_is_said(config, monkeypatch):
    def hungry(*_):
        raise MemoryError

    monkeypatch.setattr(TileRunner, "compute", hungry)
    forecast = forecast_prediction(config, images(1, 40, 48))
    assert forecast.seconds is None
    assert "on cpu, about" in forecast.describe()
