"""The networks that are known to map images to images."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

NetworkSize = Literal["small", "medium", "large"]

_BATCH_NORM = {"norm": "batch"}


@dataclass(frozen=True)
class NetworkInfo:
    """A network that is known to map images to images.

    ``text`` says in a sentence what it is good for; ``kwargs`` are common to all
    sizes, ``sizes`` holds what differs. ``network`` is the class, where it isn't of
    that name; ``source`` is the file of ``resources/architectures`` that defines it,
    where it isn't one of `monai.networks.nets`.
    """

    name: str
    text: str
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    sizes: Mapping[NetworkSize, Mapping[str, Any]] = field(default_factory=dict)
    network: str = ""
    source: str = ""


def _u_net_sizes(key: str, levels: int) -> dict[NetworkSize, dict[str, Any]]:
    """Return encoder widths that double at each level, from 16, 32 and 64."""
    first: dict[NetworkSize, int] = {"small": 16, "medium": 32, "large": 64}
    return {
        size: {key: tuple(width * 2**level for level in range(levels))}
        for size, width in first.items()
    }


# BatchNorm everywhere: its statistics are constants at prediction, so that a tile
# gives what the whole image would give. Transposed convolutions instead of
# BasicUNet's "nontrainable" upsampling, whose aligned corners depend on the size.
CATALOGUE: Mapping[str, NetworkInfo] = {
    info.name: info
    for info in (
        NetworkInfo(
            "BasicUNet",
            "Plain U-Net: fastest on a CPU, tiles exactly, right for most pairs.",
            {**_BATCH_NORM, "upsample": "deconv"},
            {
                "small": {"features": (16, 16, 32, 64, 128, 16)},
                "medium": {"features": (32, 32, 64, 128, 256, 32)},
                "large": {"features": (64, 64, 128, 256, 512, 64)},
            },
        ),
        NetworkInfo(
            "UNet",
            "Residual U-Net: deeper for its size, trains well on little data.",
            {**_BATCH_NORM, "strides": (2, 2, 2), "num_res_units": 2},
            _u_net_sizes("channels", 4),
        ),
        NetworkInfo(
            "AttentionUnet",
            "U-Net with attention gates: for sparse structures on a busy background.",
            {"strides": (2, 2, 2)},
            _u_net_sizes("channels", 4),
        ),
        NetworkInfo(
            "SegResNet",
            "Residual encoder, light decoder: large context for little memory.",
            _BATCH_NORM,
            {
                "small": {"init_filters": 8},
                "medium": {"init_filters": 16},
                "large": {"init_filters": 32},
            },
        ),
        NetworkInfo(
            "DynUNet",
            "nnU-Net's network: kernels and strides follow the pixel size, so it "
            "suits stacks with thick planes.",
            {"norm_name": "batch"},
            _u_net_sizes("filters", 5),
        ),
        NetworkInfo(
            "FNet",
            "fnet's U-Net: strided convolutions and ReLU, for fluorescence from stacks "
            "of transmitted light.",
            {"norm_name": "batch", "act_name": "relu"},
            _u_net_sizes("filters", 5),
            network="DynUNet",
        ),
        NetworkInfo(
            "ConvNeXtUNet",
            "U-Net of ConvNeXt blocks, like UNeXt2: wide context, for planes and for "
            "stacks that come in as channels (2.5D).",
            sizes={
                "small": {"features": (16, 32, 64, 128)},
                "medium": {"features": (32, 64, 128, 256)},
                "large": {"features": (64, 128, 256, 512), "blocks": 3},
            },
            source="convnext_unet.py",
        ),
        NetworkInfo(
            "HighResNet",
            "Dilated convolutions at full resolution: keeps the finest detail, slow.",
            {"norm_type": "batch"},
        ),
        NetworkInfo(
            "SwinUNETR",
            "Shifted-window transformer with a U-Net decoder: needs much data and "
            "a GPU.",
            {"norm_name": "batch"},
            {
                "small": {"feature_size": 12},
                "medium": {"feature_size": 24},
                "large": {"feature_size": 48},
            },
        ),
        NetworkInfo(
            "UNETR",
            "Vision transformer with a U-Net decoder: sees the whole patch, fixed "
            "patch size, needs much data and a GPU.",
            {"norm_name": "batch"},
            {
                "small": {"hidden_size": 384, "num_heads": 6, "mlp_dim": 1536},
                "medium": {"hidden_size": 768, "num_heads": 12, "mlp_dim": 3072},
                "large": {"hidden_size": 1024, "num_heads": 16, "mlp_dim": 4096},
            },
        ),
    )
}
