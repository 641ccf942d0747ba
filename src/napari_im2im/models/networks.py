"""Building the networks that can be trained."""

from __future__ import annotations

import inspect
import runpy
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from napari_im2im.errors import ConfigError
from napari_im2im.models.network_catalogue import CATALOGUE, NetworkInfo, NetworkSize

if TYPE_CHECKING:
    import torch

ARCHITECTURES = Path(__file__).parents[1] / "resources" / "architectures"
"""Source files of networks that no library has; they go into the packages."""

_UPSAMPLED = ("UpsampledNetwork", "upsampled.py")
_CANNOT_BUILD = (TypeError, ValueError, AssertionError, KeyError, AttributeError)


class NetworkConfig(BaseModel):
    """Which network, and how it is built."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(
        "BasicUNet",
        description="One of the catalogue, or any class of monai.networks.nets.",
    )
    size: NetworkSize | Literal["auto"] = Field(
        "auto",
        description="Width of the networks that the catalogue lists; auto: small on a "
        "CPU, where it learns three times as many steps in the same time, else medium.",
    )
    kwargs: dict[str, Any] = Field(
        default_factory=dict,
        description="Arguments of the class; sizes and channels are filled in.",
    )

    def sized(self, *, on_cpu: bool) -> NetworkConfig:
        """Return the config with the size that ``auto`` means."""
        if self.size != "auto" or self.name not in CATALOGUE:
            return self
        return self.model_copy(update={"size": "small" if on_cpu else "medium"})


@dataclass(frozen=True)
class NetworkPlan:
    """What builds a network: a class, and plain arguments that a package can hold.

    ``source`` is the file that defines the class, None for a class of
    `monai.networks.nets`.
    """

    name: str
    kwargs: Mapping[str, Any]
    source: Path | None = None


def plan_network(
    config: NetworkConfig,
    *,
    spatial_axes: tuple[str, ...],
    in_channels: int,
    out_channels: int,
    scale: Mapping[str, float] | None = None,
    patch: Mapping[str, int] | None = None,
    enlarge: Mapping[str, int] | None = None,
) -> NetworkPlan:
    """Return the class of a network, and every argument that it is built with.

    Parameters
    ----------
    config
        The network.
    spatial_axes
        ``("y", "x")`` or ``("z", "y", "x")``.
    in_channels, out_channels
        Numbers of channels.
    scale
        Pixel size by axis; networks that can don't downsample coarse axes at first.
    patch
        Patch size by axis, for networks of fixed size (UNETR).
    enlarge
        How many times as many pixels as the input the output has, by axis.

    Raises
    ------
    ConfigError
        If the network or an argument is unknown.
    """
    factors = [(enlarge or {}).get(axis, 1) for axis in spatial_axes]
    if patch is not None:
        patch = {a: patch[a] * f for a, f in zip(spatial_axes, factors, strict=True)}
    info = CATALOGUE.get(config.name, NetworkInfo(config.name, ""))
    name = info.network or info.name
    source = ARCHITECTURES / info.source if info.source else None
    parameters = inspect.signature(_network_class(name, source).__init__).parameters
    if config.name not in CATALOGUE and config.size not in ("auto", "medium"):
        raise ConfigError(
            f"{config.name} has no sizes: set its width through network.kwargs."
        )
    size = "medium" if config.size == "auto" else config.size
    kwargs: dict[str, Any] = {**info.kwargs, **info.sizes.get(size, {})}
    kwargs |= _shape_kwargs(name, {**kwargs, **config.kwargs}, spatial_axes, scale)
    sizes: dict[str, Any] = {
        "spatial_dims": len(spatial_axes),
        "in_channels": in_channels,
        "out_channels": out_channels,
    }
    if patch is not None:
        sizes["img_size"] = [patch[axis] for axis in spatial_axes]
    kwargs |= {key: value for key, value in sizes.items() if key in parameters}
    _check_kwargs(config, parameters, {**kwargs, **config.kwargs})
    plain = _plain({**kwargs, **config.kwargs})
    if max(factors) == 1:
        return NetworkPlan(name, plain, source)
    if source is not None:
        raise ConfigError(
            f"{config.name} can't make images larger than its input: choose a network "
            "of MONAI, e.g. BasicUNet."
        )
    upsampled = {"network": name, "network_kwargs": plain, "factors": factors}
    return NetworkPlan(_UPSAMPLED[0], upsampled, ARCHITECTURES / _UPSAMPLED[1])


def build_network(
    config: NetworkConfig,
    *,
    spatial_axes: tuple[str, ...],
    in_channels: int,
    out_channels: int,
    scale: Mapping[str, float] | None = None,
    patch: Mapping[str, int] | None = None,
    enlarge: Mapping[str, int] | None = None,
) -> torch.nn.Module:
    """Build the network of a configuration; see `plan_network` for arguments.

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

    from napari_im2im.models.network_sizes import PROBE_SIZES, probe

    plan = plan_network(
        config,
        spatial_axes=spatial_axes,
        in_channels=in_channels,
        out_channels=out_channels,
        scale=scale,
        patch=patch,
        enlarge=enlarge,
    )
    try:
        network: torch.nn.Module = _network_class(plan.name, plan.source)(**plan.kwargs)
    except _CANNOT_BUILD as error:
        raise ConfigError(
            f"{config.name} can't be built with {plan.kwargs}: {error}"
        ) from error
    size = patch or dict.fromkeys(spatial_axes, PROBE_SIZES[0])
    output = probe(network, in_channels, tuple(size[axis] for axis in spatial_axes))
    expected = (1, out_channels)
    is_image = isinstance(output, torch.Tensor) and output.ndim == 2 + len(spatial_axes)
    if not is_image or tuple(output.shape[:2]) != expected:
        raise ConfigError(
            f"{config.name} doesn't return one image of {out_channels} channels, so it "
            f"can't learn pairs: choose one of {', '.join(CATALOGUE)}."
        )
    return network


