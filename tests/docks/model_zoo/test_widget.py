"""The Model Zoo dock, against a server on this computer."""

from __future__ import annotations

import hashlib
import json
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from qtpy.QtCore import QMimeData, QPointF, Qt, QUrl
from qtpy.QtGui import QDropEvent
from qtpy.QtWidgets import QLabel

from napari_im2im.docks.advice import Fix
from napari_im2im.docks.model_zoo import actions, widget
from napari_im2im.docks.model_zoo.widget import ModelZooWidget
from napari_im2im.docks.train.widget import TrainWidget
from napari_im2im.docks.trust import TrustDialog
from napari_im2im.zoo.catalogue import Entry
from napari_im2im.zoo.summary import Summary
from packages import (
    STEPPED,
    random_image,
    tensor,
    write_custom_package,
    write_two_input_package,
)

EXCERPT = Path(__file__).parents[2] / "data" / "zoo"

CODE = """
import torch


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.factor = torch.nn.Parameter(torch.tensor(2.0))

    def forward(self, image):
        return image * self.factor
"""


class Doubling(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.factor = torch.nn.Parameter(torch.tensor(2.0))

    def forward(self, image):
        return image * self.factor


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A package whose network is a Python file of its own."""
    return write_custom_package(
        tmp_path_factory.mktemp("model") / "doubling",
        Doubling(),
        [tensor("raw", STEPPED)],
        [tensor("twice", {"y": "raw", "x": "raw"})],
        [random_image(1, 1, 24, 32)],
        formats=("pytorch_state_dict",),
        architecture={"source": CODE, "callable": "Net", "kwargs": {}},
        change={"name": "Doubling"},
    )


@pytest.fixture
def zoo(model, tmp_path, monkeypatch):
    """Serve the excerpt of the zoo's list, and the whole model as double-deer."""
    web = tmp_path / "web"
    items = []
    sources = {f.name.split("__")[0]: f for f in sorted(EXCERPT.glob("*.rdf.yaml"))}
    for name, file in {**sources, "double-deer": model / "rdf.yaml"}.items():
        folder = web / name
        folder.mkdir(parents=True)
        (folder / "rdf.yaml").write_bytes(file.read_bytes())
    for file in model.iterdir():
        (web / "double-deer" / file.name).write_bytes(file.read_bytes())
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(web)))
    url = f"http://127.0.0.1:{server.server_port}"
    for folder in web.iterdir():
        digest = hashlib.sha256((folder / "rdf.yaml").read_bytes()).hexdigest()
        version = {"version": "v0", "source": f"{url}/{folder.name}/rdf.yaml"}
        items.append(
            {
                "id": f"bioimage-io/{folder.name}",
                "type": "model",
                "versions": [{**version, "sha256": digest}],
            }
        )
    (web / "index.json").write_text(json.dumps({"items": items}))
    monkeypatch.setenv("NAPARI_IM2IM_ZOO_INDEX_URL", f"{url}/index.json")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield web
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def dock(make_napari_viewer, qtbot, zoo):
    viewer = make_napari_viewer()
    dock = ModelZooWidget(viewer)
    viewer.window.add_dock_widget(dock)
    wait_for_list(qtbot, dock)
    return dock


def wait_for_list(qtbot, dock) -> None:
    qtbot.waitUntil(
        lambda: dock.catalogue.index is not None and not dock.catalogue.reading,
        timeout=60_000,
    )


def titles(dock) -> list[str]:
    return [entry.title for entry in dock.entries.entries]


def wait_idle(qtbot, dock) -> None:
    qtbot.waitUntil(lambda: not dock.running, timeout=120_000)


def test_search_and_filters(dock, qtbot) -> None:
    everything = titles(dock)
    assert {"Doubling", "SEM_n2v", "StarDist H&E Nuclei Segmentation"} <= set(
        everything
    )
    count = len(everything)
    assert f"{count} of {count} models · list of" in dock.status.text()
    dock.search.text.setText("stardist")
    qtbot.waitUntil(lambda: titles(dock) == ["StarDist H&E Nuclei Segmentation"])
    dock.search.clear()
    dock.search.dimensions.setCurrentText("3D")
    assert all("3D" in entry.summary.dimensions for entry in dock.entries.entries)
    dock.search.clear()
    dock.search.task.setCurrentText("restore")
    assert "SEM_n2v" in titles(dock)
    dock.search.clear()
    dock.search.installed.setChecked(True)
    assert not {"Doubling", "SEM_n2v"} & set(titles(dock))
    dock.search.clear()
    dock.search.runs.setChecked(True)
    assert set(titles(dock)) < set(everything)
    assert not any(entry.compatibility.reason for entry in dock.entries.entries)


