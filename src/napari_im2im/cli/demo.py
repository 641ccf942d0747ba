"""``napari-im2im demo``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from pydantic import Field, PositiveFloat

from napari_im2im.cli.json_lines import JsonOption
from napari_im2im.errors import Im2ImError


class Demo(JsonOption):
    """Show the whole road on the bundled sample.

    With a display: napari with the sample loaded and the docks open. Without one,
    or with --out: train, predict on a part that was never trained on, and write
    the picture input | target | prediction.
    """

    out: Path | None = Field(
        None, description="Folder for the picture and the model; opens no window."
    )
    seconds: PositiveFloat = Field(120, description="Time to train, in seconds.")

    def run(self) -> None:
        """Open the window, or train, predict and write the picture."""
        if self.out is None and has_display():
            # Another process: nothing below the docks imports napari or Qt.
            window = [sys.executable, "-m", "napari_im2im.docks.demo_window"]
            if subprocess.call(window) != 0:
                raise Im2ImError(
                    "napari didn't open: with 'pip install napari-im2im[all]' it gets "
                    "its window; --out FOLDER runs the demo without one."
                )
            return
        from napari_im2im.cli.console import follow, metrics_line, results, status
        from napari_im2im.demo import DemoFinished, demo_events

        folder = self.out or Path("napari-im2im-demo")
        events = demo_events(folder, self.seconds)
        last = follow(events, "Demo", json_lines=self.json_lines)
        if isinstance(last, DemoFinished) and not self.json_lines:
            status.print(
                f"On a part that was never trained on: {metrics_line(last.metrics)} "
                f"({last.seconds:.0f} s in all)",
                soft_wrap=True,
            )
            results.print(str(last.picture))


def has_display() -> bool:
    """Return whether a window can open."""
    if not sys.platform.startswith("linux"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
