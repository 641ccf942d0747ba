"""The description of a package, in the format 0.5 of the BioImage Model Zoo."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from napari_im2im.errors import ModelError
from napari_im2im.models.archive import sha256_of
from napari_im2im.models.content import valid_name
from napari_im2im.models.tensors import FixedSize, ReferencedSize, SteppedSize

if TYPE_CHECKING:
    from pathlib import Path

    from napari_im2im.models.content import PackageContent
    from napari_im2im.models.tensors import AxisSpec, Step, TensorSpec

DESCRIPTION_NAME = "rdf.yaml"
WEIGHTS_NAME = "weights.pt"
ENVIRONMENT_NAME = "environment.yaml"
DOCUMENTATION_NAME = "README.md"
COVER_NAME = "cover.png"

_MONAI = {
    "text": "MONAI Consortium. MONAI: Medical Open Network for AI.",
    "doi": "10.5281/zenodo.4323058",
}


def base_version(distribution: str) -> str:
    """Return the installed version without its build (``2.13.0+cpu``)."""
    return version(distribution).split("+")[0]


def tensor_name(spec: TensorSpec) -> str:
    """Return the file name of the test tensor."""
    return f"test_{spec.id}.npy"


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
        "version": "0.1.0",
        "timestamp": timestamp.isoformat(timespec="seconds"),
        "authors": [dict(author) for author in content.authors],
        "cite": [_MONAI],
        "license": "CC-BY-4.0",
        "tags": list(content.tags),
        "documentation": file(DOCUMENTATION_NAME),
        "covers": [file(COVER_NAME)],
        "inputs": [
            _tensor(spec, file(tensor_name(spec)), "preprocessing")
            for spec in content.inputs
        ],
        "outputs": [
            _tensor(spec, file(tensor_name(spec)), "postprocessing")
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
                "pytorch_version": base_version("torch"),
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
        # Without a unit, scales still say how much larger one tensor is.
        sized = known or axis.unit is None
        described["scale"] = float(axis.pixel_size or 1.0) if sized else 1.0
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
        {"id": step.id} | ({"kwargs": _plain(step.kwargs)} if step.kwargs else {})
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
