from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_im2im.api import predict
from napari_im2im.models.package import load_package
from napari_im2im.models.runtimes.torch_engine import load_network
from napari_im2im.training.config import TrainConfig
from napari_im2im.training.preparation import prepare
from napari_im2im.training.runs.packaging import (
    complete_best,
    known_field,
    measure_field,
    write_best,
)


@pytest.fixture
def preparation(make_pair):
    config = TrainConfig(
        name="phase to DNA",
        network={"kwargs": {"features": [4, 4, 4, 8, 8, 4]}},
        patch={"y": 32, "x": 32},
    )
    pairs = [
        make_pair((32, 96), seed=n, scale={"y": 0.25, "x": 0.25}) for n in range(2)
    ]
    return prepare(config, pairs, on_cpu=True)


@pytest.fixture
def write(preparation, tmp_path):
    """Write the package of the network as it is."""

    def write(crop=None, metrics=()):
        crop = preparation.split.validation[0].input if crop is None else crop
        network = preparation.network
        field = measure_field(preparation, network, crop)
        folder = tmp_path / "model"
        return write_best(folder, preparation, network, crop, 7, dict(metrics), field)

    return write


def test_the_package_says_all_that_prediction_needs(preparation, write):
    folder = write(metrics={"pcc": 0.5})
    early = load_package(folder)
    # Another best may follow, whose halo is another one.
    assert not early.outputs[0].axis("x").halo
    assert known_field(folder).radius["x"] == (94, 94)
    complete_best(folder, preparation, preparation.split.validation[0].input)
    package = load_package(folder)
    assert package.name == "phase to DNA"
    (source,), (target,) = package.inputs, package.outputs
    assert source.axis("x").pixel_size == 0.25
    assert source.axis("y").unit == "micrometer"
    field = package.config["receptive_field"]
    assert field["exact"]
    assert 0 < target.axis("x").halo <= max(field["radius"]["x"])
    assert package.config["training"]["name"] == "phase to DNA"
    assert package.config["metrics"] == {"pcc": 0.5}


def test_the_network_comes_back_with_its_weights(preparation, write):
    folder = write()
    image = torch.rand(1, 1, 64, 48)
    with torch.inference_mode():
        expected = preparation.network.eval()(image)
    # What is trained on doesn't come into the package of the best.
    with torch.no_grad():
        next(preparation.network.parameters()).fill_(0)
    crop = preparation.split.validation[0].input
    for measured in (False, True):
        if measured:
            complete_best(folder, preparation, crop)
        network = load_network(load_package(folder)).eval()
        with torch.inference_mode():
            torch.testing.assert_close(network(image), expected)


def test_a_package_without_a_halo_yet_predicts_the_same_in_tiles(write):
    image = np.random.default_rng(1).random((256, 448), np.float32)
    folder = write()
    whole, tiled = (
        predict(folder, image, tile=tile) for tile in (None, {"y": 208, "x": 224})
    )
    np.testing.assert_allclose(tiled, whole, atol=1e-4 * whole.std())


def test_a_validation_image_too_small_to_test_with_is_mirrored(preparation, write):
    crop = preparation.split.validation[0].input[:, :16]
    folder = write(crop)
    complete_best(folder, preparation, crop)
    package = load_package(folder)
    (test_input,) = package.test_inputs()
    assert test_input.shape[2] >= package.inputs[0].axis("y").size.minimum > 16
    np.testing.assert_array_equal(
        test_input[0, :, :16], crop[..., : test_input.shape[3]]
    )
    np.testing.assert_array_equal(test_input[0, :, 16], test_input[0, :, 14])
