"""Everything that defines a training, as data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

from napari_im2im.models.networks import NetworkConfig
from napari_im2im.training.adversarial.config import AdversarialConfig
from napari_im2im.training.data.augmentation_config import (
    STRENGTHS,
    AugmentationConfig,
    AugmentationStrength,
    augmentation_of,
)
from napari_im2im.training.data.config import DataConfig
from napari_im2im.training.tasks.catalogue import TASKS, LossName, TaskName
from napari_im2im.training.tasks.masked_config import MaskedConfig
from napari_im2im.training.tasks.noise2void_config import Noise2VoidConfig
from napari_im2im.training.tasks.objects_config import (
    EmbeddingConfig,
    InstancesConfig,
)
from napari_im2im.training.tasks.semantic_config import SemanticConfig
from napari_im2im.training.tasks.unpaired_config import (
    ADVERSARIAL_WEIGHT,
    EMA,
    LEARNING_RATE,
    UnpairedConfig,
)

Normalization = Literal["mean_std", "percentile", "none"]
InputStatistics = Literal["auto", "dataset", "image"]
Schedule = Literal["cosine", "one_cycle", "plateau", "constant"]
_STANDARD_SECONDS = 1800.0
_RATE = 1e-3

_TURNS = frozenset({"flip", "quarter_turns"})
_OWN_TARGETS = {
    "noise2void": (
        _TURNS,
        "needs the noise of each pixel as it is",
        "standard or none",
    ),
    "masked": (
        _TURNS | {"rotation", "scale", "elastic", "probability"},
        "learns what images look like, so that their look must stay",
        "standard or none, or set rotation, scale and elastic",
    ),
}
"""For tasks whose input is their target: the changes that suit, why, and the cure."""

Fraction = Annotated[float, Field(ge=0, le=1)]
Percentile = Annotated[float, Field(ge=0, le=100)]


class _Config(BaseModel):
    model_config = ConfigDict(extra="forbid", validate_assignment=True)


class EffortConfig(_Config):
    """How long to train: the first limit that is reached ends it.

    Where none is set, training takes half an hour.
    """

    seconds: PositiveFloat | None = Field(None, description="Time budget in seconds.")
    epochs: PositiveInt | None = Field(
        None, description="Passes over as many pixels as there are."
    )
    steps: PositiveInt | None = Field(None, description="Optimiser steps.")
    patience: PositiveInt | None = Field(
        None, description="Stop after so many validations without improvement."
    )
    monitor: str = Field(
        "validation_loss",
        description="What the best model is best by: validation_loss or a metric, "
        "e.g. ssim.",
    )

    @property
    def time_limit(self) -> float | None:
        """Seconds to train for, or None where steps or epochs alone count."""
        if self.seconds is None and self.epochs is None and self.steps is None:
            return _STANDARD_SECONDS
        return self.seconds


class OptimizerConfig(_Config):
    """AdamW, and how its learning rate changes."""

    learning_rate: PositiveFloat | None = Field(
        None,
        description="Largest rate, reached after the warm-up; default: 1e-3, for a new "
        "BasicUNet that separates objects 1e-2, for one that denoises without "
        "a target 3e-3, for the task unpaired 2e-4.",
    )
    schedule: Schedule = Field(
        "cosine",
        description="cosine: rise linearly, fall to 0; one_cycle: rise for a third, "
        "fall to almost 0; plateau: halve where validation doesn't improve; constant.",
    )
    weight_decay: float = Field(
        1e-4, ge=0, description="Decoupled weight decay of AdamW."
    )
    warmup: Fraction = Field(
        0.05, description="Part of the steps to warm up (cosine, constant)."
    )
    plateau_patience: PositiveInt = Field(
        3, description="Validations without improvement before the rate is halved."
    )
    gradient_clip: PositiveFloat | None = Field(
        1.0, description="Largest norm of the gradient; null: no limit."
    )
    accumulate: PositiveInt = Field(
        1, description="Batches whose gradients are added up for a step."
    )
    ema: Annotated[float, Field(ge=0, lt=1)] = Field(
        0,
        description="Decay of a moving average of the weights, e.g. 0.999, which is "
        "what is judged and kept; 0: none.",
    )

    @property
    def rate(self) -> float:
        """The learning rate: the usual one where none is named."""
        return self.learning_rate or _RATE


class TrainConfig(_Config):
    """A training of an image-to-image model."""

    name: str = Field("model", description="Name of the run and of its model.")
    output: Path | None = Field(
        None, description="Folder of the runs; default: napari-im2im/runs at home."
    )
    task: TaskName = Field(
        "image", description="What is learned: " + ", ".join(TASKS) + "."
    )
    data: DataConfig = Field(default_factory=DataConfig)
    spatial_axes: Literal["yx", "zyx"] | None = Field(
        None, description="2D (yx) or 3D (zyx) network; default: from the images."
    )
    patch: dict[str, PositiveInt] | None = Field(
        None, description="Patch size by axis, e.g. {y: 128, x: 128}; default: auto."
    )
    batch_size: PositiveInt | None = Field(
        None, description="Patches in a step; default: automatic."
    )
    augmentation: AugmentationStrength | AugmentationConfig = Field(
        "standard",
        description="none; standard: flips and quarter turns in the y-x plane; heavy: "
        "warps and changes of look as well; or each change, e.g. {rotation: 15}.",
    )
    input_normalization: Normalization = Field(
        "mean_std", description="How the inputs are scaled for the network."
    )
    input_statistics: InputStatistics = Field(
        "auto",
        description="image: each input is scaled by its own statistics; dataset: all "
        "are scaled alike; auto: image where labels are learned from images that "
        "differ much.",
    )
    target_normalization: Normalization = Field(
        "mean_std",
        description="How the targets are scaled; predictions are scaled back.",
    )
    percentiles: tuple[Percentile, Percentile] = Field(
        (0.1, 99.9), description="Used by the percentile normalisation."
    )
    network: NetworkConfig = Field(default_factory=NetworkConfig)
    loss: dict[LossName, PositiveFloat] = Field(
        default_factory=dict,
        description="Weight of each term, e.g. {l1: 0.5, ssim: 0.5}; default: what "
        "suits the task.",
    )
    loss_channel_weights: list[PositiveFloat] | None = Field(
        None,
        description="Weight of each target channel in the loss of the task image; "
        "default: all alike.",
    )
    adversarial: AdversarialConfig = Field(default_factory=AdversarialConfig)
    unpaired: UnpairedConfig = Field(default_factory=UnpairedConfig)
    semantic: SemanticConfig = Field(default_factory=SemanticConfig)
    instances: InstancesConfig = Field(default_factory=InstancesConfig)
    embedding: EmbeddingConfig = Field(default_factory=EmbeddingConfig)
    noise2void: Noise2VoidConfig = Field(default_factory=Noise2VoidConfig)
    masked: MaskedConfig = Field(default_factory=MaskedConfig)
    optimizer: OptimizerConfig = Field(default_factory=OptimizerConfig)
    effort: EffortConfig = Field(default_factory=EffortConfig)
    device: str = Field("auto", description="auto, cpu, cuda, cuda:0, mps …")
    precision: str = Field("auto", description="auto, 32-true, bf16-mixed, 16-mixed.")
    start_from: Path | None = Field(
        None,
        description="Model whose weights training goes on from: its package, or the "
        "name of one on this computer.",
    )
    new_head: bool = Field(
        False, description="Start the last layer of start_from anew, even if it fits."
    )
    freeze: list[str] = Field(
        default_factory=list,
        description="Layers of start_from that stay as they are, e.g. ['down_*'].",
    )
    freeze_depth: Fraction = Field(
        0.0, description="Part of the layers, from the input on, that stay."
    )
    seed: int = Field(0, description="Of the weights, the patches and the order.")
    resume: Path | None = Field(None, description="Run folder to continue.")

    @field_validator("percentiles")
    @classmethod
    def _ascending(cls, value: tuple[float, float]) -> tuple[float, float]:
        if value[0] >= value[1]:
            raise ValueError("the first percentile must be below the second")
        return value

    @model_validator(mode="after")
    def _losses_of_the_task(self) -> Self:
        known = TASKS[self.task].losses
        wrong = [name for name in self.loss if name not in known]
        if wrong:
            raise ValueError(
                f"the task {self.task} has no loss {wrong[0]!r}: choose from "
                f"{', '.join(known)}"
            )
        return self

    @model_validator(mode="after")
    def _discriminator_suits(self) -> Self:
        if self.adversarial.weight and self.task not in ("image", "unpaired"):
            raise ValueError(
                "adversarial.weight goes with the tasks image and unpaired, not with "
                f"{self.task}: leave it out"
            )
        return self

    @model_validator(mode="after")
    def _unpaired_suits(self) -> Self:
        if self.task != "unpaired":
            return self
        if self.adversarial.weight == 0:
            raise ValueError(
                "unpaired learns from its discriminators: set adversarial.weight above "
                f"0, e.g. {ADVERSARIAL_WEIGHT:g}"
            )
        if self.start_from is not None:
            raise ValueError(
                "unpaired trains networks for both directions, and a model holds one: "
                "leave out start_from"
            )
        if self.data.cost_maps or "cost_map" in self.data.kinds:
            raise ValueError(
                "unpaired compares images as a whole, so that cost maps say nothing: "
                "leave them out"
            )
        measured = "monitor" in self.effort.model_fields_set
        if (self.effort.patience or self.optimizer.schedule == "plateau") and (
            not measured or self.effort.monitor == "step"
        ):
            raise ValueError(
                "without pairs nothing tells whether a model is better: name a measure "
                "in effort.monitor, e.g. validation_loss, or leave out patience and "
                "plateau"
            )
        return self

    @model_validator(mode="after")
    def _look_stays(self) -> Self:
        if self.task not in _OWN_TARGETS:
            return self
        allowed, reason, cure = _OWN_TARGETS[self.task]
        chosen = augmentation_of(self.augmentation).model_dump()
        plain = STRENGTHS["standard"].model_dump()
        if any(chosen[k] != plain[k] for k in {*chosen} - allowed):
            raise ValueError(f"{self.task} {reason}: choose the augmentation {cure}")
        along = self.noise2void.axis if self.task == "noise2void" else None
        if along in ("y", "x") and isinstance(self.augmentation, AugmentationConfig):
            if self.augmentation.quarter_turns:
                raise ValueError(
                    f"quarter turns move noise along {along} to the other axis: set "
                    "augmentation.quarter_turns to false"
                )
        return self

    def sized(self, *, on_cpu: bool) -> TrainConfig:
        """Return the config with the network's size for a device filled in."""
        if self.start_from is not None:
            return self
        network = self.network.sized(on_cpu=on_cpu)
        return self.model_copy(update={"network": network})

    def completed(self) -> TrainConfig:
        """Return the config with the defaults of its task filled in."""
        update: dict[str, Any] = {}
        if not self.loss:
            update["loss"] = dict(TASKS[self.task].default_loss)
        if self.task == "unpaired":
            update |= self._unpaired_defaults()
        elif self.start_from is None:
            usual = self.network.name == NetworkConfig().name
            rate = TASKS[self.task].learning_rate if usual else None
            told = {"learning_rate": rate or self.optimizer.rate}
            update["optimizer"] = _told(self.optimizer, told)
        directed = self.task == "noise2void" and self.noise2void.axis in ("y", "x")
        if directed and self.augmentation == "standard":
            update["augmentation"] = AugmentationConfig(quarter_turns=False)
        return self.model_copy(update=update) if update else self

    def _unpaired_defaults(self) -> dict[str, Any]:
        parts: dict[str, tuple[BaseModel, dict[str, Any]]] = {
            "adversarial": (self.adversarial, {"weight": ADVERSARIAL_WEIGHT}),
            "optimizer": (self.optimizer, {"learning_rate": LEARNING_RATE, "ema": EMA}),
            # Without pairs nothing tells which model is best: the newest is kept.
            "effort": (self.effort, {"monitor": "step"}),
        }
        return {name: _told(part, usual) for name, (part, usual) in parts.items()}


def _told(part: BaseModel, usual: dict[str, Any]) -> BaseModel:
    """Return a part of a config with what is usual where nothing is said."""
    said = {k for k in part.model_fields_set if getattr(part, k) is not None}
    return part.model_copy(update={k: v for k, v in usual.items() if k not in said})
