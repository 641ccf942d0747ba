"""Choosing the engine that runs a package."""

from __future__ import annotations

import logging
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from napari_im2im.errors import ConfigError, ModelError, TrustError
from napari_im2im.models.architecture import check_trust, required_trust

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from napari_im2im.models.package import ModelPackage
    from napari_im2im.models.runtimes.runtime import Runtime

TOLERANCE = {"float32": 1e-3, "bfloat16": 5e-2, "float16": 2e-2}
"""Largest difference between two engines, in standard deviations of the result."""

FORMATS_BY_ENGINE = {
    "openvino": (
        "onnx",
        "torchscript",
        "pytorch_state_dict",
        "tensorflow_saved_model_bundle",
    ),
    "onnxruntime": ("onnx",),
    "torchscript": ("torchscript",),
    "torch": ("pytorch_state_dict",),
    "keras": ("keras_v3", "keras_hdf5"),
}
"""What each engine reads: fastest engine first, safest weights format first."""

_logger = logging.getLogger(__name__)


def usable_engines(
    package: ModelPackage, *, device: str = "cpu", precision: str = "float32"
) -> list[tuple[str, str]]:
    """Return the pairs of engine and weights format that may run a package here.

    The fastest comes first; formats that need code of the package's own come last.
    """
    pairs = [
        (engine, weights_format)
        for engine, formats in FORMATS_BY_ENGINE.items()
        for weights_format in formats
        if weights_format in package.weights
        and find_spec(_MODULES[engine]) is not None
        and not (engine in ("openvino", "keras") and device != "cpu")
        and not (engine in ("onnxruntime", "keras") and precision != "float32")
    ]
    return sorted(pairs, key=lambda pair: _needs_trust(package, pair[1]))


def load_runtime(
    package: ModelPackage,
    *,
    engine: str = "auto",
    device: str = "auto",
    precision: str = "float32",
    trusted: Collection[str] = (),
    check: Callable[[Runtime], bool] | None = None,
) -> Runtime:
    """Load a package's weights into an engine.

    Parameters
    ----------
    package
        The model.
    engine
        ``"openvino"``, ``"onnxruntime"``, ``"torchscript"``, ``"torch"``,
        ``"keras"``, or ``"auto"``: the fastest one that gives the same result as the
        weights' own engine on the test tensor.
    device
        ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"`` …
    precision
        ``"float32"``, ``"bfloat16"`` or ``"float16"``.
    trusted
        sha256 of the Python files, and ``module:callable`` of the libraries, that
        the user agreed to run.
    check
        Whether a runtime reproduces the test tensors: asked with ``"auto"`` where
        the weights' own framework isn't there to compare with.

    Raises
    ------
    TrustError
        If the only weights need code that isn't trusted.
    ModelError
        If no engine here runs the model; the reason of each is named.
    ConfigError
        If the engine doesn't read the model's weights, or the device isn't there.
    """
    device = _resolve_device(device, package, engine)
    pairs = usable_engines(package, device=device, precision=precision)
    if engine != "auto":
        if engine not in FORMATS_BY_ENGINE:
            raise ConfigError(
                f"There is no engine {engine!r}: choose auto, "
                f"{', '.join(FORMATS_BY_ENGINE)}."
            )
        pairs = [pair for pair in pairs if pair[0] == engine]
    if not pairs:
        raise _nothing_runs(package, engine, device)
    reasons: list[str] = []
    for candidate in pairs:
        try:
            runtime = _load(package, *candidate, device, precision, trusted)
        except TrustError:
            raise
        except ModelError as error:
            reasons.append(str(error))
            continue
        if engine != "auto" or _reproduces(
            package, runtime, device, precision, trusted, check
        ):
            return runtime
        _logger.info("%s doesn't reproduce %s", candidate[0], package.name)
        reasons.append(
            f"{candidate[0]} gives another result than its {candidate[1]} weights "
            "should."
        )
        runtime.close()
    raise ModelError(f"{package.name} can't be run: {' '.join(reasons)}")


_MODULES = {
    "openvino": "openvino",
    "onnxruntime": "onnxruntime",
    "torchscript": "torch",
    "torch": "torch",
    "keras": "keras",
}
_OWN_ENGINE = {
    "onnx": "onnxruntime",
    "torchscript": "torchscript",
    "pytorch_state_dict": "torch",
}


def _needs_trust(package: ModelPackage, weights_format: str) -> bool:
    architecture = package.weights[weights_format].architecture
    if architecture is None:
        return False
    try:
        return required_trust(package, architecture) is not None
    except ModelError:
        return True


