from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def forbid():
    """Let nobody read a file or a folder, until the test is over."""
    changed: list[tuple[Path, int]] = []

    def forbid(path: Path) -> None:
        changed.append((path, path.stat().st_mode))
        path.chmod(0)
        if os.access(path, os.R_OK):
            pytest.skip("whoever runs this may read everything")

    yield forbid
    for path, mode in changed:
        path.chmod(mode)
