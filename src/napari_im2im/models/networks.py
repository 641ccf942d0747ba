"""The networks that can be trained: classes of `monai.networks.nets`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    import torch  # noqa: F401


class NetworkConfig(BaseModel):
    """Which network, and how it is built."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field("BasicUNet", description="A class of monai.networks.nets.")
    kwargs: dict[str, Any] = Field(
        default_factory=dict,
        description="Arguments of the class; sizes and channels are filled in.",
    )
