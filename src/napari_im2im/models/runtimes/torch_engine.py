"""PyTorch itself: state dicts eagerly, and TorchScript."""

from __future__ import annotations

import contextlib
import pickle
import warnings
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_im2im.errors import ConfigError, ModelError
from napari_im2im.models.architecture import build_architecture

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from napari_im2im.models.package import ModelPackage

_PRECISIONS = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


_SHORT_OF_MEMORY = (
    "can't allocate memory",
    "not enough memory",
    "could not create a primitive",
)
"""What PyTorch's CPU allocator and oneDNN say, which know no exception of their own."""


class TorchRuntime:
    """A PyTorch module, eager or scripted.

    Parameters
    ----------
    package
        Where the module comes from.
    module
        Takes and returns tensors.
    engine, weights_format
        What the module is.
    device
        A torch device, ``"cpu"`` or ``"cuda:0"``.
    precision
        ``"float32"``, or the reduced type for autocast.
    """

    def __init__(
        self,
        package: ModelPackage,
        module: torch.nn.Module,
        *,
        engine: str,
        weights_format: str,
        device: str = "cpu",
        precision: str = "float32",
    ) -> None:
        self.engine = engine
        self.weights_format = weights_format
        self.device = device
        self._package = package
        self._dtype = _PRECISIONS[precision]
        self._module: torch.nn.Module | None = module.to(device).eval()
        # Channels last is twice as fast for 2D convolutions and no faster in 3D.
        self._channels_last = all(len(spec.axes) == 4 for spec in package.inputs)
        if self._channels_last and engine == "torch":
            self._module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def __call__(self, inputs: Sequence[np.ndarray | None]) -> list[np.ndarray]:
        """Run the module; see `Runtime`."""
        if self._module is None:
            raise ModelError(f"{self._package.name} was closed: load it again.")
        try:
            with torch.inference_mode(), self._autocast():
                arguments = self._package.arguments(inputs)
                tensors = [None if x is None else self._tensor(x) for x in arguments]
                return self._package.results(
                    [_array(x) for x in flat_tensors(self._module(*tensors))],
                )
        except torch.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            raise MemoryError(str(error)) from error
        except (RuntimeError, ValueError, TypeError, IndexError, AssertionError) as e:
            if any(sign in str(e) for sign in _SHORT_OF_MEMORY):
                raise MemoryError(str(e)) from e
            shapes = [None if x is None else x.shape for x in inputs]
            raise ModelError(
                f"{self._package.name} can't run on arrays of {shapes}: {e}"
            ) from e

    def compile(self) -> None:
        """Compile the network when it is called next; see `CompilableRuntime`."""
        if self._module is not None and self.engine == "torch":
            self._module.compile(dynamic=True)

    def close(self) -> None:
        """Free the module."""
        self._module = None
        if self.device.startswith("cuda"):
            torch.cuda.empty_cache()

    def _autocast(self) -> contextlib.AbstractContextManager[object]:
        if self._dtype is torch.float32:
            return contextlib.nullcontext()
        return torch.autocast(torch.device(self.device).type, dtype=self._dtype)

    def _tensor(self, array: np.ndarray) -> torch.Tensor:
        tensor = torch.from_numpy(np.ascontiguousarray(array))
        if self.device.startswith("cuda"):
            tensor = tensor.pin_memory().to(self.device, non_blocking=True)
        else:
            tensor = tensor.to(self.device)
        if self._channels_last and tensor.ndim == 4:
            tensor = tensor.contiguous(memory_format=torch.channels_last)
        return tensor


def load_state_dict_runtime(
    package: ModelPackage, *, device: str, precision: str, trusted: Collection[str]
) -> TorchRuntime:
    """Load ``pytorch_state_dict`` weights into their network."""
    return TorchRuntime(
        package,
        load_network(package, trusted=trusted),
        engine="torch",
        weights_format="pytorch_state_dict",
        device=device,
        precision=precision,
    )


def load_torchscript_runtime(
    package: ModelPackage, *, device: str, precision: str
) -> TorchRuntime:
    """Load ``torchscript`` weights."""
    return TorchRuntime(
        package,
        load_torchscript(package, device),
        engine="torchscript",
        weights_format="torchscript",
        device=device,
        precision=precision,
    )


def load_network(
    package: ModelPackage, *, trusted: Collection[str] = ()
) -> torch.nn.Module:
    """Build the network of a package and load its state dict, on the CPU.

    Raises
    ------
    TrustError
        If the package would run code that isn't in ``trusted``.
    ModelError
        If the weights are damaged, hold more than tensors, or don't fit.
    """
    entry = package.weights["pytorch_state_dict"]
    network = build_architecture(package, trusted=trusted)
    state = _read_state_dict(package.file(entry.source, entry.sha256), package.name)
    try:
        network.load_state_dict(state, strict=entry.strict)
    except (RuntimeError, AttributeError, TypeError) as error:
        raise ModelError(
            f"{package.name}: the weights don't fit the network "
            f"({' '.join(str(error).split())[:300]})."
        ) from error
    return network


def load_torchscript(package: ModelPackage, device: str = "cpu") -> torch.nn.Module:
    """Load the TorchScript module of a package.

    Raises
    ------
    ModelError
        If the file isn't TorchScript that this version of PyTorch reads.
    """
    entry = package.weights["torchscript"]
    path = package.file(entry.source, entry.sha256)
    try:
        with warnings.catch_warnings():
            # PyTorch calls TorchScript deprecated; the zoo's models remain.
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.simplefilter("ignore", FutureWarning)
            module: torch.nn.Module = torch.jit.load(  # type: ignore[no-untyped-call]
                str(path), map_location=device
            )
    except (RuntimeError, ValueError) as error:
        raise ModelError(
            f"{package.name}: {entry.source} is not TorchScript that PyTorch "
            f"{torch.__version__} reads ({' '.join(str(error).split())[:200]})."
        ) from error
    return module


def check_device(device: str) -> str:
    """Return the torch device of a name; ``auto`` takes the best there is.

    Raises
    ------
    ConfigError
        If the device isn't there.
    """
    if device == "auto":
        return "cuda:0" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ConfigError(
            f"The device {device!r} can't be used here: choose 'auto' or 'cpu'."
        ) from error
    return "cuda:0" if device == "cuda" else device


def _read_state_dict(path: Path, name: str) -> dict[str, torch.Tensor]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise ModelError(
            f"{name}: {path.name} is damaged or holds more than tensors, which would "
            "run code: ask for a plain state dict."
        ) from error
    if not isinstance(state, dict):
        raise ModelError(
            f"{name}: {path.name} is not a state dict: ask for a plain one."
        )
    return state


def flat_tensors(output: object) -> list[torch.Tensor]:
    """Return the tensors of a network's output, however they are nested."""
    if isinstance(output, torch.Tensor):
        return [output]
    if isinstance(output, dict):
        output = list(output.values())
    if isinstance(output, list | tuple):
        return [tensor for item in output for tensor in flat_tensors(item)]
    raise TypeError(f"the network returned {type(output).__name__}, not tensors")


def _array(tensor: torch.Tensor) -> np.ndarray:
    if tensor.dtype in (torch.bfloat16, torch.float16):
        tensor = tensor.float()
    return np.ascontiguousarray(tensor.cpu().numpy())
