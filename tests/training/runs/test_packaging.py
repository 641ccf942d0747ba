from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_im2im.models.package import load_package
from napari_im2im.models.runtimes.torch_engine import load_network
from napari_im2im.training.config import TrainConfig
from napari_im2im.training.preparation import prepare
from napari_im2im.training.runs.packaging import write_best


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


def test_the_package_says_all_that_prediction_needs(preparation, tmp_path):
    crop = preparation.split.validation[0].input
    folder = write_best(
        tmp_path / "model", preparation, preparation.network, crop, 7, {"pcc": 0.5}
    )
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


def test_the_network_comes_back_with_its_weights(preparation, tmp_path):
    crop = preparation.split.validation[0].input
    folder = write_best(
        tmp_path / "model", preparation, preparation.network, crop, 7, {}
    )
    network = load_network(load_package(folder)).eval()
    image = torch.rand(1, 1, 64, 48)
    with torch.inference_mode():
        expected = preparation.network.eval()(image)
        torch.testing.assert_close(network(image), expected)


def test_a_validation_image_too_small_to_test_with_is_mirrored(preparation, tmp_path):
    crop = preparation.split.validation[0].input[:, :16]
    folder = write_best(
        tmp_path / "model", preparation, preparation.network, crop, 7, {}
    )
    package = load_package(folder)
    (test_input,) = package.test_inputs()
    assert test_input.shape[2] >= package.inputs[0].axis("y").size.minimum > 16
    np.testing.assert_array_equal(
        test_input[0, :, :16], crop[..., : test_input.shape[3]]
    )
    np.testing.assert_array_equal(test_input[0, :, 16], test_input[0, :, 14])
