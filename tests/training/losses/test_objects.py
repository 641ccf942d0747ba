"""The losses are small where objects are right, and leave out what doesn't count."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_im2im.training.losses.objects import (
    BoundaryLoss,
    EmbeddingLoss,
    lovasz_hinge,
)

EXTENT = (10, 12)
EMBEDSEG = {"instance": 1.0, "bandwidth": 10.0, "seed": 1.0}


def two_squares() -> torch.Tensor:
    labels = torch.zeros((1, 1, 24, 40), dtype=torch.int32)
    labels[..., 6:16, 4:16], labels[..., 6:16, 22:34] = 1, 2
    return labels


def logits(probabilities: torch.Tensor) -> torch.Tensor:
    return torch.logit(probabilities, eps=1e-6)


def perfect(labels: torch.Tensor) -> torch.Tensor:
    """Return what a network would give that knows the labels."""
    grid = torch.stack(
        torch.meshgrid(*map(torch.arange, labels.shape[2:]), indexing="ij")
    )
    maps = torch.full((1, 5, *labels.shape[2:]), 0.5)
    maps[:, 2:4] = 0.3
    maps[:, 4] = 0
    for label in (1, 2):
        inside = labels[0, 0] == label
        places = grid[:, inside].float()
        centre = places[:, (places - places.mean(1)[:, None]).square().sum(0).argmin()]
        for axis, size in enumerate(EXTENT):
            pointing = centre[axis] - grid[axis][inside]
            maps[0, axis][inside] = pointing / (2 * size) + 0.5
        maps[0, 4][inside] = 1
    return logits(maps)


def test_the_right_embedding_costs_nothing():
    labels = two_squares()
    loss = EmbeddingLoss(EMBEDSEG, EXTENT, 10)
    assert loss(perfect(labels), labels) < 0.05
    assert loss(torch.zeros(1, 5, 24, 40), labels) > 1


def test_embeddings_are_learned_by_descent():
    torch.manual_seed(0)
    labels = two_squares()
    output = (0.1 * torch.randn(1, 5, 24, 40)).requires_grad_()
    loss = EmbeddingLoss(EMBEDSEG, EXTENT, 10)
    optimizer = torch.optim.Adam([output], lr=0.1)
    first = None
    for _ in range(60):
        optimizer.zero_grad()
        value = loss(output, labels)
        value.backward()
        optimizer.step()
        first = first or value.item()
    assert value.item() < first / 4


def test_pixels_of_weight_0_do_not_count():
    labels = two_squares()
    output = torch.zeros(1, 5, 24, 40)
    weight = torch.ones(1, 1, 24, 40)
    weight[..., 20:] = 0
    changed = labels.clone()
    changed[..., 6:16, 22:34] = 7
    changed[..., 2:4, 22:34] = 8
    loss = EmbeddingLoss(EMBEDSEG, EXTENT, 10)
    assert loss(output, labels, weight) == loss(output, changed, weight)
    assert loss(output, labels, weight) != loss(output, labels)
    assert loss(output, torch.zeros_like(labels)).isfinite()
    nothing = loss(output, labels, torch.zeros_like(weight))
    assert nothing == 0


@pytest.mark.parametrize("channels", [2, 3])
def test_boundary_losses_know_right_from_wrong(channels):
    target = (torch.rand(2, channels, 16, 16) > 0.5).float()
    loss = BoundaryLoss({"cross_entropy": 1.0, "dice": 1.0, "distance": 1.0})
    assert loss(logits(target), target) < 0.01
    assert loss(logits(1 - target), target) > 2
    weight = torch.ones(2, 1, 16, 16)
    weight[..., :8] = 0
    wrong = torch.where(weight > 0, target, 1 - target)
    assert loss(logits(wrong), target, weight) < 0.01


def test_lovasz_is_the_jaccard_loss_for_sure_answers():
    random = np.random.default_rng(0)
    truth = torch.from_numpy(random.random(200) > 0.6)
    guess = torch.from_numpy(random.random(200) > 0.5)
    sure = torch.where(guess, 1.0, -1.0)
    union = (truth | guess).sum()
    jaccard = 1 - (truth & guess).sum() / union
    assert lovasz_hinge(sure, truth) == pytest.approx(2 * float(jaccard), abs=1e-5)
    assert lovasz_hinge(torch.where(truth, 1.0, -1.0), truth) == 0
