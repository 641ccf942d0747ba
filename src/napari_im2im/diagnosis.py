"""What this computer has of what napari-im2im needs, and what to do about the rest."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, distribution, version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal

import psutil

from napari_im2im.errors import ConfigError, NetworkError
from napari_im2im.folders import (
    cache_folder,
    check_writable,
    models_folder,
    runs_folder,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

State = Literal["ok", "note", "problem"]

PACKAGE = "napari-im2im"
_WINDOWS = ("PyQt6", "PySide6", "PyQt5", "PySide2")
_ENGINES = {
    "torch": "",
    "openvino": "it predicts 2 to 4 times faster on a CPU",
    "onnxruntime": "it runs ONNX weights",
    "keras": "only models with Keras weights need it",
}
"""Packages that run models, and what each is for where it may be missing."""

_LITTLE_MEMORY = 4 * 2**30
_LITTLE_DISK = 5 * 2**30


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Parameters
    ----------
    topic
        What it belongs to, e.g. ``"device"``.
    text
        What was found.
    state
        ``"problem"`` if something that is needed doesn't work, ``"note"`` if
        something could be better.
    advice
        What to do about it, or empty.
    """

    topic: str
    text: str
    state: State = "ok"
    advice: str = ""


def diagnose(*, offline: bool = False, seconds: float = 3.0) -> Iterator[Finding]:
    """Look at versions, devices, memory, runtimes, folders and the zoo.

    Parameters
    ----------
    offline
        Whether to leave out what needs the network.
    seconds
        How long to wait for the zoo.

    Yields
    ------
    Finding
        One thing after the other, as soon as it is known.
    """
    yield Finding("version", f"{PACKAGE} {_version(PACKAGE)}, {platform.platform()}")
    yield Finding("version", f"Python {sys.version.split()[0]} at {sys.executable}")
    yield from check_requirements()
    yield from check_window()
    yield from check_runtimes()
    yield from check_devices()
    yield from check_memory()
    for name, folder in (
        ("runs", runs_folder()),
        ("models", models_folder()),
        ("cache", cache_folder()),
    ):
        yield check_folder(name, folder)
    if not offline:
        yield check_zoo(seconds)


def check_requirements(package: str = PACKAGE) -> Iterator[Finding]:
    """Compare the versions of what a package needs with what is installed."""
    from packaging.requirements import Requirement

    try:
        needed = distribution(package).requires or []
    except PackageNotFoundError:
        yield Finding(
            "version",
            f"{package} isn't installed, only imported from a folder",
            "problem",
            f"pip install {package}",
        )
        return
    found = []
    for line in needed:
        requirement = Requirement(line)
        marker = requirement.marker
        if marker is not None and not marker.evaluate({"extra": ""}):
            continue
        name = requirement.name
        try:
            installed = version(name)
        except PackageNotFoundError:
            text = f"{name} is missing"
        else:
            found.append(f"{name} {installed}")
            if requirement.specifier.contains(installed, prereleases=True):
                continue
            text = f"{name} is {installed}, not {requirement.specifier}"
        wish = f"{name}{requirement.specifier}"
        yield Finding("version", text, "problem", f"pip install '{wish}'")
    yield Finding("version", ", ".join(found))


def check_window() -> Iterator[Finding]:
    """Look for what napari draws its window with."""
    found = [name for name in _WINDOWS if find_spec(name) is not None]
    if found:
        yield Finding("window", f"{found[0]} {_version(found[0])}")
        return
    yield Finding(
        "window",
        "No Qt is installed, so napari can't open a window",
        "note",
        f"pip install '{PACKAGE}[all]'; the command line and Python work without",
    )


def check_runtimes() -> Iterator[Finding]:
    """Import each engine that models run in."""
    for name, purpose in _ENGINES.items():
        if find_spec(name) is None:
            wish = f"'{PACKAGE}[keras]'" if name == "keras" else name
            yield Finding(
                "runtime",
                f"{name} isn't installed ({purpose or 'training needs it'})",
                "note" if purpose else "problem",
                f"pip install {wish}",
            )
            continue
        if name == "keras":
            # Importing it starts a backend, which may take half a minute.
            yield Finding("runtime", f"{name} {_version(name)}")
            continue
        try:
            import_module(name)
        except (ImportError, OSError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            yield Finding(
                "runtime",
                f"{name} {_version(name)} can't be imported: {reason}",
                "problem",
                f"pip install --force-reinstall {name}",
            )
        else:
            yield Finding("runtime", f"{name} {_version(name)}")


def check_devices() -> Iterator[Finding]:
    """List what networks can run on."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    yield Finding(
        "device", f"CPU {platform.machine()}, {cores or os.cpu_count()} cores"
    )
    try:
        import torch
    except (ImportError, OSError):
        # `check_runtimes` says so.
        return
    for index in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(index)
        name = torch.cuda.get_device_name(index)
        yield Finding(
            "device",
            f"cuda:{index} {name}, {_size(free)} of {_size(total)} free",
        )
    if torch.backends.mps.is_available():
        yield Finding("device", "mps: the GPU of this Mac")
    elif not torch.cuda.is_available():
        driver = shutil.which("nvidia-smi") is not None
        yield Finding(
            "device",
            "There is an NVIDIA driver, but this torch can't use it"
            if driver
            else "No GPU that torch can use: everything runs on the CPU",
            "note",
            "install a torch with CUDA as https://pytorch.org/get-started says"
            if driver
            else "keep networks small, or train on a computer with an NVIDIA GPU",
        )


def check_memory() -> Iterator[Finding]:
    """Say how much memory is free."""
    memory = psutil.virtual_memory()
    little = memory.available < _LITTLE_MEMORY
    yield Finding(
        "memory",
        f"{_size(memory.available)} of {_size(memory.total)} free",
        "note" if little else "ok",
        "close other programs; tiles and batches become smaller" if little else "",
    )


def check_folder(name: str, folder: Path) -> Finding:
    """Say how large a folder is, and whether it can be written."""
    try:
        check_writable(folder)
    except ConfigError as error:
        cure = "set NAPARI_IM2IM_HOME to a folder that you may write"
        return Finding("folder", f"{name}: {error}", "problem", cure)
    existing = folder
    while not existing.exists():
        existing = existing.parent
    free = shutil.disk_usage(existing).free
    little = free < _LITTLE_DISK
    return Finding(
        "folder",
        f"{name}: {_size(_size_of(folder))} in {folder}, {_size(free)} free",
        "note" if little else "ok",
        "delete old runs, or the cache, or set NAPARI_IM2IM_HOME to another disk"
        if little
        else "",
    )


def check_zoo(seconds: float) -> Finding:
    """Ask the BioImage Model Zoo for its list, without reading it."""
    import httpx

    from napari_im2im.zoo.settings import ZooSettings
    from napari_im2im.zoo.web import check_url, explain, open_client

    settings = ZooSettings(timeout=seconds)
    url = settings.index_url
    advice = "models on this computer work without; zoo lists use the last copy"
    try:
        with open_client(settings) as client:
            client.head(check_url(url)).raise_for_status()
    except httpx.HTTPError as error:
        return Finding("zoo", explain(error, url), "note", advice)
    except NetworkError as error:
        return Finding("zoo", str(error), "note", advice)
    return Finding("zoo", f"{url} answers")


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "of unknown version"


def _size_of(folder: Path) -> int:
    """Return the bytes of all files below a folder; what can't be read counts 0."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(place, name)).st_size
            except OSError:
                continue
    return total


def _size(size: int) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.1f} MiB"
