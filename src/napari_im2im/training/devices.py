"""Where a training runs, and in which precision."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from lightning_fabric import Fabric

from napari_im2im.errors import ConfigError
from napari_im2im.training.processes import processes

if TYPE_CHECKING:
    from napari_im2im.training.config import TrainConfig


def open_fabric(config: TrainConfig) -> Fabric:
    """Return a Fabric on one device, or on one for each process of several.

    Where ``torchrun`` or SLURM has started several processes, they train together
    (DDP): each learns a batch of its own, and gradients are averaged.

    Raises
    ------
    ConfigError
        If there is no such device or precision.
    """
    kind, _, index = config.device.partition(":")
    precision = config.precision
    if precision == "auto":
        cuda = kind in ("auto", "cuda", "gpu") and torch.cuda.is_available()
        mixed = "bf16-mixed" if cuda and torch.cuda.is_bf16_supported() else "16-mixed"
        precision = mixed if cuda else "32-true"
    together = processes()
    several = together.count > 1
    try:
        fabric = Fabric(
            accelerator=kind,
            devices=[int(index)] if index else together.on_this_computer,
            num_nodes=together.computers,
            strategy="ddp" if several else "auto",
            precision=precision,  # type: ignore[arg-type]
        )
        if several:
            fabric.launch()
        torch.empty(1, device=fabric.device)
    except (ValueError, RuntimeError, AssertionError, LookupError) as error:
        raise ConfigError(
            f"Training can't run on {config.device} with precision {precision} "
            f"({' '.join(str(error).split())}): use device 'auto' or 'cpu'."
        ) from error
    return fabric


def device_name(device: torch.device) -> str:
    """Return what to call a device in sentences."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory is short, on any device."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = str(error).lower()
    return "out of memory" in text or "can't allocate memory" in text
