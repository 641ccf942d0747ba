"""Events for other programs: one JSON object a line."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from napari_im2im.images.image import Image


class JsonOption(BaseModel):
    """The option of commands whose events another program can follow."""

    model_config = ConfigDict(extra="forbid")

    json_lines: bool = Field(
        False,
        alias="json",
        description="Print each event as a JSON object on a line of stdout.",
    )


def json_line(event: object) -> str:
    """Return an event as a line of JSON.

    Parameters
    ----------
    event
        A dataclass. Its name is the key ``event``; images and arrays are
        described, not written out, slices are ``[start, stop]``, and what is no
        finite number is null.
    """
    return json.dumps({"event": type(event).__name__, **_plain(event)})


def _plain(value: Any) -> Any:
    if isinstance(value, Image):
        file = str(value.source) if value.source else None
        described = {"name": value.name, "axes": value.axes, "shape": value.shape}
        return _plain({**described, "dtype": value.dtype.name, "file": file})
    if isinstance(value, np.ndarray):
        return {"shape": list(value.shape), "dtype": value.dtype.name}
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value)]
        return {name: _plain(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if isinstance(value, slice):
        return [_plain(value.start), _plain(value.stop)]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int | str | None):
        return value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    return repr(value)
