"""A run folder as one page of HTML, with everything in it."""

from __future__ import annotations

import base64
import csv
import html
import math
from typing import TYPE_CHECKING

from napari_im2im.errors import ConfigError
from napari_im2im.images.atomic import replaced_when_done
from napari_im2im.training.runs.charts import draw_metrics, read_metrics
from napari_im2im.training.runs.folder import read_config
from napari_im2im.training.runs.record import newest_preview
from napari_im2im.training.validation import lower_is_better

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from napari_im2im.training.config import TrainConfig

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 960px; margin: 2em auto;
       padding: 0 1em; color: #1a1a1a; background: #fff; }
h1 { font-size: 1.6em; margin-bottom: 0; } h2 { font-size: 1.2em; margin-top: 2em; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .2em 1em .2em 0; border-bottom: 1px solid #ddd; }
img { max-width: 100%; } .charts { display: grid; gap: 1em;
      grid-template-columns: repeat(auto-fit, minmax(400px, 1fr)); }
pre { background: #f4f4f4; padding: 1em; overflow: auto; font-size: 13px; }
summary { cursor: pointer; margin: .5em 0; } figure { margin: 0; }
@media (prefers-color-scheme: dark) {
  body { color: #e6e6e6; background: #1b1b1b; } pre { background: #282828; }
  th, td { border-color: #444; } .charts img { background: #fff; } }
"""


def write_report(run: Path, output: Path | None = None) -> Path:
    """Write the page of a run.

    Parameters
    ----------
    run
        Run folder of a training, which may still be running.
    output
        Where to; default: ``report.html`` in the run folder. An older page is
        replaced.

    Returns
    -------
    Path
        The page. It needs no other file.

    Raises
    ------
    ConfigError
        If the folder is none of a training.
    ImageError
        If the disk refuses.
    """
    if not (run / "config.yaml").is_file():
        raise ConfigError(
            f"{run} is no folder of a training: choose one that holds a config.yaml."
        )
    config = read_config(run / "config.yaml")
    page = "\n".join(_page(run, config))
    output = output or run / "report.html"
    with replaced_when_done(output, overwrite=True) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return output


def _page(run: Path, config: TrainConfig) -> Iterator[str]:
    title = html.escape(config.name)
    yield "<!doctype html>"
    yield f'<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
    yield f"<style>{_STYLE}</style></head><body>"
    yield f"<h1>{title}</h1><p>{html.escape(str(run.absolute()))}</p>"
    columns = read_metrics(run / "metrics.csv") if _has(run, "metrics.csv") else {}
    yield from _best(columns, config.effort.monitor)
    preview = newest_preview(run)
    if preview is not None:
        yield f"<h2>Preview</h2>{_picture(preview.read_bytes(), preview.stem)}"
    if _has(run, "test/summary.csv"):
        yield "<h2>Test images</h2>"
        yield _table(_rows(run / "test" / "summary.csv"))
        yield "<details><summary>Each image</summary>"
        yield _table(_rows(run / "test" / "metrics.csv")) + "</details>"
    charts = draw_metrics(columns)
    for name in ("augmentations", "network"):
        if _has(run, f"charts/{name}.png"):
            charts[name] = (run / "charts" / f"{name}.png").read_bytes()
    if charts:
        figures = [_picture(chart, name) for name, chart in charts.items()]
        yield f'<h2>Charts</h2><div class="charts">{"".join(figures)}</div>'
    for name in ("config.yaml", "network.txt", "environment.txt"):
        if _has(run, name):
            text = html.escape((run / name).read_text(encoding="utf-8"))
            yield f"<details><summary>{name}</summary><pre>{text}</pre></details>"
    yield "</body></html>"


def _has(run: Path, name: str) -> bool:
    return (run / name).is_file()


def _best(columns: Mapping[str, Sequence[float]], monitor: str) -> Iterator[str]:
    """Yield what validation measured of the model that is kept."""
    values = columns.get(monitor, ())
    if not values:
        yield "<p>No validation yet.</p>"
        return
    sign = 1 if lower_is_better(monitor) else -1
    scores = [math.inf if math.isnan(value) else sign * value for value in values]
    best = scores.index(min(scores))
    yield f"<h2>Best validation, of {len(values)}</h2>"
    yield _table(
        [
            {"": name.replace("_", " "), "value": f"{column[best]:.6g}"}
            for name, column in columns.items()
        ]
    )


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _table(rows: Sequence[Mapping[str, str]]) -> str:
    head = "".join(f"<th>{html.escape(name)}</th>" for name in rows[0])
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(_short(v))}</td>" for v in row.values())
        for row in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def _short(value: str) -> str:
    """Return a number with as many digits as people read, anything else as it is."""
    try:
        return f"{float(value):.5g}"
    except ValueError:
        return value


def _picture(content: bytes, name: str) -> str:
    data = base64.b64encode(content).decode()
    alt = html.escape(name.replace("_", " "))
    return f'<figure><img alt="{alt}" src="data:image/png;base64,{data}"></figure>'
