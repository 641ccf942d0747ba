"""The sample that comes with napari-im2im: neurons, phase and fluorescence.

From Christiansen et al., *In silico labeling: predicting fluorescent labels in
unlabeled images*, Cell 173, 792-803 (2018). Where the files come from and what was
changed stands in ``resources/sample/PROVENANCE.md``.
"""

from __future__ import annotations

from pathlib import Path

from napari_im2im.images.image import Image

SAMPLE_CITATION = (
    "Christiansen et al. 2018, In silico labeling, Cell 173:792-803, "
    "doi:10.1016/j.cell.2018.03.040 (Apache-2.0)"
)
"""Whom to cite for the sample, and its licence."""

SAMPLE_FOLDER = Path(__file__).parents[1] / "resources" / "sample"


def load_sample() -> tuple[Image, Image]:
    """Return the bundled pair of images.

    Returns
    -------
    phase
        Two focal planes of phase contrast, uint8 ``(channel, y, x)``, shape
        ``(2, 1024, 768)``.
    fluorescence
        DAPI (nuclei), MAP2 (dendrites) and NFH (axons) of the same field, uint8
        ``(channel, y, x)``, shape ``(3, 1024, 768)``.

    References
    ----------
    Christiansen et al., Cell 173, 792-803 (2018),
    https://doi.org/10.1016/j.cell.2018.03.040
    """
    phase = _read("neurons_phase.ome.tif", "Neurons, phase contrast", ("z4", "z8"))
    fluorescence = _read(
        "neurons_fluorescence.ome.tif", "Neurons, fluorescence", ("DAPI", "MAP2", "NFH")
    )
    return phase, fluorescence


def _read(file: str, title: str, channel_names: tuple[str, ...]) -> Image:
    # Imported here: importing this module is part of opening the docks.
    import tifffile

    path = SAMPLE_FOLDER / file
    return Image(
        data=tifffile.imread(path),
        axes=("channel", "y", "x"),
        channel_names=channel_names,
        name=f"{title} (Christiansen et al. 2018)",
        source=path,
        metadata={"citation": SAMPLE_CITATION},
    )
