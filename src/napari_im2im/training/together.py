"""What several processes that train together have to agree on."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.modules.batchnorm import _BatchNorm

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lightning_fabric import Fabric


def synchronize_norms(network: torch.nn.Module) -> None:
    """Let batch norms see the patches of all processes, in place.

    PyTorch has such a norm for GPUs alone. Norms that are frozen stay as they are.
    """
    for module in list(network.modules()):
        for name, child in module.named_children():
            learns = all(weight.requires_grad for weight in child.parameters())
            if isinstance(child, _BatchNorm) and learns:
                convert: Any = torch.nn.SyncBatchNorm.convert_sync_batchnorm
                setattr(module, name, convert(child))


@contextmanager
def rehearsal(*networks: torch.nn.Module) -> Iterator[None]:
    """Let gradients be computed and forgotten, without other processes.

    A process that runs short of memory within a step would leave the others waiting
    for it, so this finds out before the first one.

    Parameters
    ----------
    networks
        As they are without their wrapper for several processes. Their batch norms
        take the statistics that they have, and keep them.
    """
    norms = [
        module
        for network in networks
        for module in network.modules()
        if isinstance(module, _BatchNorm) and module.training
    ]
    weights = [
        weight
        for network in networks
        for weight in network.parameters()
        if weight.requires_grad
    ]
    # As much as the optimiser will keep: a mean and a variance of each gradient.
    moments = [torch.empty_like(weight) for weight in weights for _ in range(2)]
    try:
        for norm in norms:
            norm.eval()
        yield
    finally:
        for norm in norms:
            norm.train()
        for network in networks:
            network.zero_grad()
        del moments


def any_process(answer: bool, fabric: Fabric) -> bool:
    """Return whether any process answers yes; all of them must ask."""
    count = torch.tensor(float(answer), device=fabric.device)
    return bool(fabric.all_reduce(count, reduce_op="sum"))
