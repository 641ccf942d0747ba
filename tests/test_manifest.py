import subprocess
import sys
from pathlib import Path

import pytest
from npe2 import PluginManifest
from npe2.manifest.utils import import_python_name

ROOT = Path(__file__).parents[1]
NAPARI_MENUS = {"napari/layers/filter", "napari/file/io_utilities"}


@pytest.fixture(scope="module")
def manifest():
    return PluginManifest.from_distribution("napari-im2im")


def test_npe2_finds_the_manifest_valid():
    command = [sys.executable, "-m", "npe2", "validate", "napari-im2im"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "valid" in result.stdout + result.stderr


def test_every_command_can_be_imported(manifest):
    for command in manifest.contributions.commands:
        assert callable(import_python_name(command.python_name))


def test_the_docks_have_their_names(manifest):
    names = [widget.display_name for widget in manifest.contributions.widgets]
    assert names == ["Train", "Predict", "Model Zoo"]


def test_menus_are_ones_that_napari_shows(manifest):
    assert set(manifest.contributions.menus) <= NAPARI_MENUS


def test_the_reader_claims_model_descriptions_only(manifest):
    (reader,) = manifest.contributions.readers
    assert not reader.accepts_directories
    assert "*.zip" not in reader.filename_patterns


def test_the_link_at_the_top_is_the_manifest():
    link = ROOT / "napari.yaml"
    assert link.read_text() == (ROOT / "src/napari_im2im/napari.yaml").read_text()
