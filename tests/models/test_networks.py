from __future__ import annotations

import pytest
import torch

from napari_im2im.errors import ConfigError
from napari_im2im.models.network_sizes import network_sizes
from napari_im2im.models.networks import (
    CATALOGUE,
    NetworkConfig,
    build_network,
    plan_network,
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


def test_the_size_follows_the_device_unless_it_is_said() -> None:
    config = NetworkConfig()

    assert config.sized(on_cpu=True).size == "small"
    assert config.sized(on_cpu=False).size == "medium"
    assert NetworkConfig(size="large").sized(on_cpu=True).size == "large"
    # A class of MONAI has no sizes.
    build(NetworkConfig(name="VNet").sized(on_cpu=True), ZYX)


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

    plan = plan_network(config, spatial_axes=YX, in_channels=1, out_channels=2)

    assert plan.kwargs["channels"] == [4, 8]
    assert plan.kwargs["spatial_dims"] == 2
    assert plan.kwargs["norm"] == "batch"


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (NetworkConfig(name="BasicUnett"), "did you mean 'BasicU"),
        (NetworkConfig(name="MedNeXtSmall"), "did you mean 'MedNeXt'"),
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


@pytest.mark.parametrize("name", ["UNet", "AttentionUnet", "FNet", "ConvNeXtUNet"])
def test_strides_follow_the_pixel_size(name: str) -> None:
    config = NetworkConfig(name=name, size="small")
    thick, cubic = (
        build(config, ZYX, scale={"z": z, "y": 0.1, "x": 0.1}) for z in (0.5, 0.1)
    )

    steps = [
        network_sizes(network, spatial_axes=ZYX, in_channels=1)
        for network in (thick, cubic)
    ]

    assert steps[0]["z"].step == steps[0]["y"].step // 4
    assert steps[1]["z"].step == steps[1]["y"].step


def test_convnext_blocks_see_a_tile_as_they_see_the_whole() -> None:
    torch.manual_seed(0)
    kwargs = {"features": (4, 6), "blocks": 1}
    network = build(NetworkConfig(name="ConvNeXtUNet", kwargs=kwargs)).eval()
    image = torch.randn(1, 1, 160, 160)
    with torch.inference_mode():
        whole, tile = network(image), network(image[..., 16:144, 16:144])

    core = slice(48, 80)
    torch.testing.assert_close(
        tile[..., core, core], whole[..., 64:96, 64:96], atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("axes", [YX, ZYX])
def test_a_network_can_enlarge(axes: tuple[str, ...]) -> None:
    enlarge = {"y": 2, "x": 4}
    network = build(NetworkConfig(size="small"), axes, enlarge=enlarge).eval()

    sizes = network_sizes(network, spatial_axes=axes, in_channels=1)
    shape = [sizes[axis].minimum for axis in axes]
    with torch.inference_mode():
        result = network(torch.zeros(1, 1, *shape))

    factors = [enlarge.get(axis, 1) for axis in axes]
    assert sizes["y"].step == 8
    assert sizes["x"].step == 4
    assert result.shape[2:] == tuple(n * f for n, f in zip(shape, factors, strict=True))


def test_any_class_of_monai_can_be_named() -> None:
    kwargs = {"init_filters": 4, "blocks_down": (1, 1), "blocks_up": (1, 1)}
    network = build(NetworkConfig(name="MedNeXt", kwargs=kwargs), out_channels=2)

    assert type(network).__name__ == "MedNeXt"


def test_sizes_of_an_enlarging_network_make_whole_pixels_at_every_level() -> None:
    config = NetworkConfig(name="UNet", kwargs={"channels": [4, 8], "strides": [2]})
    network = build(config, enlarge={"y": 3, "x": 3})

    sizes = network_sizes(network, spatial_axes=YX, in_channels=1)

    assert sizes == {"y": SteppedSize(2, 2), "x": SteppedSize(2, 2)}
