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
from napari_im2im.inference.tiling.receptive_field import measure_receptive_field
from napari_im2im.inference.tiling.tiles import reflected_positions
from napari_im2im.inference.tiling.windows import Windows
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


def known_field(folder: Path) -> ReceptiveField | None:
    """Return the receptive field that the package of a run declares, if there is one.

    It is that of the layers, so it holds for all weights of the run.
    """
    if not folder.exists():
        return None
    return field_from_data(load_package(folder).config["receptive_field"])


def measure_field(
    preparation: Preparation, network: torch.nn.Module, crop: np.ndarray
) -> ReceptiveField:
    """Measure how far the layers of a network reach, whatever it learns.

    Parameters
    ----------
    preparation
        What the training is made of.
    network
        On any device.
    crop
        A validation input ``(c, [z,] y, x)``, in its own units.
    """
    windows = _windows(preparation, _tested(network), crop)
    return measure_receptive_field(windows, any_weights=True)


def write_best(
    folder: Path,
    preparation: Preparation,
    network: torch.nn.Module,
    crop: np.ndarray,
    step: int,
    metrics: Mapping[str, float],
    field: ReceptiveField,
) -> Path:
    """Write the package of a network; the one before is replaced when it is complete.

    It declares no halo yet, which depends on the weights and takes long to measure:
    prediction takes the whole receptive field.

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
    field
        What `measure_field` returned.

    Raises
    ------
    ModelError
        If it can't be written.
    """
    content = _content(preparation, _tested(network), crop, step, metrics, field)
    return write_package(folder, content)


def complete_best(folder: Path, preparation: Preparation, crop: np.ndarray) -> None:
    """Let a package declare its halo, if it doesn't yet.

    Parameters
    ----------
    folder
        Of the package that `write_best` has written.
    preparation, crop
        As for `write_best`.

    Raises
    ------
    ModelError
        If it can't be read or written; the package stays as it is.
    """
    package = load_package(folder)
    config = package.config
    if "halo" in config:
        return
    network = _tested(preparation.network)
    weights = package.weights["pytorch_state_dict"]
    path = package.file(weights.source, weights.sha256)
    network.load_state_dict(torch.load(path, weights_only=True))
    field = field_from_data(config["receptive_field"])
    windows = _windows(preparation, network, crop)
    halo = measure_halo(windows, field, PredictConfig().tolerance)
    known = config["steps"], config["metrics"], field
    write_package(folder, _content(preparation, network, crop, *known, halo))


def _tested(network: torch.nn.Module) -> torch.nn.Module:
    """Return a network where and as users will run it: on the CPU, in 32 bits."""
    return copy.deepcopy(network).to("cpu").eval()


def _content(
    preparation: Preparation,
    network: torch.nn.Module,
    crop: np.ndarray,
    step: int,
    metrics: Mapping[str, float],
    field: ReceptiveField,
    halo: Mapping[str, int] | None = None,
) -> PackageContent:
    layout, config = preparation.layout, preparation.config
    source, target = _specs(preparation, halo or {})
    test_input = _test_input(crop, source.axes[2:])
    task = preparation.task
    test_output = task.postprocess(
        _run(network, _normalized(test_input, preparation))
    ).numpy()
    images = preparation.split.training_images
    start = preparation.start
    origin = f", starting from {start.package.name}" if start else ""
    return PackageContent(
        name=config.name,
        text=f"{task.summary(', '.join(layout.input_channels))} "
        f"({'3D' if layout.spatial_axes[0] == 'z' else '2D'}). Trained on {images} "
        f"image{'s' if images > 1 else ''}{origin} with napari-im2im.",
        network=network,
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
            "halo": halo,
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


def _windows(
    preparation: Preparation, network: torch.nn.Module, crop: np.ndarray
) -> Windows:
    """Return pixels like those of the images, to see how far results depend on them."""

    def run(inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [_run(network, torch.from_numpy(inputs[0])).numpy()]

    source, target = _specs(preparation, {})
    sample = _normalized(crop[None], preparation).numpy()
    geometry = model_geometry([source], [target])
    return Windows(run, [source], [target], geometry, [sample])


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
