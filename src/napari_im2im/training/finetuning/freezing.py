"""Layers that stay as they are while the others learn."""

from __future__ import annotations

import copy
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import torch

from napari_im2im.errors import ConfigError
from napari_im2im.models.tensors import FixedSize

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_im2im.models.tensors import SteppedSize
    from napari_im2im.training.config import TrainConfig


def freeze(
    network: torch.nn.Module,
    config: TrainConfig,
    in_channels: int,
    sizes: Mapping[str, SteppedSize | FixedSize],
) -> int:
    """Keep weights from being changed; return how many tensors.

    Raises
    ------
    ConfigError
        If a pattern fits nothing, or nothing is left to train.
    """
    names = [name for name, _ in network.named_parameters()]
    frozen: set[str] = set()
    for pattern in config.freeze:
        found = {n for n in names if _matches(n, pattern)}
        if not found:
            parts = sorted({name.split(".")[0] for name in names})
            raise ConfigError(
                f"No layer is called {pattern!r}: the layers are {', '.join(parts)}."
            )
        frozen |= found
    if config.freeze_depth:
        order = layers_in_order(network, in_channels, sizes)
        early = order[: round(config.freeze_depth * len(order))]
        frozen |= {n for n in names if n.rpartition(".")[0] in early}
    if len(frozen) == len(names):
        raise ConfigError("All layers are frozen: leave at least one to train.")
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name not in frozen)
    for name, module in network.named_modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm) and any(
            n.rpartition(".")[0] == name for n in frozen
        ):
            # Its mean and variance are part of what stays, while training as well.
            module.register_forward_pre_hook(_evaluate)
    return len(frozen)


def _evaluate(module: torch.nn.Module, _: Any) -> None:
    module.eval()


def _matches(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*")


def layers_in_order(
    network: torch.nn.Module,
    in_channels: int,
    sizes: Mapping[str, SteppedSize | FixedSize],
) -> list[str]:
    """Return the names of the layers with weights, in the order that they run.

    Parameters
    ----------
    network
        Run once, on the meta device: nothing is computed.
    in_channels
        Of its input.
    sizes
        What it takes, by spatial axis in order.
    """
    probe = copy.deepcopy(network).to("meta").eval()
    layers = {
        name: module
        for name, module in probe.named_modules()
        if next(module.parameters(recurse=False), None) is not None
    }
    order: list[str] = []
    for name, module in layers.items():
        module.register_forward_hook(lambda *_, name=name: order.append(name))
    shape = [
        size.size if isinstance(size, FixedSize) else size.minimum + 3 * size.step
        for size in sizes.values()
    ]
    try:
        with torch.inference_mode():
            probe(torch.empty((1, in_channels, *shape), device="meta"))
    except Exception:  # Networks of others may need real pixels.
        order = list(layers)
    return list(dict.fromkeys(order))
