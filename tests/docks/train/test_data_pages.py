import numpy as np
import pytest
import tifffile
import zarr
from qtpy.QtCore import QMimeData, QPointF, Qt, QUrl
from qtpy.QtGui import QDropEvent
from qtpy.QtWidgets import QPushButton

from napari_im2im.docks.train.pair_table import PairTable, thumbnail
from napari_im2im.docks.train.widget import TrainWidget
from napari_im2im.images.folders.tables import TableRow
from napari_im2im.images.image import Image


@pytest.fixture
def dock(viewer, show):
    return show(TrainWidget(viewer))


@pytest.fixture
def folder(tmp_path):
    random = np.random.default_rng(0)
    for number in range(3):
        for kind in ("phase", "dapi", "labels"):
            pixels = random.integers(0, 200, (60, 40)).astype(np.uint8)
            tifffile.imwrite(tmp_path / f"{number}_{kind}.tif", pixels)
    return tmp_path


@pytest.fixture
def choose(dock, qtbot):
    """Choose a folder, and wait until it is looked through."""

    def choose_folder(folder):
        dock.form.origin.setCurrentText("Folder")
        page = dock.form.folder
        page.folder.line.setText(str(folder))
        page.folder.changed.emit()
        qtbot.waitUntil(lambda: page.found is not None)
        dock.refresh()
        return page

    return choose_folder


def names(table, column):
    return [table.item(row, column).text() for row in range(table.rowCount())]


def run(dock, qtbot):
    dock.run()
    qtbot.waitUntil(lambda: not dock.running, timeout=10_000)


def test_a_folder_is_recognised(dock, choose, folder, qtbot, sentences, fake_training):
    job = fake_training()
    page = choose(folder)
    assert names(page.pairs, 0) == [f"{i}_phase.tif" for i in range(3)]
    assert names(page.pairs, 1) == [f"{i}_dapi.tif" for i in range(3)]
    assert sentences(dock) == [
        "Learns from 3 samples: files phase and dapi.",
        "Left out: labels (3 files).",
        "About 1 held out for validation.",
    ]
    run(dock, qtbot)
    assert job.pairs is None
    assert job.config.data.folder == folder
    assert job.config.data.inputs == []


def test_files_have_thumbnails(choose, folder, qtbot):
    page = choose(folder)
    qtbot.waitUntil(lambda: not page.pairs.item(2, 1).icon().isNull())


def test_what_is_what_can_be_chosen(dock, choose, folder, qtbot):
    page = choose(folder)
    page.boxes["input"].setCurrentText("dapi · 3 files")
    page.boxes["target"].setCurrentText("phase · 3 files")
    qtbot.waitUntil(lambda: page.found is not None)
    assert names(page.pairs, 0) == [f"{i}_dapi.tif" for i in range(3)]
    kinds = {"input": "dapi", "target": "phase"}
    assert dock.form.config().data.kinds == kinds
    assert dock.form.name.placeholderText() == "dapi-to-phase"


def test_the_task_decides_what_the_target_is(dock, choose, folder, qtbot):
    page = choose(folder)
    dock.form.task.set_task("semantic")
    qtbot.waitUntil(lambda: page.found is not None)
    assert names(page.pairs, 1) == [f"{i}_labels.tif" for i in range(3)]
    dock.form.task.set_task("noise2void")
    qtbot.waitUntil(lambda: page.found is not None)
    assert page.pairs.columnCount() == 1
    assert page.pairs.rowCount() == 9


def test_a_file_without_a_partner_is_named(dock, choose, folder, sentences):
    (folder / "1_dapi.tif").unlink()
    choose(folder)
    assert "Note: 1 image has no partner: 1_phase.tif." in sentences(dock)
    assert dock.job_row.run_button.isEnabled()


def test_a_folder_that_says_nothing_keeps_from_training(
    dock, choose, tmp_path, sentences
):
    choose(tmp_path)
    assert f"The folder {tmp_path} holds no images" in sentences(dock)[0]
    assert not dock.job_row.run_button.isEnabled()


