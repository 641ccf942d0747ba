from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaml

from napari_im2im.errors import ModelError
from napari_im2im.events import PredictionFinished
from napari_im2im.images.image import Image
from napari_im2im.inference.config import PredictConfig
from napari_im2im.inference.prediction import predict_events
from napari_im2im.inference.reproduction import (
    image_of_tensor,
    reproduces,
    tensor_of_image,
)
from napari_im2im.models.archive import sha256_of
from napari_im2im.models.package import load_package
from napari_im2im.models.runtimes import load_runtime
from packages import (
    change_steps,
    random_image,
    write_smooth_package,
    write_two_output_package,
)

if TYPE_CHECKING:
    from pathlib import Path


def test_a_tensor_is_the_same_as_an_image_and_back(tmp_path: Path) -> None:
    package = load_package(write_smooth_package(tmp_path / "m"))
    (spec,) = package.inputs
    for shape in ((1, 1, 16, 24), (3, 1, 16, 24)):
        array = random_image(*shape)
        again = tensor_of_image(spec, image_of_tensor(spec, array))
        np.testing.assert_array_equal(again, array)


def test_a_runtime_reproduces_its_own_test(tmp_path: Path) -> None:
    package = load_package(write_two_output_package(tmp_path / "m"))
    runtime = load_runtime(package, engine="torchscript", device="cpu")
    assert reproduces(package, runtime)
    expected = package.test_outputs()[0]
    expected[..., :4] += 1
    folder = change_steps(tmp_path / "m", expected=expected)
    assert not reproduces(load_package(folder), runtime)
    change_steps(folder, expected=expected[..., 1:])
    assert not reproduces(load_package(folder), runtime)
    runtime.close()


def write_keras_package(folder: Path, keras: Any) -> Path:
    """Write a package with channels last and a step on each side."""
    write_smooth_package(folder)
    image = keras.Input((None, None, 1))
    hidden = keras.layers.Conv2D(4, 3, padding="same", activation="relu")(image)
    model = keras.Model(image, keras.layers.Conv2D(2, 3, padding="same")(hidden))
    model.save(folder / "weights.keras")
    array = random_image(1, 32, 48, 1) * 20 + 100
    np.save(folder / "in.npy", array)
    normal = (array - array.mean()) / (array.std() + 1e-6)
    np.save(folder / "out.npy", model.predict_on_batch(normal) * 2 + 1)
    content = yaml.safe_load((folder / "rdf.yaml").read_text())
    every = {"axes": ["channel", "y", "x"]}
    steps = {
        "inputs": {"id": "zero_mean_unit_variance", "kwargs": every},
        "outputs": {"id": "scale_linear", "kwargs": {"gain": 2.0, "offset": 1.0}},
    }
    for side, file, names in (
        ("inputs", "in.npy", ["c"]),
        ("outputs", "out.npy", "ab"),
    ):
        (one,) = content[side]
        batch, channel, *rest = one["axes"]
        channel["channel_names"] = list(names)
        one["axes"] = [batch, *rest, channel]
        one["test_tensor"] = {"source": file, "sha256": sha256_of(folder / file)}
        kind = "preprocessing" if side == "inputs" else "postprocessing"
        one[kind] = [steps[side]]
    weights = {"source": "weights.keras", "sha256": sha256_of(folder / "weights.keras")}
    content["weights"] = {
        "keras_v3": {
            **weights,
            "keras_version": keras.__version__,
            "backend": ["torch", "2.6.0"],
        }
    }
    content["config"].pop("bioimageio", None)
    (folder / "rdf.yaml").write_text(yaml.safe_dump(content))
    return folder


@pytest.mark.filterwarnings("ignore")
def test_a_keras_model_is_checked_before_it_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras")
    folder = write_keras_package(tmp_path / "model", keras)
    package = load_package(folder)
    (array,) = package.test_inputs()
    image = Image(array[0, :, :, 0], ("y", "x"))
    job = PredictConfig(model=str(folder), device="cpu")

    *_, last = predict_events(job, [image])
    assert isinstance(last, PredictionFinished)
    result = last.outputs[0].read(axes=["y", "x", "channel"])
    np.testing.assert_allclose(result, package.test_outputs()[0][0], atol=1e-4)
    tiles = job.model_copy(update={"engine": "keras", "tile": {"y": 16, "x": 16}})
    *_, last = predict_events(tiles, [image])
    assert isinstance(last, PredictionFinished)
    cut = last.outputs[0].read(axes=["y", "x", "channel"])
    np.testing.assert_allclose(cut, result, atol=1e-4)

    change_steps(folder, expected=package.test_outputs()[0] + 3)
    with pytest.raises(ModelError, match="keras gives another result"):
        list(predict_events(job, [image]))
