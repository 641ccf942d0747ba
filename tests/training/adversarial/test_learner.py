"""A network and its discriminator, learning against each other."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision

from napari_im2im.errors import ConfigError
from napari_im2im.training.adversarial.config import AdversarialConfig
from napari_im2im.training.adversarial.discriminators import Discriminators
from napari_im2im.training.adversarial.learner import AdversarialLearner, beside_input
from napari_im2im.training.batches import LearningBatch
from napari_im2im.training.config import OptimizerConfig
from napari_im2im.training.losses.images import WeightedLoss

LOSS = WeightedLoss({"l1": 1.0}, (16, 16), [0.0], [1.0])


def open_fabric(precision):
    """Return a Fabric on the CPU; with a scaler where it has half precision."""
    if precision != "16-mixed":
        return Fabric(accelerator="cpu", devices=1, precision=precision)
    scaler = torch.amp.GradScaler("cpu", init_scale=2**8)
    plugin = MixedPrecision("16-mixed", "cpu", scaler)
    return Fabric(accelerator="cpu", devices=1, plugins=[plugin])


def learner(weight=1.0, rate=None, precision="32-true", **values):
    torch.manual_seed(0)
    adversarial = AdversarialConfig(weight=weight, channels=4, learning_rate=rate)
    network = torch.nn.Conv2d(1, 1, 3, padding=1)
    return AdversarialLearner(
        network,
        Discriminators([2], {"y": 16, "x": 16}, adversarial),
        OptimizerConfig.model_validate(values),
        adversarial,
        open_fabric(precision),
        beside_input(lambda target: target),
    )


def batch(seed=0, count=4, weight=None):
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.rand((count, 1, 16, 16), generator=generator)
    return LearningBatch(pixels, torch.rand(pixels.shape, generator=generator), weight)


def state(one):
    return {
        name: torch.cat([w.detach().flatten().clone() for w in module.parameters()])
        for name, module in (("network", one.network), ("judge", one.discriminators))
    }


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
def test_both_learn_and_all_losses_are_told(precision):
    one = learner(precision=precision)
    before = state(one)
    losses = dict(zip(one.loss_names, one.learn(batch(), LOSS, 1), strict=True))
    after = state(one)
    assert {*losses} == {"train_loss", "adversarial_loss", "discriminator_loss"}
    assert all(value.isfinite() for value in losses.values())
    assert not any(torch.equal(before[name], after[name]) for name in before)


def test_the_network_alone_learns_from_what_the_discriminator_sees():
    """The discriminator's gradients come from its own mistakes alone."""
    one = learner(weight=100.0, gradient_clip=None)
    judges = one.judges
    output = torch.rand((2, 2, 16, 16), requires_grad=True)
    judges.suspicion([output]).backward()
    assert output.grad is not None
    assert all(weight.grad is None for weight in judges.parameters())
    assert all(weight.requires_grad for weight in judges.parameters())


def test_the_discriminator_learns_to_tell_them_apart():
    one = learner(rate=0.01, learning_rate=1e-6, warmup=0)
    one.follow_schedule(0.0)
    losses = [float(one.learn(batch(n), LOSS, 1)[2]) for n in range(30)]
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5])


@pytest.mark.parametrize("parts", [2, 4])
def test_parts_of_a_batch_count_as_the_whole(parts):
    found = []
    for count in (1, parts):
        one = learner(gradient_clip=None)
        for norm in [m for m in one.judges.modules() if "Batch" in type(m).__name__]:
            norm.eval()  # batch norm sees what it is given at once
        losses = one.learn(batch(), LOSS, count)
        found.append(torch.cat([losses, *state(one).values()]))
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-5)


def test_pixels_that_do_not_count_are_not_seen():
    weight = torch.ones((4, 1, 16, 16))
    weight[..., :8] = 0
    part = batch(weight=weight)
    for images in beside_input(lambda target: target)(part, part.target):
        (seen,) = images
        assert (seen[:, 1:, :, :8] == 0).all()
        assert torch.equal(seen[:, :1], part.input)


def test_the_rate_of_the_discriminator_follows_that_of_the_network():
    one = learner(rate=0.02, learning_rate=0.01)
    for progress in (0.5, 1.0):
        one.follow_schedule(progress)
        one.learn(batch(), LOSS, 1)
        assert one.second.param_groups[0]["lr"] == pytest.approx(2 * one.rate)


def test_a_rehearsal_leaves_no_trace():
    one = learner(precision="bf16-mixed")
    before, first = state(one), deepcopy(one.judges.state_dict())
    one.rehearse(batch(), LOSS, 2)
    for name, weights in state(one).items():
        assert torch.equal(weights, before[name])
    now = one.judges.state_dict()
    assert all(torch.equal(now[name], value) for name, value in first.items())
    assert all(weight.grad is None for weight in one.judges.parameters())


def test_a_checkpoint_holds_both():
    one, other = learner(), learner()
    one.learn(batch(), LOSS, 1)
    other.load_state_dict(deepcopy(one.state_dict()))
    for each in (one, other):
        each.learn(batch(1), LOSS, 2)
    for name, weights in state(one).items():
        assert torch.equal(weights, state(other)[name])


def test_small_patches_get_a_smaller_discriminator():
    config = AdversarialConfig(weight=1, channels=4)
    judges = Discriminators([1], {"z": 7, "y": 32, "x": 32}, config)
    assert judges.least_size == 6
    assert judges.opinions([torch.zeros(1, 1, 7, 32, 32)])[0].shape[:2] == (1, 1)
    with pytest.raises(ConfigError, match="needs patches of 6 pixels along z, not 4"):
        Discriminators([1], {"z": 4, "y": 32, "x": 32}, config)
