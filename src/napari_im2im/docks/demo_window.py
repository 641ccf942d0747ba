"""napari with the bundled sample loaded and the docks open.

``python -m napari_im2im.docks.demo_window`` is what ``napari-im2im demo`` runs
where there is a display.
"""

from __future__ import annotations

import napari

from napari_im2im.docks.opening import open_dock, open_sample

DOCKS = ("Model Zoo", "Predict", "Train")


def open_window() -> napari.Viewer:
    """Return a new viewer with the sample and the docks, the last one in front."""
    viewer = napari.Viewer()
    open_sample(viewer)
    for dock in DOCKS:
        open_dock(viewer, dock)
    return viewer


if __name__ == "__main__":
    open_window()
    napari.run()
