"""Builders of small model packages, for the tests of every room."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_im2im.models.networks import (
    NetworkConfig,
    build_network,
    network_kwargs,
    network_sizes,
)
from napari_im2im.models.tensors import Step
from napari_im2im.models.writing import PackageContent, image_specs, write_package

if TYPE_CHECKING:
    from pathlib import Path

TINY = NetworkConfig(kwargs={"features": (4, 4, 4, 8, 8, 4)})


def tiny_content(
    spatial_axes: tuple[str, ...] = ("y", "x"),
    in_channels: int = 1,
    out_channels: int = 1,
    *,
    seed: int = 0,
    config: NetworkConfig = TINY,
    halo: int = 8,
    **changes: Any,
) -> PackageContent:
    """Return the content of a package with a random BasicUNet in eval mode.

    The input is normalised by a fixed mean and std for each channel, the output
    brought back to units of about 100 ± 10.
    """
    import torch

    torch.manual_seed(seed)
    network = build_network(
        config,
        spatial_axes=spatial_axes,
        in_channels=in_channels,
        out_channels=out_channels,
        scale=None,
    ).eval()
    sizes = network_sizes(network, spatial_axes=spatial_axes, in_channels=in_channels)
    mean = [20.0 + i for i in range(in_channels)]
    std = [4.0 + i for i in range(in_channels)]
    gain = [10.0 + i for i in range(out_channels)]
    offset = [100.0 + i for i in range(out_channels)]
    inputs, outputs = image_specs(
        spatial_axes=spatial_axes,
        input_channels=[f"in {i}" for i in range(in_channels)],
        output_channels=[f"out {i}" for i in range(out_channels)],
        sizes=sizes,
        halo=dict.fromkeys(spatial_axes, halo),
        pixel_size={axis: 2.0 if axis == "z" else 0.5 for axis in spatial_axes},
        preprocessing=[
            Step(
                "fixed_zero_mean_unit_variance",
                {"axis": "channel", "mean": mean, "std": std},
            )
        ],
        postprocessing=[
            Step("scale_linear", {"axis": "channel", "gain": gain, "offset": offset})
        ],
    )
    shape = (1, in_channels, *([32] * len(spatial_axes)))
    raw = np.random.default_rng(seed).normal(20, 4, shape).astype(np.float32)

    def along_channel(values: list[float], channels: int) -> np.ndarray:
        return np.array(values, np.float32).reshape(
            1, channels, *([1] * len(spatial_axes))
        )

    normal = (raw - along_channel(mean, in_channels)) / along_channel(std, in_channels)
    with torch.inference_mode():
        result = network(torch.from_numpy(normal)).numpy()
    expected = result * along_channel(gain, out_channels)
    expected = expected + along_channel(offset, out_channels)
    values: dict[str, Any] = {
        "name": "Tiny network",
        "text": "A network of random weights.",
        "network": network,
        "network_name": config.name,
        "network_kwargs": network_kwargs(
            config,
            spatial_axes=spatial_axes,
            in_channels=in_channels,
            out_channels=out_channels,
        ),
        "inputs": (inputs,),
        "outputs": (outputs,),
        "test_inputs": (raw,),
        "test_outputs": (expected,),
        "timestamp": datetime(2026, 1, 1, tzinfo=UTC),
    }
    return PackageContent(**{**values, **changes})


def write_tiny_package(folder: Path, *args: Any, **kwargs: Any) -> Path:
    """Write `tiny_content` to a folder; same arguments."""
    return write_package(folder, tiny_content(*args, **kwargs))
