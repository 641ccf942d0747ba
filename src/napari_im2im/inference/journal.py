"""Which tiles an interrupted prediction has finished."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from napari_im2im.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def journal_of(output: Path) -> Journal:
    """Return the journal that lies beside an output while it is unfinished."""
    return Journal(output.with_name(f".{output.name}.journal"))


class Journal:
    """A text file beside an unfinished output: what is made, then the tiles done.

    The first line says what is being made, so that nothing else continues it; each
    further line names a tile that is completely written.

    Parameters
    ----------
    path
        The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.header: dict[str, Any] = {}
        self.done: set[str] = set()

    def exists(self) -> bool:
        """Return whether there is something to resume."""
        return self.path.is_file()

    def read(self) -> None:
        """Read the file; a line that was cut off while writing is left out.

        Raises
        ------
        ConfigError
            If it isn't readable.
        """
        first, _, rest = self.path.read_text(encoding="utf-8").partition("\n")
        try:
            self.header = json.loads(first)
        except ValueError as error:
            raise ConfigError(
                f"{self.path} is damaged, so that the prediction can't be resumed: "
                "start it again with overwrite."
            ) from error
        complete = rest.rpartition("\n")[0]
        self.done = set(complete.splitlines())

    def start(self, header: Mapping[str, Any]) -> None:
        """Begin a new file."""
        self.header = dict(header)
        self.done = set()
        self.path.write_text(json.dumps(self.header) + "\n", encoding="utf-8")

    def add(self, key: str) -> None:
        """Note that a tile is completely written."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(key + "\n")
        self.done.add(key)

    def remove(self) -> None:
        """Delete the file: the output is complete."""
        self.path.unlink(missing_ok=True)
