"""What a network is made of, as a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch


@dataclass(frozen=True)
class Layer:
    """A part of a network: its name, its kind, and how many weights it has."""

    name: str
    kind: str
    weights: int
    trained: int
    """Those that are learned, rather than frozen."""


def network_layers(network: torch.nn.Module) -> list[Layer]:
    """Return all parts of a network that hold weights themselves, in order."""
    layers = []
    for name, module in network.named_modules():
        own = list(module.parameters(recurse=False))
        if own:
            layers.append(
                Layer(
                    name or "network",
                    type(module).__name__,
                    sum(weight.numel() for weight in own),
                    sum(weight.numel() for weight in own if weight.requires_grad),
                )
            )
    return layers


def as_table(layers: Sequence[Layer]) -> str:
    """Return the parts as text, with their sum."""
    width = max((len(layer.name) for layer in layers), default=0)
    kinds = max((len(layer.kind) for layer in layers), default=0)
    lines = [
        f"{layer.name:<{width}}  {layer.kind:<{kinds}}  {layer.weights:>12,}"
        + ("" if layer.trained == layer.weights else "  frozen")
        for layer in layers
    ]
    weights = sum(layer.weights for layer in layers)
    trained = sum(layer.trained for layer in layers)
    return "\n".join([*lines, f"{weights:,} weights, {trained:,} of them learned", ""])


def by_part(layers: Sequence[Layer], depth: int = 2) -> dict[str, int]:
    """Return the weights of each part of a network, by the head of its name."""
    parts: dict[str, int] = {}
    for layer in layers:
        head = ".".join(layer.name.split(".")[:depth])
        parts[head] = parts.get(head, 0) + layer.weights
    return parts
