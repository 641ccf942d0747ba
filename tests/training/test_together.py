from __future__ import annotations

import copy

import torch
from lightning_fabric import Fabric

from napari_im2im.training.losses.images import WeightedLoss
from napari_im2im.training.together import any_process, rehearsal, synchronize_norms

LOSS = WeightedLoss({"mse": 1.0}, (8, 8), [0.0], [1.0])


def network():
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Sequential(
            torch.nn.Conv2d(1, 4, 3, padding=1), torch.nn.BatchNorm2d(4)
        ),
        torch.nn.BatchNorm2d(4),
        torch.nn.Conv2d(4, 1, 1),
    )


def test_norms_are_shared_and_frozen_ones_are_not():
    one = network()
    one[1].requires_grad_(requires_grad=False)
    before = copy.deepcopy(one)
    synchronize_norms(one)
    assert isinstance(one[0][1], torch.nn.SyncBatchNorm)
    assert isinstance(one[1], torch.nn.BatchNorm2d)
    # The packages and checkpoints of both are the same, and so is what they predict.
    before.load_state_dict(one.state_dict())
    pixels = torch.rand(2, 1, 8, 8)
    torch.testing.assert_close(one.eval()(pixels), before.eval()(pixels))


def test_a_rehearsal_leaves_no_trace():
    one = network()
    before = copy.deepcopy(one.state_dict())
    pixels = torch.rand(4, 1, 8, 8)
    with rehearsal(one):
        LOSS(one(pixels), pixels, None).backward()
    for name, value in one.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert all(weight.grad is None for weight in one.parameters())
    assert one[0][1].training


def test_one_process_answers_itself():
    fabric = Fabric(accelerator="cpu", devices=1)
    assert any_process(True, fabric)
    assert not any_process(False, fabric)