def test_a_model_that_cannot_run_says_why(dock, sentences) -> None:
    keys = {e.key: e for e in dock.catalogue.entries.values()}
    assert keys["greedy-whale"].compatibility.reason
    dock.view.choose("greedy-whale")
    dock.refresh()
    assert "None of its outputs is an image" in " ".join(sentences(dock))
    assert not dock.job_row.run_button.isEnabled()
    assert "can't run here" in dock.view.currentIndex().data()


def test_what_fits_the_selected_layer(dock) -> None:
    dock.viewer.add_image(np.zeros((48, 200, 200)), axis_labels=("z", "y", "x"))
    dock.catalogue.entries["unread"] = Entry("unread", Summary())
    dock.search.fits.setChecked(True)
    assert "unread" not in titles(dock)
    volumes = set(titles(dock))
    assert any("ovule" in title for title in volumes)
    dock.viewer.add_image(np.zeros((8, 8)))
    assert not volumes & set(titles(dock))
    assert "No model is like that" in " ".join(said(dock))
    dock.apply_fix(Fix("Show all", "clear"))
    assert volumes < set(titles(dock))
    assert "unread" in titles(dock)
    dock.view.choose("dazzling-blowfish")
    assert "no z axis" in dock.detail.facts.text()


def test_get_trust_and_use(dock, qtbot, monkeypatch, sentences, home) -> None:
    dock.search.text.setText("double-deer")
    dock.search.text.returnPressed.emit()
    qtbot.waitUntil(lambda: getattr(dock.view.entry, "key", "") == "double-deer")
    qtbot.waitUntil(lambda: "Downloads Doubling (2 kB)" in " ".join(sentences(dock)))
    assert "runs only if you agree" in " ".join(sentences(dock))
    dock.run()
    wait_idle(qtbot, dock)
    assert dock.view.entry.folder is not None
    assert dock.job_row.run_button.text() == "Use in Predict"
    assert "on this computer" in dock.view.currentIndex().data()

    used = []
    monkeypatch.setattr(actions, "open_dock", lambda *_: FakePredict(used))
    dock.run()
    dialog = open_dialog(qtbot, dock)
    assert "network.py" in dialog.question.text()
    assert dialog.cancel.isDefault()
    dialog.show_code.click()
    assert "class Net" in dialog.code.toPlainText()
    dialog.cancel.click()
    assert used == []

    dock.run()
    open_dialog(qtbot, dock).trust.click()
    qtbot.waitUntil(lambda: bool(used))
    assert used == [str(dock.view.entry.folder)]
    assert json.loads((home / "models" / "trusted.json").read_text())
    # From now on nothing is asked.
    dock.run()
    qtbot.waitUntil(lambda: len(used) == 2)

    dock.actions.test()
    qtbot.waitUntil(lambda: len(dock.viewer.layers) == 4, timeout=120_000)
    wait_idle(qtbot, dock)
    assert [layer.name.split(" · ")[1] for layer in dock.viewer.layers] == [
        "input",
        "expected",
        "actual",
        "difference",
    ]
    expected, actual = dock.viewer.layers[1:3]
    expected.contrast_limits = (-1, 2)
    assert tuple(actual.contrast_limits) == (-1, 2)
    assert "Passed: the largest difference is" in dock.job_row.status.text()
    assert dock.viewer.canvas.grid.enabled


class FakePredict:
    def __init__(self, used):
        self._used = used

    def use_model(self, path):
        self._used.append(path)


def open_dialog(qtbot, dock) -> TrustDialog:
    qtbot.waitUntil(
        lambda: any(d.isVisible() for d in dock.findChildren(TrustDialog)),
        timeout=30_000,
    )
    return next(d for d in dock.findChildren(TrustDialog) if d.isVisible())


