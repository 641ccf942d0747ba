"""What a training makes of the model that it starts from, in sentences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_im2im.docks.advice import Advice, advise_code
from napari_im2im.errors import TrustError
from napari_im2im.events import Event
from napari_im2im.models.tensors import FixedSize

if TYPE_CHECKING:
    from collections.abc import Generator

    from napari_im2im.images.image import Image
    from napari_im2im.models.package import ModelPackage
    from napari_im2im.training.config import TrainConfig
    from napari_im2im.zoo.trust import Code

_FORMATS = ("pytorch_state_dict",)
"""The weights that training goes on from."""


@dataclass(frozen=True)
class StartFacts(Event):
    """A model that training may start from.

    ``problem`` says why it can't, ``code`` is what has to be trusted first.
    """

    path: str
    package: ModelPackage
    problem: str = ""
    code: Code | None = None


def read_start(path: str) -> Generator[StartFacts]:
    """Read a model; nothing of it is run."""
    # Runs in a thread: what it imports takes seconds.
    from napari_im2im.models.package import load_package
    from napari_im2im.training.finetuning.trainable import why_not_trainable
    from napari_im2im.zoo.trust import TrustStore, code_to_agree

    package = load_package(path)
    problem, code = why_not_trainable(package), None
    if not problem:
        try:
            code = code_to_agree(package, _FORMATS, TrustStore().trusted())
        except TrustError as error:
            problem = str(error)
    yield StartFacts(path, package, problem, code)


def advise_start(
    facts: StartFacts, config: TrainConfig, source: Image | None, target: Image | None
) -> list[Advice]:
    """Say what goes on from the model, or what keeps it from being trained.

    Parameters
    ----------
    facts
        Of the model.
    config
        The job.
    source, target
        The images, None where they aren't known yet.
    """
    from napari_im2im.training.finetuning.trainable import why_new_head

    package = facts.package
    if facts.problem:
        return [Advice(f"{package.name} can't be trained: {facts.problem}", "stop")]
    if facts.code is not None:
        return [advise_code(package.name, facts.code)]
    axes = package.inputs[0].axis_names
    if source is not None and "z" in axes and "z" not in source.axes:
        text = f"{package.name} learned stacks, but {source.name} has no z axis."
        return [Advice(f"{text} Start from another model.", "stop")]
    parts = [f"Goes on from {package.name}."]
    reads, returns = _count(package, "input"), _count(package, "output")
    given = _channels(source, config.data.input_channels, axes)
    wanted = _channels(target, config.data.target_channels, axes)
    if reads and given and reads != given:
        count = _counted(given)
        parts.append(f"Its first layer is adapted to {count}, not {reads}.")
    new = why_new_head(package, config)
    if config.task == "image" and returns and wanted and returns != wanted:
        new = f"the target has {_counted(wanted)}, not {returns}"
    if new:
        parts.append(f"Its last layer is new: {new}.")
    if config.freeze or config.freeze_depth:
        parts.append("Some of its layers stay as they are.")
    return [Advice(" ".join(parts))]


def _counted(channels: int) -> str:
    return f"{channels} channel{'s' if channels != 1 else ''}"


def _count(package: ModelPackage, side: str) -> int | None:
    tensor = package.inputs[0] if side == "input" else package.outputs[0]
    size = tensor.axis("channel").size
    return size.size if isinstance(size, FixedSize) else None


def _channels(
    image: Image | None, chosen: list[int] | None, axes: tuple[str, ...]
) -> int | None:
    """Return how many channels an image gives; None where planes may become some."""
    if image is None or ("z" in image.axes and "z" not in axes):
        return None
    return image.sizes.get("channel", 1) if chosen is None else len(chosen)
