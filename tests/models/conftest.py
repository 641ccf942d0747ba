"""Packages that the tests of this room only read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from packages import write_smooth_package, write_tiny_package

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep runs, models and caches of a test to itself."""
    folder = tmp_path / "home"
    monkeypatch.setenv("NAPARI_IM2IM_HOME", str(folder))
    return folder


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a package of a tiny 2D network with two inputs and outputs channels."""
    return write_tiny_package(tmp_path_factory.mktemp("tiny") / "model", in_channels=2)


@pytest.fixture(scope="session")
def smooth_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a package of one convolution in three weights formats."""
    return write_smooth_package(
        tmp_path_factory.mktemp("smooth") / "model",
        formats=("torchscript", "onnx", "pytorch_state_dict"),
    )
