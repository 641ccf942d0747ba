"""What is said of a training before it begins."""

import re
import time

import numpy as np
import pytest
import tifffile
import torch

from napari_im2im.errors import ConfigError
from napari_im2im.training import forecast as forecasts
from napari_im2im.training.adversarial.config import AdversarialConfig
from napari_im2im.training.config import EffortConfig, TrainConfig
from napari_im2im.training.data.config import DataConfig
from napari_im2im.training.forecast import forecast_training
from napari_im2im.training.stepping import Stepper


@pytest.fixture
def config(tmp_path, monkeypatch) -> TrainConfig:
    monkeypatch.setattr(forecasts, "_TIMED_SECONDS", 0.05)
    return TrainConfig(
        output=tmp_path / "runs",
        patch={"y": 16, "x": 32},
        batch_size=2,
        network={"name": "BasicUNet", "kwargs": {"features": [4, 4, 8, 8, 8, 4]}},
        effort={"steps": 1_000},
        device="cpu",
    )


@pytest.fixture
def pairs(make_pair):
    return [make_pair((48, 64), seed=n, name=f"field {n}") for n in range(2)]


def slow(monkeypatch, first=0.05, later=0.02):
    """Let steps take some seconds; return the numbers of those that are taken."""
    taken = []

    def learn(_self, step):
        taken.append(step)
        time.sleep(later if step else first)

    monkeypatch.setattr(Stepper, "learn", learn)
    return taken


def test_it_names_what_would_run_and_writes_nothing(config, pairs, tmp_path):
    forecast = forecast_training(config, pairs)
    assert not list(tmp_path.iterdir())
    assert (forecast.steps, forecast.seconds) == (1_000, None)
    assert forecast.patch == {"y": 16, "x": 32}
    assert "BasicUNet with" in forecast.describe()
    assert "ends after 1,000 steps" in forecast.describe()
    assert 0 < forecast.seconds_per_step < 10
    against = config.model_copy(update={"adversarial": AdversarialConfig(weight=1)})
    assert forecast_training(against, pairs).memory > forecast.memory
    larger = config.model_copy(update={"batch_size": 4})
    assert forecast_training(larger, pairs).memory > forecast.memory


def test_the_first_step_does_not_count(config, pairs, monkeypatch):
    taken = slow(monkeypatch, first=0.3)
    forecast = forecast_training(config, pairs)
    assert len(taken) >= 4
    assert forecast.seconds_per_step == pytest.approx(0.02, rel=0.5)


def test_one_long_step_is_enough(config, pairs, monkeypatch):
    monkeypatch.setattr(forecasts, "_LONG", 0.1)
    taken = slow(monkeypatch, first=0.2)
    assert forecast_training(config, pairs).seconds_per_step >= 0.2
    assert taken == [0]


def test_it_says_how_long_or_how_far(config, pairs, monkeypatch):
    slow(monkeypatch)
    monkeypatch.setattr(forecasts, "_step_seconds", lambda *_: 0.25)
    text = forecast_training(config, pairs).describe()
    assert "A step takes 0.25 s: about 4 min, and what validating takes." in text
    config.effort = EffortConfig(seconds=600)
    text = forecast_training(config, pairs).describe()
    assert "about 2,400 steps, or fewer by what validating takes." in text
    config.effort = EffortConfig(seconds=600, steps=100)
    assert "about 25 s, and what" in forecast_training(config, pairs).describe()


def test_it_names_the_files_that_belong_together(config, tmp_path, monkeypatch):
    slow(monkeypatch)
    monkeypatch.setattr(forecasts, "_ROWS_SHOWN", 2)
    random = np.random.default_rng(0)
    for name in ("1_IM", "1_GT", "1_CM", "2_IM", "2_GT", "3_IM", "3_GT", "4_IM"):
        pixels = np.ones((48, 64)) if "CM" in name else random.random((48, 64))
        tifffile.imwrite(tmp_path / f"{name}.tif", pixels.astype(np.float32))
    config.data = DataConfig(folder=tmp_path)
    text = forecast_training(config).describe()
    assert re.search(r"\n  (train|val): 1_IM.tif → 1_GT.tif, cost map 1_CM.tif\n", text)
    assert "  … and 1 more\n" in text
    assert "1 image file has no partner: 4_IM.tif." in text


def test_what_fits_into_memory_is_forecast(config, pairs, monkeypatch):
    learn = Stepper.learn

    def hungry(self, step):
        if self.patches_at_once > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return learn(self, step)

    monkeypatch.setattr(Stepper, "learn", hungry)
    forecast = forecast_training(config, pairs)
    assert forecast.batch_size == 1
    assert forecast.seconds_per_step is not None
    assert "Memory was short. Patches of 16 × 32 pixels" in forecast.describe()

    def too_hungry(_self, _step):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Stepper, "learn", too_hungry)
    with pytest.raises(ConfigError, match="too little memory for a single patch"):
        forecast_training(config, pairs)


def test_a_step_that_would_end_the_process_is_not_tried(config, pairs, monkeypatch):
    monkeypatch.setattr(forecasts, "free_memory", lambda _device: 100_000)
    taken = slow(monkeypatch)
    forecast = forecast_training(config, pairs)
    assert (taken, forecast.seconds_per_step) == ([], None)
    assert "Only 0.0001 GB of memory are free" in forecast.describe()
