from __future__ import annotations

import pytest
import torch

from napari_im2im.errors import ConfigError
from napari_im2im.models.networks import (
    CATALOGUE,
    NetworkConfig,
    build_network,
    network_kwargs,
    network_sizes,
)
from napari_im2im.models.tensors import FixedSize, SteppedSize

YX = ("y", "x")
ZYX = ("z", "y", "x")


def build(config: NetworkConfig, axes: tuple[str, ...] = YX, **kwargs):
    kwargs = {"in_channels": 1, "out_channels": 1, "scale": None, **kwargs}
    return build_network(config, spatial_axes=axes, **kwargs)


def test_the_default_is_a_batch_normalised_basic_u_net() -> None:
    network = build(NetworkConfig())

    kinds = {type(module) for module in network.modules()}
    assert torch.nn.BatchNorm2d in kinds
    assert torch.nn.LeakyReLU in kinds
    assert torch.nn.InstanceNorm2d not in kinds
    assert 1.9e6 < sum(p.numel() for p in network.parameters()) < 2.1e6


@pytest.mark.parametrize("name", sorted(set(CATALOGUE) - {"UNETR", "SwinUNETR"}))
@pytest.mark.parametrize("axes", [YX, ZYX])
def test_every_network_maps_images_of_its_own_sizes(
    name: str, axes: tuple[str, ...]
) -> None:
    config = NetworkConfig(name=name, size="small")
    network = build(config, axes, in_channels=2, out_channels=3).eval()

    sizes = network_sizes(network, spatial_axes=axes, in_channels=2)
    shape = [max(sizes[axis].minimum, 8) for axis in axes]
    with torch.inference_mode():
        result = network(torch.zeros(1, 2, *shape))

    assert result.shape == (1, 3, *shape)


def test_networks_of_all_sizes_are_ordered_by_parameters() -> None:
    counts = [
        sum(p.numel() for p in build(NetworkConfig(size=size)).parameters())
        for size in ("small", "medium", "large")
    ]

    assert counts == sorted(counts)
    assert counts[0] * 8 < counts[2]


def test_a_transformer_is_of_the_size_of_its_patch() -> None:
    patch = {"y": 32, "x": 64}
    config = NetworkConfig(
        name="UNETR",
        size="small",
        kwargs={"hidden_size": 24, "num_heads": 2, "mlp_dim": 32, "feature_size": 4},
    )
    network = build(config, patch=patch)

    sizes = network_sizes(network, spatial_axes=YX, in_channels=1, patch=patch)

    assert sizes == {"y": FixedSize(32), "x": FixedSize(64)}


def test_a_u_net_steps_by_its_coarsest_resolution() -> None:
    network = build(NetworkConfig())

    sizes = network_sizes(network, spatial_axes=YX, in_channels=1)

    assert sizes == {"y": SteppedSize(16, 16), "x": SteppedSize(16, 16)}


def test_thick_planes_are_downsampled_less() -> None:
    network = build(
        NetworkConfig(name="DynUNet", size="small"),
        ZYX,
        scale={"z": 5.0, "y": 1.0, "x": 1.0},
    )

    sizes = network_sizes(network, spatial_axes=ZYX, in_channels=1)

    assert sizes["z"].step < sizes["y"].step


def test_a_tile_on_the_stride_equals_the_whole() -> None:
    torch.manual_seed(0)
    network = build(NetworkConfig(kwargs={"features": (4, 4, 4, 4, 4, 4)})).eval()
    image = torch.randn(1, 1, 256, 256)
    with torch.inference_mode():
        whole, tile = network(image), network(image[..., 16:240, 16:240])

    core = slice(96, 128)
    torch.testing.assert_close(
        tile[..., core, core], whole[..., 112:144, 112:144], atol=1e-6, rtol=0
    )


def test_the_arguments_are_plain_and_build_the_same_network() -> None:
    config = NetworkConfig(name="UNet", kwargs={"channels": (4, 8), "strides": (2,)})

    kwargs = network_kwargs(config, spatial_axes=YX, in_channels=1, out_channels=2)

    assert kwargs["channels"] == [4, 8]
    assert kwargs["spatial_dims"] == 2
    assert kwargs["norm"] == "batch"


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (NetworkConfig(name="BasicUnett"), "did you mean 'BasicU"),
        (NetworkConfig(kwargs={"feature": 1}), "did you mean 'features'"),
        (NetworkConfig(kwargs={"features": (1, 2)}), "can't be built"),
        (NetworkConfig(name="UNETR"), "set the patch size"),
        (NetworkConfig(name="BasicUNetPlusPlus"), "doesn't return one image"),
        (NetworkConfig(name="DenseNet121"), "can't learn pairs|doesn't take"),
        (NetworkConfig(name="VNet", size="large"), "has no sizes"),
    ],
)
def test_a_wrong_network_is_named_with_its_cure(
    config: NetworkConfig, sentence: str
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        build(config)
