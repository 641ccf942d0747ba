"""Whether a model runs here, and whether it suits an image, in words."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING

from napari_im2im.errors import ModelError
from napari_im2im.images.image import AXES, SPATIAL_AXES
from napari_im2im.images.units import SYMBOLS, in_meters, spell_out
from napari_im2im.inference.processing.steps import check_steps
from napari_im2im.inference.processing.whole_steps import check_libraries
from napari_im2im.inference.tiling.geometry import model_geometry
from napari_im2im.models.architecture import required_trust
from napari_im2im.models.custom_steps import custom_steps
from napari_im2im.models.runtimes import usable_engines
from napari_im2im.models.selection import image_outputs, is_image_input, name_tensors
from napari_im2im.models.tensors import FixedSize, SteppedSize

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari_im2im.images.image import Image
    from napari_im2im.models.package import Architecture, ModelPackage
    from napari_im2im.models.tensors import AxisSpec, TensorSpec


_LARGEST_RATIO = 1.5
"""Ratio of pixel sizes up to which a model is taken to suit an image."""


@dataclass(frozen=True)
class Compatibility:
    """Whether a model runs on this computer.

    ``formats`` are the weights formats that can be run, best first; those in
    ``asking`` need consent to code first, which the values name. ``reason`` is
    empty, or says in one sentence why nothing can be run; ``note`` which tensors
    are left out where the model does run.
    """

    formats: tuple[str, ...] = ()
    asking: dict[str, str] = field(default_factory=dict)
    reason: str = ""
    note: str = ""

    @property
    def runs(self) -> bool:
        """Whether the model can be run, if need be after its code is trusted."""
        return not self.reason

    @property
    def sentence(self) -> str:
        """What to tell the user."""
        if self.reason:
            return self.reason
        text = "Runs here."
        if set(self.formats) <= set(self.asking):
            text = f"Runs here once you trust its code: {self.asking[self.formats[0]]}."
        return f"{text} {self.note}".rstrip()


def check_runs(package: ModelPackage) -> Compatibility:
    """Say whether a model runs here, from its description alone.

    The files of the package need not be there.

    Parameters
    ----------
    package
        A package, or a description that `parse_description` read.
    """
    try:
        _check_tensors(package)
    except ModelError as error:
        return Compatibility(reason=str(error))
    usable = dict.fromkeys(format_ for _, format_ in usable_engines(package))
    if not usable:
        return Compatibility(reason=_no_engine(package))
    steps = [
        f"the Python file {step.kwargs['source']}" for step in custom_steps(package)
    ]
    formats, asking, reasons = [], {}, []
    for weights_format in usable:
        architecture = package.weights[weights_format].architecture
        questions = list(dict.fromkeys(steps))
        try:
            if architecture is not None:
                questions += _questions(package, architecture)
        except ModelError as error:
            reasons.append(str(error))
            continue
        formats.append(weights_format)
        if questions:
            asking[weights_format] = " and ".join(questions)
    if not formats:
        return Compatibility(reason=reasons[0])
    return Compatibility(tuple(formats), asking, note=package.note)


def _check_tensors(package: ModelPackage) -> None:
    for tensor in package.inputs:
        check_steps(tensor.steps, f"the input {tensor.id!r}")
        if not (tensor.optional or is_image_input(tensor)):
            raise ModelError(
                f"Its input {name_tensors([tensor])} is no image, and only images can "
                "be given."
            )
    if not image_outputs(package.inputs, package.outputs):
        raise ModelError(
            "None of its outputs is an image of what it reads: "
            f"{name_tensors(package.outputs)}."
        )
    for tensor in package.outputs:
        check_steps(tensor.steps, f"the output {tensor.id!r}")
        check_libraries(tensor.steps, f"the output {tensor.id!r}")
    model_geometry(package.inputs, package.outputs)


def _no_engine(package: ModelPackage) -> str:
    formats = " and ".join(package.weights)
    if any(name.startswith("keras") for name in package.weights):
        return (
            f"It has only {formats} weights, for which Keras is needed: "
            "pip install 'napari-im2im[keras]'."
        )
    return f"It has only {formats} weights, which nothing here can run."


def _questions(package: ModelPackage, architecture: Architecture) -> list[str]:
    """Return what the user would have to agree to.

    Raises
    ------
    ModelError
        If the code can't be run whatever the user says.
    """
    if architecture.module is None:
        return [f"the Python file {architecture.source}"]
    library = architecture.module.partition(".")[0]
    token = required_trust(package, architecture)
    if find_spec(library) is None:
        raise ModelError(
            f"Its network comes from {library}, which isn't installed: "
            f"pip install {library}."
        )
    if token is None:
        return []
    return [f"{token.replace(':', '.')} of an installed library"]


@dataclass(frozen=True)
class Fit:
    """How a model suits an image.

    ``obstacles`` say why it doesn't, ``notes`` what to know where it does.
    """

    obstacles: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether nothing speaks against applying the model to the image."""
        return not self.obstacles

    @property
    def sentence(self) -> str:
        """All there is to say."""
        return " ".join((*self.obstacles, *self.notes)) or "It fits."


