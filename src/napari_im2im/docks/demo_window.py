"""napari with the bundled sample loaded and the docks open.

``python -m napari_im2im.docks.demo_window`` is what ``napari-im2im demo`` runs
where there is a display.
"""

from __future__ import annotations

import napari

PLUGIN = "napari-im2im"
DOCKS = ("Model Zoo", "Predict", "Train")


def open_window() -> napari.Viewer:
    """Return a new viewer with the sample and the docks, the last one in front."""
    viewer = napari.Viewer()
    viewer.open_sample(PLUGIN, "virtual_staining")
    for dock in DOCKS:
        viewer.window.add_plugin_dock_widget(PLUGIN, dock, tabify=True)
    return viewer


if __name__ == "__main__":
    open_window()
    napari.run()