def test_a_folder_can_be_dropped(dock, choose, folder, tmp_path, qtbot):
    page = choose(tmp_path)
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(folder))])
    event = QDropEvent(
        QPointF(5, 5),
        Qt.DropAction.CopyAction,
        data,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    page.folder.line.dropEvent(event)
    assert page.folder.text == str(folder)
    qtbot.waitUntil(lambda: bool(page.rows))


def test_names_that_say_nothing_lead_to_patterns(dock, choose, tmp_path, qtbot):
    for name in ("one", "other"):
        (tmp_path / f"{name}.tif").touch()
    choose(tmp_path)
    (button,) = (
        b for b in dock.job_row.findChildren(QPushButton) if b.text() == "Name patterns"
    )
    button.click()
    assert dock.form.page is dock.form.patterns


def test_parts_of_a_folder_are_shown(dock, choose, tmp_path, sentences):
    for part in ("train", "val", "test"):
        for side in "xy":
            (tmp_path / part / side).mkdir(parents=True)
            tifffile.imwrite(tmp_path / part / side / "1.tif", np.eye(8))
    page = choose(tmp_path)
    assert names(page.pairs, 2) == ["train", "validation", "test"]
    assert not page.boxes["input"].isVisibleTo(dock)
    assert sentences(dock)[-1] == (
        "1 of them judge while learning, as given; 1 left for a test."
    )


def test_a_table_is_read(dock, choose, folder):
    (folder / "pairs.csv").write_text("input,target\n0_dapi.tif,0_phase.tif\n")
    page = choose(folder / "pairs.csv")
    assert names(page.pairs, 0) == ["0_dapi.tif"]
    assert dock.form.config().data.table == folder / "pairs.csv"


def test_channels_of_a_plate_become_input_and_target(
    dock, choose, tmp_path, qtbot, sentences, fake_training
):
    job = fake_training()
    plate = tmp_path / "plate.zarr"
    axes = [{"name": name} for name in "cyx"]
    said = {
        "multiscales": [{"datasets": [{"path": "0"}], "axes": axes}],
        "omero": {"channels": [{"label": n} for n in ("phase", "DAPI", "GFP")]},
    }
    wells = {"plate": {"wells": [{"path": "A/1"}]}}
    images = {"well": {"images": [{"path": "0"}, {"path": "1"}]}}
    zarr.create_group(plate, attributes={"ome": wells})
    zarr.create_group(plate / "A/1", attributes={"ome": images})
    for field in "01":
        group = zarr.create_group(plate / "A/1" / field, attributes={"ome": said})
        group.create_array("0", data=np.zeros((3, 8, 8), np.uint8))
    page = choose(plate)
    assert page.channels["target"].isVisibleTo(dock)
    assert "Choose the channels to read, and those to learn." in sentences(dock)[0]
    assert not dock.job_row.run_button.isEnabled()
    page.channels["input"].choose([0])
    page.channels["target"].choose([1, 2])
    dock.refresh()
    run(dock, qtbot)
    data = job.config.data
    assert (data.input_channels, data.target_channels) == ([0], [1, 2])
    dock.form.task.set_task("noise2void")
    qtbot.waitUntil(lambda: page.found is not None)
    assert not page.channels["target"].isVisibleTo(dock)


def test_files_are_paired(tmp_path, dock, sentences, qtbot, fake_training):
    job = fake_training()
    for number in range(3):
        for kind in ("phase", "dapi"):
            path = tmp_path / kind / f"{kind}_{number}.tif"
            path.parent.mkdir(exist_ok=True)
            tifffile.imwrite(path, np.zeros((8, 8), np.uint8))
    dock.form.origin.setCurrentText("Files")
    page = dock.form.patterns
    for role, kind in (("input", "phase"), ("target", "dapi")):
        page.fields[role].line.setText(str(tmp_path / kind))
        page.fields[role].changed.emit()
    qtbot.waitUntil(lambda: page.pairs.rowCount() == 3)
    assert page.pairs.item(1, 1).text() == "dapi_1.tif"
    dock.refresh()
    assert sentences(dock)[0] == "Learns from 3 samples: files matched by name."
    run(dock, qtbot)
    assert job.pairs is None
    assert job.config.data.inputs == [str(tmp_path / "phase")]
    (tmp_path / "dapi" / "dapi_1.tif").unlink()
    page.fields["target"].changed.emit()
    qtbot.waitUntil(lambda: page.found is not None)
    dock.refresh()
    assert any("phase_1.tif" in text for text in sentences(dock))
    assert not dock.job_row.run_button.isEnabled()


def test_cost_maps_are_shown_beside(tmp_path, dock, qtbot):
    for kind in ("phase", "dapi", "cm"):
        tifffile.imwrite(tmp_path / f"1_{kind}.tif", np.eye(8))
    dock.form.origin.setCurrentText("Files")
    page = dock.form.patterns
    for role, kind in (("input", "phase"), ("target", "dapi"), ("cost_map", "cm")):
        page.fields[role].line.setText(str(tmp_path / f"*_{kind}.tif"))
    page.look()
    qtbot.waitUntil(lambda: page.pairs.columnCount() == 3)
    assert names(page.pairs, 2) == ["1_cm.tif"]


def test_of_long_names_the_end_that_all_share_is_left_out(qtbot, tmp_path):
    table = PairTable()
    qtbot.addWidget(table)
    files = [tmp_path / f"experiment_{i}_brightfield.ome.tif" for i in (1, 2)]
    table.show_rows([TableRow((path,), (path,)) for path in files])
    assert names(table, 0) == ["experiment_1", "experiment_2"]
    assert table.item(0, 0).toolTip() == str(files[0])


def test_of_many_files_the_first_are_shown(qtbot, tmp_path):
    table = PairTable()
    qtbot.addWidget(table)
    table.show_rows([TableRow((tmp_path / f"{i}.tif",)) for i in range(1234)])
    assert table.rowCount() == 201
    assert table.item(200, 0).text() == "… and 1,034 more"


@pytest.mark.parametrize("shape", [(50, 3000), (4, 50, 80), (3, 4, 50, 80)])
def test_a_thumbnail_is_small(shape):
    image = Image(np.random.default_rng(0).random(shape), "tzyx"[-len(shape) :])
    picture = thumbnail(image)
    assert max(picture.shape) <= 36
    assert picture.dtype == np.uint8
    assert np.ptp(picture) > 200


def test_a_thumbnail_of_a_constant_image():
    assert thumbnail(Image(np.full((9, 9), np.nan), "yx")).shape == (9, 9)
