"""Writing a trained model as a package of the BioImage Model Zoo, format 0.5."""

from __future__ import annotations

import math
import shutil
import string
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from napari_im2im.errors import ModelError
from napari_im2im.models.archive import is_safe_name, sha256_of
from napari_im2im.models.cover import cover_png
from napari_im2im.models.tensors import (
    AxisSpec,
    FixedSize,
    ReferencedSize,
    Step,
    SteppedSize,
    TensorSpec,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from napari_im2im.models.package import ModelPackage

DESCRIPTION_NAME = "rdf.yaml"
WEIGHTS_NAME = "weights.pt"
ENVIRONMENT_NAME = "environment.yaml"
DOCUMENTATION_NAME = "README.md"
COVER_NAME = "cover.png"

_NAME_CHARACTERS = frozenset(string.ascii_letters + string.digits + "_+- ()")
_MONAI = {
    "text": "MONAI Consortium. MONAI: Medical Open Network for AI.",
    "doi": "10.5281/zenodo.4323058",
}


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
    cover
        A PNG image; default: made from the test tensors.
    documentation
        Markdown; default: a page with the text and the validation.
    validation
        What is known about the quality, as Markdown, for the default page.
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
    cite: Sequence[Mapping[str, str]] = (_MONAI,)
    license: str = "CC-BY-4.0"
    tags: Sequence[str] = ("image-to-image",)
    version: str = "0.1.0"
    timestamp: datetime | None = None
    documentation: str | None = None
    validation: str = ""
    cover: bytes | None = None
    attachments: Mapping[str, bytes] = field(default_factory=dict)
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
    preprocessing: Sequence[Step] = (),
    postprocessing: Sequence[Step] = (),
) -> tuple[TensorSpec, TensorSpec]:
    """Describe the input and output of a network that keeps the image's size.

    Parameters
    ----------
    spatial_axes
        ``("y", "x")`` or ``("z", "y", "x")``.
    input_channels, output_channels
        Names of the channels.
    sizes
        What the network takes (`models.networks.network_sizes`).
    halo
        Output pixels at each end that the border spoils, by axis.
    pixel_size
        By axis, in ``unit``; an axis that is missing has no known pixel size.
    preprocessing, postprocessing
        Steps of the specification.

    Returns
    -------
    TensorSpec, TensorSpec
        Tensors ``input`` and ``output`` with axes ``(batch, channel, [z,] y, x)``
        of float32. Sizes have room for the halo, as the specification demands.
    """
    halo, pixel_size = halo or {}, pixel_size or {}
    shared = [
        {
            "name": axis,
            "pixel_size": pixel_size.get(axis),
            "unit": unit if axis in pixel_size else None,
        }
        for axis in spatial_axes
    ]
    batch = AxisSpec("batch", SteppedSize(1, 1))

    def channel(names: Sequence[str]) -> AxisSpec:
        return AxisSpec("channel", FixedSize(len(names)), channel_names=tuple(names))

    input_axes = [
        AxisSpec(size=_with_room(sizes[axis], halo.get(axis, 0)), **values)  # type: ignore[arg-type]
        for axis, values in zip(spatial_axes, shared, strict=True)
    ]
    output_axes = [
        AxisSpec(
            size=ReferencedSize("input", axis),
            # A network of fixed size sees everything it will ever see.
            halo=0 if isinstance(sizes[axis], FixedSize) else halo.get(axis, 0),
            **values,  # type: ignore[arg-type]
        )
        for axis, values in zip(spatial_axes, shared, strict=True)
    ]
    return (
        TensorSpec(
            "input",
            (batch, channel(input_channels), *input_axes),
            "float32",
            steps=tuple(preprocessing),
        ),
        TensorSpec(
            "output",
            (batch, channel(output_channels), *output_axes),
            "float32",
            steps=tuple(postprocessing),
        ),
    )


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


