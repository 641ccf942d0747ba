"""Learning also from what tells images that were made from real ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

from napari_im2im.errors import ModelError
from napari_im2im.training.adversarial.cycle import CycleNetworks
from napari_im2im.training.learner import Learner
from napari_im2im.training.together import synchronize_norms

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lightning_fabric import Fabric

    from napari_im2im.training.adversarial.config import AdversarialConfig
    from napari_im2im.training.adversarial.discriminators import Discriminators
    from napari_im2im.training.batches import LearningBatch
    from napari_im2im.training.config import OptimizerConfig

Compare = Callable[["LearningBatch", Tensor], tuple[list[Tensor], list[Tensor]]]

_BETAS = (0.5, 0.999)
"""Of AdamW: gradients of networks that learn against each other turn quickly
(Radford et al. 2016, https://arxiv.org/abs/1511.06434)."""


class AdversarialLearner(Learner):
    """Takes a step of a network, then one of the discriminators that judge it.

    Parameters
    ----------
    network, discriminators
        As they start.
    config, adversarial
        Optimisers, schedule and weights.
    fabric
        Device and precision.
    compare
        Returns for a batch and what the network makes of it what each discriminator
        compares: real images, and images that were made.
    """

    loss_names = ("train_loss", "adversarial_loss", "discriminator_loss")

    def __init__(
        self,
        network: torch.nn.Module,
        discriminators: Discriminators,
        config: OptimizerConfig,
        adversarial: AdversarialConfig,
        fabric: Fabric,
        compare: Compare,
    ) -> None:
        super().__init__(network, config, fabric, betas=_BETAS)
        self.weight, self.compare = adversarial.weight or 0.0, compare
        rate = adversarial.learning_rate or config.rate
        self._rates = rate / config.rate
        self.least_size = discriminators.least_size
        if fabric.world_size > 1 and fabric.device.type == "cuda":
            synchronize_norms(discriminators)
        optimizer = torch.optim.AdamW(
            discriminators.parameters(),
            lr=rate,
            weight_decay=config.weight_decay,
            betas=_BETAS,
        )
        self.judges: Discriminators = discriminators
        self.discriminators, self.second = fabric.setup(discriminators, optimizer)

    @property
    def kept(self) -> torch.nn.Module:
        """The network that packages hold; of two the one that makes targets."""
        network = super().kept
        return network.there if isinstance(network, CycleNetworks) else network

    def learn(self, batch: LearningBatch, loss: torch.nn.Module, parts: int) -> Tensor:
        """Take one step of both.

        Returns
        -------
        Tensor
            The losses of the batch by `loss_names`, still on the device: that of
            the task, what the discriminators see, and their own mistakes.
        """
        self.optimizer.zero_grad()
        total = torch.zeros(len(self.loss_names), device=self.fabric.device)
        seen = []
        for part in batch.parts(parts):
            share = len(part) / len(batch)
            values, real, made = self._judged(part, loss)
            self.fabric.backward(share * values.sum())
            total[: len(values)] += share * values.detach()
            seen.append((share, real, made))
        self._step(self.network, self.optimizer)
        if self.average is not None:
            self.average.update_parameters(self.network.module)
        self._follow()
        self.second.zero_grad()
        for share, real, made in seen:
            mistakes = self.judges.mistakes(self.discriminators(real, made))
            self.fabric.backward(share * mistakes)
            total[-1] += share * mistakes.detach()
        self._step(self.discriminators, self.second)
        return total

    def _judged(
        self, part: LearningBatch, loss: torch.nn.Module
    ) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Return the weighted losses of a part, and what the discriminators compare.

        Both lists hold an image for each discriminator: a real one, and one that was
        made, without its gradient.
        """
        output = self.network(part.input)
        real, made = self.compare(part, output)
        values = [loss(output, part.target, part.weight), self._suspicion(made)]
        return torch.stack(values), real, [image.detach() for image in made]

    @property
    def _networks(self) -> tuple[torch.nn.Module, ...]:
        return (*super()._networks, self.judges)

    def _compute_alone(self, part: LearningBatch, loss: torch.nn.Module) -> None:
        with self.fabric.autocast():
            output = self.network.module(part.input)
        output = output.float()
        real, made = self.compare(part, output)
        value: Any = loss(output, part.target, part.weight)
        (value + self._suspicion(made)).backward()
        with self.fabric.autocast():
            opinions = self.judges(real, [image.detach() for image in made])
        mistakes: Any = self.judges.mistakes(opinions)
        mistakes.backward()

    def _suspicion(self, made: list[Tensor]) -> Tensor:
        # Without the wrapper for several processes, which waits for gradients.
        with self.fabric.autocast():
            return self.weight * self.judges.suspicion(made)

    def _follow(self) -> None:
        """Let the learning rate of the discriminators follow the network's."""
        for group in self.second.param_groups:
            group["lr"] = self.rate * self._rates

    def forget_gradients(self) -> None:
        """Free what a step that failed has left."""
        self.second.zero_grad()
        super().forget_gradients()

    def state_dict(self) -> dict[str, Any]:
        """Return all that a checkpoint needs to go on."""
        return {
            **super().state_dict(),
            "discriminators": self.discriminators.state_dict(),
            "second_optimizer": self.second.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned.

        Raises
        ------
        ModelError
            If it is of other networks.
        """
        super().load_state_dict(state)
        try:
            self.discriminators.load_state_dict(state["discriminators"])
            self.second.load_state_dict(state["second_optimizer"])
        except (RuntimeError, ValueError, TypeError, KeyError) as error:
            raise ModelError(
                "The checkpoint doesn't fit the discriminators of its config: train "
                "anew."
            ) from error


def beside_input(normalised: Callable[[Tensor], Tensor]) -> Compare:
    """Return what lets a discriminator see the input beside target or prediction.

    So in pix2pix (Isola et al. 2017, https://doi.org/10.1109/CVPR.2017.632). What
    doesn't count is 0 in both.

    Parameters
    ----------
    normalised
        Returns what the network is asked to return for an encoded target.
    """

    def compare(
        part: LearningBatch, output: Tensor
    ) -> tuple[list[Tensor], list[Tensor]]:
        source, images = part.input, [normalised(part.target), output]
        if source.shape[2:] != output.shape[2:]:
            source = functional.interpolate(source, output.shape[2:])
        if part.weight is not None:
            images = [image * (part.weight > 0) for image in images]
        real, made = (torch.cat([source, image], dim=1) for image in images)
        return [real], [made]

    return compare
