"""``napari-im2im models``."""

from __future__ import annotations

from pydantic import Field

from napari_im2im.cli.json_lines import JsonOption, json_line


class Models(JsonOption):
    """List the models on this computer: bundled, trained and downloaded."""

    paths: bool = Field(False, description="Print nothing but the paths.")

    def run(self) -> None:
        """Print one line for each model."""
        from rich.table import Table

        from napari_im2im.cli.console import print_table, results
        from napari_im2im.models.library import list_models

        entries = list_models()
        if self.json_lines:
            for entry in entries:
                results.print(json_line(entry))
            return
        if self.paths:
            for entry in entries:
                results.print(str(entry.path))
            return
        table = Table("Name", "From", "Changed", "Path", box=None, pad_edge=False)
        for entry in entries:
            changed = f"{entry.modified:%Y-%m-%d %H:%M}"
            table.add_row(entry.name, entry.kind, changed, str(entry.path))
        print_table(table)
