"""Testing a package with its own test tensors, the way images are predicted."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_im2im.errors import Im2ImError, ModelError
from napari_im2im.events import (
    Event,
    Message,
    PredictionFinished,
    PredictionStarted,
    Progress,
    TileDone,
)
from napari_im2im.images.image import SPATIAL_AXES
from napari_im2im.inference.config import PredictConfig
from napari_im2im.inference.reproduction import image_of_tensor, tensor_of_image
from napari_im2im.models.custom_steps import load_custom_steps
from napari_im2im.models.runtimes import load_runtime, usable_engines
from napari_im2im.models.tensors import FixedSize
from napari_im2im.zoo.comparison import (
    Comparison,
    Tolerance,
    compare,
    tolerance_of,
    worst_of,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Mapping, Sequence

    from napari_im2im.images.image import Image
    from napari_im2im.models.package import ModelPackage
    from napari_im2im.models.runtimes import Runtime

_OWN_ENGINES = {
    "onnx": "onnxruntime",
    "torchscript": "torchscript",
    "pytorch_state_dict": "torch",
    "tensorflow_saved_model_bundle": "openvino",
    "keras_v3": "keras",
    "keras_hdf5": "keras",
}
"""The engine that a weights format is tested in: its own, where there is one."""

_CPU_ENGINES = ("openvino", "keras")

_LONGEST = 4
"""How often the test image is repeated at most, to have something to cut."""


@dataclass(frozen=True)
class FormatTested(Event):
    """A weights format was tested.

    ``whole`` compares the result for the test image in one piece with the test
    tensors, ``tiled`` the result in tiles with that in one piece; it is empty, and
    ``note`` says why, where the model can't be cut. ``image`` is the test image.
    ``problem`` is empty, or says why the format couldn't be run at all; ``broken``
    is whether that is because its file is missing or damaged.
    """

    weights_format: str
    engine: str = ""
    whole: tuple[Comparison, ...] = ()
    tiled: tuple[Comparison, ...] = ()
    problem: str = ""
    note: str = ""
    image: np.ndarray = field(default_factory=lambda: np.zeros(0), repr=False)
    broken: bool = False

    @property
    def passed(self) -> bool:
        """Whether the format ran and every difference is allowed."""
        return not self.problem and all(
            comparison.passed for comparison in (*self.whole, *self.tiled)
        )

    @property
    def sentence(self) -> str:
        """The verdict, for people."""
        if self.problem:
            return f"{self.weights_format}: not run. {self.problem}"
        worst = worst_of(self.whole)
        text = f"{'passed' if worst.passed else 'failed'}, {worst.sentence}"
        if self.tiled:
            cut = worst_of(self.tiled)
            text += (
                f" In tiles: {'the same' if cut.passed else 'not the same'} "
                f"({cut.difference:.2g})."
            )
        return f"{self.weights_format} in {self.engine}: {text} {self.note}".rstrip()


@dataclass(frozen=True)
class PackageTested(Event):
    """All weights formats were tested."""

    results: tuple[FormatTested, ...]

    @property
    def passed(self) -> bool:
        """Whether a format ran, all that ran passed, and no file is broken."""
        ran = [result for result in self.results if not result.problem]
        broken = any(result.broken for result in self.results)
        return bool(ran) and not broken and all(result.passed for result in ran)

    @property
    def verdict(self) -> str:
        """One sentence for the whole test."""
        ran = [result for result in self.results if not result.problem]
        if not ran:
            return "Not tested: " + " ".join(result.problem for result in self.results)
        if broken := [result for result in self.results if result.broken]:
            return f"Failed: {broken[0].problem}"
        worst = worst_of([c for result in ran for c in (*result.whole, *result.tiled)])
        return f"{'Passed' if self.passed else 'Failed'}: {worst.sentence}"


def reproduction_events(
    package: ModelPackage,
    *,
    trusted: Collection[str] = (),
    formats: Collection[str] | None = None,
    device: str = "cpu",
) -> Generator[Event]:
    """Run a package on its own test tensors and compare the results.

    Parameters
    ----------
    package
        The model.
    trusted
        sha256 of the code that the user agreed to run.
    formats
        Weights formats to test; default: all that run here.
    device
        Where to run it, ``"auto"`` for the GPU where there is one; a format that
        runs on the CPU only is tested there.

    Yields
    ------
    Event
        `Progress`, `FormatTested` for each weights format, `PackageTested` last.
        Closing the generator stops the test.

    Raises
    ------
    ModelError
        If the package has no usable test tensors, or no weights that run here.
    """
    if package.note:
        yield Message(package.note)
    package = load_custom_steps(package, trusted=trusted)
    images = [
        image_of_tensor(spec, array)
        for spec, array in zip(package.inputs, package.test_inputs(), strict=True)
    ]
    expected = package.test_outputs()
    runnable = dict.fromkeys(f for _, f in usable_engines(package))
    chosen = [f for f in runnable if formats is None or f in formats]
    if not chosen:
        raise ModelError(
            f"None of the weights of {package.name} ({', '.join(package.weights)}) "
            "can be run here."
        )
    results = []
    for weights_format in chosen:
        yield Message(f"Testing the {weights_format} weights …")
        result = yield from _test_format(
            package, weights_format, images, expected, trusted, device
        )
        results.append(result)
        yield result
    yield PackageTested(tuple(results))


def _test_format(
    package: ModelPackage,
    weights_format: str,
    images: Sequence[Image],
    expected: Sequence[np.ndarray],
    trusted: Collection[str],
    device: str,
) -> Generator[Event, None, FormatTested]:
    only = replace(package, weights={weights_format: package.weights[weights_format]})
    engine = _OWN_ENGINES[weights_format]
    if engine in _CPU_ENGINES:
        device = "cpu"
    entry = package.weights[weights_format]
    try:
        if "://" not in entry.source:
            package.file(entry.source, entry.sha256)
    except ModelError as error:
        return FormatTested(weights_format, engine, problem=str(error), broken=True)
    try:
        runtime = load_runtime(only, engine=engine, device=device, trusted=trusted)
    except Im2ImError as error:
        return FormatTested(weights_format, engine, problem=str(error))
    try:
        outputs, halo = yield from _predict(only, runtime, images, _sizes(images[0]))
        tolerances = [
            tolerance_of(package, spec.id, weights_format) for spec in package.outputs
        ]
        whole = tuple(
            compare(spec.id, array, tensor_of_image(spec, image), tolerance)
            for spec, array, image, tolerance in zip(
                package.outputs, expected, outputs, tolerances, strict=True
            )
        )
        tiled, note = yield from _test_tiles(only, runtime, images, halo, outputs)
    except Im2ImError as error:
        return FormatTested(weights_format, engine, problem=str(error))
    finally:
        runtime.close()
    return FormatTested(
        weights_format, engine, whole, tiled, "", note, images[0].read()
    )


def _test_tiles(
    package: ModelPackage,
    runtime: Runtime,
    images: Sequence[Image],
    halo: Mapping[str, int],
    outputs: Sequence[Image],
) -> Generator[Event, None, tuple[tuple[Comparison, ...], str]]:
    """Compare a prediction in tiles with one in one piece, of the same image."""
    sizes = _sizes(images[0])
    spatial = [axis for axis in package.inputs[0].axes if axis.name in SPATIAL_AXES]
    if all(isinstance(axis.size, FixedSize) for axis in spatial):
        return (), "Larger images go through it in tiles of this size."
    tile = {
        axis: max(size // 2 + 2 * halo.get(axis, 0), 1) for axis, size in sizes.items()
    }
    grown = list(images)
    if len(images) == 1 and all(tile[axis] >= sizes[axis] for axis in sizes):
        # A test image is often smaller than what the halo needs: repeat it.
        count = min(_LONGEST, 2 + 4 * halo.get("x", 0) // max(sizes.get("x", 1), 1))
        grown = [_repeated(images[0], "x", count)]
        sizes = _sizes(grown[0])
        tile |= {"x": max(sizes["x"] // 2 + 2 * halo.get("x", 0), 1)}
        outputs, _ = yield from _predict(package, runtime, grown, sizes)
    cut, _ = yield from _predict(package, runtime, grown, tile)
    comparisons = []
    for spec, one, other in zip(package.outputs, outputs, cut, strict=True):
        first, second = one.read(), other.read()
        spread = float(first.std(dtype=np.float64)) if first.dtype.kind == "f" else 0.0
        comparisons.append(
            compare(spec.id, first, second, Tolerance(1e-3 * max(spread, 1e-6)))
        )
    return tuple(comparisons), ""


def _predict(
    package: ModelPackage,
    runtime: Runtime,
    images: Sequence[Image],
    tile: Mapping[str, int],
) -> Generator[Event, None, tuple[tuple[Image, ...], Mapping[str, int]]]:
    """Predict with tiles of that size; return the outputs and the halo."""
    from napari_im2im.inference.prediction import predict_with

    # Test tensors hold what the steps leave, before it becomes labels.
    config = PredictConfig(
        model=str(package.path), tile=dict(tile), device=runtime.device, result="raw"
    )
    halo: Mapping[str, int] = {}
    outputs: tuple[Image, ...] = ()
    for event in predict_with(package, runtime, config, images):
        if isinstance(event, PredictionStarted):
            halo = event.halo
        elif isinstance(event, PredictionFinished):
            outputs = event.outputs
        elif isinstance(event, TileDone):
            yield Progress(event.index, event.total, "tiles")
    return outputs, halo


def _sizes(image: Image) -> dict[str, int]:
    return {axis: n for axis, n in image.sizes.items() if axis in SPATIAL_AXES}


def _repeated(image: Image, axis: str, count: int) -> Image:
    """Return an image continued ``count`` times by reflection along an axis."""
    pixels = image.read()
    at = image.axes.index(axis)
    parts = [np.flip(pixels, at) if n % 2 else pixels for n in range(count)]
    return replace(image, data=np.concatenate(parts, at))
