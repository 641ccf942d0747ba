"""The Export page: errors beside their field, and the checks as they run."""

import pytest
from qtpy.QtGui import QImage
from qtpy.QtWidgets import QLabel

from napari_im2im.docks.export import widget
from napari_im2im.docks.export.form import read_training_data, write_training_data
from napari_im2im.docks.export.widget import Described, ExportWidget
from napari_im2im.errors import ModelError
from napari_im2im.zoo.export import Checked, ExportFinished
from napari_im2im.zoo.export.drafts import load_draft
from packages import write_tiny_package

AUTHOR = {"name": "Ada Lovelace", "github_user": "ada"}


DRAFT = {"name": "Tiny network", "authors": [AUTHOR], "license": "CC-BY-4.0"}


@pytest.fixture
def page(tmp_path, viewer, qtbot, monkeypatch):
    """Return the page of a model whose metadata are complete."""

    def describe(_):
        image = QImage(20, 10, QImage.Format.Format_RGB32)
        yield Described("Tiny network", DRAFT, image, "The test image.", "")

    monkeypatch.setattr(widget, "_describe", describe)
    return opened(ExportWidget(viewer, tmp_path / "model"), qtbot, tmp_path)


def opened(widget, qtbot, folder):
    """Wait until a page is filled in."""
    qtbot.addWidget(widget)
    widget.show()
    qtbot.waitUntil(lambda: bool(widget.output.text()), timeout=60000)
    widget.output.setText(str(folder / "out.zip"))
    widget.refresh()
    return widget


def errors(page):
    """Return the errors that are seen, by what they belong to."""
    return {
        label.accessibleName().removeprefix("Error: "): label.text()
        for label in page.form.findChildren(QLabel)
        if label.accessibleName().startswith("Error") and label.isVisible()
    }


def test_the_page_shows_what_the_model_says(viewer, qtbot, tmp_path):
    model = write_tiny_package(tmp_path / "model", authors=(AUTHOR,))
    page = opened(ExportWidget(viewer, model), qtbot, tmp_path)
    assert page.form.draft()["name"] == "Tiny network"
    assert page.form.draft()["authors"] == [AUTHOR]
    assert page.cover.pixmap().width() > 0
    assert errors(page) == {"Tags": "Note: Add 2d or 3d, so that the model is found."}
    assert page.job_row.run_button.isEnabled()


def test_an_error_stands_beside_its_field(page, qtbot):
    fields = page.form.fields
    fields["name"].set_value("µm")
    fields["authors"].set_value([{"name": "Ada", "orcid": "0000-0002-1825-0098"}])
    page.refresh()
    qtbot.waitUntil(lambda: "ORCID iD" in errors(page))
    assert "'µ' can't be part of a name" in errors(page)["Name"]
    assert "typing mistake" in errors(page)["ORCID iD"]
    assert not page.job_row.run_button.isEnabled()


def test_what_is_to_fix_has_the_name_that_the_page_gives_it(page, qtbot, sentences):
    page.form.fields["cite"].set_value([{"text": "x", "doi": "bad"}])
    page.refresh()
    wanted = ["First: Complete the field Citations."]
    qtbot.waitUntil(lambda: sentences(page) == wanted)


def test_long_checks_leave_no_gap_below_them(page, qtbot):
    page.resize(340, 560)
    for name in "abcdef":
        page.checks.show_check(name, "passed", "Reproduces the test image. " * 9)
    body = page.checks.parentWidget()

    def gap():
        return body.height() - page.checks.geometry().bottom()

    qtbot.waitUntil(lambda: page.checks.height() > 200 and gap() < 20)


def test_a_model_has_one_page(make_napari_viewer, tmp_path, monkeypatch):
    monkeypatch.setattr(widget, "_describe", lambda path: iter(()))
    viewer = make_napari_viewer()
    page = widget.open_export(viewer, tmp_path / "one")
    other = widget.open_export(viewer, tmp_path / "two")
    assert widget.open_export(viewer, tmp_path / "one") is page is not other


def test_a_wish_of_the_reviewers_keeps_nobody_from_exporting(page, qtbot):
    page.form.fields["name"].set_value("Nuclei " * 12)
    page.refresh()
    qtbot.waitUntil(lambda: "Name" in errors(page))
    assert (
        errors(page)["Name"] == "Note: Names above 64 characters are cut off in lists."
    )
    assert page.job_row.run_button.isEnabled()


