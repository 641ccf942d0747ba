"""What all tests need."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True, scope="session")
def _no_home_of_a_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep models, runs and caches of the user out of tests, and theirs out of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAPARI_IM2IM_HOME", str(tmp_path_factory.mktemp("home")))
        yield
