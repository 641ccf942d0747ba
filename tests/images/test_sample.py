"""The bundled sample."""

import hashlib

import numpy as np

from napari_im2im.images.sample import SAMPLE_FOLDER, load_sample


def test_the_sample_is_a_registered_pair_of_named_channels():
    phase, fluorescence = load_sample()
    assert phase.axes == fluorescence.axes == ("channel", "y", "x")
    assert phase.shape == (2, 1024, 768)
    assert fluorescence.shape == (3, 1024, 768)
    assert fluorescence.channel_names == ("DAPI", "MAP2", "NFH")
    assert phase.dtype == fluorescence.dtype == np.uint8
    assert "Christiansen et al. 2018" in phase.name
    assert "Apache-2.0" in fluorescence.metadata["citation"]


def test_the_sample_is_small_and_its_provenance_is_true():
    files = sorted(SAMPLE_FOLDER.glob("*.ome.tif"))
    assert sum(file.stat().st_size for file in files) <= 2e6
    provenance = (SAMPLE_FOLDER / "PROVENANCE.md").read_text("utf-8")
    for file in files:
        assert hashlib.sha256(file.read_bytes()).hexdigest() in provenance