def test_the_parent_can_be_named(page):
    page.form.fields["parent"].set_value("affable-shark 1.2")
    assert page.form.draft()["parent"] == {"id": "affable-shark", "version": "1.2"}
    page.form.fields["parent"].set_value("Affable Shark")
    page.refresh()
    assert not page.job_row.run_button.isEnabled()


def test_a_draft_is_saved_in_any_state(page):
    page.form.fields["name"].set_value("µm")
    page.save_button.click()
    assert load_draft(page.path)["name"] == "µm"


def test_the_checks_are_shown_as_they_run(page, qtbot, monkeypatch, tmp_path):
    seen = []

    def fake(config):
        seen.append(config)
        yield Checked("Weights as onnx", "running")
        yield Checked("Weights as onnx", "passed", "Compared at 3 sizes.")
        yield Checked("Halo", "warning", "Too small.")
        yield ExportFinished(tmp_path / "out.zip", ("onnx",), 0.6, "0" * 64)

    monkeypatch.setattr(widget, "_export", fake)
    page.formats["torchscript"].setChecked(False)
    page.run()
    qtbot.waitUntil(lambda: not page.running)
    assert page.checks.texts() == [
        "✓  Weights as onnx: Compared at 3 sizes.",
        "!  Halo: Too small.",
    ]
    assert "Written" in page.job_row.status.text()
    # What was written isn't replaced by another click.
    assert page.output.text() == str(tmp_path / "out-2.zip")
    assert seen[0].formats == ("onnx",)
    assert seen[0].metadata.name == "Tiny network"


def test_weights_that_came_with_the_model_can_be_left_out(
    viewer, qtbot, monkeypatch, tmp_path
):
    configs = []
    image = QImage(20, 10, QImage.Format.Format_RGB32)
    came = ("pytorch_state_dict", "torchscript")
    described = Described("Tiny network", DRAFT, image, "The test image.", "", came)
    monkeypatch.setattr(widget, "_describe", lambda _: iter((described,)))
    monkeypatch.setattr(widget, "_export", lambda job: iter(configs.append(job) or ()))
    page = opened(ExportWidget(viewer, tmp_path / "model"), qtbot, tmp_path)
    page.own_formats["pytorch_state_dict"].setChecked(False)
    page.formats["onnx"].setChecked(False)
    page.run()
    qtbot.waitUntil(lambda: not page.running)
    assert configs[0].leave_out == ("pytorch_state_dict",)
    assert configs[0].formats == ("torchscript",)


def test_a_failed_check_says_the_cure(page, qtbot, monkeypatch, sentences):
    def fake(_):
        yield Checked("bioimageio.core runs onnx", "failed", "It differs.")
        raise ModelError("Leave this format out.")

    monkeypatch.setattr(widget, "_export", fake)
    page.run()
    qtbot.waitUntil(lambda: not page.running)
    assert page.checks.texts() == ["✗  bioimageio.core runs onnx: It differs."]
    qtbot.waitUntil(lambda: "Leave this format out." in sentences(page))


def test_a_zip_that_exists_is_never_replaced(page, qtbot, sentences, tmp_path):
    (tmp_path / "out.zip").touch()
    page.refresh()
    assert not page.job_row.run_button.isEnabled()
    said = "First: out.zip exists: choose another name."
    qtbot.waitUntil(lambda: said in sentences(page))


def test_fields_can_be_read_from_a_file(page, tmp_path):
    (tmp_path / "meta.yaml").write_text("tags: [2d, nuclei]\nlicense: MIT\n")
    page.read_file(str(tmp_path / "meta.yaml"))
    draft = page.form.draft()
    assert (draft["tags"], draft["license"]) == (["2d", "nuclei"], "MIT")
    assert draft["name"] == "Tiny network"


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("ilastik/covid", {"id": "ilastik/covid"}),
        (
            "Neurons in culture, https://example.org/data",
            {"name": "Neurons in culture", "url": "https://example.org/data"},
        ),
        ("", None),
    ],
)
def test_training_data_are_an_id_or_a_name_with_an_address(text, data):
    assert read_training_data(text) == data
    assert read_training_data(write_training_data(data)) == data
