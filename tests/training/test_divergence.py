from __future__ import annotations

import torch
from torch import nn

from napari_im2im.training.batches import LearningBatch
from napari_im2im.training.divergence import worst_patch


class Error(nn.Module):
    def forward(self, output, target, weight):
        return ((output - target) ** 2).mean()


def batch_of(values):
    pixels = torch.tensor(values).view(-1, 1, 1, 1).expand(-1, 1, 4, 4)
    return LearningBatch(pixels, torch.zeros_like(pixels))


def test_the_patch_that_broke_a_training_is_found_although_the_network_is_broken():
    network = nn.Conv2d(1, 1, 1)
    nn.init.ones_(network.weight)
    weights = {name: value.clone() for name, value in network.state_dict().items()}
    for values, expected in (([0.1, 1e6, 2.0], 1), ([5.0, 1.0, torch.inf], 2)):
        nn.init.constant_(network.weight, torch.nan)
        assert worst_patch(network, weights, batch_of(values), Error()) == expected
