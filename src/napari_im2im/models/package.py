"""A model on disk: a package of the BioImage Model Zoo, as an object."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_im2im.errors import ModelError
from napari_im2im.models.archive import extract_to_cache, is_safe_name, sha256_of
from napari_im2im.models.description import find_description, read_description
from napari_im2im.models.selection import (
    image_outputs,
    is_image_input,
    name_tensors,
)
from napari_im2im.models.specs import tensor_specs
from napari_im2im.models.tensors import FixedSize

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bioimageio.spec.model.v0_5 import ModelDescr

    from napari_im2im.models.tensors import TensorSpec


@dataclass(frozen=True)
class Architecture:
    """The code that builds a network for a state dict.

    Either ``source``, a Python file of the package with its ``sha256``, or
    ``module``, an installed module to import from.
    """

    callable: str
    kwargs: Mapping[str, Any]
    source: str | None = None
    sha256: str | None = None
    module: str | None = None


@dataclass(frozen=True)
class WeightsEntry:
    """One of the formats that a model's weights come in.

    ``version`` is that of the library (for ``onnx``: the opset) that wrote it.
    """

    format: str
    source: str
    sha256: str | None = None
    parent: str | None = None
    version: str | None = None
    architecture: Architecture | None = None
    strict: bool = True
    external_data: str | None = None


@dataclass(frozen=True)
class ModelPackage:
    """A model package that was read; nothing of it was run.

    ``path`` is what was opened (a folder or a zip), ``root`` the folder that holds
    the files, ``sha256`` that of the description file. ``inputs`` and ``outputs`` are
    images; ``left_out`` are outputs and optional inputs that are not, if there is an
    output that is.
    """

    path: Path
    root: Path
    id: str
    name: str
    text: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    weights: Mapping[str, WeightsEntry]
    config: Mapping[str, Any]
    sha256: str
    description: ModelDescr = field(repr=False, compare=False)
    left_out: tuple[TensorSpec, ...] = ()

    @property
    def note(self) -> str:
        """What to know before the model is used, in a sentence; mostly empty."""
        if (self.config.get("task") or {}).get("name") == "masked":
            return (
                f"{self.name} was pretrained to fill hidden parts of images and makes "
                "nothing new of whole ones: start a training from it."
            )
        if not self.left_out:
            return ""
        return f"Only images are shown, not {name_tensors(self.left_out)}."

    def arguments(self, inputs: Sequence[np.ndarray | None]) -> list[np.ndarray | None]:
        """Return what the network is called with: None for what is left out."""
        given = {spec.id: x for spec, x in zip(self.inputs, inputs, strict=True)}
        return [given.get(str(tensor.id)) for tensor in self.description.inputs]

    def results(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the `outputs` among all that the network returned.

        Raises
        ------
        ModelError
            If it returned fewer than the model describes, or others.
        """
        described = self.description.outputs
        if len(arrays) < len(described):
            raise ModelError(
                f"{self.name} returned {len(arrays)} of the {len(described)} tensors "
                "that it describes: its weights and its description don't belong "
                "together."
            )
        wanted = {spec.id for spec in self.outputs}
        pairs = zip(described, arrays, strict=False)
        found = [array for tensor, array in pairs if str(tensor.id) in wanted]
        for spec, array in zip(self.outputs, found, strict=True):
            self._check_result(spec, array)
        return found

    def _check_result(self, spec: TensorSpec, array: np.ndarray) -> None:
        if array.ndim != len(spec.axes):
            raise ModelError(
                f"{self.name} made an array of {array.shape} for {spec.id!r}, but its "
                f"description says {'/'.join(spec.axis_names)}: the description is "
                "wrong."
            )
        # Labels are made of more channels than they have.
        if "channel" not in spec.axis_names or spec.kind == "labels":
            return
        size = spec.axis("channel").size
        count = array.shape[spec.axis_names.index("channel")]
        if isinstance(size, FixedSize) and count != size.size:
            raise ModelError(
                f"{self.name} made {count} channels of {spec.id!r}, but "
                f"its description says {size.size}: it can't be applied to this image."
            )

    def file(self, name: str, sha256: str | None = None) -> Path:
        """Return a file of the package.

        Parameters
        ----------
        name
            Path relative to the description.
        sha256
            What its content must hash to.

        Raises
        ------
        ModelError
            If it lies outside the package, is missing, or has another content.
        """
        if name.startswith(("http://", "https://")):
            raise ModelError(
                f"{self.name} keeps {name} on the network: download the model first."
            )
        path = self.root / name
        if not is_safe_name(name) or not path.resolve().is_relative_to(
            self.root.resolve()
        ):
            raise ModelError(
                f"{self.name} refers to {name!r} outside its package: refused."
            )
        if not path.is_file():
            raise ModelError(
                f"{name} is missing in the model {self.name} ({self.path}): get the "
                "model again."
            )
        if sha256 is not None and sha256_of(path) != sha256:
            raise ModelError(
                f"{name} of the model {self.name} is damaged or was changed (its "
                "sha256 differs from the description): get the model again."
            )
        return path

    def test_inputs(self) -> list[np.ndarray]:
        """Return the test tensor of each of `inputs`.

        Raises
        ------
        ModelError
            If the model brings none, or one is damaged.
        """
        return self._arrays(self.description.inputs, self.inputs)

    def test_outputs(self) -> list[np.ndarray]:
        """Return the test tensor of each of `outputs`; see `test_inputs`."""
        return self._arrays(self.description.outputs, self.outputs)

    def _arrays(
        self, described: Sequence[Any], wanted: Sequence[TensorSpec]
    ) -> list[np.ndarray]:
        names = {spec.id for spec in wanted}
        return [self._array(tensor) for tensor in described if str(tensor.id) in names]

    def _array(self, tensor: Any) -> np.ndarray:
        if tensor.test_tensor is None:
            raise ModelError(
                f"{self.name} brings no test tensor for {tensor.id!r}: ask its authors "
                "for a version with test tensors."
            )
        source, digest = str(tensor.test_tensor.source), tensor.test_tensor.sha256
        path = self.file(source, None if digest is None else str(digest))
        try:
            array: np.ndarray = np.load(path, allow_pickle=False)
        except (ValueError, EOFError, OSError) as error:
            raise ModelError(f"{path} is not a readable .npy file: {error}") from error
        return array