def _with_room(size: SteppedSize | FixedSize, halo: int) -> SteppedSize | FixedSize:
    """Return sizes of which something is left after cropping the halo."""
    if isinstance(size, FixedSize):
        return size
    steps = max(0, math.ceil((2 * halo + 1 - size.minimum) / size.step))
    return SteppedSize(size.minimum + steps * size.step, size.step)


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
            np.save(folder / _test_name(spec), array.astype(spec.dtype))
    (folder / DOCUMENTATION_NAME).write_text(
        content.documentation or _documentation(content), encoding="utf-8"
    )
    (folder / COVER_NAME).write_bytes(content.cover or _cover(content))
    if content.network_source is not None:
        name, source = content.network_source
        (folder / name).write_bytes(source)
    for name, data in content.attachments.items():
        if not is_safe_name(name):
            raise ModelError(f"{name!r} can't be attached: use a plain file name.")
        (folder / name).write_bytes(data)
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
    torch.save(state, path)


def environment(*libraries: str) -> dict[str, Any]:
    """Return a conda environment that can build and run a network.

    Parameters
    ----------
    libraries
        Installed distributions that it needs, in their present version or newer.
    """
    names = {"torch": "pytorch"}
    return {
        "name": "model",
        "channels": ["conda-forge", "nodefaults"],
        "dependencies": [
            *(
                f"conda-forge::{names.get(name, name)}>={_base_version(name)}"
                for name in libraries
            ),
            "conda-forge::bioimageio.core>=0.11",
            "pip",
        ],
    }


def _base_version(distribution: str) -> str:
    """Return the installed version without its build (``2.13.0+cpu``)."""
    return version(distribution).split("+")[0]


def _test_name(spec: TensorSpec) -> str:
    return f"test_{spec.id}.npy"


