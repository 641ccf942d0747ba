"""What an export tells whoever watches it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from napari_im2im.events import Event

if TYPE_CHECKING:
    from pathlib import Path

Verdict = Literal["running", "passed", "warning", "failed"]


@dataclass(frozen=True)
class Checked(Event):
    """A check began (``running``) or ended; ``text`` says with what, or the cure.

    ``name`` stays the same from beginning to end.
    """

    name: str
    verdict: Verdict
    text: str = ""


@dataclass(frozen=True)
class ExportFinished(Event):
    """The zip is written and passed all checks.

    ``completeness`` is the part of the specification's fields that are filled in,
    0 to 1; ``sha256`` is that of the zip.
    """

    path: Path
    formats: tuple[str, ...]
    completeness: float
    sha256: str
