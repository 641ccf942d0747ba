"""Exporting from the command line."""

from __future__ import annotations

import pytest
import yaml

from napari_im2im.cli import DONE, MISUSED, main
from napari_im2im.models.package import load_package
from napari_im2im.zoo.export import job
from packages import write_tiny_package


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_IM2IM_HOME", str(tmp_path / "home"))
    # What the checks find is the matter of their own tests.
    for check in ("core_events", "engine_events"):
        monkeypatch.setattr(job, check, lambda *_: iter(()))


@pytest.fixture
def run(tmp_path):
    write_tiny_package(tmp_path / "run" / "model")
    return tmp_path / "run"


def test_a_run_is_exported_with_the_metadata_of_a_file(run, tmp_path, capsys):
    metadata = {"name": "Nuclei 2026", "authors": [{"name": "Ada Lovelace"}]}
    (tmp_path / "meta.yaml").write_text(yaml.safe_dump(metadata))
    words = ["--metadata", str(tmp_path / "meta.yaml"), "--formats", "[]"]
    output = tmp_path / "out.zip"
    assert main(["export", str(run), str(output), *words]) == DONE
    printed = capsys.readouterr()
    assert printed.out.strip() == str(output)
    assert "Description follows the specification: passed" in printed.err
    assert load_package(output).name == "Nuclei 2026"


def test_what_is_missing_is_named_with_its_field(run, tmp_path, capsys):
    (tmp_path / "meta.yaml").write_text(yaml.safe_dump({"license": "mit"}))
    words = ["--metadata", str(tmp_path / "meta.yaml")]
    assert main(["export", str(run), str(tmp_path / "out.zip"), *words]) == MISUSED
    said = capsys.readouterr().err
    assert "license: 'mit' is no SPDX identifier: did you mean MIT?" in said


def test_everything_comes_from_the_parent(run, tmp_path):
    parent = write_tiny_package(
        tmp_path / "parent", authors=({"name": "Ada"},), name="Parent model"
    )
    words = ["--parent", str(parent), "--formats", "[]"]
    assert main(["export", str(run), str(tmp_path / "out.zip"), *words]) == DONE
    package = load_package(tmp_path / "out.zip")
    assert package.name == "Tiny network"
    assert package.description.authors[0].name == "Ada"
