"""``napari-im2im report``."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field
from pydantic_settings import CliPositionalArg


class Report(BaseModel):
    """Make one HTML page of a training: metrics, charts, preview, config.

    The page needs no other file. A training that still runs gets the page of what
    it has done so far.
    """

    model_config = ConfigDict(extra="forbid")

    run_folder: CliPositionalArg[Path] = Field(
        description="Folder of the training, or the name of one in the runs folder."
    )
    output: Path | None = Field(
        None, description="HTML file to write; default: report.html in the run folder."
    )

    def run(self) -> None:
        """Write the page, and name it on stdout."""
        from napari_im2im.cli.console import results
        from napari_im2im.folders import find_run
        from napari_im2im.training.runs.report import write_report

        results.print(str(write_report(find_run(self.run_folder), self.output)))
