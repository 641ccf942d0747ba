"""OpenVINO on a CPU: ONNX, TensorFlow bundles, TorchScript and state dicts.

Converted networks are kept in the cache once they were found to reproduce their
own engine's result, since a conversion takes seconds.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import openvino as ov

from napari_im2im.errors import ModelError
from napari_im2im.folders import cache_folder
from napari_im2im.models.archive import extract_to_cache, sha256_of
from napari_im2im.models.runtimes.onnx_engine import in_order, onnx_file
from napari_im2im.models.runtimes.openvino_partial import (
    PartialNetwork,
    partial_network,
)
from napari_im2im.models.runtimes.runtime import required_inputs

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from napari_im2im.models.package import Architecture, ModelPackage

_PRECISIONS = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}


class OpenVinoRuntime:
    """A network compiled by OpenVINO for the CPU, for images of any size.

    ``verified`` is True where an earlier run found that it reproduces the
    result of the weights' own engine.
    """

    engine = "openvino"
    device = "cpu"

    def __init__(
        self,
        package: ModelPackage,
        weights_format: str,
        *,
        precision: str = "float32",
        trusted: Collection[str] = (),
    ) -> None:
        self.weights_format = weights_format
        self._package = package
        self._partial: PartialNetwork | None = None
        self._cached = _cache_file(package, weights_format)
        self.verified = self._cached.exists()
        core = ov.Core()
        try:
            self._model = _read(self._cached) if self.verified else None
            if self._model is None:
                self.verified = False
                self._model = _convert(package, weights_format, trusted)
            # Without the hint, some CPUs compute in bfloat16 by themselves.
            self._hints = {"INFERENCE_PRECISION_HINT": _PRECISIONS[precision]}
            self._compiled: Any = core.compile_model(self._model, "CPU", self._hints)
        except RuntimeError as error:
            raise ModelError(
                f"{package.name}: OpenVINO can't convert its {weights_format} weights "
                f"({' '.join(str(error).split())[:200]})."
            ) from error

    def __call__(self, inputs: Sequence[np.ndarray | None]) -> list[np.ndarray]:
        """Run the network; see `Runtime`."""
        return self._package.results(self._run(self._compiled, inputs))

    def share(self) -> float:
        """Return the share of the cost that `part` can't save; see `PartialRuntime`."""
        return self._cropping().share

    def part(
        self, inputs: Sequence[np.ndarray | None], keep: Sequence[Sequence[slice]]
    ) -> list[np.ndarray]:
        """Run the network for a part of its results; see `PartialRuntime`."""
        partial = self._cropping()
        crops, parts = partial.crops(keep)
        results = self._run(partial.compiled, inputs, crops)
        return [result[part] for result, part in zip(results, parts, strict=True)]

    def _cropping(self) -> PartialNetwork:
        if self._partial is None:
            self._partial = partial_network(self._model, self._package, self._hints)
        return self._partial

    def _run(
        self,
        compiled: Any,
        inputs: Sequence[np.ndarray | None],
        more: Sequence[np.ndarray] = (),
    ) -> list[np.ndarray]:
        if compiled is None:
            raise ModelError(f"{self._package.name} was closed: load it again.")
        arrays = required_inputs(self._package, inputs, self.engine)
        every = list(compiled.inputs)
        own, others = every[: len(every) - len(more)], every[len(every) - len(more) :]
        arguments = in_order([port.any_name for port in own], own, self._package)
        if len(arguments) != len(arrays):
            raise ModelError(
                f"{self._package.name}: its {self.weights_format} weights read "
                f"{len(arguments)} tensors, but {len(arrays)} are described: the "
                "description is wrong."
            )
        feed = {
            argument: np.ascontiguousarray(
                array, dtype=argument.get_element_type().to_dtype()
            )
            for argument, array in zip(arguments, arrays, strict=True)
        }
        feed |= dict(zip(others, more, strict=True))
        try:
            results = compiled(feed, share_inputs=True)
        except RuntimeError as error:
            if "bad_alloc" in str(error) or "memory" in str(error).lower():
                raise MemoryError(str(error)) from error
            raise ModelError(
                f"{self._package.name} can't run on arrays of "
                f"{[array.shape for array in arrays]}: {' '.join(str(error).split())}"
            ) from error
        return [results[output] for output in results]

    def remember(self) -> None:
        """Keep the converted network in the cache, as one that was verified."""
        folder = self._cached.parent
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="unfinished-", dir=folder) as name:
            unfinished = Path(name) / self._cached.name
            ov.save_model(self._model, unfinished, compress_to_fp16=False)
            # The graph last: where it is, its weights are complete.
            for suffix in (".bin", ".xml"):
                unfinished.with_suffix(suffix).replace(self._cached.with_suffix(suffix))
        self.verified = True

    def close(self) -> None:
        """Free the compiled network."""
        self._compiled = self._model = self._partial = None


def _read(cached: Path) -> Any:
    """Return the network that was kept, or None where it is damaged."""
    try:
        return ov.Core().read_model(cached)
    except RuntimeError:
        cached.unlink(missing_ok=True)
        return None


def _convert(
    package: ModelPackage, weights_format: str, trusted: Collection[str]
) -> Any:
    if weights_format == "onnx":
        return ov.Core().read_model(onnx_file(package))
    if weights_format == "tensorflow_saved_model_bundle":
        return ov.convert_model(_saved_model_folder(package))
    return _convert_torch(package, weights_format, trusted)


def _convert_torch(
    package: ModelPackage, weights_format: str, trusted: Collection[str]
) -> Any:
    import torch

    from napari_im2im.models.runtimes.torch_engine import load_network, load_torchscript

    with warnings.catch_warnings(), torch.inference_mode():
        # Tracing warns about what a fixed number of channels makes constant.
        warnings.simplefilter("ignore")
        if weights_format == "torchscript":
            return ov.convert_model(load_torchscript(package))
        network = load_network(package, trusted=trusted).eval()
        example = tuple(
            torch.from_numpy(array.astype(np.float32))
            for array in package.test_inputs()
        )
        # Checking the trace would run the network three times more; the result
        # is compared with the network's own anyway.
        traced = torch.jit.trace(network, example, check_trace=False)  # type: ignore[no-untyped-call]
        return ov.convert_model(torch.jit.freeze(traced))


def _saved_model_folder(package: ModelPackage) -> Path:
    entry = package.weights["tensorflow_saved_model_bundle"]
    folder = extract_to_cache(package.file(entry.source, entry.sha256))
    found = sorted(folder.rglob("saved_model.pb"))
    if not found:
        raise ModelError(
            f"{package.name}: {entry.source} holds no saved_model.pb: get the model "
            "again."
        )
    return found[0].parent


def _cache_file(package: ModelPackage, weights_format: str) -> Path:
    """Return where the converted network is kept, by everything it depends on."""
    entry = package.weights[weights_format]
    architecture = entry.architecture
    key: list[Any] = [
        ov.__version__,
        weights_format,
        sha256_of(package.file(entry.source, entry.sha256)),
        None if architecture is None else _identity(package, architecture),
    ]
    digest = hashlib.sha256(json.dumps(key).encode()).hexdigest()
    return cache_folder() / "openvino" / f"{digest[:32]}.xml"


def _identity(package: ModelPackage, architecture: Architecture) -> list[Any]:
    source = architecture.source
    code = None if source is None else sha256_of(package.file(source))
    return [
        code,
        architecture.module,
        architecture.callable,
        repr(sorted(architecture.kwargs.items())),
    ]
