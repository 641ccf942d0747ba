"""Settings of adversarial training; imports nothing heavy."""

from __future__ import annotations

from typing import Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
)

AdversarialLossName = Literal["least_squares", "bce", "hinge"]


class AdversarialConfig(BaseModel):
    """A discriminator, which learns to tell predictions from real images.

    What it still sees is a loss for the network beside the other one.
    """

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    weight: NonNegativeFloat | None = Field(
        None,
        description="Weight of what the discriminator sees, beside the loss, e.g. "
        "0.01; default: 0, in the task unpaired 0.1.",
    )
    loss: AdversarialLossName = Field(
        "least_squares", description="least_squares, bce (the first GANs) or hinge."
    )
    channels: PositiveInt = Field(
        64, description="Channels of the discriminator's first layer."
    )
    layers: PositiveInt = Field(
        3,
        description="Layers behind the first: each doubles what the discriminator "
        "sees at once, 70 pixels for 3. Small patches get fewer.",
    )
    learning_rate: PositiveFloat | None = Field(
        None, description="Of the discriminator; default: the network's."
    )
