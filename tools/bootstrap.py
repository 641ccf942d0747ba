"""Set up napari-im2im on a machine that has nothing but Python.

    python3 tools/bootstrap.py demo     install into .venv, run the demo
    python3 tools/bootstrap.py test     install tox into .venv, run the tests
    python3 tools/bootstrap.py system   install what Qt needs from the system

Whatever follows is handed on, e.g. ``demo --out figures``. This script needs
nothing but the standard library.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
VENV = REPOSITORY / ".venv"
CONSTRAINTS = REPOSITORY / "constraints.txt"

# What the wheels of PyQt6 and OpenGL load, and the Debian package that has it.
LIBRARIES = {
    "libEGL.so.1": "libegl1",
    "libGL.so.1": "libgl1",
    "libdbus-1.so.3": "libdbus-1-3",
    "libfontconfig.so.1": "libfontconfig1",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libxcb-cursor.so.0": "libxcb-cursor0",
    "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-image.so.0": "libxcb-image0",
    "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-randr.so.0": "libxcb-randr0",
    "libxcb-render-util.so.0": "libxcb-render-util0",
    "libxcb-shape.so.0": "libxcb-shape0",
    "libxcb-xinerama.so.0": "libxcb-xinerama0",
    "libxcb-xkb.so.1": "libxcb-xkb1",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
}
PROGRAMS = {"Xvfb": "xvfb", "xvfb-run": "xvfb", "xauth": "xauth"}
# Mesa's software OpenGL and a font are loaded by name at run time only.
COMPANIONS = ["libgl1-mesa-dri", "fonts-dejavu-core"]


class SetupError(Exception):
    """What is missing, and how to get it."""


def main() -> int:
    """Do what the command line says; return its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=["demo", "test", "system"])
    arguments, rest = parser.parse_known_args()
    command = arguments.command
    try:
        if sys.version_info < (3, 11):  # noqa: UP036 (this script meets any Python)
            raise SetupError("napari-im2im needs Python 3.11 or newer.")
        # Only a window needs Qt's libraries; the demo can do without one.
        install_system_libraries(required=command != "demo" or has_display())
        if command == "system":
            return 0
        make_virtual_environment()
        return demo(rest) if command == "demo" else test(rest)
    except SetupError as error:
        say(f"Error: {error}")
        return 2
    except subprocess.CalledProcessError as error:
        say(f"Error: this command failed: {' '.join(map(str, error.cmd))}")
        return 1
    except KeyboardInterrupt:
        return 130


def demo(rest: list[str]) -> int:
    """Install the project with Qt, and run its demo."""
    install("torch")
    install("--editable", f"{REPOSITORY}[all]")
    say("Starting the demo.")
    return subprocess.call([program("napari-im2im"), "demo", *rest])


def test(rest: list[str]) -> int:
    """Run tox, which makes its own environment; its last words are pytest's."""
    install("tox>=4.25")
    say("Running tox.")
    return subprocess.call(
        [program("python"), "-m", "tox", "run", "-qq", *rest], cwd=REPOSITORY
    )


def install(*requirements: str) -> None:
    """Install with pip into the virtual environment."""
    say(f"Installing {' '.join(requirements)}")
    pip = [program("python"), "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, "--constraint", CONSTRAINTS, *requirements], check=True)


def program(name: str) -> str:
    """Return the path of a program of the virtual environment."""
    if sys.platform == "win32":
        return str(VENV / "Scripts" / f"{name}.exe")
    return str(VENV / "bin" / name)


def make_virtual_environment() -> None:
    """Make ``.venv``, with Debian's missing half of `venv` where needed."""
    if Path(program("python")).exists() and Path(program("pip")).exists():
        return
    if find_spec("ensurepip") is None:
        version = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
        if not may_install():
            raise SetupError(
                f"this Python can't make a virtual environment: install {version}, "
                f"e.g. with 'sudo apt-get install {version}'."
            )
        apt_install([version])
    say(f"Making the virtual environment {VENV}")
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=True)


def install_system_libraries(required: bool) -> None:
    """Install what Qt and a virtual screen need, or name it in one line."""
    packages = missing_packages()
    if not packages:
        return
    try:
        if may_install():
            apt_install([*packages, *COMPANIONS])
            return
        raise SetupError(
            f"Qt and a virtual screen need {', '.join(packages)} (names of Debian and "
            "Ubuntu): run 'sudo python3 tools/bootstrap.py system' or ask whoever "
            "administers this machine."
        )
    except SetupError as error:
        if required:
            raise
        say(f"Note: {error}")


def missing_packages() -> list[str]:
    """Return the Debian packages whose library or program isn't here."""
    if sys.platform != "linux":
        return []
    missing = [name for file, name in LIBRARIES.items() if not can_load(file)]
    if not has_display():
        missing += [name for file, name in PROGRAMS.items() if not shutil.which(file)]
    return sorted(set(missing))


def can_load(library: str) -> bool:
    """Return whether the dynamic linker finds a library."""
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def has_display() -> bool:
    """Return whether a window can open."""
    if sys.platform != "linux":
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def may_install() -> bool:
    """Return whether this process may install Debian packages."""
    if sys.platform != "linux" or shutil.which("apt-get") is None:
        return False
    return os.geteuid() == 0


def apt_install(packages: list[str]) -> None:
    """Install Debian packages, without questions."""
    say(f"Installing {' '.join(packages)} with apt-get")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    apt = ["apt-get", "-qq", "-o", "Dpkg::Use-Pty=0"]
    for step in (["update"], ["install", "--yes", "--no-install-recommends"]):
        result = subprocess.run(
            [*apt, *step, *(packages if step[0] == "install" else [])],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if result.returncode != 0:
            raise SetupError(f"apt-get failed: {result.stdout.strip()}")


def say(sentence: str) -> None:
    """Tell the user what is going on."""
    sys.stderr.write(f"[bootstrap] {sentence}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
