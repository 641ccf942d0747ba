"""Networks of MONAI as one readable source file that needs PyTorch alone."""

from __future__ import annotations

import runpy
from functools import cache
from typing import TYPE_CHECKING

from napari_im2im.errors import ModelError
from napari_im2im.models.archive import sha256_of
from napari_im2im.models.networks import ARCHITECTURES

if TYPE_CHECKING:
    from pathlib import Path

    from napari_im2im.models.package import ModelPackage

_FILES = {"BasicUNet": "basic_unet.py", "UNet": "residual_unet.py"}
"""Source files by the network of `monai.networks.nets` that they build."""

_TOLERANCE = 1e-4
"""Largest difference between the two networks, in std of the result."""


@cache
def own_digests() -> frozenset[str]:
    """Return the sha256 of the source files that come with napari-im2im."""
    return frozenset(sha256_of(path) for path in ARCHITECTURES.glob("*.py"))


def source_file(package: ModelPackage) -> Path:
    """Return the file that builds a package's network without its library.

    It is built, given the package's weights, and compared with the network.

    Raises
    ------
    ModelError
        Saying why there is none.
    """
    import torch

    from napari_im2im.models.conversion import input_shapes
    from napari_im2im.models.runtimes.torch_engine import load_network

    entry = package.weights.get("pytorch_state_dict")
    if entry is None or entry.architecture is None:
        raise ModelError(f"{package.name} has no PyTorch state dict.")
    architecture = entry.architecture
    if architecture.source is not None:
        raise ModelError(
            f"{package.name} brings {architecture.source} of its own already."
        )
    name = _FILES.get(architecture.callable)
    if architecture.module != "monai.networks.nets" or name is None:
        raise ModelError(
            f"There is no source file for {architecture.callable}, only for "
            f"{' and '.join(_FILES)} of MONAI."
        )
    known = load_network(package).eval()
    factory = runpy.run_path(str(ARCHITECTURES / name))[architecture.callable]
    try:
        network = factory(**architecture.kwargs)
        network.load_state_dict(known.state_dict())
    except (TypeError, ValueError, KeyError, RuntimeError) as error:
        raise ModelError(
            f"The source file for {architecture.callable} doesn't know all that this "
            f"network is built with ({' '.join(str(error).split())[:200]})."
        ) from error
    generator = torch.Generator().manual_seed(0)
    (shape,) = input_shapes(package.inputs, 0)
    pixels = torch.randn(shape, generator=generator)
    with torch.inference_mode():
        expected, result = known(pixels), network.eval()(pixels)
    if not (result - expected).abs().max() <= _TOLERANCE * expected.std():
        raise ModelError(
            f"The source file for {architecture.callable} gives another result than "
            "MONAI's network."
        )
    return ARCHITECTURES / name
