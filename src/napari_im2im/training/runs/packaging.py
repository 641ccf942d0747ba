"""The model package of a network that is being trained."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_im2im.inference.config import PredictConfig
from napari_im2im.inference.tiling.calibration import field_as_data, field_from_data
from napari_im2im.inference.tiling.geometry import model_geometry
from napari_im2im.inference.tiling.halo import measure_halo
from napari_im2im.inference.tiling.receptive_field import (
    Windows,
    measure_receptive_field,
    update_receptive_field,
)
from napari_im2im.inference.tiling.tiles import reflected_positions
from napari_im2im.models.content import (
    NETWORKS,
    PackageContent,
    image_specs,
    network_source,
)
from napari_im2im.models.package import load_package
from napari_im2im.models.tensors import FixedSize
from napari_im2im.models.writing import write_package
from napari_im2im.training.automatic import largest_size
from napari_im2im.training.data.tensors import normalized

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from napari_im2im.inference.tiling.receptive_field import ReceptiveField
    from napari_im2im.models.tensors import AxisSpec, TensorSpec
    from napari_im2im.training.preparation import Preparation

_CPU = torch.device("cpu")
_TEST_SIZE = {"z": 32, "y": 128, "x": 128}
"""Largest test tensor, so that packages stay small."""


def write_best(
    folder: Path,
    preparation: Preparation,
    network: torch.nn.Module,
    crop: np.ndarray,
    step: int,
    metrics: Mapping[str, float],
) -> Path:
    """Write the package of a network; the one before is replaced when it is complete.

    Parameters
    ----------
    folder
        Of the package.
    preparation
        What the training is made of.
    network
        The network as it is now, on any device.
    crop
        A validation input ``(c, [z,] y, x)``, in its own units, to test with.
    step
        Steps that the network has learned.
    metrics
        What validation measured, for the documentation.

    Raises
    ------
    ModelError
        If it can't be written.
    """
    known = _known_field(folder)
    content = _content(preparation, network, crop, step, metrics, known)
    return write_package(folder, content)


def _known_field(folder: Path) -> ReceptiveField | None:
    """Return what was measured on the network for the best before."""
    if not folder.exists():
        return None
    measured = load_package(folder).config.get("receptive_field")
    return field_from_data(measured) if measured else None


def _content(
    preparation: Preparation,
    network: torch.nn.Module,
    crop: np.ndarray,
    step: int,
    metrics: Mapping[str, float],
    known: ReceptiveField | None,
) -> PackageContent:
    layout, config = preparation.layout, preparation.config
    # Tested where and as users will run it: on the CPU, in 32 bits.
    cpu_network = copy.deepcopy(network).to("cpu").eval()
    field, halo = _measure_tiling(preparation, cpu_network, crop, known)
    source, target = _specs(preparation, halo)
    test_input = _test_input(crop, source.axes[2:])
    task = preparation.task
    test_output = task.postprocess(
        _run(cpu_network, _normalized(test_input, preparation))
    ).numpy()
    images = preparation.split.training_images
    start = preparation.start
    origin = f", starting from {start.package.name}" if start else ""
    return PackageContent(
        name=config.name,
        text=f"{task.summary(', '.join(layout.input_channels))} "
        f"({'3D' if layout.spatial_axes[0] == 'z' else '2D'}). Trained on {images} "
        f"image{'s' if images > 1 else ''}{origin} with napari-im2im.",
        network=cpu_network,
        network_name=preparation.plan.name,
        network_kwargs=preparation.plan.kwargs,
        network_source=_source(preparation),
        network_module=(start.architecture.module if start else None) or NETWORKS,
        inputs=(source,),
        outputs=(target,),
        test_inputs=(test_input,),
        test_outputs=(test_output,),
        tags=task.tags,
        config={
            "task": task.meaning(),
            "training": config.model_dump(mode="json"),
            "parent": start.parent if start else None,
            "receptive_field": field_as_data(field),
            "channels_from_z": sorted(layout.folded),
            "patch": preparation.patch,
            "steps": step,
            "metrics": dict(metrics),
        },
        validation=_validation_text(preparation, step, metrics),
    )


def _source(preparation: Preparation) -> tuple[str, bytes] | None:
    """Return name and content of the file that defines the network, if one does."""
    if preparation.start is not None:
        return network_source(preparation.start.package)
    path = preparation.plan.source
    return None if path is None else (path.name, path.read_bytes())


def _specs(
    preparation: Preparation, halo: Mapping[str, int]
) -> tuple[TensorSpec, TensorSpec]:
    layout = preparation.layout
    return image_specs(
        spatial_axes=layout.spatial_axes,
        input_channels=layout.input_channels,
        output_channels=preparation.task.output_names,
        sizes=preparation.sizes,
        halo=halo,
        pixel_size=layout.scale,
        unit=next(iter(layout.units.values()), None),
        enlargement=layout.enlargement,
        preprocessing=preparation.input_scaling.preprocessing(),
        postprocessing=preparation.task.postprocessing(),
    )


def _measure_tiling(
    preparation: Preparation,
    network: torch.nn.Module,
    crop: np.ndarray,
    known: ReceptiveField | None,
) -> tuple[ReceptiveField, dict[str, int]]:
    """Measure, with the weights as they are, how far a result depends on pixels."""

    def run(inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [_run(network, torch.from_numpy(inputs[0])).numpy()]

    specs = _specs(preparation, {})
    sample = _normalized(crop[None], preparation).numpy()
    windows = Windows(
        run, specs[:1], specs[1:], model_geometry(specs[:1], specs[1:]), [sample]
    )
    if known is None:
        field = measure_receptive_field(windows)
    else:
        field = update_receptive_field(windows, known)
    return field, measure_halo(windows, field, PredictConfig().tolerance)


def _normalized(image: np.ndarray, preparation: Preparation) -> torch.Tensor:
    """Return an image ``(1, c, [z,] y, x)`` as the package normalises it."""
    scaling = preparation.input_scaling.of_image(list(image))
    return normalized(image, [scaling], _CPU)


def _run(network: torch.nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        output: torch.Tensor = network(inputs)
    return output


def _test_input(crop: np.ndarray, axes: tuple[AxisSpec, ...]) -> np.ndarray:
    """Return ``(1, c, [z,] y, x)``, mirrored where the network needs more."""
    pixels = np.asarray(crop, np.float32)
    for i, axis in enumerate(axes, start=1):
        size = pixels.shape[i]
        if isinstance(axis.size, FixedSize):
            wanted = axis.size.size
        else:
            least = axis.size.minimum  # type: ignore[union-attr]
            limit = min(size, max(_TEST_SIZE[axis.name], least))
            wanted = largest_size(axis.size, limit) or least  # type: ignore[arg-type]
        pixels = np.take(pixels, reflected_positions(0, wanted, size), axis=i)
    return np.ascontiguousarray(pixels[None])


def _validation_text(
    preparation: Preparation, step: int, metrics: Mapping[str, float]
) -> str:
    rows = "\n".join(f"| {name} | {value:.4g} |" for name, value in metrics.items())
    return (
        f"{preparation.split.text} After {step} steps, "
        f"{preparation.task.metrics_note()}:\n\n"
        f"| metric | value |\n|---|---|\n{rows}\n"
    )
