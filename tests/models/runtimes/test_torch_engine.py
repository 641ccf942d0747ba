"""PyTorch's own words about its memory are understood."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from napari_im2im.errors import ModelError
from napari_im2im.models.package import load_package
from napari_im2im.models.runtimes.torch_engine import TorchRuntime
from packages import write_smooth_package

if TYPE_CHECKING:
    from pathlib import Path


class Failing(torch.nn.Module):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise RuntimeError(self.text)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("DefaultCPUAllocator: can't allocate memory", MemoryError),
        ("could not create a primitive", MemoryError),
        ("mat1 and mat2 shapes cannot be multiplied", ModelError),
    ],
)
def test_short_memory_is_told_from_other_errors(
    tmp_path: Path, text: str, kind: type[Exception]
) -> None:
    package = load_package(write_smooth_package(tmp_path))
    runtime = TorchRuntime(
        package, Failing(text), engine="torch", weights_format="torchscript"
    )
    arrays = [np.zeros((1, 1, 64, 64), np.float32)] * len(package.inputs)
    with pytest.raises(kind, match=text.split(":")[0]):
        runtime(arrays)
