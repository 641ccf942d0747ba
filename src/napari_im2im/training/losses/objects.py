"""What training makes small where objects are separated."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from monai.losses import DiceLoss
from scipy import ndimage
from torch import nn
from torch.nn import functional

from napari_im2im.training.losses.terms import WeightedTerms, weighted_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_TERMS = ("instance", "bandwidth", "seed")


class BoundaryLoss(WeightedTerms):
    """Losses of foreground, boundary and distance, of logits and truth in channels.

    ``cross_entropy``
        Of each pixel, of foreground and boundary.
    ``dice``
        1 − Dice of foreground and boundary over the batch, which counts thin
        boundaries as much as what they enclose (Milletari et al. 2016,
        https://arxiv.org/abs/1606.04797). Pixels of weight 0 are left out, the rest
        counts alike.
    ``distance``
        Mean absolute error of the distance, where it is learned.

    Parameters
    ----------
    weights
        Weight by term.
    """

    def __init__(self, weights: Mapping[str, float]) -> None:
        super().__init__(weights)
        self.overlap = DiceLoss(batch=True)
        self.terms = {
            "cross_entropy": _cross_entropy,
            "dice": self._dice,
            "distance": _distance,
        }

    def _dice(
        self, output: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None
    ) -> torch.Tensor:
        counted = 1.0 if weight is None else (weight > 0).float()
        guess = output[:, :2].sigmoid()
        value: torch.Tensor = self.overlap(guess * counted, target[:, :2] * counted)
        return value


def _cross_entropy(
    output: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None
) -> torch.Tensor:
    values = functional.binary_cross_entropy_with_logits(
        output[:, :2], target[:, :2], reduction="none"
    )
    return weighted_mean(values, weight)


def _distance(
    output: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None
) -> torch.Tensor:
    """Return the error of the distance, 0 where it isn't learned."""
    if target.shape[1] < 3:
        return output.new_zeros(())
    return weighted_mean((output[:, 2:].sigmoid() - target[:, 2:]).abs(), weight)


class EmbeddingLoss(nn.Module):
    """Losses of spatial embeddings (EmbedSeg).

    ``instance``
        Lovász hinge of how much each pixel belongs to an object, by the distance of
        its embedding from the centre in bandwidths; mean over the objects.
    ``bandwidth``
        How much the bandwidths of an object's pixels vary, in largest objects.
    ``seed``
        Squared error of the seeds: how much a pixel belongs to its object, 0 in the
        background; mean over the pixels.

    The centre of an object is its pixel nearest to its centroid. Pixels further away
    from an object than it is wide aren't compared with it: their embedding belongs
    elsewhere, and nearly all of them are known not to belong to it.

    Parameters
    ----------
    weights
        Weight by term.
    extent
        Size of the largest object along each axis, in pixels.
    foreground_weight
        How much more pixels of objects count for the seeds.

    References
    ----------
    Lalit et al. 2021, https://arxiv.org/abs/2101.10033; Neven et al. 2019,
    https://arxiv.org/abs/1906.11109; Berman et al. 2018,
    https://arxiv.org/abs/1705.08790
    """

    extent: torch.Tensor

    def __init__(
        self,
        weights: Mapping[str, float],
        extent: Sequence[int],
        foreground_weight: float,
    ) -> None:
        super().__init__()
        self.weights, self.foreground_weight = dict(weights), foreground_weight
        column = torch.tensor(list(extent), dtype=torch.float32)
        self.register_buffer("extent", column, persistent=False)

    def forward(
        self,
        output: torch.Tensor,
        target: torch.Tensor,
        weight: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return the loss of logits.

        Parameters
        ----------
        output
            ``(batch, 2 d + 1, [z,] y, x)`` for d spatial axes: offsets, bandwidths and
            seed, before the sigmoid.
        target
            Labels ``(batch, 1, [z,] y, x)``, whole numbers.
        weight
            ``(batch, 1, [z,] y, x)``, not negative.
        """
        guess = output.float().sigmoid()
        counted = torch.ones_like(guess[:, :1]) if weight is None else weight
        terms = [
            self._of_image(maps, labels[0], here[0])
            for maps, labels, here in zip(guess, target, counted, strict=True)
        ]
        objects = max(1, sum(count for _, count in terms))
        pixels = counted.sum().clamp_min(1e-6)
        sums = torch.stack([of_image for of_image, _ in terms]).sum(dim=0)
        means = zip(_TERMS, (objects, objects, pixels), sums, strict=True)
        loss = output.new_zeros((), dtype=torch.float32)
        for name, number, value in means:
            loss = loss + self.weights.get(name, 0.0) * value / number
        return loss

    def _of_image(
        self, maps: torch.Tensor, labels: torch.Tensor, counted: torch.Tensor
    ) -> tuple[torch.Tensor, int]:
        """Return the sum of each term over one image, and the number of its objects."""
        count = labels.ndim
        column = self.extent.view(-1, *(1 for _ in labels.shape))
        offset = (2 * maps[:count] - 1) * column
        bandwidth = maps[count : 2 * count]
        wanted = torch.zeros_like(maps[-1])
        instance, spread, objects = wanted.new_zeros(()), wanted.new_zeros(()), 0
        numbers = labels.cpu().numpy().astype("int32")
        for label, box in enumerate(ndimage.find_objects(numbers), start=1):
            if box is None:
                continue
            window = tuple(
                slice(max(0, 2 * b.start - b.stop), min(n, 2 * b.stop - b.start))
                for b, n in zip(box, labels.shape, strict=True)
            )
            known = counted[window] > 0
            inside = (labels[window] == label) & known
            if not inside.any():
                continue
            widths = bandwidth[(slice(None), *window)][:, inside]
            width = widths.mean(dim=1)
            places = torch.nonzero(inside).float()
            centroid = places.mean(dim=0)
            nearest = (places - centroid).square().sum(dim=1).argmin()
            belongs = _belonging(
                offset[(slice(None), *window)], places[nearest], width * self.extent
            )
            instance = instance + lovasz_hinge(2 * belongs[known] - 1, inside[known])
            spread = spread + (widths - width.detach()[:, None]).square().mean()
            wanted[window][inside] = belongs.detach()[inside]
            objects += 1
        error = (maps[-1] - wanted).square() * counted
        factor = 1 + (self.foreground_weight - 1) * (labels > 0)
        return torch.stack([instance, spread, (error * factor).sum()]), objects


def _belonging(
    offset: torch.Tensor, centre: torch.Tensor, width: torch.Tensor
) -> torch.Tensor:
    """Return how much pixels belong to an object, 0 to 1.

    Parameters
    ----------
    offset
        ``(d, [z,] y, x)``, in pixels.
    centre, width
        Of the object, ``(d,)``, in pixels.
    """
    apart = offset.new_zeros(())
    for axis, size in enumerate(offset.shape[1:]):
        column = [-1 if i == axis else 1 for i in range(len(centre))]
        steps = torch.arange(size, device=offset.device).view(column)
        shift = offset[axis] + steps - centre[axis]
        apart = apart + (shift / width[axis].clamp_min(0.5)).square()
    return torch.exp(-apart)


def lovasz_hinge(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Return the Lovász hinge loss: a convex stand-in for 1 − intersection over union.

    Parameters
    ----------
    logits
        Positive where a pixel is thought to be inside, ``(n,)``.
    truth
        Whether it is, ``(n,)``, bool.

    References
    ----------
    Berman et al. 2018, https://arxiv.org/abs/1705.08790, algorithm 1
    """
    inside = truth.float()
    errors, order = (1 - logits * (2 * inside - 1)).sort(descending=True)
    inside = inside[order]
    intersection = inside.sum() - inside.cumsum(0)
    union = inside.sum() + (1 - inside).cumsum(0)
    lost = 1 - intersection / union
    steps = torch.cat([lost[:1], lost[1:] - lost[:-1]])
    return torch.dot(functional.relu(errors), steps)
