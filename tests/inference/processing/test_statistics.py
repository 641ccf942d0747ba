"""Whole-image statistics: after the steps before, per channel, as numpy has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pytest

from napari_im2im.errors import ImageError, ModelError
from napari_im2im.events import PredictionFinished
from napari_im2im.images.image import Image
from napari_im2im.inference import sources
from napari_im2im.inference.config import PredictConfig
from napari_im2im.inference.prediction import predict_events
from napari_im2im.inference.processing.statistics import WholeTensor, bind_steps
from napari_im2im.inference.processing.steps import apply
from napari_im2im.inference.sources import Source
from napari_im2im.models.tensors import Step
from packages import change_steps, predict_with_core, write_smooth_package

if TYPE_CHECKING:
    from pathlib import Path

AXES = ("batch", "channel", "y", "x")


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "BLOCK_BYTES", 2000)


def pixels(dtype: str, shape: tuple[int, ...] = (2, 40, 50)) -> np.ndarray:
    rng = np.random.default_rng(3)
    values = rng.gamma(2.0, 200.0, shape)
    values[1] *= 3
    return values.astype(dtype)


def processed(array: np.ndarray, *steps: Step, **options: bool) -> np.ndarray:
    image = Image(array, ("channel", "y", "x"))
    tensor = WholeTensor(Source(image, None, AXES))
    return apply(bind_steps(steps, tensor, "the input", **options), array[None])


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "int32"])
def test_mean_and_variance_of_all_axes(dtype: str) -> None:
    array = pixels(dtype)
    result = processed(array, Step("zero_mean_unit_variance", {"eps": 1e-6}))
    expected = (array - array.mean()) / (array.std() + 1e-6)
    np.testing.assert_allclose(result[0], expected, atol=1e-5)


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_percentiles_of_each_channel(dtype: str) -> None:
    array = pixels(dtype)
    kwargs = {"axes": ("y", "x"), "min_percentile": 1.0, "max_percentile": 99.0}
    result = processed(array, Step("scale_range", kwargs))
    low, high = np.percentile(array, [1, 99], axis=(1, 2), keepdims=True)
    atol = 1e-6 if dtype == "uint16" else 2e-3
    np.testing.assert_allclose(result[0], (array - low) / (high - low), atol=atol)


def test_eps_is_honoured() -> None:
    array = np.array([0.0, 2.0], np.float32).reshape(1, 1, 2).repeat(2, axis=0)
    step = Step("zero_mean_unit_variance", {"eps": 0.1})
    assert processed(array, step).max() == pytest.approx(1 / 1.1)
    step = Step("scale_range", {"eps": 0.1})
    assert processed(array, step).max() == pytest.approx(2 / 2.1)


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_statistics_see_the_steps_before(dtype: str) -> None:
    array = pixels(dtype)
    clip = Step("clip", {"min": 100.0, "max": 400.0})
    step = Step("scale_range", {"min_percentile": 0.0, "max_percentile": 100.0})
    result = processed(array, clip, step)
    assert result.min() == 0
    assert result.max() == pytest.approx(1)
    raw = processed(array, clip, step, as_bioimageio_core=True)
    assert raw.max() < 0.5


def test_softmax_before_a_statistic() -> None:
    array = pixels("uint8") // 50
    steps = Step("softmax", {"axis": "channel"}), Step("zero_mean_unit_variance")
    result = processed(array, *steps)
    assert result.mean() == pytest.approx(0, abs=1e-4)
    assert result.std() == pytest.approx(1, abs=1e-3)


def test_clip_at_percentiles_takes_values_that_occur() -> None:
    array = pixels("uint16")
    step = Step("clip", {"min_percentile": 5.0, "max_percentile": 95.0})
    low, high = np.percentile(array, [5, 95], method="inverted_cdf")
    assert processed(array, step).min() == low
    assert processed(array, step).max() == high


def test_a_reference_tensor_gives_its_statistics() -> None:
    rng = np.random.default_rng(0)
    result = rng.normal(5, 3, (1, 1, 32, 32)).astype(np.float32)
    other = rng.normal(100, 20, (32, 32)).astype(np.float32)
    own = WholeTensor(Source(Image(result[0, 0], ("y", "x")), None, AXES))
    raw = WholeTensor(Source(Image(other, ("y", "x")), None, AXES))
    step = Step("scale_mean_variance", {"reference_tensor": "raw", "eps": 1e-6})
    operations = bind_steps([step], own, "the output", references={"raw": raw})
    matched = apply(operations, result)
    assert matched.mean() == pytest.approx(other.mean(), rel=1e-4)
    assert matched.std() == pytest.approx(other.std(), rel=1e-4)
    with pytest.raises(ModelError, match="no input"):
        bind_steps([step], own, "the output")


def test_z_is_part_of_the_whole_for_a_2d_model() -> None:
    array = np.arange(3 * 4 * 5, dtype=np.float32).reshape(3, 4, 5)
    tensor = WholeTensor(Source(Image(array, ("z", "y", "x")), None, AXES))
    step = Step("zero_mean_unit_variance", {"axes": ("channel", "y", "x")})
    operations = bind_steps([step], tensor, "the input")
    result = apply(operations, array[:, None])
    assert result.mean() == pytest.approx(0, abs=1e-6)


def test_separate_statistics_for_rows_are_refused() -> None:
    step = Step("zero_mean_unit_variance", {"axes": ("channel", "x")})
    with pytest.raises(ModelError, match="position along y"):
        processed(pixels("uint8"), step)


def test_not_a_number_is_named_with_its_place() -> None:
    array = pixels("float32")
    array[1, 39, 7] = np.nan
    with pytest.raises(ImageError, match="channel 1, y 39, x 7"):
        processed(array, Step("zero_mean_unit_variance"))


def step(name: str, **kwargs: Any) -> dict[str, Any]:
    return {"id": name, "kwargs": kwargs}


JOINTLY = {"axes": ["batch", "channel", "y", "x"]}


@pytest.mark.parametrize(
    "steps",
    [
        [step("zero_mean_unit_variance", eps=0.1, **JOINTLY)],
        [
            step("scale_linear", gain=0.5, offset=3.0),
            step("zero_mean_unit_variance", eps=1e-6, **JOINTLY),
        ],
        [
            step("clip", min=60.0, max=200.0),
            step("scale_range", min_percentile=1.0, max_percentile=90.0, **JOINTLY),
        ],
    ],
    ids=["eps", "scaled before", "clipped before"],
)
def test_bioimageio_core_is_repeated_where_that_is_asked_for(
    tmp_path: Path, steps: list[dict[str, Any]]
) -> None:
    folder = change_steps(write_smooth_package(tmp_path / "model"), steps)
    pixels = np.random.default_rng(0).gamma(4, 30, (64, 48)).astype(np.float32)
    (theirs,) = predict_with_core(folder, [pixels[None, None]])
    image = Image(pixels, ("y", "x"))
    results = {}
    both: tuple[Literal["image", "bioimageio.core"], ...] = ("image", "bioimageio.core")
    for statistics in both:
        config = PredictConfig(model=str(folder), statistics=statistics)
        finished = list(predict_events(config, [image]))[-1]
        assert isinstance(finished, PredictionFinished)
        results[statistics] = np.asarray(finished.outputs[0].data)
    np.testing.assert_allclose(
        results["bioimageio.core"], theirs[0], rtol=1e-3, atol=1e-4
    )
    assert not np.allclose(results["image"], theirs[0], rtol=1e-2)
