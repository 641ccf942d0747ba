"""Open a dock of this plugin from another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import napari

PLUGIN = "napari-im2im"


def open_dock(viewer: napari.Viewer, name: str) -> Any:
    """Return the dock's widget, in front of the others; it is opened if needed.

    Parameters
    ----------
    viewer
        The window.
    name
        ``"Train"``, ``"Predict"`` or ``"Model Zoo"``.
    """
    dock, widget = viewer.window.add_plugin_dock_widget(PLUGIN, name, tabify=True)
    dock.show()
    dock.raise_()
    return widget


def open_sample(viewer: napari.Viewer) -> None:
    """Open the sample that comes with the plugin."""
    viewer.open_sample(PLUGIN, "virtual_staining")
