"""Writing a trained model as a package of the BioImage Model Zoo, format 0.5."""

from __future__ import annotations

import io
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_im2im.errors import ModelError
from napari_im2im.models.content import valid_name
from napari_im2im.models.cover import cover_png
from napari_im2im.models.describing import (
    COVER_NAME,
    DESCRIPTION_NAME,
    DOCUMENTATION_NAME,
    ENVIRONMENT_NAME,
    WEIGHTS_NAME,
    base_version,
    describe,
    tensor_name,
    validate,
)

if TYPE_CHECKING:
    import torch

    from napari_im2im.models.content import PackageContent
    from napari_im2im.models.tensors import TensorSpec


def write_package(folder: Path, content: PackageContent) -> Path:
    """Write a package folder; an older one is replaced when the new is complete.

    Returns
    -------
    Path
        ``folder``.

    Raises
    ------
    ModelError
        If the content isn't valid, or can't be written. The old package stays.
    """
    folder = Path(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(
            tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent)
        )
        try:
            _write_files(unfinished, content)
            unfinished.chmod(0o755)
            _replace(folder, unfinished)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    except OSError as error:
        raise ModelError(
            f"The model can't be written to {folder} ({error.strerror or error}): free "
            "some space or choose another folder."
        ) from error
    return folder


def _replace(folder: Path, new: Path) -> None:
    if not folder.exists():
        new.rename(folder)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{folder.name}-old-", dir=folder.parent))
    folder.rename(old / folder.name)
    try:
        new.rename(folder)
    except OSError:
        (old / folder.name).rename(folder)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)


def _write_files(folder: Path, content: PackageContent) -> None:
    from bioimageio.spec.utils import write_yaml

    _write_state_dict(folder / WEIGHTS_NAME, content.network)
    write_yaml(environment("torch", "monai", "einops"), folder / ENVIRONMENT_NAME)
    arrays = (content.test_inputs, content.test_outputs)
    for specs, tensors in zip((content.inputs, content.outputs), arrays, strict=True):
        for spec, array in zip(specs, tensors, strict=True):
            _check_shape(spec, array)
            np.save(folder / tensor_name(spec), array.astype(spec.dtype))
    text = _documentation(content)
    (folder / DOCUMENTATION_NAME).write_text(text, encoding="utf-8")
    (folder / COVER_NAME).write_bytes(_cover(content))
    if content.network_source is not None:
        name, source = content.network_source
        (folder / name).write_bytes(source)
    described = describe(folder, content)
    validate(described, folder)
    write_yaml(described, folder / DESCRIPTION_NAME)


def _cover(content: PackageContent) -> bytes:
    """Draw the first input and output that are images."""
    tensors = zip(
        (*content.inputs, *content.outputs),
        (*content.test_inputs, *content.test_outputs),
        strict=True,
    )
    images = [
        array[0]
        for spec, array in tensors
        if spec.axis_names[:2] == ("batch", "channel") and array.ndim in (4, 5)
    ]
    return cover_png(images[:1] + images[-1:])


def _write_state_dict(path: Path, network: torch.nn.Module) -> None:
    import torch

    state = {
        name: value.detach().cpu().contiguous()
        for name, value in network.state_dict().items()
    }
    # Where the disk is full, torch itself raises no OSError.
    buffer = io.BytesIO()
    torch.save(state, buffer)
    path.write_bytes(buffer.getbuffer())


def environment(*libraries: str) -> dict[str, Any]:
    """Return a conda environment that can build and run a network.

    Parameters
    ----------
    libraries
        Installed distributions that it needs, in their present version or newer.
    """
    names = {"torch": "pytorch"}
    needed = [f"{names.get(name, name)}>={base_version(name)}" for name in libraries]
    return {
        "name": "model",
        "channels": ["conda-forge", "nodefaults"],
        # Plain names: BiaPy takes one with its channel for a library it doesn't have.
        "dependencies": [*needed, "bioimageio.core>=0.11", "pip"],
    }


def _check_shape(spec: TensorSpec, array: np.ndarray) -> None:
    if array.ndim != len(spec.axes):
        raise ModelError(
            f"The test tensor of {spec.id} has {array.ndim} dimensions, but the tensor "
            f"has the axes {'/'.join(spec.axis_names)}: give it as many."
        )
    if not np.isfinite(array).all():
        raise ModelError(
            f"The test tensor of {spec.id} holds NaN or infinite values: the network's "
            "weights are not usable."
        )


def _documentation(content: PackageContent) -> str:
    inputs = "; ".join(_sentence(spec) for spec in content.inputs)
    outputs = "; ".join(_sentence(spec) for spec in content.outputs)
    return (
        f"# {valid_name(content.name)}\n\n{content.text}\n\n"
        f"## Input and output\n\n- Input: {inputs}\n- Output: {outputs}\n\n"
        f"## Validation\n\n"
        f"{content.validation or 'This model was not validated on held-out images.'}\n"
    )


def _sentence(spec: TensorSpec) -> str:
    channels = ", ".join(name for axis in spec.axes for name in axis.channel_names)
    return f"{spec.id} with axes {'/'.join(spec.axis_names)} ({channels})"
