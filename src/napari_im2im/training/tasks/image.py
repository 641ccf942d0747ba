"""Predicting an image: intensities from intensities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from napari_im2im.errors import ConfigError, DataError
from napari_im2im.training.data.focus import otsu_threshold
from napari_im2im.training.data.normalization import ChannelScaling, learn_scaling
from napari_im2im.training.data.tensors import restored, scaled
from napari_im2im.training.finetuning.scaling import scaling_of_start
from napari_im2im.training.losses.images import WeightedLoss
from napari_im2im.training.metrics import image_metrics
from napari_im2im.training.tasks.task import Task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_im2im.models.tensors import Step
    from napari_im2im.training.data.samples import Sample
    from napari_im2im.training.finetuning.parent import Start

_USUAL_RANGE = (0.1, 99.9)
"""Percentiles of the target between which SSIM, as a loss, works."""


class ImageTask(Task):
    """The target's intensities, normalised for the network and scaled back after it.

    Attributes
    ----------
    scaling
        How targets are normalised.
    loss_range
        Usual smallest and largest value of each channel, normalised.
    data_range
        Largest minus smallest value of each channel, in the target's units.
    foreground
        Threshold of each channel, normalised, where the loss asks for it.
    """

    scaling: ChannelScaling
    loss_range: tuple[tuple[float, ...], tuple[float, ...]]
    data_range: tuple[float, ...]
    foreground: tuple[float, ...] = ()

    @property
    def output_names(self) -> tuple[str, ...]:
        """The channels of the target."""
        return self.layout.target_channels

    def check(self, samples: Sequence[Sample]) -> None:
        """Refuse targets without contrast, and weights for other channels."""
        shares = self.config.loss_channel_weights
        if shares is not None and len(shares) != len(self.output_names):
            raise ConfigError(
                f"loss_channel_weights has {len(shares)} numbers, but the target has "
                f"{len(self.output_names)} channels "
                f"({', '.join(self.output_names)}): give one for each."
            )
        for channel, name in enumerate(self.output_names):
            first = samples[0].target[channel].flat[0]
            if all(bool((s.target[channel] == first).all()) for s in samples):
                which = f" (channel {name})" if len(self.output_names) > 1 else ""
                others = ", like all others," if len(samples) > 1 else ""
                raise DataError(
                    f"The target of {samples[0].name}{which}{others} has the same "
                    f"value, {first:g}, in every pixel, so there is nothing to learn: "
                    "choose another target."
                )

    def learn(self, samples: Sequence[Sample], start: Start | None) -> list[str]:
        """Measure the normalisation, or take that of the model to start from."""
        targets = [sample.target for sample in samples]
        note = ""
        if start is None or "target_normalization" in self.config.model_fields_set:
            self.scaling = learn_scaling(
                targets, self.config.target_normalization, self.config.percentiles
            )
        else:
            self.scaling, note = scaling_of_start(
                start.package.outputs[0].steps, targets, is_target=True
            )
        usual = learn_scaling(targets, "percentile", _USUAL_RANGE)
        self.loss_range = _normalised_range(usual, self.scaling)
        self.data_range = _data_range(targets)
        if "foreground" in self.config.loss:
            thresholds = [otsu_threshold(samples, c) for c in range(len(targets[0]))]
            self.foreground = tuple(
                (threshold - offset) / scale
                for threshold, offset, scale in zip(
                    thresholds, self.scaling.offset, self.scaling.scale, strict=True
                )
            )
        return [note] if note else []

    def fingerprint(self) -> list[list[float]]:
        """Return offset and scale."""
        return [list(self.scaling.offset), list(self.scaling.scale)]

    def encode(
        self, target: np.ndarray, weight: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the target as float32; the loss normalises it on the device."""
        return np.ascontiguousarray(target, np.float32), weight

    def regressed(self, target: torch.Tensor) -> torch.Tensor:
        """Return the normalised target."""
        return scaled(target, self.scaling)

    def loss(self, patch: Sequence[int]) -> nn.Module:
        """Return the weighted sum of image losses."""
        weights: dict[Any, float] = dict(self.config.loss)
        shares = self.config.loss_channel_weights
        if shares is None:
            terms = WeightedLoss(weights, patch, *self.loss_range, self.foreground)
            return _ImageLoss([terms], [1.0], self.scaling)
        # A channel alone has the same loss as among others: terms are means.
        by_channel = [
            WeightedLoss(
                weights, patch, [low], [high], self.foreground[i : i + 1] or None
            )
            for i, (low, high) in enumerate(zip(*self.loss_range, strict=True))
        ]
        return _ImageLoss(by_channel, shares, self.scaling)

    def postprocess(self, output: torch.Tensor) -> torch.Tensor:
        """Scale back to the target's units."""
        return restored(output.float(), self.scaling)

    def postprocessing(self) -> tuple[Step, ...]:
        """Scale back to the target's units."""
        return self.scaling.postprocessing()

    def metrics(
        self,
        predictions: torch.Tensor,
        targets: np.ndarray,
        weights: np.ndarray | None,
    ) -> dict[str, float]:
        """Measure PSNR, SSIM, PCC and MAE in the target's units."""
        truth = torch.from_numpy(np.asarray(targets, np.float32))
        counted = None if weights is None else torch.from_numpy(weights) > 0
        return image_metrics(
            predictions, truth, self.data_range, self.output_names, counted
        )

    def meaning(self) -> dict[str, Any]:
        """Say that the output is an image."""
        return {"name": "image"}

    def summary(self, inputs: str) -> str:
        """Say what is predicted from what."""
        return f"Predicts {', '.join(self.output_names)} from {inputs}"

    def metrics_note(self) -> str:
        """Say which units and ranges the metrics have."""
        ranges = ", ".join(f"{span:g}" for span in self.data_range)
        return (
            f"in the target's units (data range {ranges}, that of the training targets)"
        )


class _ImageLoss(nn.Module):
    """Losses of normalised images; takes targets in their own units.

    ``terms`` are for equal numbers of channels each, ``shares`` are their weights in
    the mean.
    """

    def __init__(
        self,
        terms: Sequence[WeightedLoss],
        shares: Sequence[float],
        scaling: ChannelScaling,
    ) -> None:
        super().__init__()
        self.terms, self.scaling = nn.ModuleList(terms), scaling
        self.shares = [share / sum(shares) for share in shares]

    def forward(
        self,
        output: torch.Tensor,
        target: torch.Tensor,
        weight: torch.Tensor | None = None,
    ) -> torch.Tensor:
        parts = zip(
            self.terms,
            self.shares,
            output.chunk(len(self.terms), dim=1),
            scaled(target, self.scaling).chunk(len(self.terms), dim=1),
            strict=True,
        )
        values = [share * term(*pair, weight) for term, share, *pair in parts]
        return torch.stack(values).sum()


def _normalised_range(
    usual: ChannelScaling, scaling: ChannelScaling
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    low = np.subtract(usual.offset, scaling.offset) / np.array(scaling.scale)
    high = low + np.divide(usual.scale, scaling.scale)
    return tuple(low.tolist()), tuple(high.tolist())


def _data_range(targets: Sequence[np.ndarray]) -> tuple[float, ...]:
    spans = []
    for c in range(len(targets[0])):
        low = min(float(target[c].min()) for target in targets)
        high = max(float(target[c].max()) for target in targets)
        spans.append(high - low if high > low else 1.0)
    return tuple(spans)