def test_fine_tuning_opens_train_or_says_why_not(dock, qtbot, model, tmp_path) -> None:
    dock.open_path(model)
    qtbot.waitUntil(lambda: getattr(dock.view.entry, "folder", "") == model)
    dock.actions.train_button.click()
    open_dialog(qtbot, dock).trust.click()
    docks = dock.viewer.window.dock_widgets
    qtbot.waitUntil(lambda: any("Train" in name for name in docks), timeout=30_000)
    (train,) = dock.viewer.window._qt_window.findChildren(TrainWidget)
    assert str(train.form.config().start_from) == str(model)

    traced = write_two_input_package(tmp_path / "traced")
    dock.open_path(traced)
    qtbot.waitUntil(lambda: getattr(dock.view.entry, "folder", "") == traced)
    dock.actions.train_button.click()
    qtbot.waitUntil(
        lambda: any("can't be trained: it has only" in s for s in said(dock)),
        timeout=30_000,
    )


def said(dock) -> list[str]:
    return [label.text() for label in dock.job_row.findChildren(QLabel)]


def test_a_download_can_be_stopped(dock, qtbot, monkeypatch) -> None:
    def endless(*_: Any):
        from napari_im2im.events import Progress

        for done in range(100_000):
            yield Progress(done, 100_000, "bytes")

    monkeypatch.setattr(widget, "download_events", endless)
    dock.view.choose("chatty-frog")
    dock.run()
    assert dock.job_row.stop_button.isVisible() or dock.running
    dock.stop()
    wait_idle(qtbot, dock)
    assert dock.view.entry.folder is None


def test_a_dropped_model_opens_with_its_sample(dock, qtbot, model) -> None:
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(model))])
    dock.dropEvent(
        QDropEvent(
            QPointF(5, 5),
            Qt.DropAction.CopyAction,
            mime,
            Qt.MouseButton.LeftButton,
            Qt.KeyboardModifier.NoModifier,
        )
    )
    qtbot.waitUntil(lambda: len(dock.viewer.layers) == 1, timeout=30_000)
    layer = dock.viewer.layers[0]
    assert layer.name == "Doubling · raw"
    assert layer.data.shape == (24, 32)
    assert dock.view.entry.title == "Doubling"
    assert dock.view.entry.folder == model


@pytest.mark.parametrize("text", ["/no/such/model.zip", "no-such-nickname"])
def test_what_is_not_there_is_said(dock, qtbot, sentences, text) -> None:
    dock.search.text.setText(text)
    qtbot.waitUntil(lambda: titles(dock) == [])
    dock.search.text.returnPressed.emit()
    qtbot.waitUntil(
        lambda: any("no" in s and text in s for s in sentences(dock)), timeout=10_000
    )


def test_offline_the_cached_list_stays(
    dock, qtbot, zoo, make_napari_viewer, monkeypatch
) -> None:
    (zoo / "index.json").unlink()
    again = ModelZooWidget(dock.viewer)
    qtbot.addWidget(again)
    wait_for_list(qtbot, again)
    assert titles(again) == titles(dock)
    assert "Offline" in again.status.text()


def test_an_unread_description_is_not_taken_for_offline(dock, qtbot, zoo, home) -> None:
    for kept in (home / "cache" / "zoo" / "web").iterdir():
        kept.unlink()
    (zoo / "chatty-frog" / "rdf.yaml").unlink()
    again = ModelZooWidget(dock.viewer)
    qtbot.addWidget(again)
    wait_for_list(qtbot, again)
    assert not again.catalogue.offline
    assert "Offline" not in again.status.text()
    assert "chatty-frog can't be read" in again.status.text()
    again.view.choose("chatty-frog")
    assert "hasn't been read" in again.detail.facts.text()


def test_the_reader_opens_the_dock(make_napari_viewer, qtbot, zoo, model) -> None:
    viewer = make_napari_viewer()
    viewer.open(model / "rdf.yaml", plugin="napari-im2im")
    qtbot.waitUntil(lambda: len(viewer.layers) == 1, timeout=60_000)
    assert viewer.layers[0].name == "Doubling · raw"
    (dock,) = viewer.window._qt_window.findChildren(ModelZooWidget)
    wait_for_list(qtbot, dock)
