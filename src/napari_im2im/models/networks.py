"""The networks that can be trained: classes of `monai.networks.nets`."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from napari_im2im.errors import ConfigError
from napari_im2im.models.tensors import FixedSize, SteppedSize

if TYPE_CHECKING:
    import torch

NetworkSize = Literal["small", "medium", "large"]

_BATCH_NORM = {"norm": "batch"}
_PROBE_SIZES = (128, 96, 64, 256)


class NetworkConfig(BaseModel):
    """Which network, and how it is built."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field("BasicUNet", description="A class of monai.networks.nets.")
    size: NetworkSize = Field(
        "medium", description="Width of the networks that the catalogue lists."
    )
    kwargs: dict[str, Any] = Field(
        default_factory=dict,
        description="Arguments of the class; sizes and channels are filled in.",
    )


@dataclass(frozen=True)
class NetworkInfo:
    """A network that is known to map images to images.

    ``text`` says in a sentence what it is good for; ``kwargs`` are common to all
    sizes, ``sizes`` holds what differs.
    """

    name: str
    text: str
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    sizes: Mapping[NetworkSize, Mapping[str, Any]] = field(default_factory=dict)


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


def network_kwargs(
    config: NetworkConfig,
    *,
    spatial_axes: tuple[str, ...],
    in_channels: int,
    out_channels: int,
    scale: Mapping[str, float] | None = None,
    patch: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """Return every argument that `build_network` calls the class with.

    They are plain values, so that a model package can hold them.

    Parameters
    ----------
    config
        The network.
    spatial_axes
        ``("y", "x")`` or ``("z", "y", "x")``.
    in_channels, out_channels
        Numbers of channels.
    scale
        Pixel size by axis; DynUNet doesn't downsample coarse axes at first.
    patch
        Patch size by axis, for networks of fixed size (UNETR).

    Raises
    ------
    ConfigError
        If the network or an argument is unknown.
    """
    parameters = inspect.signature(_network_class(config.name).__init__).parameters
    info = CATALOGUE.get(config.name)
    if info is None and config.size != "medium":
        raise ConfigError(
            f"{config.name} has no sizes: set its width through network.kwargs."
        )
    kwargs: dict[str, Any] = {}
    if info is not None:
        kwargs = {**info.kwargs, **info.sizes.get(config.size, {})}
    if config.name == "DynUNet":
        levels = len(config.kwargs.get("filters", kwargs["filters"]))
        kwargs |= _dynunet_kwargs(spatial_axes, scale or {}, levels)
    sizes = {
        "spatial_dims": len(spatial_axes),
        "in_channels": in_channels,
        "out_channels": out_channels,
    }
    if patch is not None:
        sizes["img_size"] = [patch[axis] for axis in spatial_axes]  # type: ignore[assignment]
    kwargs |= {key: value for key, value in sizes.items() if key in parameters}
    _check_kwargs(config, parameters, {**kwargs, **config.kwargs})
    return {key: _plain(value) for key, value in {**kwargs, **config.kwargs}.items()}


def build_network(
    config: NetworkConfig,
    *,
    spatial_axes: tuple[str, ...],
    in_channels: int,
    out_channels: int,
    scale: Mapping[str, float] | None = None,
    patch: Mapping[str, int] | None = None,
) -> torch.nn.Module:
    """Build the network of a configuration; see `network_kwargs` for arguments.

    Returns
    -------
    torch.nn.Module
        Maps ``(batch, channel, [z,] y, x)`` to the same with ``out_channels``.

    Raises
    ------
    ConfigError
        If it can't be built, or doesn't return one tensor of ``out_channels``.
    """
    import torch

    kwargs = network_kwargs(
        config,
        spatial_axes=spatial_axes,
        in_channels=in_channels,
        out_channels=out_channels,
        scale=scale,
        patch=patch,
    )
    try:
        network: torch.nn.Module = _network_class(config.name)(**kwargs)
    except (TypeError, ValueError, AssertionError, KeyError, AttributeError) as error:
        raise ConfigError(
            f"{config.name} can't be built with {kwargs}: {error}"
        ) from error
    size = patch or dict.fromkeys(spatial_axes, _PROBE_SIZES[0])
    output = _probe(network, in_channels, tuple(size[axis] for axis in spatial_axes))
    expected = (1, out_channels)
    is_image = isinstance(output, torch.Tensor) and output.ndim == 2 + len(spatial_axes)
    if not is_image or tuple(output.shape[:2]) != expected:
        raise ConfigError(
            f"{config.name} doesn't return one image of {out_channels} channels, so it "
            f"can't learn pairs: choose one of {', '.join(CATALOGUE)}."
        )
    return network


def network_sizes(
    network: torch.nn.Module,
    *,
    spatial_axes: tuple[str, ...],
    in_channels: int,
    patch: Mapping[str, int] | None = None,
) -> dict[str, SteppedSize | FixedSize]:
    """Find which image sizes a network takes, without computing anything.

    The step is the coarsest resolution that a convolution or pooling inside the
    network works at; a network that takes no size but ``patch`` is of fixed size.

    Parameters
    ----------
    network
        Maps ``(batch, channel, [z,] y, x)`` to an image.
    spatial_axes
        ``("y", "x")`` or ``("z", "y", "x")``.
    in_channels
        Number of input channels.
    patch
        A size by axis that the network surely takes.
    """
    for size in _PROBE_SIZES:
        shape = (size,) * len(spatial_axes)
        if patch is not None and shape == tuple(patch[a] for a in spatial_axes):
            continue
        try:
            strides = _probe_strides(network, in_channels, shape)
        except ConfigError:
            continue
        return {
            axis: SteppedSize(minimum=stride, step=stride)
            for axis, stride in zip(spatial_axes, strides, strict=True)
        }
    if patch is None:
        raise ConfigError(
            f"{type(network).__name__} takes none of the image sizes "
            f"{_PROBE_SIZES}: set the patch size."
        )
    return {axis: FixedSize(patch[axis]) for axis in spatial_axes}


def _network_class(name: str) -> Any:
    import monai.networks.nets as nets
    import torch

    candidate = getattr(nets, name, None)
    if isinstance(candidate, type) and issubclass(candidate, torch.nn.Module):
        return candidate
    near = get_close_matches(name, [*CATALOGUE, *dir(nets)], n=1, cutoff=0.3)
    raise ConfigError(
        f"There is no network {name!r} in monai.networks.nets"
        + (f": did you mean {near[0]!r}?" if near else ".")
    )


def _check_kwargs(
    config: NetworkConfig,
    parameters: Mapping[str, inspect.Parameter],
    kwargs: Mapping[str, Any],
) -> None:
    names = [name for name in parameters if name != "self"]
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    for name in config.kwargs:
        if name not in names and not open_ended:
            near = get_close_matches(name, names, n=1, cutoff=0.3) or names[:1]
            raise ConfigError(
                f"{config.name} has no argument {name!r}: did you mean {near[0]!r}?"
            )
    missing = [
        name
        for name in names
        if parameters[name].default is inspect.Parameter.empty
        and parameters[name].kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
        and name not in kwargs
    ]
    if missing:
        raise ConfigError(
            f"{config.name} needs {', '.join(missing)}: "
            + (
                "set the patch size."
                if missing == ["img_size"]
                else "set them in network.kwargs."
            )
        )


def _dynunet_kwargs(
    spatial_axes: tuple[str, ...], scale: Mapping[str, float], levels: int
) -> dict[str, Any]:
    """Return nnU-Net's kernels and strides for a pixel size.

    An axis whose pixels are more than twice as large as the finest ones is
    neither convolved nor downsampled until the others have caught up (Isensee et
    al. 2021, https://doi.org/10.1038/s41592-020-01008-z).
    """
    spacing = [float(scale.get(axis, 1.0)) for axis in spatial_axes]
    kernels: list[list[int]] = []
    strides: list[list[int]] = [[1] * len(spacing)]
    for _ in range(levels - 1):
        fine = [size <= 2 * min(spacing) for size in spacing]
        kernels.append([3 if f else 1 for f in fine])
        strides.append([2 if f else 1 for f in fine])
        spacing = [size * s for size, s in zip(spacing, strides[-1], strict=True)]
    kernels.append([3] * len(spacing))
    return {
        "kernel_size": kernels,
        "strides": strides,
        "upsample_kernel_size": strides[1:],
    }


def _probe(network: torch.nn.Module, in_channels: int, shape: tuple[int, ...]) -> Any:
    """Run a copy of the network on tensors that have a shape, but no values."""
    import copy

    import torch

    copied = copy.deepcopy(network).to("meta").eval()
    try:
        with torch.inference_mode():
            return copied(torch.empty((1, in_channels, *shape), device="meta"))
    except (RuntimeError, ValueError, AssertionError, IndexError, TypeError) as error:
        raise ConfigError(
            f"{type(network).__name__} doesn't take an image of "
            f"{' × '.join(map(str, shape))} pixels and {in_channels} channels: {error}"
        ) from error


def _probe_strides(
    network: torch.nn.Module, in_channels: int, shape: tuple[int, ...]
) -> tuple[int, ...]:
    import copy

    import torch
    from torch.nn.modules.conv import _ConvNd
    from torch.nn.modules.pooling import _AvgPoolNd, _MaxPoolNd

    strides = [1] * len(shape)

    def note(_module: object, _inputs: object, output: object) -> None:
        if not isinstance(output, torch.Tensor) or output.ndim != len(shape) + 2:
            return
        for i, (full, size) in enumerate(zip(shape, output.shape[2:], strict=True)):
            # A size of 1 comes from pooling over the whole image.
            if size > 1 and full % size == 0:
                strides[i] = max(strides[i], full // size)

    copied = copy.deepcopy(network).to("meta")
    for module in copied.modules():
        if isinstance(module, _ConvNd | _MaxPoolNd | _AvgPoolNd):
            module.register_forward_hook(note)
    _probe(copied, in_channels, shape)
    return tuple(strides)


def _plain(value: Any) -> Any:
    """Return the same with lists for tuples, as YAML holds them."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