def check_fits(inputs: Sequence[TensorSpec], image: Image) -> Fit:
    """Compare what a model reads with an image.

    Parameters
    ----------
    inputs
        Inputs of the model; the image is meant for the first.
    image
        Any image; its pixels aren't read.
    """
    tensor = inputs[0]
    obstacles = [
        *_axes_obstacles(tensor, image),
        *_size_obstacles(tensor, image),
        *_pixel_size_obstacles(tensor, image),
    ]
    channels = _channels(tensor)
    present = image.sizes.get("channel", 1)
    notes = []
    if channels and present < channels:
        obstacles.append(
            f"This model reads {_count(channels, 'channel')}, the image has {present}."
        )
    elif channels and present > channels:
        notes.append(f"Choose {channels} of the {present} channels of the image.")
    notes += _stack_notes(tensor, image)
    others = [other.id for other in inputs[1:] if not other.optional]
    if others:
        notes.append(
            f"It reads {_count(len(others) + 1, 'image')}: this one as {tensor.id}, "
            f"and {', '.join(others)}."
        )
    return Fit(tuple(obstacles), tuple(notes))


def _axes_obstacles(tensor: TensorSpec, image: Image) -> Iterator[str]:
    for axis in tensor.axes:
        if axis.name in ("batch", "channel") or axis.name in image.axes:
            continue
        if axis.name in AXES and _smallest(axis) == 1:
            continue
        if axis.name == "z":
            yield "This model reads volumes, the image has no z axis."
        elif axis.name == "time":
            yield "This model reads time series, the image has no time axis."
        elif axis.name in SPATIAL_AXES:
            yield f"This model needs the axis {axis.name}, which the image lacks."
        else:
            yield f"This model reads an axis {axis.name!r}, which no image has."


def _size_obstacles(tensor: TensorSpec, image: Image) -> Iterator[str]:
    small = [
        axis
        for axis in tensor.axes
        if axis.name in SPATIAL_AXES
        and image.sizes.get(axis.name, _smallest(axis)) < _smallest(axis)
    ]
    if small:
        needed = " × ".join(f"{axis.name} {_smallest(axis)}" for axis in small)
        there = " × ".join(f"{axis.name} {image.sizes[axis.name]}" for axis in small)
        yield f"This model reads at least {needed} pixels, the image has {there}."


def _stack_notes(tensor: TensorSpec, image: Image) -> Iterator[str]:
    for name, word in (("z", "plane"), ("time", "time point")):
        if image.sizes.get(name, 1) > 1 and name not in tensor.axis_names:
            yield f"Each of the {image.sizes[name]} {word}s is predicted by itself."


def _pixel_size_obstacles(tensor: TensorSpec, image: Image) -> Iterator[str]:
    for axis in tensor.axes:
        if axis.name not in SPATIAL_AXES or axis.pixel_size is None:
            continue
        theirs = in_meters(image.scale.get(axis.name), image.units.get(axis.name))
        ours = in_meters(axis.pixel_size, axis.unit)
        if theirs is None or ours is None:
            continue
        ratio = theirs / ours
        if not 1 / _LARGEST_RATIO <= ratio <= _LARGEST_RATIO:
            word = "larger" if ratio > 1 else "smaller"
            yield (
                f"Along {axis.name}, the pixels of the image are "
                f"{max(ratio, 1 / ratio):.1f} times {word} than those of the model "
                f"({_pixel_size(image.scale[axis.name], image.units[axis.name])}, "
                f"{_pixel_size(axis.pixel_size, str(axis.unit))})."
            )


def _pixel_size(size: float, unit: str) -> str:
    return f"{size:.3g} {SYMBOLS.get(spell_out(unit) or '', unit)}"


def _smallest(axis: AxisSpec) -> int:
    match axis.size:
        case FixedSize(size=size):
            return size
        case SteppedSize(minimum=minimum):
            return minimum
    return 1


def _channels(tensor: TensorSpec) -> int | None:
    """Return how many channels a tensor reads, None where it doesn't say."""
    if "channel" not in tensor.axis_names:
        return 1
    size = tensor.axis("channel").size
    return size.size if isinstance(size, FixedSize) else None


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
