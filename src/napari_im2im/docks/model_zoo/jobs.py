"""What the Model Zoo does in a thread; nothing here touches a widget.

The imports stand in the functions: a dock that opens must not wait for torch.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtGui import QImage

from napari_im2im.docks.model_zoo.model_list import COVER
from napari_im2im.errors import Im2ImError, NetworkError
from napari_im2im.events import Event

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from napari.types import LayerDataTuple

    from napari_im2im.zoo.catalogue import Entry
    from napari_im2im.zoo.settings import ZooSettings
    from napari_im2im.zoo.sources import Source
    from napari_im2im.zoo.trust import Code


@dataclass(frozen=True)
class Covers(Event):
    """Pictures of models, by key."""

    images: dict[str, QImage]


@dataclass(frozen=True)
class Opened(Event):
    """A model of this computer was read.

    ``code`` is what somebody has to agree to before it runs; ``refused`` why
    nobody can; ``untrainable`` why training can't go on from it. ``sample`` is its
    sample input, as layers.
    """

    entry: Entry
    code: Code | None
    refused: str
    untrainable: str
    sample: tuple[LayerDataTuple, ...]


@dataclass(frozen=True)
class Scores(Event):
    """What the zoo's own tests say of a model, and its size in bytes."""

    key: str
    scores: dict[str, float]
    size: int | None


def read_covers(
    entries: Sequence[Entry], settings: ZooSettings, offline: bool
) -> Generator[Covers]:
    """Yield the covers of models, one after the other."""
    from napari_im2im.zoo.index import open_cache
    from napari_im2im.zoo.reports import read_cover

    with open_cache(settings) as cache:
        for entry in entries:
            content = b""
            if entry.folder is not None and entry.summary.covers:
                folder = entry.folder if entry.folder.is_dir() else entry.folder.parent
                file = folder / entry.summary.covers[0]
                content = file.read_bytes() if file.is_file() else b""
            elif entry.model is not None:
                try:
                    content = read_cover(entry.model, cache, offline=offline)
                except NetworkError:
                    # A list without this picture is still a list.
                    continue
            image = QImage.fromData(content)
            if not image.isNull():
                yield Covers({entry.key: _fit(image)})


def _fit(image: QImage) -> QImage:
    """Scale a picture to fill its place in the list."""
    scaled = image.scaled(
        COVER,
        Qt.AspectRatioMode.KeepAspectRatioByExpanding,
        Qt.TransformationMode.SmoothTransformation,
    )
    left = (scaled.width() - COVER.width()) // 2
    top = (scaled.height() - COVER.height()) // 2
    return scaled.copy(left, top, COVER.width(), COVER.height())


def read_scores(
    entry: Entry, settings: ZooSettings, offline: bool
) -> Generator[Scores]:
    """Yield what the zoo says of a model, as far as it says anything."""
    from napari_im2im.zoo.index import open_cache
    from napari_im2im.zoo.reports import read_report, read_size

    assert entry.model is not None
    scores: dict[str, float] = {}
    size = entry.size
    # Not every model has been tested, and not every server tells sizes.
    with open_cache(settings) as cache, suppress(NetworkError):
        scores = dict(read_report(entry.model, cache, offline=offline).scores)
    if size is None and not offline:
        with suppress(NetworkError):
            size = read_size(entry.model, settings)
    yield Scores(entry.key, scores, size)


def open_model(path: str, formats: Sequence[str] | None = None) -> Generator[Opened]:
    """Read a model of this computer; nothing of it is run.

    Parameters
    ----------
    path
        Where it is.
    formats
        The weights formats that are to be run; default: what runs here.
    """
    import numpy as np

    from napari_im2im.errors import ModelError, TrustError
    from napari_im2im.models.description import find_description
    from napari_im2im.models.package import load_package
    from napari_im2im.training.finetuning.trainable import why_not_trainable
    from napari_im2im.zoo.catalogue import Entry
    from napari_im2im.zoo.compatibility import check_runs
    from napari_im2im.zoo.index import parse_description_text
    from napari_im2im.zoo.summary import Summary, summarize
    from napari_im2im.zoo.trust import TrustStore, code_to_agree

    package = load_package(path)
    compatibility = check_runs(package)
    code, refused = None, ""
    try:
        trusted = TrustStore().trusted()
        wanted = compatibility.formats if formats is None else formats
        code = code_to_agree(package, wanted, trusted)
    except TrustError as error:
        refused = str(error)
    file = Path(path)
    if file.suffix.lower() not in (".yaml", ".yml"):
        file = find_description(package.root)
    try:
        summary = summarize(parse_description_text(file.read_bytes()))
    except ValueError:
        # The package's own reader repairs what this one can't read.
        summary = Summary(name=package.name, text=package.text)
    entry = Entry(
        str(path), summary, None, Path(path), "imported", compatibility=compatibility
    )
    sample: list[Any] = []
    try:
        for spec, array in zip(package.inputs, package.test_inputs(), strict=True):
            sample += _layers(
                spec.axis_names, np.asarray(array), f"{package.name} · {spec.id}"
            )
    except ModelError:
        # A model without a usable sample is still a model.
        sample = []
    yield Opened(entry, code, refused, why_not_trainable(package), tuple(sample))


def _layers(axes: Sequence[str], array: Any, name: str) -> list[LayerDataTuple]:
    """Return a tensor as layers, its batch as time."""
    from napari_im2im.docks.layers import image_to_layer_data
    from napari_im2im.images.image import Image

    names = list(axes)
    if "batch" in names:
        at = names.index("batch")
        if array.shape[at] == 1 or "time" in names:
            array = array.take(0, at)
            names.pop(at)
        else:
            names[at] = "time"
    try:
        return image_to_layer_data(Image(array, tuple(names), name=name))
    except Im2ImError:
        # Prompts and the like are no images, and nothing to look at.
        return []


def run_test(path: str) -> Generator[Event]:
    """Run a model on its own test tensors."""
    from napari_im2im.models.package import load_package
    from napari_im2im.zoo.testing import reproduction_events
    from napari_im2im.zoo.trust import TrustStore

    package = load_package(path)
    yield from reproduction_events(package, trusted=TrustStore().trusted())


def recognise(text: str) -> Generator[Source]:
    """Say what somebody typed; whether a path exists is asked of the disk."""
    from napari_im2im.zoo import sources

    yield sources.recognise(text)
