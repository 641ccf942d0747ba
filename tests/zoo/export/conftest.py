"""One thread for tiny networks, and a home of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAPARI_IM2IM_HOME", str(tmp_path / "home"))


@pytest.fixture(autouse=True, scope="package")
def _one_thread() -> Iterator[None]:
    """Let tiny networks run on one core: sharing them out costs more."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
