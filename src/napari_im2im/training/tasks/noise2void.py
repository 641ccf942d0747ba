"""Denoising without a target: predicting hidden pixels from their neighbours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from napari_im2im.training.tasks.hiding import HidingTask

if TYPE_CHECKING:
    import numpy as np

_VALIDATION_PERCENTAGE = 2.0
"""Hidden in validation: more, so that few crops tell enough."""


class Noise2VoidTask(HidingTask):
    """Pixels are hidden and predicted; noise can't be, what it hides can.

    Few pixels of each patch are replaced by neighbours, and only they count in the
    loss (Krull et al. 2019, https://arxiv.org/abs/1811.10980; median: Höck et al.
    2022, https://arxiv.org/abs/2211.08512). Where the noise of neighbours is
    correlated along an axis, pixels along it are replaced as well (Broaddus et al.
    2020, https://doi.org/10.1109/ISBI45749.2020.9098336).
    """

    def hide(
        self, inputs: torch.Tensor, generator: torch.Generator | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Replace hidden pixels by others of their neighbourhood."""
        config = self.config.noise2void
        percentage = config.percentage if generator is None else _VALIDATION_PERCENTAGE
        hidden = spread_pixels(inputs, percentage, generator)
        replaced = hidden
        if config.axis is not None:
            axis = 2 + self.layout.spatial_axes.index(config.axis)
            replaced = widened(hidden, axis, config.span)
        if config.replacement == "median":
            values = neighbourhood_median(inputs, replaced, config.radius)
        else:
            values = random_neighbours(inputs, config.radius, generator)
        return torch.where(replaced, values, inputs), hidden

    def metrics(
        self,
        predictions: torch.Tensor,
        targets: np.ndarray,
        weights: np.ndarray | None,
    ) -> dict[str, float]:
        """Measure what is taken away, and whether it looks like the image.

        Returns
        -------
        dict
            ``removed``: standard deviation of input minus prediction, in the image's
            units. ``leaked``: Pearson correlation of that difference with the
            prediction, 0 where nothing but noise is taken away.
        """
        noisy = torch.from_numpy(targets.astype("float32"))
        difference = noisy - predictions
        pair = torch.stack([difference.flatten(), predictions.flatten()])
        leaked = torch.corrcoef(pair.double())[0, 1].nan_to_num()
        return {"removed": float(difference.std()), "leaked": float(leaked)}

    def meaning(self) -> dict[str, Any]:
        """Say that the output is an image."""
        return {"name": "noise2void"}

    def summary(self, inputs: str) -> str:
        """Say what is denoised."""
        return f"Removes noise from {inputs}"

    def metrics_note(self) -> str:
        """Say what was measured without a truth."""
        return (
            "without a clean image to compare with: standard deviation of what is "
            "taken away, and its correlation with what is left"
        )

    @property
    def tags(self) -> tuple[str, ...]:
        """Tags by which other software knows a denoiser."""
        return ("denoising", "image-restoration")


def spread_pixels(
    inputs: torch.Tensor, percentage: float, generator: torch.Generator | None
) -> torch.Tensor:
    """Choose pixels that are spread evenly: one in each box of equal size.

    Returns
    -------
    torch.Tensor
        Bool ``(batch, 1, [z,] y, x)``, the same for all channels.
    """
    batch, _, *space = inputs.shape
    side = max(2, round((100 / percentage) ** (1 / len(space))))
    boxes = [-(-size // min(side, size)) for size in space]
    sides = [min(side, size) for size in space]
    draws = torch.rand(
        (len(space), batch, *boxes), generator=generator, device=inputs.device
    )
    hidden = torch.zeros((batch, *space), dtype=torch.bool, device=inputs.device)
    numbers = torch.meshgrid(
        *(torch.arange(n, device=inputs.device) for n in (batch, *boxes)), indexing="ij"
    )
    places = [
        ((number + draw) * side).long()
        for number, draw, side in zip(numbers[1:], draws, sides, strict=True)
    ]
    inside = torch.stack([p < n for p, n in zip(places, space, strict=True)]).all(0)
    hidden[(numbers[0][inside], *(place[inside] for place in places))] = True
    return hidden[:, None]


def widened(hidden: torch.Tensor, axis: int, span: int) -> torch.Tensor:
    """Return pixels and their neighbours, ``span`` in all, along an axis."""
    result = hidden
    for shift in range(1, span // 2 + 1):
        size = hidden.shape[axis] - shift
        for source, target in ((0, shift), (shift, 0)):
            moved = torch.zeros_like(hidden)
            moved.narrow(axis, target, size).copy_(hidden.narrow(axis, source, size))
            result = result | moved
    return result


def random_neighbours(
    inputs: torch.Tensor, radius: int, generator: torch.Generator | None
) -> torch.Tensor:
    """Return for each pixel another one, at most ``radius`` away along each axis."""
    batch, _, *space = inputs.shape
    width = 2 * radius + 1
    # One of all but the middle of the neighbourhood.
    drawn = torch.randint(
        width ** len(space) - 1,
        (batch, *space),
        generator=generator,
        device=inputs.device,
    )
    drawn = drawn + (drawn >= width ** len(space) // 2)
    index = torch.zeros_like(drawn)
    for i, size in enumerate(space):
        place = torch.arange(size, device=inputs.device)
        place = place.reshape(-1, *(1 for _ in space[i + 1 :]))
        shift = drawn // width ** (len(space) - 1 - i) % width - radius
        moved = place + shift
        # Beyond the border, the pixel as far on the other side is taken.
        outside = (moved < 0) | (moved >= size)
        moved = torch.where(outside, place - shift, moved).clamp(0, size - 1)
        index = index * size + moved
    flat = inputs.flatten(2)
    chosen = index.flatten(1)[:, None].expand_as(flat)
    return flat.gather(2, chosen).reshape(inputs.shape)


def neighbourhood_median(
    inputs: torch.Tensor, replaced: torch.Tensor, radius: int
) -> torch.Tensor:
    """Return the image with the median of the neighbours in place of some pixels."""
    space = inputs.shape[2:]
    batch, *places = replaced[:, 0].nonzero(as_tuple=True)
    offsets = torch.cartesian_prod(
        *(torch.arange(-radius, radius + 1, device=inputs.device) for _ in space)
    )
    offsets = offsets[offsets.any(1)]
    around = []
    for place, shift, size in zip(places, offsets.T, space, strict=True):
        moved = (place[:, None] + shift[None]).abs()
        around.append((size - 1 - (size - 1 - moved).abs()).clamp(0, size - 1))
    values = inputs.movedim(1, -1)[(batch[:, None], *around)]
    result = inputs.clone().movedim(1, -1)
    result[(batch, *places)] = values.median(1).values
    return result.movedim(-1, 1)
