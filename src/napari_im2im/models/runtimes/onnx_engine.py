"""ONNX weights in onnxruntime."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime as ort

from napari_im2im.errors import ModelError
from napari_im2im.models.runtimes.runtime import required_inputs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_im2im.models.package import ModelPackage

_STATE = ort.capi.onnxruntime_pybind11_state
_ERRORS = (
    RuntimeError,
    ValueError,
    _STATE.Fail,
    _STATE.InvalidArgument,
    _STATE.InvalidGraph,
    _STATE.InvalidProtobuf,
    _STATE.NoSuchFile,
    _STATE.NotImplemented,
    _STATE.RuntimeException,
)
_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
_DTYPES = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(uint8)": np.uint8,
    "tensor(int8)": np.int8,
    "tensor(uint16)": np.uint16,
    "tensor(int16)": np.int16,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(bool)": np.bool_,
}


class OnnxRuntime:
    """A session of onnxruntime; ``device`` is ``"cpu"`` or ``"cuda:0"``."""

    engine = "onnxruntime"
    weights_format = "onnx"

    def __init__(self, package: ModelPackage, *, device: str = "cpu") -> None:
        self.device = device
        self._package = package
        provider = _PROVIDERS.get(device.split(":")[0])
        if provider not in ort.get_available_providers():
            raise ModelError(
                f"onnxruntime can't use the device {device!r} here: choose 'cpu'."
            )
        options = ort.SessionOptions()
        options.log_severity_level = 3
        try:
            self._session: ort.InferenceSession | None = ort.InferenceSession(
                str(onnx_file(package)), options, providers=[provider]
            )
        except _ERRORS as error:
            raise ModelError(
                f"{package.name}: its ONNX weights can't be loaded ({error})."
            ) from error

    def __call__(self, inputs: Sequence[np.ndarray | None]) -> list[np.ndarray]:
        """Run the session; see `Runtime`."""
        if self._session is None:
            raise ModelError(f"{self._package.name} was closed: load it again.")
        arrays = required_inputs(self._package, inputs, self.engine)
        arguments = self._session.get_inputs()
        if len(arguments) != len(arrays):
            raise ModelError(
                f"{self._package.name}: its ONNX weights read {len(arguments)} "
                f"tensors, but {len(arrays)} are described: the description is wrong."
            )
        feed = {
            argument.name: np.ascontiguousarray(
                array, dtype=_DTYPES.get(argument.type, array.dtype)
            )
            for argument, array in zip(
                in_order([a.name for a in arguments], arguments, self._package),
                arrays,
                strict=True,
            )
        }
        try:
            outputs = self._session.run(None, feed)
        except _ERRORS as error:
            if "allocate memory" in str(error):
                raise MemoryError(str(error)) from error
            raise ModelError(
                f"{self._package.name} can't run on arrays of "
                f"{[array.shape for array in arrays]}: {' '.join(str(error).split())}"
            ) from error
        return self._package.results(outputs)

    def close(self) -> None:
        """Free the session."""
        self._session = None


def onnx_file(package: ModelPackage) -> Path:
    """Return the checked ONNX file, with its external data beside it."""
    entry = package.weights["onnx"]
    if entry.external_data is not None:
        package.file(entry.external_data)
    return package.file(entry.source, entry.sha256)


def in_order(
    names: Sequence[str], arguments: Sequence[Any], package: ModelPackage
) -> list[Any]:
    """Return a network's arguments in the order of the described inputs.

    By name where all names agree, else as they come.
    """
    ids = [str(tensor.id) for tensor in package.description.inputs]
    if set(names) == set(ids) and len(names) == len(ids):
        return [arguments[list(names).index(name)] for name in ids]
    return list(arguments)
