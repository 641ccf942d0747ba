"""A network as a TorchScript or an ONNX file."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING, Any

from napari_im2im.models.tensors import FixedSize

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import torch

    from napari_im2im.models.package import ModelPackage
    from napari_im2im.models.tensors import TensorSpec

OPSET = 18
"""Version of ONNX's operators; the one that bioimageio.core writes too."""


def write_torchscript(
    network: torch.nn.Module, example: Sequence[torch.Tensor], path: Path
) -> str:
    """Write a network as TorchScript and return how.

    Scripted, which keeps what depends on the size; traced where that fails.
    """
    import torch

    method = "Scripted"
    with torch.inference_mode(False), torch.no_grad():
        try:
            module = torch.jit.script(network)
        except Exception:  # Whatever the compiler can't do, a trace may.
            method = "Traced"
            module = torch.jit.trace(network, tuple(example))  # type: ignore[no-untyped-call]
    buffer = io.BytesIO()
    torch.jit.save(module, buffer)
    _strip_debug_files(buffer, path)
    return f"{method} with PyTorch {torch.__version__}."


def write_onnx(
    network: torch.nn.Module,
    example: Sequence[torch.Tensor],
    path: Path,
    package: ModelPackage,
) -> str:
    """Write a network as one ONNX file with dynamic sizes, and return how.

    PyTorch's older exporter goes first: it takes seconds where the one that is
    built on ``torch.export`` takes minutes. What it can't do, the new one may,
    if onnxscript is installed.
    """
    import torch

    names = {
        "input_names": [spec.id for spec in package.inputs],
        # All of them: those that are no images are outputs as well.
        "output_names": [str(tensor.id) for tensor in package.description.outputs],
        "opset_version": OPSET,
    }
    with torch.no_grad():
        try:
            torch.onnx.export(
                network,
                tuple(example),
                str(path),
                dynamo=False,
                dynamic_axes=_dynamic_axes((*package.inputs, *package.outputs)),
                **names,  # type: ignore[arg-type]
            )
        except Exception as error:
            if not _has_onnxscript():
                raise
            try:
                _write_onnx_by_export(network, example, path, package, names)
            except Exception:
                # What the new exporter says is pages long.
                raise error from None
    return f"Exported with PyTorch {torch.__version__}, opset {OPSET}."


def _write_onnx_by_export(
    network: torch.nn.Module,
    example: Sequence[torch.Tensor],
    path: Path,
    package: ModelPackage,
    names: Mapping[str, Any],
) -> None:
    import torch

    shapes = tuple(
        dict.fromkeys(axes, torch.export.Dim.DYNAMIC)
        for axes in _dynamic_axes(package.inputs).values()
    )
    # A size of 1 would be taken for a constant.
    pairs = tuple(
        torch.cat([x, x]) if 0 in axes else x
        for x, axes in zip(example, shapes, strict=True)
    )
    torch.onnx.export(
        network,
        pairs,
        str(path),
        dynamo=True,
        external_data=False,
        dynamic_shapes=shapes,
        verbose=False,
        **names,
    )


def _dynamic_axes(specs: Sequence[TensorSpec]) -> dict[str, dict[int, str]]:
    return {
        spec.id: {
            i: axis.name
            for i, axis in enumerate(spec.axes)
            if axis.name != "channel" and not isinstance(axis.size, FixedSize)
        }
        for spec in specs
    }


def _has_onnxscript() -> bool:
    from importlib.util import find_spec

    return find_spec("onnxscript") is not None


def _strip_debug_files(buffer: io.BytesIO, path: Path) -> None:
    """Leave out which source files, on whose disk, the code came from."""
    with (
        zipfile.ZipFile(buffer) as old,
        zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as new,
    ):
        for member in old.infolist():
            if not member.filename.endswith(".debug_pkl"):
                new.writestr(zipfile.ZipInfo(member.filename), old.read(member))
