"""Settings of the task unpaired; imports nothing heavy."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat

ADVERSARIAL_WEIGHT, EMA, LEARNING_RATE = 0.1, 0.999, 2e-4
"""What suits the task where nothing is said (Zhu et al. 2017, Yazici et al. 2019)."""


class UnpairedConfig(BaseModel):
    """What holds two networks together that translate there and back."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    identity: NonNegativeFloat = Field(
        0.5,
        description="Weight of leaving alone what is in the other set already, beside "
        "that of coming back from there. Needs as many channels on both sides.",
    )
