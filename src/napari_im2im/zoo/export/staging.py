"""The folder that becomes the zip: files, weights, and the description."""

from __future__ import annotations

import shutil
from importlib.metadata import version
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_im2im.errors import ModelError
from napari_im2im.models.archive import sha256_of
from napari_im2im.models.cover import cover_png
from napari_im2im.models.describing import (
    COVER_NAME,
    DESCRIPTION_NAME,
    DOCUMENTATION_NAME,
    ENVIRONMENT_NAME,
)
from napari_im2im.models.exporters import OPSET
from napari_im2im.models.self_contained import source_file
from napari_im2im.models.writing import environment
from napari_im2im.zoo.export.documentation import write_documentation
from napari_im2im.zoo.export.drafts import documentation_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from napari_im2im.models.conversion import Converted
    from napari_im2im.models.package import ModelPackage
    from napari_im2im.models.tensors import TensorSpec
    from napari_im2im.zoo.metadata import Metadata


def copy_files(
    package: ModelPackage, folder: Path, leave_out: Collection[str] = ()
) -> dict[str, Any]:
    """Copy the files of a package, each checked, and return its description.

    Parameters
    ----------
    package
        The model.
    folder
        Where the files go.
    leave_out
        Weights formats to leave behind, files and all.

    Returns
    -------
    dict
        The description as plain data; every file with its sha256.

    Raises
    ------
    ModelError
        If a file is missing or damaged.
    """
    described: dict[str, Any] = package.description.model_dump(
        mode="json", exclude_none=True
    )
    for name in leave_out:
        described["weights"].pop(name, None)
    for name, entry in package.weights.items():
        if name in leave_out:
            continue
        # Format 0.4 keeps a sha256 that the conversion to 0.5 loses.
        package.file(entry.source, entry.sha256)
        described["weights"][name].pop("sha256", None)
    for node in _file_nodes(described):
        source = str(node["source"])
        path = package.file(source, node.get("sha256"))
        target = folder / source
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            shutil.copyfile(path, target)
        node["sha256"] = sha256_of(target)
    return described


def _file_nodes(node: Any) -> Iterator[dict[str, Any]]:
    """Yield every part of a description that names a file of the package."""
    if isinstance(node, dict):
        source = node.get("source")
        if isinstance(source, str) and not source.startswith(("http://", "https://")):
            yield node
        for key, value in node.items():
            if key != "config":
                yield from _file_nodes(value)
    elif isinstance(node, list):
        for item in node:
            yield from _file_nodes(item)


def apply_metadata(
    described: dict[str, Any], metadata: Metadata, package: ModelPackage, folder: Path
) -> None:
    """Put the metadata, the covers and the documentation into a description."""
    values = metadata.model_dump(mode="json", exclude_none=True)
    values.pop("documentation")
    values.pop("covers")
    for field in ("maintainers", "git_repo", "training_data", "parent"):
        described.pop(field, None)
    described.update(values)
    if metadata.training_data is not None:
        described["training_data"] = _training_data(metadata)
    described["covers"] = _covers(metadata, described, package, folder)
    first = described["covers"][0]["source"] if described["covers"] else None
    config = _publishable(package.config)
    text = write_documentation(metadata, documentation_of(package), config, first)
    path = folder / DOCUMENTATION_NAME
    path.write_text(text, encoding="utf-8", newline="\n")
    described["documentation"] = _file(folder, DOCUMENTATION_NAME)
    if config:
        described["config"]["napari_im2im"] = config


def add_samples(described: dict[str, Any], package: ModelPackage, folder: Path) -> None:
    """Add the test images once more, as files that people can look at."""
    import tifffile

    arrays = (*package.test_inputs(), *package.test_outputs())
    tensors = (*described["inputs"], *described["outputs"])
    for tensor, array in zip(tensors, arrays, strict=True):
        if "sample_tensor" in tensor or array.dtype.kind not in "fu":
            continue
        name = f"sample_{tensor['id']}.tif"
        # With its shape, which keeps channels and planes apart.
        tifffile.imwrite(folder / name, array, photometric="minisblack")
        tensor["sample_tensor"] = _file(folder, name)


def add_weights(
    described: dict[str, Any], converted: Sequence[Converted], folder: Path
) -> None:
    """Describe the weights that were written into ``folder``."""
    import torch

    release = torch.__version__.split("+")[0]
    for entry in converted:
        if entry.source is None:
            continue
        versions: dict[str, Any] = (
            {"opset_version": OPSET}
            if entry.format == "onnx"
            else {"pytorch_version": release}
        )
        described["weights"][entry.format] = {
            **_file(folder, entry.source),
            "parent": entry.parent,
            "comment": f"{entry.comment} napari-im2im {version('napari-im2im')}.",
            **versions,
        }


def forget_parents(described: dict[str, Any], package: ModelPackage) -> None:
    """Let no weights refer to weights that were left out."""
    weights = described["weights"]
    for entry in weights.values():
        while (parent := entry.get("parent")) is not None and parent not in weights:
            entry["parent"] = package.weights[parent].parent
            if entry["parent"] is None:
                del entry["parent"]


