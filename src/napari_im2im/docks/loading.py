"""Loading what a job needs before it is asked for, while the window goes on.

Python holds the window in two places while it imports. Its garbage collector looks
through all that was loaded so far, again and again, so it rests meanwhile. And it
lets no other thread run until a compiled library is linked, which for that of PyTorch
takes a third of a second, so that one is linked beforehand, as a call that lets go.
"""

from __future__ import annotations

import ctypes
import gc
import logging
import os
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QApplication

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_logger = logging.getLogger(__name__)

_thread = ThreadPoolExecutor(1, thread_name_prefix="im2im-load")
"""One thread: two that import the same libraries may meet halves of them."""

_loading: dict[str, Future[None]] = {}


def load_soon(modules: Sequence[str]) -> None:
    """Import modules in a thread, one after the other, unless the window is closed.

    What fails is told by `load`, to whoever needs it.
    """
    for name in modules:
        _load(name)


def load(modules: Sequence[str]) -> None:
    """Import modules in the thread of `load_soon`, and wait until they are there.

    Raises
    ------
    ImportError
        If one of them isn't installed or doesn't work.
    """
    for future in [_load(name) for name in modules]:
        future.result()


def _load(name: str) -> Future[None]:
    if name not in _loading:
        if not _loading and (application := QApplication.instance()) is not None:
            application.aboutToQuit.connect(_give_up)
        _loading[name] = _thread.submit(_import, name)
    return _loading[name]


def _give_up() -> None:
    """Leave what isn't begun yet, so that the program ends soon."""
    for name in [name for name, future in _loading.items() if future.cancel()]:
        del _loading[name]


def _import(name: str) -> None:
    collects = gc.isenabled()
    gc.disable()
    try:
        if name == "torch" and name not in sys.modules:
            _link_torch()
        import_module(name)
    finally:
        # Both together call all objects old, so that none is looked at now.
        gc.freeze()
        gc.unfreeze()
        if collects:
            gc.enable()


def _link_torch() -> None:
    """Link the library of PyTorch; where it can't be, the import tells why.

    On Windows PyTorch does so itself.
    """
    if sys.platform == "win32":
        return
    link = ctypes.CDLL(None).dlopen
    link.restype, link.argtypes = ctypes.c_void_p, (ctypes.c_char_p, ctypes.c_int)
    for path in _torch_libraries():
        if not link(os.fsencode(path), os.RTLD_NOW):
            _logger.debug("%s could not be linked beforehand", path)


def _torch_libraries() -> Iterator[Path]:
    spec = find_spec("torch")
    for folder in (spec and spec.submodule_search_locations) or ():
        yield from Path(folder, "lib").glob("libtorch_cpu.*")