def load_package(source: str | Path) -> ModelPackage:
    """Open a model package; nothing in it is executed or looked up.

    Parameters
    ----------
    source
        A folder, a zip archive (unpacked into the cache), or the description file
        of an unpacked package. Formats 0.4 and 0.5.

    Raises
    ------
    ModelError
        If there is no such path, or it isn't a valid and safe package that has
        the file of at least one of its weights.
    """
    path = Path(source).expanduser()
    if not path.exists():
        raise ModelError(f"There is no model at {path}: check the path.")
    if path.is_dir():
        file = find_description(path)
    elif path.suffix.lower() in (".yaml", ".yml"):
        file, path = path, path.parent
    else:
        file = find_description(extract_to_cache(path))
    package = _package(file, path)
    sources = [entry.source for entry in package.weights.values()]
    remote = ("http://", "https://")
    if not any(s.startswith(remote) or (package.root / s).is_file() for s in sources):
        raise ModelError(
            f"{path} has none of its weights ({', '.join(sources)}): get the model "
            "again."
        )
    return package


def parse_description(path: str | Path) -> ModelPackage:
    """Read a description alone, whether its files are there or not.

    Raises
    ------
    ModelError
        As `load_package`.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"There is no description at {path}: check the path.")
    return _package(path, path.parent)


def _package(file: Path, path: Path) -> ModelPackage:
    read = read_description(file)
    description = read.model
    every_input, every_output = tensor_specs(description)
    inputs, outputs = every_input, image_outputs(every_input, every_output)
    if outputs:
        inputs = tuple(
            spec for spec in inputs if is_image_input(spec) or not spec.optional
        )
    else:
        outputs = every_output
    kept = (*inputs, *outputs)
    config = description.config.model_dump(mode="json")
    own = config.get("napari_im2im") or {}
    nickname = (config.get("bioimageio") or {}).get("nickname")
    return ModelPackage(
        path=path,
        root=file.parent,
        id=str(description.id or nickname or ""),
        name=str(description.name),
        text=str(description.description),
        inputs=inputs,
        outputs=outputs,
        weights={
            name: _weights_entry(name, entry, read.weights_sha256.get(name))
            for name, entry in description.weights
            if entry is not None
        },
        config=own if isinstance(own, dict) else {},
        sha256=read.sha256,
        description=description,
        left_out=tuple(
            spec for spec in (*every_input, *every_output) if spec not in kept
        ),
    )


def _weights_entry(name: str, entry: Any, sha256: str | None) -> WeightsEntry:
    version = next(
        (
            str(value)
            for key in (
                "pytorch_version",
                "opset_version",
                "tensorflow_version",
                "keras_version",
            )
            if (value := getattr(entry, key, None)) is not None
        ),
        None,
    )
    external = getattr(entry, "external_data", None)
    architecture = getattr(entry, "architecture", None)
    return WeightsEntry(
        format=name,
        source=str(entry.source),
        sha256=sha256,
        parent=entry.parent,
        version=version,
        architecture=None if architecture is None else _architecture(architecture),
        strict=bool(getattr(entry, "strict", True)),
        external_data=None if external is None else str(external.source),
    )


def _architecture(architecture: Any) -> Architecture:
    name, kwargs = str(architecture.callable), dict(architecture.kwargs)
    if hasattr(architecture, "import_from"):
        return Architecture(name, kwargs, module=str(architecture.import_from))
    digest = architecture.sha256
    return Architecture(
        name,
        kwargs,
        source=str(architecture.source),
        sha256=None if digest is None else str(digest),
    )
