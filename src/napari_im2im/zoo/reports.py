"""What else the zoo has of a model: its test report, its cover, its size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx

from napari_im2im.zoo.index import parse_report
from napari_im2im.zoo.web import check_url, open_client

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_im2im.zoo.index import ZooModel
    from napari_im2im.zoo.settings import ZooSettings
    from napari_im2im.zoo.web import WebCache


@dataclass(frozen=True)
class Report:
    """What the zoo's own tests say: the best score, 0 to 1, of each program."""

    scores: Mapping[str, float]


def read_report(model: ZooModel, cache: WebCache, *, offline: bool = False) -> Report:
    """Return the zoo's report of a model.

    Raises
    ------
    NetworkError
        If the web gives no usable answer and there is no copy.
    """
    content = cache.fetch(model.report, check=parse_report, offline=offline).content
    scores = parse_report(content).get("scores") or {}
    tools = scores.get("tool_compatibility") or {}
    return Report({str(tool): float(score) for tool, score in tools.items()})


def read_cover(model: ZooModel, cache: WebCache, *, offline: bool = False) -> bytes:
    """Return the first cover of a model, as the bytes of a picture file.

    Returns
    -------
    bytes
        Empty if the model has no cover.

    Raises
    ------
    NetworkError
        If the web gives no usable answer and there is no copy.
    """
    if not model.summary.covers:
        return b""
    url = model.file_url(model.summary.covers[0])
    return cache.fetch(url, offline=offline).content


def read_size(model: ZooModel, settings: ZooSettings) -> int | None:
    """Return how many bytes all weights of a model have; nothing is downloaded.

    Returns
    -------
    int or None
        None where the server doesn't say.

    Raises
    ------
    NetworkError
        If the weights are said to be somewhere else than on the web.
    """
    weights = model.description.get("weights")
    entries = weights.values() if isinstance(weights, dict) else ()
    sources = {entry["source"] for entry in entries if entry and entry.get("source")}
    total = 0
    with open_client(settings) as client:
        for source in sources:
            try:
                answer = client.head(check_url(model.file_url(str(source))))
                answer.raise_for_status()
                total += int(answer.headers["content-length"])
            except (httpx.HTTPError, KeyError, ValueError):
                return None
    return total or None
