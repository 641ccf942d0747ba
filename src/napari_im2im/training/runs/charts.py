"""Charts of a training, drawn with matplotlib when it is over."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_NOT_METRICS = ("step", "epoch", "seconds")
_LOSSES = ("train_loss", "validation_loss")
_TITLES = {
    "loss": "Loss",
    "learning_rate": "Learning rate",
    "psnr": "PSNR (dB)",
    "ssim": "SSIM",
    "ms_ssim": "MS-SSIM",
    "pcc": "Pearson correlation",
    "mae": "Mean absolute error",
}
_DOTS_PER_INCH = 120


def read_metrics(path: Path) -> dict[str, list[float]]:
    """Return the columns of a ``metrics.csv``; NaN where a row has no value."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    names = list(rows[0]) if rows else []
    return {name: [float(row[name] or "nan") for row in rows] for name in names}


def draw_metrics(columns: Mapping[str, Sequence[float]]) -> dict[str, bytes]:
    """Draw the losses and each metric over the steps.

    Parameters
    ----------
    columns
        As `read_metrics` returns them.

    Returns
    -------
    dict
        PNG pictures by name: ``loss``, then the metrics; empty where fewer than
        two validations make no curve.
    """
    if len(columns.get("step", ())) < 2:
        return {}
    curves = {"loss": {name: columns[name] for name in _LOSSES if name in columns}}
    for name, values in columns.items():
        if name not in (*_NOT_METRICS, *_LOSSES):
            curves[name] = {name: values}
    return {
        name: _curve(columns["step"], lines, _TITLES.get(name, name))
        for name, lines in curves.items()
    }


def draw_bars(lengths: Mapping[str, float], title: str) -> bytes:
    """Draw a horizontal bar for each name, as a PNG picture."""
    from matplotlib.figure import Figure

    figure = Figure((6.4, 0.8 + 0.3 * len(lengths)), layout="constrained")
    axes = figure.subplots()
    bars = axes.barh(list(lengths), list(lengths.values()))
    axes.bar_label(bars, fmt="{:,.0f}", padding=3)
    axes.invert_yaxis()
    axes.margins(x=0.2)
    axes.set_xlabel(title)
    axes.spines[["top", "right"]].set_visible(False)
    return as_png(figure)


def as_png(figure: Figure) -> bytes:
    """Return a figure as a PNG picture."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DOTS_PER_INCH)
    return buffer.getvalue()


def _curve(
    steps: Sequence[float], lines: Mapping[str, Sequence[float]], title: str
) -> bytes:
    # Without pyplot: no window, no state, safe in any thread.
    from matplotlib.figure import Figure

    # Margins that suit all numbers: a layout would draw each chart twice.
    figure = Figure((6.4, 3.6))
    axes = figure.add_axes((0.14, 0.14, 0.83, 0.79))
    for name, values in lines.items():
        axes.plot(steps, values, label=name.replace("_", " "), marker=".", lw=1.5)
    if len(lines) > 1:
        axes.legend(frameon=False)
    positive = all(value > 0 for values in lines.values() for value in values)
    if title == _TITLES["loss"] and positive:
        _use_logarithms(axes)
    axes.set_xlabel("Step")
    axes.set_ylabel(title)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    return as_png(figure)


def _use_logarithms(axes: Axes) -> None:
    """Make the vertical axis logarithmic, with the ticks 0.9 and 0.5, not 9e-01."""
    from matplotlib.ticker import LogFormatter

    class Plain(LogFormatter):
        def __call__(self, x: float, pos: int | None = None) -> str:
            return f"{x:g}" if super().__call__(x, pos) else ""

    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(Plain())
    axes.yaxis.set_minor_formatter(Plain(minor_thresholds=(2, 0.4)))
