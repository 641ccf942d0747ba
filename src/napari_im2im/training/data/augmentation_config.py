"""How patches are varied while learning, as data."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from collections.abc import Mapping

AugmentationStrength = Literal["none", "standard", "heavy"]

_Amount = Annotated[float, Field(ge=0, le=0.9)]
_Probability = Annotated[float, Field(ge=0, le=1)]


class AugmentationConfig(BaseModel):
    """Changes of the patches, each drawn anew for each patch; 0 leaves one out.

    Input, target and cost map get the same geometry, in the y-x plane; whatever
    changes the look is for the input alone, behind its normalisation. What isn't
    set is as in ``standard``.
    """

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    flip: bool = Field(True, description="Mirror half of the patches.")
    quarter_turns: bool = Field(True, description="Turn by 0, 90, 180 or 270°.")
    rotation: float = Field(0, ge=0, le=180, description="Largest rotation in °.")
    scale: _Amount = Field(0, description="Largest relative change of the size.")
    elastic: float = Field(
        0, ge=0, le=50, description="Typical shift of elastic deformation in pixels."
    )
    brightness: float = Field(
        0, ge=0, le=5, description="Largest shift, in standard deviations."
    )
    contrast: _Amount = Field(0, description="Largest relative change.")
    gamma: _Amount = Field(
        0, description="Largest relative change of the exponent, of which 1 is linear."
    )
    noise: float = Field(
        0, ge=0, le=5, description="Most Gaussian noise, in standard deviations."
    )
    blur: float = Field(
        0, ge=0, le=10, description="Largest sigma of a Gaussian blur in pixels."
    )
    defocus: float = Field(
        0, ge=0, le=10, description="Largest radius of a disc blur in pixels."
    )
    grid_mask: _Probability = Field(
        0, description="Part of the patches with a grid of squares hidden."
    )
    cutout: _Probability = Field(
        0, description="Part of the patches with a rectangle hidden."
    )
    channel_dropout: _Probability = Field(
        0, description="Part of the patches with one of several channels hidden."
    )
    probability: _Probability = Field(
        0.5, description="Part of the patches that each change of an amount applies to."
    )

    @property
    def warps(self) -> bool:
        """Whether pixels have to be interpolated."""
        return bool(self.rotation or self.scale or self.elastic)


STRENGTHS: Mapping[AugmentationStrength, AugmentationConfig] = MappingProxyType(
    {
        "none": AugmentationConfig(flip=False, quarter_turns=False),
        "standard": AugmentationConfig(),
        "heavy": AugmentationConfig(
            rotation=45,
            scale=0.2,
            elastic=2,
            brightness=0.3,
            contrast=0.3,
            gamma=0.3,
            noise=0.2,
            blur=1,
            defocus=1,
            grid_mask=0.1,
            cutout=0.1,
            channel_dropout=0.1,
        ),
    }
)
"""What the words mean."""


def augmentation_of(
    value: AugmentationStrength | AugmentationConfig,
) -> AugmentationConfig:
    """Return the settings of a word, or the settings themselves."""
    return value if isinstance(value, AugmentationConfig) else STRENGTHS[value]
