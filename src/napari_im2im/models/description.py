"""Reading a package's description, without reading or running anything else."""

from __future__ import annotations

import hashlib
import re
import threading
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from napari_im2im.errors import ModelError
from napari_im2im.models.archive import is_safe_name

if TYPE_CHECKING:
    from bioimageio.spec.model.v0_5 import ModelDescr

_ONE_AT_A_TIME = threading.Lock()
"""bioimageio.spec shares a YAML parser and its contexts among all threads."""

DESCRIPTION_NAMES = ("bioimageio.yaml", "rdf.yaml", "model.yaml")
"""Names of a description, most telling first; ``anything.`` may stand before."""

MAX_DESCRIPTION_BYTES = 5 * 2**20

# What a model runs without, so that a mistake there doesn't stop it. Nothing that
# names files: a wrong reference is a reason for caution, not for repair.
_DISPENSABLE = frozenset(
    "authors badges cite git_repo license links maintainers packaged_by parent tags "
    "timestamp training_data uploader version".split()
)


def find_description(folder: Path) -> Path:
    """Return the description file of an unpacked package.

    Raises
    ------
    ModelError
        If there is none.
    """
    files = sorted(path for path in folder.iterdir() if path.is_file())
    for pattern in (*DESCRIPTION_NAMES, *(f"*.{name}" for name in DESCRIPTION_NAMES)):
        for path in files:
            if path.match(pattern):
                return path
    # A zip often holds one folder with everything in it.
    folders = [path for path in folder.iterdir() if path.is_dir()]
    if not files and len(folders) == 1:
        return find_description(folders[0])
    raise ModelError(
        f"{folder} is not a model: it has no file {', '.join(DESCRIPTION_NAMES)}."
    )


@dataclass(frozen=True)
class Description:
    """A description in the newest format, and what the conversion to it loses.

    ``sha256`` is that of the file, ``weights_sha256`` those of the weights files by
    weights format.
    """

    model: ModelDescr
    sha256: str
    weights_sha256: Mapping[str, str]


def read_description(path: Path) -> Description:
    """Read a description of format 0.4 or 0.5 as the newest format.

    Nothing is executed, downloaded, or read besides this file.

    Parameters
    ----------
    path
        A YAML file.

    Raises
    ------
    ModelError
        If it isn't a valid description of a model, or names a file that is
        absolute or outside the package.
    """
    with _ONE_AT_A_TIME:
        return _read(path)


def _read(path: Path) -> Description:
    from bioimageio.spec.utils import read_yaml
    from ruyaml.error import YAMLError

    if path.stat().st_size > MAX_DESCRIPTION_BYTES:
        raise ModelError(
            f"{path} is too large to be the description of a model: choose its "
            "rdf.yaml."
        )
    raw = path.read_bytes()
    try:
        content: Any = read_yaml(raw.decode("utf-8"))
    except (YAMLError, UnicodeDecodeError) as error:
        raise ModelError(
            f"{path} is not valid YAML: {' '.join(str(error).split())}"
        ) from error
    if not isinstance(content, dict):
        raise ModelError(
            f"{path} is not the description of a model: choose its rdf.yaml."
        )
    _check_version(content, path)
    description = _build(_repair(content), path)
    for source in file_sources(description):
        _check_source(source, path)
    weights = content["weights"]
    return Description(
        model=description,
        sha256=hashlib.sha256(raw).hexdigest(),
        weights_sha256={
            name: str(entry["sha256"])
            for name, entry in weights.items()
            if entry is not None and entry.get("sha256")
        },
    )


def file_sources(node: object) -> list[str]:
    """Return every file that a description refers to, as it stands there."""
    from bioimageio.spec.common import RelativeFilePath
    from pydantic import BaseModel

    if isinstance(node, RelativeFilePath | PurePath):
        return [str(node)]
    if isinstance(node, BaseModel):
        children: Sequence[object] = [value for _, value in node]
    elif isinstance(node, Mapping):
        children = list(node.values())
    elif isinstance(node, Sequence) and not isinstance(node, str | bytes):
        children = node
    else:
        return []
    return [source for child in children for source in file_sources(child)]


def _check_version(content: Mapping[str, Any], path: Path) -> None:
    kind = content.get("type", "model")
    if kind != "model":
        raise ModelError(
            f"{path} describes a {kind}, not a model: choose that of a model."
        )
    version = str(content.get("format_version", ""))
    if not version.startswith(("0.4", "0.5")):
        raise ModelError(
            f"{path} is written in format {version or 'unknown'}, but only 0.4 and 0.5 "
            "can be read: ask for a current version of the model."
        )


def _check_source(source: str, path: Path) -> None:
    # Of ftp://host/file, which is taken for a path, one slash is left.
    if not is_safe_name(source) or re.match(r"[A-Za-z][\w+.-]*:/", source):
        raise ModelError(
            f"{path} refers to {source!r}, which is not inside the package, nor at an "
            "address of http or https: refused."
        )


