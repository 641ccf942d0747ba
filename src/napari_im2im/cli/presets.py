"""``napari-im2im presets``."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Presets(BaseModel):
    """List the recipes that a training can start from."""

    model_config = ConfigDict(extra="forbid")

    show: str | None = Field(
        None, description="Print this one as a YAML file for 'train --config'."
    )

    def run(self) -> None:
        """Print a sentence and the paper of each, or one of them."""
        import yaml

        from napari_im2im.cli.console import results
        from napari_im2im.training.presets import list_presets, load_preset

        if self.show is not None:
            preset = load_preset(self.show)
            head = f"# {preset.text}\n# {preset.paper}\n"
            results.print(head + yaml.safe_dump(preset.train, sort_keys=False).strip())
            return
        for preset in list_presets():
            results.print(f"{preset.name}\n    {preset.text}\n    {preset.paper}")
