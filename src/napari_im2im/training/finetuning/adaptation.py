"""Bringing a network that learned elsewhere to new images before the first step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from torch import Tensor, nn

    from napari_im2im.training.batches import Batches, LearningBatch

_BATCHES = 8
"""Batches that a network sees before its first step."""

_RIDGE = 1e-3
"""Part of the features' mean power that is added to each, so that few data do."""


Example = tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]
"""Normalised inputs, what to return for them, and how much each pixel counts."""


def first_examples(batches: Batches, parts: int) -> Iterator[Example]:
    """Yield what `adapt` needs from the first batches, each cut into parts."""
    for number in range(_BATCHES):
        for part in batches.batch(number).parts(parts):
            yield part.input, batches.task.regressed(part.target), part.weight


def first_loss(
    network: nn.Module, batch: LearningBatch, parts: int, loss: nn.Module
) -> float:
    """Return the loss of a network that hasn't learned from these images yet."""
    training = network.training
    network.eval()
    with torch.no_grad():
        values = [
            float(loss(network(part.input), part.target, part.weight))
            for part in batch.parts(parts)
        ]
    network.train(training)
    return sum(values) / len(values)


def adapt(
    network: nn.Module,
    examples: Iterable[Example],
    head: str = "",
) -> bool:
    """Measure the batch norms on new images, and fit a new last layer to them.

    Parameters
    ----------
    network
        Changed; it stays in its mode.
    examples
        Batches ``(batch, c, [z,] y, x)``; a target or a weight may be None.
    head
        Name of the last layer, if it is new: a convolution of width 1 whose output is
        the network's gets the weights of least squares. Empty: no layer is fitted.

    Returns
    -------
    bool
        Whether the last layer was fitted.

    Notes
    -----
    A batch norm holds the statistics of the images that it learned from; those of
    the new ones fit better (Li et al. 2018,
    https://doi.org/10.1016/j.patcog.2018.03.005). A last layer of random weights
    spoils in its first steps what the layers below it know; fitted to what they
    return, it doesn't (Kumar et al. 2022, https://arxiv.org/abs/2202.10054).
    """
    norms = _norms(network)
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over all batches
    fit = _LinearFit(network, head) if head else None
    training = network.training
    network.train()
    try:
        with torch.no_grad():
            for inputs, target, weight in examples:
                output = network(inputs)
                if fit is not None and target is not None:
                    fit.add(output, target, weight)
    finally:
        network.train(training)
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        if fit is not None:
            fit.close()
    return fit is not None and fit.solve()


def _norms(network: nn.Module) -> list[_BatchNorm]:
    """Return the batch norms that learn; a frozen one keeps its statistics."""
    return [
        module
        for module in network.modules()
        if isinstance(module, _BatchNorm)
        and module.track_running_stats
        and all(parameter.requires_grad for parameter in module.parameters())
    ]


class _LinearFit:
    """Least squares between what a layer reads and what the network shall return."""

    def __init__(self, network: nn.Module, name: str) -> None:
        self.layer = network.get_submodule(name)
        self.features: Tensor | None = None
        self.result: Tensor | None = None
        self.gram: Tensor | None = None
        self.moment: Tensor | None = None
        self._hook = self.layer.register_forward_hook(self._hear)

    def _hear(self, _: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        self.features, self.result = inputs[0], output

    def close(self) -> None:
        """Stop listening to the layer."""
        self._hook.remove()

    def add(self, output: Tensor, target: Tensor, weight: Tensor | None) -> None:
        """Take note of a batch, if the network returns what the layer does."""
        if not self._is_linear() or self.features is None or self.result is None:
            return
        if output.shape != self.result.shape or not torch.equal(output, self.result):
            return
        rows, wanted = _pixels(self.features.float()), _pixels(target.float())
        rows = torch.cat([rows, torch.ones_like(rows[:, :1])], dim=1)
        counted = rows if weight is None else rows * _pixels(weight.float())
        # Summed up in 64 bits, which not every device has.
        gram = (counted.T @ rows).cpu().double()
        moment = (counted.T @ wanted).cpu().double()
        self.gram = gram if self.gram is None else self.gram + gram
        self.moment = moment if self.moment is None else self.moment + moment

    def _is_linear(self) -> bool:
        layer = self.layer
        return (
            isinstance(layer, _ConvNd)
            and not isinstance(layer, _ConvTransposeNd)
            and set(layer.kernel_size) == set(layer.stride) == {1}
            and layer.groups == 1
            and layer.bias is not None
        )

    def solve(self) -> bool:
        """Give the layer the weights that fit best; return whether it was possible."""
        if self.gram is None or self.moment is None:
            return False
        power = self.gram.diagonal()[:-1].mean()
        ridge = torch.full((len(self.gram),), float(_RIDGE * power))
        ridge[-1] = 0  # not of the offset
        solution = torch.linalg.solve(self.gram + torch.diag(ridge), self.moment)
        parameters = dict(self.layer.named_parameters())
        weight, bias = parameters["weight"], parameters["bias"]
        with torch.no_grad():
            weight.copy_(solution[:-1].T.reshape(weight.shape))
            bias.copy_(solution[-1])
        return True


def _pixels(tensor: Tensor) -> Tensor:
    """Return ``(pixel, channel)``."""
    return tensor.movedim(1, -1).reshape(-1, tensor.shape[1])