def limit_batch(described: dict[str, Any], folder: Path) -> None:
    """Say that one image goes in at a time where the ONNX weights take no more.

    Descriptions of format 0.4 had a place for that which 0.5 doesn't take over.

    Raises
    ------
    ModelError
        If these weights aren't ONNX.
    """
    import onnx
    from google.protobuf.message import DecodeError

    entry = described["weights"].get("onnx")
    if entry is None:
        return
    try:
        graph = onnx.load(folder / entry["source"], load_external_data=False).graph
    except DecodeError as error:
        raise ModelError(
            f"{entry['source']} of the model holds no ONNX weights: leave this format "
            "out, --leave_out onnx, or its box on the Export page."
        ) from error
    weights = {array.name for array in graph.initializer}
    # 0 stands for a size that the graph leaves open.
    sizes = {
        tensor.type.tensor_type.shape.dim[0].dim_value
        for tensor in graph.input
        if tensor.name not in weights
    }
    if sizes != {1}:
        return
    for tensor in (*described["inputs"], *described["outputs"]):
        for axis in tensor["axes"]:
            if axis["type"] == "batch":
                axis["size"] = 1


def add_source(described: dict[str, Any], package: ModelPackage, folder: Path) -> str:
    """Let the state dict's network be built by a file instead of a library.

    Returns
    -------
    str
        The name of the file.

    Raises
    ------
    ModelError
        If there is none that builds this network; nothing is changed then.
    """
    from bioimageio.spec.utils import write_yaml

    path = source_file(package)
    shutil.copyfile(path, folder / path.name)
    write_yaml(environment("torch"), folder / ENVIRONMENT_NAME)
    entry = described["weights"]["pytorch_state_dict"]
    architecture = entry["architecture"]
    entry["architecture"] = {
        **_file(folder, path.name),
        "callable": architecture["callable"],
        "kwargs": architecture.get("kwargs", {}),
    }
    entry["dependencies"] = _file(folder, ENVIRONMENT_NAME)
    return path.name


def write_description(described: Mapping[str, Any], folder: Path) -> Path:
    """Write the description of a folder."""
    from bioimageio.spec.utils import write_yaml

    path = folder / DESCRIPTION_NAME
    write_yaml(dict(described), path)
    return path


def _covers(
    metadata: Metadata,
    described: Mapping[str, Any],
    package: ModelPackage,
    folder: Path,
) -> list[dict[str, str]]:
    if metadata.covers:
        names = []
        for i, cover in enumerate(metadata.covers):
            name = f"cover{i}{cover.suffix.lower()}"
            shutil.copyfile(cover, folder / name)
            names.append(name)
        return [_file(folder, name) for name in names]
    if described.get("covers"):
        return list(described["covers"])
    (folder / COVER_NAME).write_bytes(draw_cover(package))
    return [_file(folder, COVER_NAME)]


def draw_cover(package: ModelPackage) -> bytes:
    """Draw the test image and its prediction; return a PNG file."""
    specs = (package.inputs[0], package.outputs[0])
    arrays = (package.test_inputs()[0], package.test_outputs()[0])
    return cover_png(
        [_as_image(spec, array) for spec, array in zip(specs, arrays, strict=True)]
    )


def _as_image(spec: TensorSpec, array: np.ndarray) -> np.ndarray:
    """Return ``(channel, [z,] y, x)``, the first position of any other axis."""
    names = list(spec.axis_names)
    for name in [n for n in names if n not in ("channel", "z", "y", "x")]:
        array = np.take(array, 0, names.index(name))
        names.remove(name)
    if "channel" not in names:
        array, names = array[None], ["channel", *names]
    wanted = [name for name in ("channel", "z", "y", "x") if name in names]
    return array.transpose([names.index(name) for name in wanted])


def _training_data(metadata: Metadata) -> dict[str, Any]:
    from bioimageio.spec.dataset.v0_3 import DatasetDescr

    data = metadata.training_data
    assert data is not None
    if data.id is not None:
        return {"id": data.id}
    return {
        "type": "dataset",
        "format_version": DatasetDescr.implemented_format_version,
        "name": data.name,
        "source": data.url,
    }


def _publishable(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the provenance of a run without the folders of this computer."""
    content = dict(config)
    training = dict(content.get("training") or {})
    if training:
        data = dict(training.get("data") or {})
        for key in ("inputs", "targets"):
            data[key] = [PurePath(name).name for name in data.get(key) or ()]
        training["data"] = data
        for key in ("output", "resume", "start_from"):
            training.pop(key, None)
        content["training"] = training
    if "parent" in content:
        parent = dict(content["parent"])
        parent.pop("path", None)
        content["parent"] = parent
    return content


def _file(folder: Path, name: str) -> dict[str, str]:
    return {"source": name, "sha256": sha256_of(folder / name)}


def check_is_publishable(package: ModelPackage) -> None:
    """Refuse what has no test tensors, before anything is written.

    Raises
    ------
    ModelError
        Saying what is missing.
    """
    if not (package.test_inputs() and package.test_outputs()):
        raise ModelError(f"{package.name} has no test tensors: it can't be exported.")
