"""What goes into a package, and the tensors of a usual model."""

from __future__ import annotations

import math
import string
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_im2im.models.tensors import (
    AxisSpec,
    FixedSize,
    ReferencedSize,
    Size,
    SteppedSize,
    TensorSpec,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    import torch

    from napari_im2im.models.package import ModelPackage
    from napari_im2im.models.tensors import Step

_LARGEST_SIZE = 2**12
"""Sizes of test images and halos are smaller."""

_NAME_CHARACTERS = frozenset(string.ascii_letters + string.digits + "_+- ()")
NETWORKS = "monai.networks.nets"
"""The library of the networks that are trained here."""


@dataclass(frozen=True)
class PackageContent:
    """Everything that goes into a package.

    Parameters
    ----------
    name
        Any text; characters that the format forbids become spaces.
    text
        One or two sentences about the model.
    network
        The trained network, on any device.
    network_name, network_kwargs
        The class in ``network_module`` and the arguments that build it again
        (`models.networks.plan_network`).
    inputs, outputs
        The tensors; `image_specs` makes the usual pair.
    test_inputs, test_outputs
        An array for each tensor, before pre- and after postprocessing, batch axis
        included.
    config
        Plain values that go to ``config.napari_im2im``; None is left out.
    authors
        ``{"name": ..., "affiliation": ..., "orcid": ..., "github_user": ...}``.
    tags
        By which other software knows what the model is for.
    timestamp
        When it was made; default: now.
    validation
        What is known about the quality, as Markdown, for the documentation.
    network_module
        The library that the class is imported from.
    network_source
        Name and content of a Python file that defines the class instead.
    """

    name: str
    text: str
    network: torch.nn.Module
    network_name: str
    network_kwargs: Mapping[str, Any]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    test_inputs: tuple[np.ndarray, ...]
    test_outputs: tuple[np.ndarray, ...]
    config: Mapping[str, Any] = field(default_factory=dict)
    authors: Sequence[Mapping[str, str]] = ({"name": "unknown"},)
    tags: Sequence[str] = ("image-to-image",)
    timestamp: datetime | None = None
    validation: str = ""
    network_module: str = NETWORKS
    network_source: tuple[str, bytes] | None = None


def image_specs(
    *,
    spatial_axes: tuple[str, ...],
    input_channels: Sequence[str],
    output_channels: Sequence[str],
    sizes: Mapping[str, SteppedSize | FixedSize],
    halo: Mapping[str, int] | None = None,
    pixel_size: Mapping[str, float] | None = None,
    unit: str | None = "micrometer",
    enlargement: Mapping[str, int] | None = None,
    preprocessing: Sequence[Step] = (),
    postprocessing: Sequence[Step] = (),
) -> tuple[TensorSpec, TensorSpec]:
    """Describe the input and output of a network that keeps or enlarges the image.

    Parameters
    ----------
    spatial_axes
        ``("y", "x")`` or ``("z", "y", "x")``.
    input_channels, output_channels
        Names of the channels.
    sizes
        What the network takes (`models.network_sizes`).
    halo
        Input pixels at each end that the border spoils, by axis.
    pixel_size
        Of the input by axis, in ``unit``; an axis that is missing has no known one.
    enlargement
        How many pixels the output has for one of the input, by axis; default: 1.
    preprocessing, postprocessing
        Steps of the specification.

    Returns
    -------
    TensorSpec, TensorSpec
        Tensors ``input`` and ``output`` with axes ``(batch, channel, [z,] y, x)``
        of float32. Sizes have room for the halo, as the specification demands.
    """
    halo, pixel_size, factors = halo or {}, pixel_size or {}, enlargement or {}
    pairs = [
        _space(
            AxisSpec(axis, sizes[axis], halo.get(axis, 0), pixel_size.get(axis), unit),
            factors.get(axis, 1),
        )
        for axis in spatial_axes
    ]
    batch = AxisSpec("batch", SteppedSize(1, 1))
    source, result = (
        (batch, AxisSpec("channel", FixedSize(len(names)), channel_names=tuple(names)))
        for names in (input_channels, output_channels)
    )
    return (
        TensorSpec(
            "input",
            (*source, *(axis for axis, _ in pairs)),
            "float32",
            steps=tuple(preprocessing),
        ),
        TensorSpec(
            "output",
            (*result, *(axis for _, axis in pairs)),
            "float32",
            steps=tuple(postprocessing),
        ),
    )


def _space(network: AxisSpec, factor: int) -> tuple[AxisSpec, AxisSpec]:
    """Return an axis of the input and of the output, from what the network takes.

    ``factor`` is how many pixels the output has for one of the input.
    """
    known = network.pixel_size
    fine = _exact(1.0 if known is None else known, factor)
    unit = None if known is None else network.unit
    # Where nothing is known, sizes only say how much larger the output is.
    plain = known is None and factor == 1
    # A network of fixed size sees everything it will ever see.
    spoiled = 0 if isinstance(network.size, FixedSize) else factor * network.halo
    return (
        AxisSpec(
            network.name,
            _with_room(network.size, network.halo),
            pixel_size=None if plain else factor * fine,
            unit=unit,
        ),
        AxisSpec(
            network.name,
            ReferencedSize("input", network.name, scale=factor),
            halo=spoiled,
            pixel_size=None if plain else fine,
            unit=unit,
        ),
    )


def network_source(package: ModelPackage) -> tuple[str, bytes] | None:
    """Return name and content of the Python file that defines a package's network.

    Returns
    -------
    tuple or None
        None where the network comes from a library.
    """
    architecture = package.weights["pytorch_state_dict"].architecture
    if architecture is None or architecture.source is None:
        return None
    path = package.file(architecture.source, architecture.sha256)
    return path.name, path.read_bytes()


def valid_name(name: str) -> str:
    """Return a name that the format accepts: 5 to 128 of the allowed characters."""
    cleaned = "".join(c if c in _NAME_CHARACTERS else " " for c in name)
    cleaned = " ".join(cleaned.split())[:128].strip()
    return cleaned if len(cleaned) >= 5 else f"{cleaned} model".strip()


def _exact(pixel_size: float, factor: int) -> float:
    """Return the pixel size of an output, the input's over a factor.

    The format multiplies sizes and halos by one pixel size, divides by the other, and
    refuses what is then not a whole number, as 24.000000000000004. Where that would
    happen it is rounded to 40 binary digits, whose multiples and their quotients are
    exact.
    """
    fine = pixel_size / factor
    sizes = np.arange(1, _LARGEST_SIZE)
    outwards = sizes * pixel_size / fine == factor * sizes
    inwards = factor * sizes * fine / pixel_size == sizes
    if outwards.all() and inwards.all() and factor * fine == pixel_size:
        return fine
    mantissa, exponent = math.frexp(fine)
    return math.ldexp(round(mantissa * 2**40), exponent - 40)


def _with_room(size: Size, halo: int) -> Size:
    """Return sizes of which something is left after cropping the halo."""
    if not isinstance(size, SteppedSize):
        return size
    steps = max(0, math.ceil((2 * halo + 1 - size.minimum) / size.step))
    return SteppedSize(size.minimum + steps * size.step, size.step)
