"""``napari-im2im provenance``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic_settings import CliPositionalArg


class Provenance(BaseModel):
    """Print the command, YAML or Python that repeats a prediction, from its result."""

    model_config = ConfigDict(extra="forbid")

    file: CliPositionalArg[Path] = Field(
        description="OME-Zarr or OME-TIFF that a prediction has written."
    )
    form: Literal["command", "yaml", "python"] = Field(
        "command", description="What to print; yaml is for 'predict --config'."
    )

    def run(self) -> None:
        """Print the job."""
        from napari_im2im.api.copy_as import as_command, as_python, as_yaml, job_of
        from napari_im2im.cli.console import results

        job = job_of(self.file)
        if self.form == "yaml":
            text = as_yaml(job, [])
        elif self.form == "python":
            # A call returns the result; a file by that name is there already.
            text = as_python(job.model_copy(update={"output": None}), "predict", [])
        else:
            text = as_command(job, "predict", [])
        results.print(text.rstrip())
