"""Networks that translate there and back."""

from __future__ import annotations

import pytest
import torch

from napari_im2im.training.adversarial.cycle import CycleNetworks


def networks(identity):
    torch.manual_seed(0)
    there = torch.nn.Sequential(torch.nn.BatchNorm2d(1), torch.nn.Conv2d(1, 1, 1))
    back = torch.nn.Sequential(torch.nn.BatchNorm2d(1), torch.nn.Conv2d(1, 1, 1))
    return CycleNetworks(there, back, 1, identity=identity)


@pytest.mark.parametrize("identity", [True, False])
def test_inputs_and_targets_go_there_and_back(identity):
    both = networks(identity).eval()
    source, goal = torch.rand(2, 3, 1, 4, 4)
    found = both(torch.cat([source, goal], 1)).split(1, dim=1)
    expected = [
        both.there(source),
        both.back(goal),
        both.back(both.there(source)),
        both.there(both.back(goal)),
    ]
    if identity:
        expected += [both.back(source), both.there(goal)]
    torch.testing.assert_close(list(found), expected)
    torch.testing.assert_close(both(source), expected[0])


def test_batch_norms_know_only_the_images_that_are_to_be_translated():
    both, alone = networks(True), networks(True)
    source, goal = torch.rand(3, 1, 4, 4), 100 + torch.rand(3, 1, 4, 4)
    both(torch.cat([source, goal], 1))
    alone.there(source)
    torch.testing.assert_close(both.there[0].running_mean, alone.there[0].running_mean)
    assert both.there[0].momentum == 0.1
