"""The Model Zoo dock: find a model, open or get it, and go on with it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from napari.layers import Layer
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import (
    QFrame,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QSplitter,
    QVBoxLayout,
)

from napari_im2im.docks.advice import Advice, Fix
from napari_im2im.docks.dock import Dock
from napari_im2im.docks.fold import Fold
from napari_im2im.docks.job_row import sentence
from napari_im2im.docks.layers import layer_to_image
from napari_im2im.docks.model_picker import ask_for_model
from napari_im2im.docks.model_zoo.actions import ModelActions
from napari_im2im.docks.model_zoo.catalogue import Catalogue
from napari_im2im.docks.model_zoo.detail import ModelDetail
from napari_im2im.docks.model_zoo.jobs import (
    Opened,
    Scores,
    open_model,
    read_scores,
    recognise,
)
from napari_im2im.docks.model_zoo.model_list import EntryList, EntryView, describe_bytes
from napari_im2im.docks.model_zoo.search import SearchBar
from napari_im2im.docks.settings import load_settings, remember
from napari_im2im.errors import Im2ImError
from napari_im2im.events import Event, Message, Progress
from napari_im2im.zoo.compatibility import Fit, check_fits
from napari_im2im.zoo.download import Downloaded, download_events
from napari_im2im.zoo.settings import ZooSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import napari
    from qtpy.QtGui import QDragEnterEvent, QDropEvent, QShowEvent

    from napari_im2im.images.image import Image
    from napari_im2im.zoo.catalogue import Entry
    from napari_im2im.zoo.sources import Source

_COVER_DELAY = 250
"""Milliseconds after scrolling until the covers in sight are read."""


class ModelZooWidget(Dock):
    """Browse the models of the zoo and of this computer.

    Parameters
    ----------
    napari_viewer
        The window.
    """

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__(napari_viewer, "Get")
        self.search = SearchBar()
        self.entries = EntryList(self)
        self.view = EntryView(self.entries)
        self.detail = ModelDetail()
        self.status = sentence("")
        self.actions = ModelActions(self, self._look, self._start)
        self.reload_button = QPushButton("Refresh the list")
        self.reload_button.setAccessibleName("Refresh the list")
        self.address = QLineEdit(load_settings().get("zoo", {}).get("index_url", ""))
        self.address.setPlaceholderText(ZooSettings().index_url)
        self.address.setAccessibleName("Address of the list of models")
        self.address.setToolTip("Address of the list of models; empty: the default")
        self.catalogue = Catalogue(self)
        self._scores: dict[str, dict[str, float]] = {}
        self._choose_next = ""
        self._cover_timer = QTimer(self)
        self._cover_timer.setSingleShot(True)
        self._cover_timer.setInterval(_COVER_DELAY)
        self._arrange()
        self._connect()
        self.setAcceptDrops(True)
        self.reload()

    def _arrange(self) -> None:
        about = QScrollArea()
        about.setWidgetResizable(True)
        about.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        about.setWidget(self.detail)
        about.setFrameShape(QFrame.Shape.NoFrame)
        about.setMinimumHeight(60)
        self.view.setMinimumHeight(96)
        split = QSplitter(Qt.Orientation.Vertical)
        split.addWidget(self.view)
        split.addWidget(about)
        split.setStretchFactor(0, 1)
        split.setStretchFactor(1, 1)
        split.setMinimumHeight(160)
        # It takes what is left: the dock shall not scroll while that is enough.
        split.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Ignored)
        split.setChildrenCollapsible(False)
        fold = Fold("Options")
        fold.addWidget(self.address)
        fold.addWidget(self.reload_button)
        body: QVBoxLayout = self._body
        body.addWidget(self.search)
        body.addWidget(self.status)
        body.addWidget(split, 1)
        body.addWidget(self.actions)
        body.addWidget(fold)

    def _connect(self) -> None:
        self.catalogue.changed.connect(self._list_changed)
        self.catalogue.told.connect(self.status.setText)
        self.search.changed.connect(self._show_list)
        self.search.entered.connect(self.go)
        self.view.chosen.connect(self._show_detail)
        self.view.seen_changed.connect(self._cover_timer.start)
        self._cover_timer.timeout.connect(self._read_covers)
        self.search.open_button.clicked.connect(self._ask_for_file)
        self.reload_button.clicked.connect(self.reload)
        self.address.editingFinished.connect(self._keep_address)
        self.viewer.layers.selection.events.active.connect(self._layer_chosen)

    # -- the list -----------------------------------------------------------------

    @property
    def settings(self) -> ZooSettings:
        """Addresses and time limits; the address of the list is under Options."""
        address = self.address.text().strip()
        return ZooSettings(index_url=address) if address else ZooSettings()

    def reload(self) -> None:
        """Read the models of this computer, and the zoo's list, again."""
        self.catalogue.reload(self.settings)

    def _list_changed(self) -> None:
        self.search.set_licences(self.catalogue.licences)
        self._show_list()

    def _show_list(self) -> None:
        """Show the models that the search leaves, and the date of the list."""
        chosen = self._choose_next or (self.view.entry.key if self.view.entry else "")
        image = self._selected_image() if self.search.fits.isChecked() else None
        shown = [
            entry
            for entry in self.catalogue.entries.values()
            if self.search.matches(entry) and (image is None or _fits(entry, image))
        ]
        self.entries.show(sorted(shown, key=lambda entry: entry.title.casefold()))
        if self.view.choose(chosen):
            self._choose_next = ""
        if not self.catalogue.reading:
            self.status.setText(self.catalogue.status(len(shown)))
        self._show_detail()
        self._cover_timer.start()

    def _read_covers(self) -> None:
        seen = self.view.in_sight()
        self.catalogue.read_covers(seen, self.settings, self.entries)

    def _keep_address(self) -> None:
        address = self.address.text().strip()
        if address != load_settings().get("zoo", {}).get("index_url", ""):
            remember(zoo={"index_url": address})
            self.reload()

    # -- one model ----------------------------------------------------------------

    def _selected_image(self) -> Any:
        layer = self.viewer.layers.selection.active
        try:
            return layer_to_image(layer) if layer is not None else None
        except (Im2ImError, AttributeError):
            # Points, shapes and the like are no images.
            return None

    def _layer_chosen(self, _: Any = None) -> None:
        if self.search.fits.isChecked():
            self._show_list()
        else:
            self._show_detail()

    def _show_detail(self) -> None:
        entry = self.view.entry
        fit: Fit | None = None
        if entry is not None:
            image = self._selected_image()
            if image is not None and entry.summary.inputs:
                fit = check_fits(entry.summary.inputs, image)
            if entry.model is not None and entry.key not in self._scores:
                self._scores[entry.key] = {}
                make = partial(
                    read_scores, entry, self.settings, self.catalogue.offline
                )
                self._look(make, self._keep_scores)
            self.detail.show_entry(entry, fit, self._scores.get(entry.key))
        else:
            self.detail.show_entry(None)
        self.refresh()

    def _keep_scores(self, event: Scores) -> None:
        self._scores[event.key] = event.scores
        self.catalogue.keep_size(event.key, event.size)
        if self.view.entry is not None and self.view.entry.key == event.key:
            self._show_detail()

    def refresh(self) -> None:
        """Say what the button will do, or why it can't."""
        if self.running:
            return
        entry = self.view.entry
        if entry is not None:
            entry = self.catalogue.entries.get(entry.key, entry)
        here = entry is not None and entry.folder is not None
        self.job_row.run_button.setText("Use in Predict" if here else "Get")
        self.actions.show_entry(entry)
        hidden = bool(self.catalogue.entries) and not self.entries.entries
        self.job_row.show_advice([_advise(entry, hidden)])

    def apply_fix(self, fix: Fix) -> None:
        """Show all models again."""
        self.search.clear()

    # -- what the buttons do --------------------------------------------------------

    def run(self) -> None:
        """Get the chosen model, or use it in Predict."""
        entry = self.view.entry
        if entry is None or self.running:
            return
        if entry.folder is not None:
            self.actions.use()
        elif entry.model is not None:
            self._get(partial(download_events, entry.model, self.settings))

    def go(self, text: str) -> None:
        """Open what the search box names: a nickname, DOI, link or path."""
        self._look(partial(recognise, text), self._go)

    def open_path(self, path: str | Path) -> None:
        """Open a model of this computer: list it, and show its sample input."""
        self.job_row.show_status(f"Opening {path} …")
        self._look(partial(open_model, str(path)), self._show_opened)

    def _go(self, source: Source) -> None:
        if source.kind == "path":
            self.open_path(source.value)
            return
        index = self.catalogue.index
        found = index.find(source.value) if index is not None else None
        if found is not None:
            self.search.clear()
            self._choose_next = found.id
            self._show_list()
        elif source.kind in ("link", "doi"):
            self._get(partial(download_events, source.value, self.settings))
        elif source.kind == "nickname" and not self.entries.entries:
            self.job_row.add_note(f"The zoo has no model {source.value!r}.")

    def _get(self, make: Callable[[], Any]) -> None:
        if not self.running:
            self._start(make, self._hear_download, self.tell_end)

    def _hear_download(self, event: Event) -> None:
        match event:
            case Progress(done=done, total=total, activity=activity):
                self.job_row.show_progress(done, total, activity)
            case Message(text=text):
                self.job_row.add_note(text)
            case Downloaded(model=model):
                size = describe_bytes(model.size)
                self.job_row.show_status(f"{model.id} is on this computer ({size}).")
                self._choose_next = model.id
                self.catalogue.merge()

    def _show_opened(self, opened: Opened) -> None:
        entry = opened.entry
        self._choose_next = entry.key
        self.search.clear()
        self.catalogue.add(entry)
        for layer in opened.sample:
            self.viewer.add_layer(Layer.create(*layer))
        self.job_row.show_status(f"Opened {entry.title}.")

    def _ask_for_file(self) -> None:
        ask_for_model(self, "Open a model", self.open_path)

    # -- drag and drop, coming and going ---------------------------------------------

    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:
        """Accept files, folders and links."""
        if event is not None and event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent | None) -> None:
        """Open what was dropped."""
        if event is None:
            return
        event.acceptProposedAction()
        for url in event.mimeData().urls():
            if url.isLocalFile():
                self.open_path(url.toLocalFile())
            else:
                self.go(url.toString())

    def showEvent(self, event: QShowEvent | None) -> None:
        """Look again for models that were trained in the meantime."""
        super().showEvent(event)
        self.catalogue.look_again()


def _fits(entry: Entry, image: Image) -> bool:
    """Return whether a model reads an image; without a description it doesn't."""
    inputs = entry.summary.inputs
    return bool(inputs) and check_fits(inputs, image).fits


def _advise(entry: Entry | None, nothing_shown: bool) -> Advice:
    if entry is None and nothing_shown:
        show_all = Fix("Show all", "clear")
        text = "No model is like that: change the words or the filters."
        return Advice(text, "stop", (show_all,))
    if entry is None:
        return Advice("Choose a model from the list, or drop one here.", "stop")
    runs = entry.compatibility
    if runs is not None and not runs.runs:
        return Advice(
            f"Choose another model, {entry.title} can't run here. {runs.reason}", "stop"
        )
    if entry.folder is not None:
        return Advice(f"Opens {entry.title} in Predict.")
    trust = ""
    if runs is not None and set(runs.formats) <= set(runs.asking):
        trust = " It brings code, which runs only if you agree."
    size = f" ({describe_bytes(entry.size)})" if entry.size else ""
    return Advice(f"Downloads {entry.title}{size} to this computer.{trust}")
