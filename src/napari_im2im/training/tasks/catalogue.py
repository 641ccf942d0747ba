"""The tasks as a user chooses them. Imports nothing heavy: the docks list it."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Mapping

TaskName = Literal[
    "image",
    "unpaired",
    "semantic",
    "instances",
    "embedding",
    "noise2void",
    "masked",
]
TargetKind = Literal["image", "labels", "none"]
ImageLossName = Literal[
    "l1",
    "mse",
    "charbonnier",
    "ssim",
    "ms_ssim",
    "pearson",
    "fourier",
    "foreground",
]
SegmentationLossName = Literal[
    "dice",
    "generalized_dice",
    "cross_entropy",
    "focal",
    "tversky",
    "cldice",
]
BoundaryLossName = Literal["cross_entropy", "dice", "distance"]
EmbeddingLossName = Literal["instance", "bandwidth", "seed"]
LossName = ImageLossName | SegmentationLossName | BoundaryLossName | EmbeddingLossName


_RATE_OF_BOUNDARIES = 1e-2
"""Adam moves a weight by no more than the rate in a step, and logits that are sure need
weights larger than those that a network starts with: with 1e-3, trainings of some
hundred steps saw no boundary. Classes were better for it in some images, worse in
others."""

_RATE_OF_HIDDEN_PIXELS = 3e-3
"""For the same reason: with 1e-3, images stayed too dark for some hundred steps."""


@dataclass(frozen=True)
class TaskInfo:
    """A task before anything of it is loaded.

    Parameters
    ----------
    title
        What the Train dock calls it.
    text
        One sentence: what the model will make of an image.
    target
        ``"image"``: intensities; ``"labels"``: whole numbers that name classes or
        objects, of any integer dtype or bool; ``"none"``: the input is its own
        target.
    losses
        Names that `TrainConfig.loss` may use.
    default_loss
        Weight by name, where the config names no loss.
    learning_rate
        Of the default network that begins anew, where the config names none.
    paired
        Whether each input belongs to a target of its own.
    """

    title: str
    text: str
    target: TargetKind
    losses: tuple[str, ...]
    default_loss: Mapping[str, float]
    learning_rate: float | None = None
    paired: bool = True

    @property
    def two_sets(self) -> bool:
        """Whether targets are there, but are images of other fields."""
        return self.target != "none" and not self.paired


TASKS: Mapping[str, TaskInfo] = MappingProxyType(
    {
        "image": TaskInfo(
            title="Predict an image",
            text="Makes the target image from the input image.",
            target="image",
            losses=get_args(ImageLossName),
            default_loss=MappingProxyType({"l1": 1.0}),
        ),
        "unpaired": TaskInfo(
            title="Translate without pairs",
            text="Makes images look like those of another set, of other fields.",
            target="image",
            losses=("l1", "mse", "charbonnier"),
            default_loss=MappingProxyType({"l1": 1.0}),
            paired=False,
        ),
        "semantic": TaskInfo(
            title="Segment",
            text="Gives each pixel one of the classes that are labelled.",
            target="labels",
            losses=get_args(SegmentationLossName),
            default_loss=MappingProxyType({"cross_entropy": 1.0, "dice": 1.0}),
        ),
        "instances": TaskInfo(
            title="Separate objects",
            text="Gives each object its own number, by learning where objects end.",
            target="labels",
            losses=get_args(BoundaryLossName),
            default_loss=MappingProxyType(
                {"cross_entropy": 1.0, "dice": 1.0, "distance": 1.0}
            ),
            learning_rate=_RATE_OF_BOUNDARIES,
        ),
        "embedding": TaskInfo(
            title="Separate (EmbedSeg)",
            text="Gives each object its own number, by learning where its centre is.",
            target="labels",
            losses=get_args(EmbeddingLossName),
            default_loss=MappingProxyType(
                {"instance": 1.0, "bandwidth": 10.0, "seed": 1.0}
            ),
        ),
        "noise2void": TaskInfo(
            title="Denoise without a target",
            text="Removes noise that isn't alike in neighbouring pixels.",
            target="none",
            losses=("l1", "mse", "charbonnier"),
            default_loss=MappingProxyType({"mse": 1.0}),
            learning_rate=_RATE_OF_HIDDEN_PIXELS,
            paired=False,
        ),
        "masked": TaskInfo(
            title="Pretrain without a target",
            text="Learns to fill hidden parts of images, for trainings with few "
            "targets to start from.",
            target="none",
            losses=("l1", "mse", "charbonnier"),
            default_loss=MappingProxyType({"l1": 1.0}),
            paired=False,
        ),
    }
)
"""By the name in `TrainConfig.task`, in the order of the dock."""
