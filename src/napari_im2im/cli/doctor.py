"""``napari-im2im doctor``."""

from __future__ import annotations

from pydantic import Field

from napari_im2im.cli.json_lines import JsonOption, json_line
from napari_im2im.errors import Im2ImError


class Doctor(JsonOption):
    """Look at versions, devices, memory, folders and the zoo, and advise.

    The exit code is 1 if something that is needed doesn't work.
    """

    offline: bool = Field(False, description="Don't try to reach the zoo.")

    def run(self) -> None:
        """Print one line for each thing that was looked at."""
        from napari_im2im.cli.console import results
        from napari_im2im.diagnosis import diagnose

        marks = {"ok": " ok ", "note": "note", "problem": " !! "}
        problems = 0
        for finding in diagnose(offline=self.offline):
            problems += finding.state == "problem"
            if self.json_lines:
                results.print(json_line(finding))
                continue
            advice = f" → {finding.advice}." if finding.advice else ""
            text = f"{finding.topic:8} {finding.text.rstrip('.')}.{advice}"
            results.print(f"[{marks[finding.state]}] {text}")
        if problems:
            what = "1 thing that is needed doesn't"
            if problems > 1:
                what = f"{problems} things that are needed don't"
            raise Im2ImError(f"{what} work: do what stands behind !!.")
