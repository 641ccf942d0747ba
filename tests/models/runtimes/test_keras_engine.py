from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaml

from napari_im2im.errors import ModelError
from napari_im2im.models.package import load_package
from napari_im2im.models.runtimes import load_runtime, loading
from packages import write_smooth_package

if TYPE_CHECKING:
    from pathlib import Path

    from napari_im2im.models.package import ModelPackage

V3 = {"keras_v3": {"keras_version": "3.8.0", "backend": ["torch", "2.6.0"]}}
HDF5 = {"keras_hdf5": {"tensorflow_version": "2.10.0"}}
NAMES = {"keras_v3": "weights.keras", "keras_hdf5": "weights.h5"}


def with_keras_weights(folder: Path, model: Any, entry: dict[str, Any]) -> ModelPackage:
    """Write a package that has only the weights of a Keras model."""
    write_smooth_package(folder)
    ((weights_format, fields),) = entry.items()
    name = NAMES[weights_format]
    model.save(folder / name)
    file = folder / "rdf.yaml"
    content = yaml.safe_load(file.read_text())
    content["weights"] = {weights_format: {"source": name, **fields}}
    file.write_text(yaml.safe_dump(content))
    return load_package(folder)


@pytest.fixture
def keras(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    return pytest.importorskip("keras")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("entry", [V3, HDF5])
def test_a_keras_model_runs_without_tensorflow(
    tmp_path: Path, keras: Any, entry: dict[str, Any]
) -> None:
    image = keras.Input((1, None, None))
    layer = keras.layers.Conv2D(1, 3, padding="same", data_format="channels_first")
    model = keras.Model(image, layer(image))
    runtime = load_runtime(with_keras_weights(tmp_path / "m", model, entry))
    array = np.random.default_rng(0).normal(size=(1, 1, 16, 24)).astype(np.float32)

    (result,) = runtime([array])

    assert runtime.engine == "keras"
    np.testing.assert_allclose(result, model.predict_on_batch(array), atol=1e-6)
    with pytest.raises(ModelError, match="can't run on arrays of"):
        runtime([np.zeros((1, 3, 16, 24), np.float32)])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("entry", [V3, HDF5])
def test_code_in_a_layer_is_refused(
    tmp_path: Path, keras: Any, entry: dict[str, Any]
) -> None:
    image = keras.Input((None, None, 1))
    model = keras.Model(image, keras.layers.Lambda(lambda x: x * 2)(image))
    package = with_keras_weights(tmp_path / "m", model, entry)

    with pytest.raises(ModelError, match="arbitrary code"):
        load_runtime(package)


@pytest.mark.filterwarnings("ignore")
def test_without_keras_the_extra_is_named(
    tmp_path: Path, keras: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = keras.Input((None, None, 1))
    package = with_keras_weights(tmp_path / "m", keras.Model(image, image + 1.0), V3)
    find = loading.find_spec
    monkeypatch.setattr(
        loading, "find_spec", lambda name: None if name == "keras" else find(name)
    )

    with pytest.raises(ModelError, match=r"pip install 'napari-im2im\[keras\]'"):
        load_runtime(package)
