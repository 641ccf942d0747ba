"""The tutorial notebook runs as it stands."""

import gc
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

pytestmark = [
    # What the connection to the kernel leaves open on a busy computer.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

NOTEBOOK = Path(__file__).parents[1] / "docs" / "tutorial.ipynb"


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tutorial")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAPARI_IM2IM_HOME", str(folder))
        patch.setenv("OMP_NUM_THREADS", "1")
        notebook = nbformat.read(NOTEBOOK, as_version=4)
        resources = {"metadata": {"path": str(folder)}}
        NotebookClient(notebook, timeout=240, resources=resources).execute()
    gc.collect()
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_every_cell_shows_what_the_text_promises(executed):
    pictures = [
        output
        for cell in executed
        for output in cell.outputs
        if "image/png" in output.get("data", {})
    ]
    assert len(pictures) == 5
    text = "".join(o.get("text", "") for cell in executed for o in cell.outputs)
    assert "Training: 100%" in text
    assert "pcc" in text
    assert "xarray.DataArray" in executed[-1].outputs[-1].data["text/plain"]


def test_the_stored_pages_have_no_errors_and_no_paths_of_a_computer():
    text = NOTEBOOK.read_text("utf-8")
    assert '"output_type": "error"' not in text
    assert "/home/" not in text
    assert "/tmp/" not in text
    assert len(text) < 1_000_000
