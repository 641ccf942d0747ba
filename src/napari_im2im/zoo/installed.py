"""The models of the zoo that are on this computer, by nickname."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from napari_im2im import folders
from napari_im2im.errors import ModelError
from napari_im2im.images.atomic import write_atomically
from napari_im2im.models.archive import sha256_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

RECORD_NAME = ".napari-im2im.json"
"""Written last into the folder of a downloaded model: what it holds."""


@dataclass(frozen=True)
class Installed:
    """A model that was downloaded.

    ``sha256`` is that of the description as the zoo has it, ``files`` the sha256
    of each file by its path in ``folder``, ``names`` all that it can be called by.
    """

    folder: Path
    id: str
    version: str
    source: str
    sha256: str
    date: str
    names: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum((self.folder / name).stat().st_size for name in self.files)

    def check(self) -> None:
        """Read every file again and compare it with what was downloaded.

        Raises
        ------
        ModelError
            If one is missing or has another content.
        """
        for name, sha256 in self.files.items():
            path = self.folder / name
            if not path.is_file():
                raise ModelError(
                    f"{name} of {self.id} is missing in {self.folder}: get the model "
                    "again."
                )
            if sha256_of(path) != sha256:
                raise ModelError(
                    f"{name} of {self.id} is damaged or was changed: get the model "
                    "again."
                )

    def write(self) -> None:
        """Write the record into the folder."""
        record = {key: value for key, value in asdict(self).items() if key != "folder"}
        write_atomically(
            self.folder / RECORD_NAME, json.dumps(record, indent=1).encode()
        )


def list_installed(folder: Path | None = None) -> list[Installed]:
    """Return the models that were downloaded, newest first.

    Parameters
    ----------
    folder
        Default: the user's `models_folder`.
    """
    folder = folder or folders.models_folder()
    found = []
    for record in sorted(folder.glob(f"[!.]*/{RECORD_NAME}")):
        try:
            content = json.loads(record.read_text("utf-8"))
            content["names"] = tuple(content["names"])
            found.append(Installed(folder=record.parent, **content))
        except (OSError, ValueError, TypeError, KeyError):
            # A folder that lost its record is an ordinary local model.
            continue
    return sorted(found, key=lambda model: model.date, reverse=True)


def find_installed(name: str, folder: Path | None = None) -> Installed | None:
    """Return the newest downloaded model of that nickname, former id or DOI."""
    name = name.strip().removeprefix("bioimage-io/").casefold()
    return next(
        (
            model
            for model in list_installed(folder)
            if name in (f"{model.id}/{model.version}", *map(str.casefold, model.names))
        ),
        None,
    )


def recognise_nickname(text: str) -> bool:
    """Return whether a text has the form of a nickname, ``adjective-noun``."""
    words = text.removeprefix("bioimage-io/").partition("/")[0].split("-")
    return len(words) > 1 and all(word.isascii() and word.isalnum() for word in words)
