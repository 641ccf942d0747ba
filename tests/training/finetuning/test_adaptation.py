"""A network that learned elsewhere is brought to new images before the first step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

from napari_im2im.training.finetuning.adaptation import adapt

if TYPE_CHECKING:
    from torch import Tensor

Batch = tuple["Tensor", "Tensor | None", "Tensor | None"]


def network(last: nn.Module | None = None) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        last or nn.Conv2d(8, 2, 1),
    )


def batches(count: int = 4, *, weighted: bool = False) -> list[Batch]:
    """Return images and two mixtures of their blurs."""
    generator = torch.Generator().manual_seed(1)
    made: list[Batch] = []
    for _ in range(count):
        image = 3 + 2 * torch.randn((4, 1, 16, 16), generator=generator)
        blurred = nn.functional.avg_pool2d(image, 3, stride=1, padding=1)
        target = torch.cat([image - blurred, 1 + blurred], dim=1)
        weight = None
        if weighted:
            # The lower half says something else, and doesn't count.
            target[:, :, 8:] = 100
            weight = torch.ones(4, 1, 16, 16)
            weight[:, :, 8:] = 0
        made.append((image, target, weight))
    return made


def error(model: nn.Module, made: list[Batch], rows: slice = slice(None)) -> float:
    model.eval()
    with torch.no_grad():
        differences = [
            (model(image) - target)[:, :, rows].square().mean()
            for image, target, _ in made
            if target is not None
        ]
    return float(torch.stack(differences).mean())


def test_batch_norms_get_the_statistics_of_the_new_images() -> None:
    model, made = network().train(), batches()
    assert adapt(model, ((image, None, None) for image, *_ in made)) is False
    assert model.training
    with torch.no_grad():
        features = torch.cat([model[0](image) for image, *_ in made])
    norm = model[1]
    expected = features.mean(dim=(0, 2, 3))
    torch.testing.assert_close(norm.running_mean, expected, atol=1e-4, rtol=1e-4)
    assert norm.momentum == 0.1


def test_a_frozen_batch_norm_keeps_its_statistics() -> None:
    model = network()
    for parameter in model[1].parameters():
        parameter.requires_grad_(False)
    # As `freeze` does.
    model[1].register_forward_pre_hook(lambda norm, _: norm.eval() and None)
    adapt(model, batches())
    assert model[1].running_mean.abs().max() == 0


def test_a_new_last_layer_fits_the_features() -> None:
    model, made = network(), batches()
    before = error(model, made)
    assert adapt(model, made, head="3")
    after = error(model, made)
    assert after < 0.5 * before
    # Nothing that the last layer alone can do is much better.
    optimiser = torch.optim.LBFGS(model[3].parameters(), max_iter=200)

    def closure() -> float:
        optimiser.zero_grad()
        terms = [
            (model(image) - target).square().mean()
            for image, target, _ in made
            if target is not None
        ]
        loss = torch.stack(terms).mean()
        loss.backward()
        return loss.item()

    optimiser.step(closure)
    assert after < 1.1 * error(model, made)


def test_pixels_that_dont_count_arent_fitted() -> None:
    model, plain = network(), network()
    adapt(model, batches(weighted=True), head="3")
    adapt(plain, [(x, y, None) for x, y, _ in batches(weighted=True)], head="3")
    upper = slice(0, 7)
    made = batches(weighted=True)
    assert error(model, made, upper) < 0.1 * error(plain, made, upper)


@pytest.mark.parametrize(
    "last",
    [
        nn.Conv2d(8, 2, 3, padding=1),
        nn.ConvTranspose2d(8, 2, 1),
        nn.Sequential(nn.Conv2d(8, 2, 1), nn.Sigmoid()),
    ],
    ids=["wide", "transposed", "not last"],
)
def test_other_last_layers_stay_as_they_are(last: nn.Module) -> None:
    model = network(last)
    name = "3.0" if isinstance(last, nn.Sequential) else "3"
    before = model.get_submodule(name).weight.clone()
    assert adapt(model, batches(), head=name) is False
    assert torch.equal(model.get_submodule(name).weight, before)
