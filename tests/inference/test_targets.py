"""What a step that sees the whole result needs is known before the first tile."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import psutil
import pytest

from napari_im2im.errors import ConfigError
from napari_im2im.events import Message, PredictionStarted, TileDone
from napari_im2im.images.image import Image
from napari_im2im.inference.config import PredictConfig
from napari_im2im.inference.forecast import forecast_prediction
from napari_im2im.inference.prediction import predict_events
from napari_im2im.models.archive import sha256_of
from packages import change_steps, custom_step, write_smooth_package

if TYPE_CHECKING:
    from pathlib import Path

SAME = "def same():\n    return lambda array: array\n"
IMAGE = Image(np.zeros((3, 48, 64), np.float32), ("time", "y", "x"))
PLANE = 48 * 64 * 4


@pytest.fixture
def job(tmp_path: Path) -> tuple[PredictConfig, set[str]]:
    """A job whose model has code for the whole result, and what is trusted for it."""
    model = write_smooth_package(tmp_path / "model")
    change_steps(model, after=[custom_step(model, "same", SAME)])
    config = PredictConfig(
        model=str(model), device="cpu", output=tmp_path / "result.ome.zarr"
    )
    return config, {sha256_of(model / "same.py")}


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The memory of a computer that a test chooses."""
    known = psutil.virtual_memory()
    sizes = SimpleNamespace(available=known.available, total=known.total)
    monkeypatch.setattr(
        "napari_im2im.inference.targets.psutil",
        SimpleNamespace(virtual_memory=lambda: sizes),
    )
    return sizes


def test_it_is_forecast(
    job: tuple[PredictConfig, set[str]], memory: SimpleNamespace
) -> None:
    config, trusted = job
    forecast = forecast_prediction(config, [IMAGE], trusted=trusted)
    # A plane as it is read and as it comes back, and the planes that are done.
    assert forecast.whole == (2 + 3) * PLANE
    assert "need the whole result at once" in forecast.describe()
    kept = forecast_prediction(
        config.model_copy(update={"output": None}), [IMAGE], trusted=trusted
    )
    assert kept.whole == (2 + 3 + 3 + 3) * PLANE


def test_it_is_said_where_memory_is_short(
    job: tuple[PredictConfig, set[str]], memory: SimpleNamespace
) -> None:
    config, trusted = job
    memory.available = PLANE
    events = list(predict_events(config, [IMAGE], trusted=trusted))
    short = next(e for e in events if isinstance(e, Message) and "'same'" in e.text)
    assert "needs the whole result in memory at once" in short.text
    kinds = [type(event) for event in events]
    assert events.index(short) < kinds.index(PredictionStarted) < kinds.index(TileDone)


def test_what_can_never_fit_is_refused_before_anything_is_written(
    job: tuple[PredictConfig, set[str]], memory: SimpleNamespace
) -> None:
    config, trusted = job
    memory.available = memory.total = PLANE
    with pytest.raises(ConfigError, match="predict parts of the image"):
        list(predict_events(config, [IMAGE], trusted=trusted))
    assert not config.output.exists()
