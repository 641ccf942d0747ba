"""Converting a model's weights to TorchScript and ONNX.

``python -m napari_im2im.models.conversion REQUEST.json`` does it in a process of
its own: names inside a TorchScript file depend on all that a process compiled
before, so only a fresh one writes the same bytes each time.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_im2im.errors import Im2ImError, ModelError
from napari_im2im.models.exporters import write_onnx, write_torchscript
from napari_im2im.models.tensors import FixedSize, ReferencedSize, SteppedSize

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import torch

    from napari_im2im.models.package import ModelPackage
    from napari_im2im.models.tensors import Size, TensorSpec

FILES: Mapping[str, str] = {
    "torchscript": "weights_torchscript.pt",
    "onnx": "weights.onnx",
}
"""Name of the file of each format that can be written."""

TOLERANCE = 1e-3
"""Largest difference from the original network, in std of its output."""

_STEPS = (0, 1, 3)
"""Input sizes to compare at, in steps above the smallest."""


@dataclass(frozen=True)
class Converted:
    """One format: the file's name and how it was made, or why it wasn't.

    ``difference`` is the largest from the original network, in standard deviations
    of its output, over ``sizes`` input sizes.
    """

    format: str
    parent: str
    source: str | None = None
    comment: str = ""
    difference: float = 0.0
    sizes: int = 0
    reason: str = ""


def convert_weights(
    package: ModelPackage,
    formats: Sequence[str],
    folder: Path,
    *,
    trusted: Collection[str] = (),
) -> list[Converted]:
    """Write the weights of a package in further formats, in a fresh process.

    Parameters
    ----------
    package
        A package with ``pytorch_state_dict`` or ``torchscript`` weights.
    formats
        Keys of `FILES`.
    folder
        Where the files go.
    trusted
        sha256 of the package's code that may run.

    Raises
    ------
    TrustError
        If the network needs code that isn't trusted.
    ModelError
        If the network can't be built at all.
    """
    from napari_im2im.models.architecture import check_trust

    parent = _parent(package)
    architecture = package.weights[parent].architecture
    if architecture is not None:
        check_trust(package, architecture, trusted)
    request = folder / "conversion.json"
    answer = folder / "converted.json"
    content = {
        "package": str(package.root),
        "formats": list(formats),
        "folder": str(folder),
        "trusted": list(trusted),
    }
    request.write_text(json.dumps(content), encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "-m", __name__, str(request)],
        # TorchScript writes constants in the order of a set.
        env={**os.environ, "PYTHONHASHSEED": "0"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        _, complaint = process.communicate()
    finally:
        process.kill()
        request.unlink(missing_ok=True)
    if process.returncode != 0 or not answer.is_file():
        last = (complaint.strip().splitlines() or ["it crashed"])[-1]
        raise ModelError(f"The weights of {package.name} can't be converted: {last}")
    results = json.loads(answer.read_text(encoding="utf-8"))
    answer.unlink()
    return [Converted(**result) for result in results]


def write_formats(
    package: ModelPackage,
    formats: Sequence[str],
    folder: Path,
    *,
    trusted: Collection[str] = (),
) -> list[Converted]:
    """Do what `convert_weights` does, in this process."""
    from napari_im2im.models.runtimes.torch_engine import load_network, load_torchscript

    parent = _parent(package)
    if parent == "pytorch_state_dict":
        network = load_network(package, trusted=trusted)
    else:
        network = load_torchscript(package)
    network = network.eval()
    return [
        _write(package, network, parent, name, folder)
        for name in formats
        if name != parent
    ]


def input_shapes(inputs: Sequence[TensorSpec], steps: int) -> list[tuple[int, ...]]:
    """Return a valid shape for each input: ``steps`` above the smallest, batch 1."""

    def size(value: Size) -> int:
        if isinstance(value, FixedSize):
            return value.size
        if isinstance(value, SteppedSize):
            return value.minimum + steps * value.step
        if isinstance(value, ReferencedSize):
            reference = by_id[value.tensor].axis(value.axis).size
            return round(size(reference) * value.scale) + value.offset
        raise ModelError("An input whose size only the data tell can't be tested.")

    by_id = {spec.id: spec for spec in inputs}
    return [
        tuple(1 if a.name == "batch" else size(a.size) for a in spec.axes)
        for spec in inputs
    ]


def _parent(package: ModelPackage) -> str:
    for name in ("pytorch_state_dict", "torchscript"):
        if name in package.weights:
            return name
    raise ModelError(
        f"{package.name} has only {', '.join(package.weights)} weights, which can't be "
        "converted: export it with these alone."
    )


def _write(
    package: ModelPackage,
    network: torch.nn.Module,
    parent: str,
    name: str,
    folder: Path,
) -> Converted:
    """Write one format and compare it with the network it comes from."""
    import torch

    path = folder / FILES[name]
    generator = torch.Generator().manual_seed(0)
    examples = [
        [
            torch.randn(shape, generator=generator)
            for shape in input_shapes(package.inputs, steps)
        ]
        for steps in _STEPS
    ]
    # A fixed size is compared once.
    sizes = {tuple(tuple(x.shape) for x in inputs): inputs for inputs in examples}
    try:
        with warnings.catch_warnings():
            # PyTorch warns that it will not develop these two formats further.
            warnings.simplefilter("ignore")
            if name == "torchscript":
                comment = write_torchscript(network, examples[-1], path)
            else:
                comment = write_onnx(network, examples[-1], path, package)
            difference = _difference(network, name, path, list(sizes.values()))
    except Exception as error:  # Exporters raise nearly anything.
        path.unlink(missing_ok=True)
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        return Converted(name, parent, reason=reason)
    if not difference <= TOLERANCE:
        path.unlink()
        reason = f"its results differ by {difference:.2g} standard deviations"
        return Converted(name, parent, reason=reason)
    return Converted(name, parent, path.name, comment, difference, len(sizes))


def _difference(
    network: torch.nn.Module,
    name: str,
    path: Path,
    examples: Sequence[Sequence[torch.Tensor]],
) -> float:
    """Return the largest difference in standard deviations, over all examples."""
    import torch

    from napari_im2im.models.runtimes.torch_engine import flat_tensors

    run: Any
    if name == "torchscript":
        loaded = torch.jit.load(str(path))  # type: ignore[no-untyped-call]

        def run(inputs: Sequence[torch.Tensor]) -> list[np.ndarray]:
            return [x.numpy() for x in flat_tensors(loaded(*inputs))]
    else:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.log_severity_level = 3
        session = ort.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )

        def run(inputs: Sequence[torch.Tensor]) -> list[np.ndarray]:
            keys = [argument.name for argument in session.get_inputs()]
            feed = {key: x.numpy() for key, x in zip(keys, inputs, strict=True)}
            return list(session.run(None, feed))

    worst = 0.0
    with torch.inference_mode():
        for inputs in examples:
            expected = [x.numpy() for x in flat_tensors(network(*inputs))]
            for one, other in zip(expected, run(inputs), strict=True):
                spread = float(one.std()) or 1.0
                worst = max(worst, float(np.abs(one - other).max()) / spread)
    return worst


def _main(request: str) -> int:
    from napari_im2im.models.package import load_package

    wanted = json.loads(Path(request).read_text(encoding="utf-8"))
    folder = Path(wanted["folder"])
    try:
        results = write_formats(
            load_package(wanted["package"]),
            wanted["formats"],
            folder,
            trusted=wanted["trusted"],
        )
    except Im2ImError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    answer = json.dumps([asdict(result) for result in results])
    (folder / "converted.json").write_text(answer, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1]))