def _resolve_device(device: str, package: ModelPackage, engine: str) -> str:
    """Return the device; ``auto`` is the CPU where only CPU engines run the model."""
    if device == "cpu" or engine == "openvino":
        if device not in ("auto", "cpu"):
            raise ConfigError(f"OpenVINO runs on the CPU only: not on {device!r}.")
        return "cpu"
    torch_formats = {"pytorch_state_dict", "torchscript"}
    if device == "auto" and not torch_formats & package.weights.keys():
        return "cpu"
    from napari_im2im.models.runtimes.torch_engine import check_device

    return check_device(device)


def _load(
    package: ModelPackage,
    engine: str,
    weights_format: str,
    device: str,
    precision: str,
    trusted: Collection[str],
) -> Runtime:
    architecture = package.weights[weights_format].architecture
    if architecture is not None:
        check_trust(package, architecture, trusted)
    if engine == "openvino":
        from napari_im2im.models.runtimes.openvino_engine import OpenVinoRuntime

        return OpenVinoRuntime(
            package, weights_format, precision=precision, trusted=trusted
        )
    if engine == "onnxruntime":
        from napari_im2im.models.runtimes.onnx_engine import OnnxRuntime

        return OnnxRuntime(package, device=device)
    if engine == "keras":
        from napari_im2im.models.runtimes.keras_engine import KerasRuntime

        return KerasRuntime(package, weights_format)
    from napari_im2im.models.runtimes import torch_engine

    if engine == "torchscript":
        return torch_engine.load_torchscript_runtime(
            package, device=device, precision=precision
        )
    return torch_engine.load_state_dict_runtime(
        package, device=device, precision=precision, trusted=trusted
    )


def _reproduces(
    package: ModelPackage,
    runtime: Runtime,
    device: str,
    precision: str,
    trusted: Collection[str],
    check: Callable[[Runtime], bool] | None,
) -> bool:
    """Return whether a runtime computes what the weights' own engine does."""
    if getattr(runtime, "verified", False):
        return True
    own = _OWN_ENGINE.get(runtime.weights_format)
    if own == runtime.engine or (own is None and check is None):
        return True
    if own is None:
        assert check is not None
        agrees = check(runtime)
    else:
        reference = _load(
            package, own, runtime.weights_format, device, precision, trusted
        )
        agrees = _agree(package, runtime, reference, TOLERANCE[precision])
        reference.close()
    if agrees and precision == "float32" and hasattr(runtime, "remember"):
        runtime.remember()
    return agrees


def _agree(
    package: ModelPackage, runtime: Runtime, reference: Runtime, tolerance: float
) -> bool:
    inputs = list(_normalized_inputs(package))
    try:
        outputs = runtime(inputs)
    except ModelError as error:
        _logger.info("%s", error)
        return False
    expected = reference(inputs)
    return all(
        ours.shape == theirs.shape
        and float(np.abs(ours - theirs, dtype=np.float64).max())
        <= tolerance * max(float(theirs.std(dtype=np.float64)), 1e-6)
        for ours, theirs in zip(outputs, expected, strict=True)
    )


def _normalized_inputs(package: ModelPackage) -> Iterator[np.ndarray]:
    """Yield the test inputs in the range that a network works in.

    Not the model's own preprocessing: two engines are compared, for which any
    input of usual size and real structure will do.
    """
    for spec, array in zip(package.inputs, package.test_inputs(), strict=True):
        casts = [step for step in spec.steps if step.id == "ensure_dtype"]
        dtype = np.dtype(casts[-1].kwargs["dtype"] if casts else spec.dtype)
        if dtype.kind != "f":
            yield array.astype(dtype)
            continue
        centred = array.astype(np.float64) - array.mean(dtype=np.float64)
        yield (centred / (centred.std() + 1e-6)).astype(dtype)


def _nothing_runs(package: ModelPackage, engine: str, device: str) -> ModelError:
    formats = ", ".join(package.weights)
    has_keras = any(name.startswith("keras") for name in package.weights)
    if has_keras and find_spec("keras") is None:
        return ModelError(
            f"{package.name} has only {formats} weights, for which Keras is needed: "
            "pip install 'napari-im2im[keras]'."
        )
    if engine != "auto":
        return ModelError(
            f"The engine {engine!r} can't run {package.name} on {device!r}: it has "
            f"{formats} weights."
        )
    return ModelError(
        f"{package.name} has only {formats} weights, which nothing here can run."
    )
