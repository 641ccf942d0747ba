"""What all tests of predictions need."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True, scope="module")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what is measured on networks out of the cache of the user and other files.

    Models made up by tests share a sha256, by which measurements are kept.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAPARI_IM2IM_HOME", str(tmp_path_factory.mktemp("home")))
        yield
