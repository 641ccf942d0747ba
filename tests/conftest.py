"""What all tests need."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager


@pytest.fixture(autouse=True, scope="session")
def _no_home_of_a_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep models, runs and caches of the user out of tests, and theirs out of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAPARI_IM2IM_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture
def no_larger_file() -> Callable[[int], AbstractContextManager[None]]:
    """Let no file grow beyond some bytes, much as if the disk were full."""
    resource = pytest.importorskip("resource")

    @contextmanager
    def limit(size: int) -> Iterator[None]:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limit
