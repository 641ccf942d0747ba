from __future__ import annotations

import math

import pytest
import torch
from lightning_fabric import Fabric

from napari_im2im.errors import ModelError
from napari_im2im.training.batches import LearningBatch
from napari_im2im.training.config import OptimizerConfig
from napari_im2im.training.learner import Learner
from napari_im2im.training.losses.images import WeightedLoss

LOSS = WeightedLoss({"mse": 1.0}, (8, 8), [0.0], [1.0])


def learner(width=4, **values):
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(1, width, 3, padding=1),
        torch.nn.BatchNorm2d(width),
        torch.nn.Conv2d(width, 1, 1),
    )
    fabric = Fabric(accelerator="cpu", devices=1)
    return Learner(network, OptimizerConfig.model_validate(values), fabric)


def batch(seed=0, count=6):
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.rand((count, 1, 8, 8), generator=generator)
    return LearningBatch(pixels, 2 * pixels - 1)


def weights(network):
    return torch.cat([weight.detach().flatten() for weight in network.parameters()])


@pytest.mark.parametrize("parts", [2, 4, 6])
def test_gradients_of_parts_add_up_to_those_of_the_whole(parts):
    found = []
    for count in (1, parts):
        one = learner(gradient_clip=None)
        # Batch norm sees what it is given at once.
        one.network.module[1] = torch.nn.Identity()
        loss = one.learn(batch(), LOSS, count)
        gradients = [w.grad.flatten() for w in one.network.parameters()]
        found.append(torch.cat([loss, *gradients]))
    torch.testing.assert_close(*found)


def test_the_average_lags_behind_the_weights():
    one = learner(ema=0.99, learning_rate=0.1)
    seen = []
    for step in range(30):
        one.learn(batch(step), LOSS, 1)
        seen.append(weights(one.network))
    average = weights(one.judged)
    steps = [(average - each).norm() for each in seen]
    assert steps.index(min(steps)) < 29
    assert min(steps) < (seen[0] - seen[-1]).norm()
    # What batch norm has counted is that of the network.
    assert torch.equal(
        one.judged.module[1].running_mean, one.network.module[1].running_mean
    )


def test_without_an_average_the_network_itself_is_judged():
    one = learner()
    assert one.judged is one.network


def test_the_rate_is_halved_where_validation_stays():
    one = learner(schedule="plateau", plateau_patience=2, learning_rate=0.1)
    rates = []
    for score in (1.0, 0.9, 0.95, 0.9, 0.9, 0.8, 0.8):
        one.follow_schedule(0.5)
        rates.append(one.rate)
        one.follow_validation(score)
    assert rates == [0.1] * 5 + [0.05] * 2


def test_one_cycle_rises_and_falls():
    one = learner(schedule="one_cycle", learning_rate=0.1)
    rates = []
    for progress in (0.0, 0.15, 0.3, 0.6, 1.0):
        one.follow_schedule(progress)
        rates.append(one.rate)
    assert rates[0] == pytest.approx(0.004)
    assert rates[2] == pytest.approx(0.1)
    assert rates[0] < rates[1] < rates[2] > rates[3] > rates[4]
    assert rates[4] == pytest.approx(4e-7)


@pytest.mark.parametrize("schedule", ["cosine", "plateau"])
def test_what_is_restored_goes_on_the_same(schedule):
    values = {"schedule": schedule, "ema": 0.9, "plateau_patience": 1}
    whole, first, second = (learner(**values) for _ in range(3))

    def take(one, start, stop):
        for step in range(start, stop):
            one.follow_schedule(step / 8)
            one.learn(batch(step), LOSS, 2)
            one.follow_validation(math.cos(step))

    take(whole, 0, 8)
    take(first, 0, 5)
    second.load_state_dict(first.state_dict())
    take(second, 5, 8)
    assert torch.equal(weights(whole.network), weights(second.network))
    assert torch.equal(weights(whole.judged), weights(second.judged))
    assert whole.rate == second.rate


def test_a_checkpoint_of_another_network_is_refused():
    with pytest.raises(ModelError, match="train anew"):
        learner().load_state_dict(learner(width=5).state_dict())