def _network_class(name: str, source: Path | None) -> Any:
    import monai.networks.nets as nets
    import torch

    if source is not None:
        return _defined_in(source)[name]
    classes = {
        known: found
        for known, found in vars(nets).items()
        if isinstance(found, type) and issubclass(found, torch.nn.Module)
    }
    if name in classes:
        return classes[name]
    near = get_close_matches(name, [*CATALOGUE, *classes], n=1, cutoff=0.3)
    raise ConfigError(
        f"There is no network {name!r} in monai.networks.nets"
        + (f": did you mean {near[0]!r}?" if near else ".")
    )


@cache
def _defined_in(source: Path) -> dict[str, Any]:
    return runpy.run_path(str(source), run_name=source.stem)


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


def _shape_kwargs(
    name: str,
    kwargs: Mapping[str, Any],
    spatial_axes: tuple[str, ...],
    scale: Mapping[str, float] | None,
) -> dict[str, Any]:
    """Return the kernels and strides that suit a pixel size.

    An axis whose pixels are more than twice as large as the finest ones is
    neither convolved nor downsampled until the others have caught up (Isensee et
    al. 2021, https://doi.org/10.1038/s41592-020-01008-z).
    """
    spacing = [float((scale or {}).get(axis, 1.0)) for axis in spatial_axes]
    if name == "DynUNet":
        kernels, strides = _anisotropic(spacing, len(kwargs["filters"]) - 1)
        first = [1] * len(spacing)
        return {
            "kernel_size": [*kernels, [3] * len(spacing)],
            "strides": [first, *strides],
            "upsample_kernel_size": strides,
        }
    if name == "ConvNeXtUNet":
        _, strides = _anisotropic(spacing, len(kwargs["features"]))
        widest = 7 if len(spacing) == 2 else 5
        coarse = [size > 2 * min(spacing) for size in spacing]
        return {"kernel_size": [3 if c else widest for c in coarse], "strides": strides}
    if name in ("UNet", "AttentionUnet"):
        levels = len(kwargs["strides"])
        _, strides = _anisotropic(spacing, levels)
        even = all(len(set(stride)) == 1 for stride in strides)
        return {} if even else {"strides": strides}
    return {}


def _anisotropic(
    spacing: list[float], levels: int
) -> tuple[list[list[int]], list[list[int]]]:
    """Return kernels and strides of each level, in the order of the axes."""
    kernels: list[list[int]] = []
    strides: list[list[int]] = []
    for _ in range(levels):
        fine = [size <= 2 * min(spacing) for size in spacing]
        kernels.append([3 if f else 1 for f in fine])
        strides.append([2 if f else 1 for f in fine])
        spacing = [size * s for size, s in zip(spacing, strides[-1], strict=True)]
    return kernels, strides


def _plain(value: Any) -> Any:
    """Return the same with lists for tuples, as YAML holds them."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