def _check_shape(spec: TensorSpec, array: np.ndarray) -> None:
    if array.ndim != len(spec.axes):
        raise ModelError(
            f"The test tensor of {spec.id} has {array.ndim} dimensions, but the tensor "
            f"has the axes {'/'.join(spec.axis_names)}."
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


def describe(folder: Path, content: PackageContent) -> dict[str, Any]:
    """Return the description of a package whose other files lie in ``folder``."""

    def file(name: str) -> dict[str, str]:
        return {"source": name, "sha256": sha256_of(folder / name)}

    timestamp = content.timestamp or datetime.now(UTC)
    return {
        "format_version": "0.5.12",
        "type": "model",
        "name": valid_name(content.name),
        "description": content.text[:1024],
        "version": content.version,
        "timestamp": timestamp.isoformat(timespec="seconds"),
        "authors": [dict(author) for author in content.authors],
        "cite": [dict(entry) for entry in content.cite],
        "license": content.license,
        "tags": list(content.tags),
        "documentation": file(DOCUMENTATION_NAME),
        "covers": [file(COVER_NAME)],
        "attachments": [file(name) for name in content.attachments],
        "inputs": [
            _tensor(spec, file(_test_name(spec)), "preprocessing")
            for spec in content.inputs
        ],
        "outputs": [
            _tensor(spec, file(_test_name(spec)), "postprocessing")
            for spec in content.outputs
        ],
        "weights": {
            "pytorch_state_dict": {
                **file(WEIGHTS_NAME),
                "architecture": {
                    **(
                        file(content.network_source[0])
                        if content.network_source
                        else {"import_from": content.network_module}
                    ),
                    "callable": content.network_name,
                    "kwargs": dict(content.network_kwargs),
                },
                "dependencies": file(ENVIRONMENT_NAME),
                "pytorch_version": _base_version("torch"),
                "strict": True,
            }
        },
        "config": {
            "bioimageio": {
                "model_parameter_count": sum(
                    parameter.numel() for parameter in content.network.parameters()
                ),
                "reproducibility_tolerance": _tolerances(content),
            },
            "napari_im2im": _plain(content.config),
        },
    }


def _tolerances(content: PackageContent) -> list[dict[str, Any]]:
    """Let a thousandth of an output's spread differ between machines."""
    return [
        {
            "output_ids": [spec.id],
            "relative_tolerance": 1e-3,
            "absolute_tolerance": float(
                f"{min(1e-3 * array.std(), 0.009 * abs(array.max())):.3g}"
            ),
        }
        for spec, array in zip(content.outputs, content.test_outputs, strict=True)
    ]


def _tensor(spec: TensorSpec, test: dict[str, str], steps: str) -> dict[str, Any]:
    data: dict[str, Any] = {"type": spec.dtype}
    if spec.kind == "labels" and spec.class_names:
        data["values"] = list(spec.class_names)
    else:
        data |= {"range": [None, None], "unit": "arbitrary unit", "scale": 1.0}
    described: dict[str, Any] = {
        "id": spec.id,
        "description": spec.description,
        "axes": [_axis(axis, is_input=steps == "preprocessing") for axis in spec.axes],
        "test_tensor": test,
        "data": data,
        steps: _steps(spec),
    }
    if steps == "preprocessing":
        described["optional"] = spec.optional
    return described


def _axis(axis: AxisSpec, *, is_input: bool) -> dict[str, Any]:
    kind = axis.name if axis.name in ("batch", "channel", "index", "time") else "space"
    described: dict[str, Any] = {"type": kind, "id": axis.name, "description": ""}
    if kind == "batch":
        return described
    if kind == "channel":
        count = axis.size.size if isinstance(axis.size, FixedSize) else 0
        names = axis.channel_names or tuple(f"channel{i}" for i in range(count))
        return {**described, "channel_names": list(names)}
    if isinstance(axis.size, FixedSize):
        described["size"] = axis.size.size
    elif isinstance(axis.size, SteppedSize):
        described["size"] = {"min": axis.size.minimum, "step": axis.size.step}
    elif isinstance(axis.size, ReferencedSize):
        described["size"] = {
            "tensor_id": axis.size.tensor,
            "axis_id": axis.size.axis,
            "offset": axis.size.offset,
        }
    if kind != "index":
        known = axis.pixel_size is not None and axis.unit in _units()
        described["scale"] = float(axis.pixel_size or 1.0) if known else 1.0
        if known:
            described["unit"] = axis.unit
    if is_input:
        described["concatenable"] = False
    elif axis.halo:
        described["halo"] = axis.halo
    return described


def _units() -> frozenset[str]:
    from bioimageio.spec.model.v0_5 import SpaceUnit, TimeUnit

    return frozenset((*get_args(SpaceUnit), *get_args(TimeUnit)))


def _steps(spec: TensorSpec) -> list[dict[str, Any]]:
    """Return the steps between two explicit casts, as the specification wants.

    Left out, the specification adds casts of its own, to the tensor's type: that
    would round a normalised uint8 image.
    """
    steps = [
        {"id": step.id, "kwargs": _plain(step.kwargs)}
        for step in spec.steps
        if not _does_nothing(step)
    ]
    cast = {"id": "ensure_dtype", "kwargs": {"dtype": "float32"}}
    if not steps or steps[0] != cast:
        steps.insert(0, cast)
    if len(steps) > 1 and steps[-1]["id"] not in ("ensure_dtype", "binarize"):
        last = spec.dtype if spec.kind == "labels" else "float32"
        steps.append({"id": "ensure_dtype", "kwargs": {"dtype": last}})
    return steps


def _does_nothing(step: Step) -> bool:
    """Return whether a step scales by 1 and adds 0, which the format forbids."""
    if step.id != "scale_linear":
        return False
    gain, offset = step.kwargs.get("gain", 1.0), step.kwargs.get("offset", 0.0)
    return bool(np.all(np.equal(gain, 1.0)) and np.all(np.equal(offset, 0.0)))


def _plain(value: Any) -> Any:
    """Return the same as plain values that YAML can hold."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value


def validate(described: dict[str, Any], folder: Path) -> None:
    """Check a description against the specification; looks nothing up.

    Raises
    ------
    ModelError
        Naming the field.
    """
    from bioimageio.spec import InvalidDescr, ValidationContext, build_description

    context = ValidationContext(
        root=folder.absolute(), perform_io_checks=False, log_warnings=False
    )
    built = build_description(described, context=context)
    if isinstance(built, InvalidDescr):
        raise ModelError(
            "The model can't be described in the zoo's format: "
            f"{' '.join((built.get_reason() or '').split())}"
        )
