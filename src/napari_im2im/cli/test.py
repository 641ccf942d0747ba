"""``napari-im2im test``."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import CliPositionalArg

from napari_im2im.cli.json_lines import JsonOption
from napari_im2im.errors import ModelError


class Test(JsonOption):
    """Run a model on its own test tensors and compare the results.

    The exit code is 0 if every weights format that ran passed, else 1.
    """

    __test__ = False  # for pytest, which takes it for a test

    model: CliPositionalArg[str] = Field(
        description="A path, or the name of a model on this computer."
    )
    formats: list[str] = Field(
        default_factory=list, description="Weights formats; default: all."
    )
    trust: list[str] = Field(
        default_factory=list,
        description="SHA-256 of the code of the model that may run.",
    )
    device: str = Field("cpu", description="cpu, cuda, cuda:0, mps …")

    def run(self) -> None:
        """Test the model; print a line for each weights format."""
        from napari_im2im.api import load_model
        from napari_im2im.cli.console import follow, results
        from napari_im2im.zoo.testing import PackageTested, reproduction_events

        package = load_model(self.model)
        job = reproduction_events(
            package,
            trusted=self.trust,
            formats=self.formats or None,
            device=self.device,
        )
        activity = f"Testing {package.name}"
        last = follow(job, activity, json_lines=self.json_lines)
        if not isinstance(last, PackageTested):
            raise ModelError(f"The test of {package.name} ended unfinished.")
        for result in () if self.json_lines else last.results:
            results.print(result.sentence)
        if not last.passed:
            raise ModelError(f"{package.name}: {last.verdict}")
        if not self.json_lines:
            results.print(last.verdict)