def _repair(content: dict[str, Any]) -> dict[str, Any]:
    """Undo known defects of descriptions, on a copy.

    - An infinite data range of format 0.4 that a JSON tool stored as null.
    - ``axes`` beside a scalar gain and offset, which format 0.5 has no place for.
    - Dependencies that aren't a conda environment: only core installs them.
    - ``output_of``, for which bioimageio.spec asks the network.
    - A halo beside fixed output sizes, which format 0.5 has no place for.
    """
    old = str(content["format_version"]).startswith("0.4")
    content = dict(content, type="model")
    for side in ("inputs", "outputs"):
        tensors = content.get(side)
        if isinstance(tensors, list):
            content[side] = [
                _repair_tensor(tensor, old) if isinstance(tensor, dict) else tensor
                for tensor in tensors
            ]
    weights = content.get("weights")
    if isinstance(weights, dict):
        content["weights"] = {
            key: _repair_weights(entry) if isinstance(entry, dict) else entry
            for key, entry in weights.items()
        }
    return content


def _repair_tensor(tensor: dict[str, Any], old: bool) -> dict[str, Any]:
    tensor = {key: value for key, value in tensor.items() if key != "output_of"}
    if old:
        limits = tensor.get("data_range")
        if isinstance(limits, list) and len(limits) == 2:
            low, high = limits
            tensor["data_range"] = [
                float("-inf") if low is None else low,
                float("inf") if high is None else high,
            ]
        elif "data_range" in tensor:
            del tensor["data_range"]
        if isinstance(tensor.get("shape"), list):
            tensor.pop("halo", None)
    else:
        tensor["axes"] = _repair_axes(tensor.get("axes"))
        if isinstance(tensor.get("data"), dict) and "range" in tensor["data"]:
            data = dict(tensor["data"])
            if data["range"] is None:
                del data["range"]
            tensor["data"] = data
    for key in ("preprocessing", "postprocessing"):
        if isinstance(tensor.get(key), list):
            tensor[key] = [
                _repair_step(step) if isinstance(step, dict) else step
                for step in tensor[key]
            ]
    return tensor


def _repair_axes(axes: Any) -> Any:
    """Rename a space axis ``b``, which bioimageio.spec takes for the batch."""
    if not isinstance(axes, list):
        return axes
    return [
        dict(axis, id=f"{axis['id']}_")
        if isinstance(axis, dict)
        and axis.get("type") != "batch"
        and axis.get("id") in ("b", "batch")
        else axis
        for axis in axes
    ]


def _repair_step(step: dict[str, Any]) -> dict[str, Any]:
    kwargs = step.get("kwargs")
    if step.get("name") == "scale_linear" and isinstance(kwargs, dict):
        scalar = not any(isinstance(kwargs.get(k), list) for k in ("gain", "offset"))
        if scalar and "axes" in kwargs:
            kwargs = {key: value for key, value in kwargs.items() if key != "axes"}
            return dict(step, kwargs=kwargs)
    return step


def _repair_weights(entry: dict[str, Any]) -> dict[str, Any]:
    dependencies = entry.get("dependencies")
    if isinstance(dependencies, dict):
        dependencies = dependencies.get("source")
    if dependencies is None or str(dependencies).endswith((".yaml", ".yml")):
        return entry
    return {key: value for key, value in entry.items() if key != "dependencies"}


def _build(content: dict[str, Any], path: Path) -> ModelDescr:
    from bioimageio.spec import InvalidDescr, ValidationContext, build_description
    from bioimageio.spec.model.v0_5 import ModelDescr
    from loguru import logger

    # The specification logs what it normalises from inside pydantic.
    logger.disable("pydantic")
    context = ValidationContext(
        root=path.parent.absolute(),
        file_name=path.name,
        perform_io_checks=False,
        log_warnings=False,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            built = build_description(content, context=context, format_version="latest")
        except (AssertionError, NotImplementedError, ValueError, TypeError) as error:
            raise ModelError(f"{path} can't be understood: {error}") from error
    if isinstance(built, ModelDescr):
        return built
    errors = [
        error
        for detail in built.validation_summary.details
        if detail.status == "failed"
        for error in detail.errors
    ]
    invalid = {str(error.loc[0]) for error in errors if error.loc}
    if errors and invalid and invalid <= _DISPENSABLE & content.keys():
        rest = {key: value for key, value in content.items() if key not in invalid}
        if "authors" in invalid:  # Format 0.4 demands one.
            rest["authors"] = [{"name": "unknown"}]
        return _build(rest, path)
    reason = built.get_reason() if isinstance(built, InvalidDescr) else ""
    raise ModelError(
        f"{path} is not a valid description of a model: "
        f"{' '.join((reason or '').split())[:500]}"
    )
