"""Run a command on a virtual screen where there is no other.

    python tools/with_screen.py pytest

On Linux without a display the command runs under ``xvfb-run``; everywhere else
it runs as it is.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys


def main(command: list[str]) -> int:
    """Run the command; return its exit code."""
    display = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if sys.platform == "linux" and not display:
        if shutil.which("xvfb-run") is None:
            sys.stderr.write(
                "There is no display and no xvfb-run: run "
                "'sudo python3 tools/bootstrap.py system' first.\n"
            )
            return 2
        screen = "-screen 0 1280x1024x24"
        command = ["xvfb-run", "--auto-servernum", "--server-args", screen, *command]
    return subprocess.call(command)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
