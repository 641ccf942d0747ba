"""What every task answers: the only thing that training knows about its target."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import torch

    from napari_im2im.models.tensors import Step
    from napari_im2im.training.config import TrainConfig
    from napari_im2im.training.data.samples import Layout, Sample
    from napari_im2im.training.finetuning.parent import Start


class Task(ABC):
    """Between the images of a training and the channels of its network.

    To add one: a subclass in a file of this folder, a line in `opening.py`, an entry
    in `catalogue.py`, its settings (without torch) as a field of `TrainConfig`.

    One object serves one training and is called in this order:

    1. ``__init__(config, layout)``; the pixels aren't known yet.
    2. ``check(samples)`` with all samples, before they are split. It refuses targets
       that don't suit, and learns what the network's shape depends on (how many
       classes). From here on ``output_names`` is known, and the network is built
       with so many output channels.
    3. ``learn(samples, start)`` with the training samples alone: statistics.
    4. In each step, for a batch of patches: ``encode`` on the CPU, behind the
       geometric augmentation; ``corrupt`` on the device, behind the normalisation
       of the inputs; then the module of ``loss``.
    5. In each validation, for crops of equal size: ``encode``, the module of
       ``loss``, ``postprocess``, ``metrics``, ``preview``.
    6. In each new package: ``postprocess``, ``postprocessing``, ``meaning``,
       ``summary``, ``metrics_note``, ``tags``.

    What it learns in 2. and 3. follows from config and samples alone, so that a
    training that is resumed gets the same.

    Parameters
    ----------
    config
        The job. ``config.loss`` is filled with the default of the task.
    layout
        The names of the channels of input and target, and the spatial axes.
    """

    def __init__(self, config: TrainConfig, layout: Layout) -> None:
        self.config, self.layout = config, layout

    # -- before the first step ------------------------------------------------------

    @property
    @abstractmethod
    def output_names(self) -> tuple[str, ...]:
        """Names of the network's output channels, e.g. ``("foreground",)``."""

    @abstractmethod
    def check(self, samples: Sequence[Sample]) -> None:
        """Look at all targets ``(c, [z,] y, x)`` in their own dtype and numbers.

        Raises
        ------
        DataError
            If they don't suit: one sentence with the sample's name and the cure.
        """

    def learn(self, samples: Sequence[Sample], start: Start | None) -> list[str]:
        """Take statistics of the training targets; return sentences for the user.

        ``start`` is the model that training goes on from.
        """
        return []

    def fingerprint(self) -> list[list[float]]:
        """Return what was learned of the targets, to know them again on resuming."""
        return []

    # -- in each step ---------------------------------------------------------------

    @abstractmethod
    def encode(
        self, target: np.ndarray, weight: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Turn targets into what the loss compares with.

        Parameters
        ----------
        target
            Patches ``(batch, c, [z,] y, x)``, in their own numbers; whole numbers may
            have become float32.
        weight
            ``(batch, 1, [z,] y, x)``, 0 where a pixel doesn't count; None: all count.

        Returns
        -------
        target : np.ndarray
            ``(batch, any, [z,] y, x)``, float32 or an integer dtype of torch.
        weight : np.ndarray or None
            As given, or with zeros added where the target is unknown.
        """

    def corrupt(
        self,
        inputs: torch.Tensor,
        target: torch.Tensor,
        weight: torch.Tensor | None,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Change what the network sees, for self-supervision; only while training.

        ``inputs`` are normalised, ``target`` and ``weight`` are encoded; all
        ``(batch, ., [z,] y, x)`` on the device. Draws from torch's global generator,
        which is seeded for each step.
        """
        return inputs, target, weight

    def examine(
        self,
        inputs: torch.Tensor,
        target: torch.Tensor,
        weight: torch.Tensor | None,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Change what the validation loss is taken of, as ``corrupt`` for training.

        Must do the same each time. Predictions are made of the inputs as they are,
        unless `judges_examined`.
        """
        return inputs, target, weight

    @property
    def judges_examined(self) -> bool:
        """Whether validation predicts from the inputs that `examine` returns."""
        return False

    def regressed(self, target: torch.Tensor) -> torch.Tensor | None:
        """Return the output that an encoded target asks for.

        A new last layer of a model to start from is fitted to it by least squares.
        None where the loss is no distance from one output.
        """
        return None

    @abstractmethod
    def loss(self, patch: Sequence[int]) -> torch.nn.Module:
        """Return the loss for patches of at least ``([z,] y, x)`` pixels.

        The module is called as ``loss(output, target, weight)`` with what the network
        returns, in any float dtype, and what ``encode`` returned as tensors (weight
        may be None), and gives a scalar in float32: the mean over what counts. It is
        moved to the device; constants belong into buffers.
        """

    # -- in each validation and package -----------------------------------------------

    @abstractmethod
    def postprocess(self, output: torch.Tensor) -> torch.Tensor:
        """Bring an output ``(batch, c, [z,] y, x)`` to its meaning, in float32.

        Does what the steps of ``postprocessing`` do.
        """

    @abstractmethod
    def postprocessing(self) -> tuple[Step, ...]:
        """Return the steps of the package's output, e.g. ``sigmoid``."""

    @abstractmethod
    def metrics(
        self,
        predictions: torch.Tensor,
        targets: np.ndarray,
        weights: np.ndarray | None,
    ) -> dict[str, float]:
        """Measure postprocessed predictions of all crops, on the CPU.

        Parameters
        ----------
        predictions
            ``(crop, c, [z,] y, x)``, float32.
        targets
            As the samples hold them, not encoded: ``(crop, c, [z,] y, x)``.
        weights
            ``(crop, 1, [z,] y, x)``, None where all pixels count.
        """

    @abstractmethod
    def meaning(self) -> dict[str, Any]:
        """Return what Predict needs to know of the output, as plain values.

        Goes to ``config.napari_im2im.task`` of the package; ``"name"`` is that of
        the task, e.g. ``{"name": "semantic", "classes": ["background", "cell"]}``.
        """

    @abstractmethod
    def summary(self, inputs: str) -> str:
        """Return what the model does, without a full stop: "Predicts DAPI from …"."""

    @abstractmethod
    def metrics_note(self) -> str:
        """Return how the metrics are to be read, for "After 500 steps, {note}:"."""

    @property
    def tags(self) -> tuple[str, ...]:
        """Tags of the package, by which other software knows what it is for."""
        return ("image-to-image",)

    @property
    def shows_labels(self) -> bool:
        """Whether ``preview`` returns labels, to be shown in colours."""
        return False

    def preview(self, prediction: np.ndarray) -> np.ndarray:
        """Return what to show of a postprocessed prediction ``(c, [z,] y, x)``."""
        return prediction

    def preview_target(self, target: np.ndarray) -> np.ndarray:
        """Return what to show beside it of a target ``(c, [z,] y, x)``."""
        return target

    def shown(
        self, source: np.ndarray, target: np.ndarray, prediction: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return what to show of a crop's input, target and prediction."""
        return source, self.preview_target(target), self.preview(prediction)
