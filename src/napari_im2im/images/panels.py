"""Images side by side, as a picture for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_MARGIN, _GAP, _FONT = 28, 4, 18


@dataclass(frozen=True)
class Panel:
    """One image of a picture: a title, and grey values or colours ``(y, x[, 3])``."""

    title: str
    pixels: np.ndarray


def grey(pixels: np.ndarray, limits: Sequence[float] | None = None) -> np.ndarray:
    """Return a plane ``(y, x)`` as uint8.

    Parameters
    ----------
    pixels
        Any real numbers.
    limits
        What becomes black and white; default: the percentiles 0.5 and 99.5.
    """
    values = pixels.astype(np.float32)
    low, high = np.percentile(values, (0.5, 99.5)) if limits is None else limits
    scaled = (values - low) / max(high - low, 1e-6)
    return np.asarray(scaled.clip(0, 1) * 255, np.uint8)


def colored(labels: np.ndarray) -> np.ndarray:
    """Return a plane of labels ``(y, x)`` as colours ``(y, x, 3)``, 0 as black."""
    palette = np.random.default_rng(0).integers(64, 256, (255, 3), dtype=np.uint8)
    whole = labels.astype(np.int64)
    return np.where(whole[..., None] == 0, 0, palette[whole % 255]).astype(np.uint8)


def write_panels(path: Path, rows: Sequence[Sequence[Panel]]) -> Path:
    """Write rows of images with their titles as a PNG; its folder is made.

    Raises
    ------
    ImageError
        If the disk refuses.
    """
    from PIL import Image as Picture
    from PIL import ImageDraw, ImageFont

    from napari_im2im.images.atomic import replaced_when_done

    heights = [max(len(panel.pixels) for panel in row) + _MARGIN for row in rows]
    widths = [sum(panel.pixels.shape[1] + _GAP for panel in row) - _GAP for row in rows]
    canvas = Picture.new("RGB", (max(widths), sum(heights)))
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(_FONT)
    top = 0
    for row, height in zip(rows, heights, strict=True):
        left = 0
        for panel in row:
            width = panel.pixels.shape[1]
            title = panel.title
            while title and draw.textlength(title, font=font) > width - 4:
                title = title[:-1]
            draw.text((left + 4, top + 3), title, fill="white", font=font)
            picture = Picture.fromarray(np.ascontiguousarray(panel.pixels))
            canvas.paste(picture, (left, top + _MARGIN))
            left += width + _GAP
        top += height
    with replaced_when_done(path, overwrite=True) as temporary:
        canvas.save(temporary, "PNG")
    return path
