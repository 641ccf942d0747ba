"""Which images belong to one plate, study, well or position, told by their names."""

from __future__ import annotations

import re
from itertools import product
from pathlib import PurePath
from typing import TYPE_CHECKING

from napari_im2im.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

_PATTERNS = {
    "plate": r"(?i)plate[-_ ]?[a-z0-9]+",
    "study": r"(?i)study[-_ ]?\d+",
    "well": r"(?<![A-Za-z0-9])[A-P][-_/]?\d{1,2}(?![A-Za-z0-9])|[rR]\d{2}[cC]\d{2}",
    "position": r"(?i)(?<![a-z])(?:position|pos|field|fov|xy|scene|s)[-_ ]?\d+",
}
"""What groups are called in names, from the largest to the smallest."""


def find_groups(names: Sequence[str], pattern: str | None) -> tuple[str, list[str]]:
    """Return what the groups are called, and the group of each name.

    Parameters
    ----------
    names
        Names of images, with their folders where they have some.
    pattern
        Regular expression; its match, or what its brackets match, is the group.
        None: plates, studies, wells or positions, whichever all names tell, those
        of them first that are below the folder that all share, and of which there
        are several, but fewer than images.

    Raises
    ------
    DataError
        If names don't tell.
    """
    if pattern is not None:
        groups = [_group(pattern, name) for name in names]
        if None in groups:
            raise DataError(
                f"{names[groups.index(None)]} has nothing that data.group_pattern "
                f"({pattern}) matches: correct the pattern."
            )
        return "group", [str(group) for group in groups]
    paths = [PurePath(name) for name in names]
    folders = zip(*(path.parent.parts for path in paths), strict=False)
    shared = [*(len(set(at)) == 1 for at in folders), False].index(False)
    own = [PurePath(*path.parts[shared:]).as_posix() for path in paths]
    for (kind, known), searched in product(_PATTERNS.items(), (own, names)):
        groups = [_group(known, name) for name in searched]
        if None not in groups and 1 < len(set(groups)) < len(names):
            return kind, [str(group) for group in groups]
    raise DataError(
        f"The names (e.g. {names[0]}) tell no plate, study, well or position with "
        "several images: give a regular expression in data.group_pattern, or split by "
        "image."
    )


def _group(pattern: str, name: str) -> str | None:
    match = re.search(pattern, name)
    if match is None:
        return None
    found = [group for group in match.groups() if group is not None]
    return " ".join(found) or match.group()
