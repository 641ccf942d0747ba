"""A network that learns: optimiser, learning rate, precision and moving average."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from napari_im2im.errors import ModelError
from napari_im2im.training.schedule import learning_rate_factor
from napari_im2im.training.together import rehearsal, synchronize_norms

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lightning_fabric import Fabric
    from lightning_fabric.wrappers import _FabricModule, _FabricOptimizer

    from napari_im2im.training.batches import LearningBatch
    from napari_im2im.training.config import OptimizerConfig

_PLATEAU_FACTOR = 0.5


class Learner:
    """Takes steps of the optimiser.

    Parameters
    ----------
    network
        As it starts.
    config
        Optimiser, schedule, moving average.
    fabric
        Device and precision.
    betas
        Of AdamW: how slowly the mean of the gradients and of their squares change.
    """

    loss_names: tuple[str, ...] = ("train_loss",)
    """What `learn` returns."""

    least_size = 1
    """Pixels along each axis that a patch needs."""

    def __init__(
        self,
        network: torch.nn.Module,
        config: OptimizerConfig,
        fabric: Fabric,
        betas: tuple[float, float] = (0.9, 0.999),
    ) -> None:
        self.config, self.fabric = config, fabric
        if fabric.world_size > 1 and fabric.device.type == "cuda":
            synchronize_norms(network)
        self.average = _moving_average(network, config.ema) if config.ema else None
        optimizer = torch.optim.AdamW(
            network.parameters(),
            lr=config.rate,
            weight_decay=config.weight_decay,
            betas=betas,
        )
        self.network, self.optimizer = fabric.setup(network, optimizer)
        self.plateau = ReduceLROnPlateau(
            self.optimizer.optimizer,
            factor=_PLATEAU_FACTOR,
            patience=config.plateau_patience,
        )
        self.judged = self.network
        """What validation judges."""
        if self.average is not None:
            self.judged = fabric.setup_module(self.average.module)

    @property
    def kept(self) -> torch.nn.Module:
        """The network that packages hold."""
        network: torch.nn.Module = self.judged.module
        return network

    @property
    def rate(self) -> float:
        """The learning rate of the last step."""
        rate: float = self.optimizer.param_groups[0]["lr"]
        return rate

    def follow_schedule(self, progress: float) -> None:
        """Set the learning rate for a point of the training, from 0 to 1."""
        if self.config.schedule == "plateau":
            return
        factor = learning_rate_factor(
            progress, self.config.warmup, self.config.schedule
        )
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.rate * factor

    def follow_validation(self, score: float) -> None:
        """Halve the learning rate where a score, smaller if better, stays."""
        if self.config.schedule == "plateau":
            self.plateau.step(score)

    def learn(
        self, batch: LearningBatch, loss: torch.nn.Module, parts: int
    ) -> torch.Tensor:
        """Take one step for a batch, of which a part is computed at a time.

        Returns
        -------
        torch.Tensor
            The losses of the batch by `loss_names`, still on the device.
        """
        self.optimizer.zero_grad()
        total = torch.zeros((), device=self.fabric.device)
        for part in batch.parts(parts):
            share = len(part) / len(batch)
            value = share * loss(self.network(part.input), part.target, part.weight)
            self.fabric.backward(value)
            total += value.detach()
        self._step(self.network, self.optimizer)
        if self.average is not None:
            self.average.update_parameters(self.network.module)
        return total[None]

    def rehearse(self, batch: LearningBatch, loss: torch.nn.Module, parts: int) -> None:
        """Compute the gradients of a batch as `learn` does, and forget them.

        Raises
        ------
        RuntimeError or MemoryError
            Where memory is short.
        """
        with rehearsal(*self._networks):
            for part in batch.parts(parts):
                self._compute_alone(part, loss)

    @property
    def _networks(self) -> tuple[torch.nn.Module, ...]:
        """All that learn, without their wrappers for several processes."""
        return (self.network.module,)

    def _compute_alone(self, part: LearningBatch, loss: torch.nn.Module) -> None:
        with self.fabric.autocast():
            output = self.network.module(part.input)
        loss(output.float(), part.target, part.weight).backward()

    def _step(self, network: _FabricModule, optimizer: _FabricOptimizer) -> None:
        """Clip the gradients, and let the optimiser use them."""
        if self.config.gradient_clip is not None:
            self.fabric.clip_gradients(
                network,
                optimizer,
                max_norm=self.config.gradient_clip,
                error_if_nonfinite=False,
            )
        optimizer.step()

    def restart_average(self) -> None:
        """Let the moving average begin with the weights as they are."""
        if self.average is not None:
            self.average.update_parameters(self.network.module)

    def forget_gradients(self) -> None:
        """Free what a step that failed has left."""
        self.optimizer.zero_grad()
        if self.fabric.device.type == "cuda":
            torch.cuda.empty_cache()

    def state_dict(self) -> dict[str, Any]:
        """Return all that a checkpoint needs to go on."""
        average = self.average
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "plateau": self.plateau.state_dict(),
            "precision": self.fabric.strategy.precision.state_dict(),
            "average": None if average is None else average.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned.

        Raises
        ------
        ModelError
            If it is of another network.
        """
        try:
            self.network.load_state_dict(state["network"])
            self.optimizer.load_state_dict(state["optimizer"])
            if self.average is not None:
                self.average.load_state_dict(state["average"])
        except (RuntimeError, ValueError, TypeError) as error:
            raise ModelError(
                "The checkpoint doesn't fit the network of its config: train anew."
            ) from error
        self.plateau.load_state_dict(state["plateau"])
        self.fabric.strategy.precision.load_state_dict(state["precision"])


def _moving_average(network: torch.nn.Module, decay: float) -> AveragedModel:
    """Return a moving average of the weights that forgets the first ones soon.

    The decay rises from 0.1, as in TensorFlow's moving average, so that a short
    training isn't judged by the weights that it started from.
    """

    def update(averages: Any, weights: Any, _count: Any) -> None:
        # Its own count stays on the CPU, so that no step waits for the device.
        count = int(average.n_averaged)
        rising = min(decay, (1 + count) / (10 + count))
        get_ema_multi_avg_fn(rising)(averages, weights, count)  # type: ignore[no-untyped-call]

    average = AveragedModel(network, multi_avg_fn=update)
    return average
