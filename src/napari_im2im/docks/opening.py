"""Open a dock of this plugin from another, and have them stand together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.plugins import menu_item_template
from npe2 import PluginManager
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDockWidget, QMainWindow, QWidget

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
    manager = PluginManager.instance()
    # The name that the Plugins menu gives it, so that the menu finds it too:
    # napari's add_plugin_dock_widget names it otherwise, and there were two.
    title = menu_item_template.format(manager.get_manifest(PLUGIN).display_name, name)
    widget = viewer.window.dock_widgets.get(title)
    if widget is None:
        (make,) = (
            widget.get_callable()
            for widget in manager.get_manifest(PLUGIN).contributions.widgets or ()
            if widget.display_name == name
        )
        widget = make(viewer)
        viewer.window.add_dock_widget(widget, name=title, tabify=True)
    frame = frame_of(widget)
    if frame is not None:
        frame.show()
        frame.raise_()
    return widget


def open_sample(viewer: napari.Viewer) -> None:
    """Open the sample that comes with the plugin."""
    viewer.open_sample(PLUGIN, "virtual_staining")


def frame_of(widget: QWidget) -> QDockWidget | None:
    """Return the frame that a dock's widget stands in, None outside a window."""
    while widget is not None and not isinstance(widget, QDockWidget):
        widget = widget.parentWidget()
    return widget


def join_others(widget: QWidget, kind: type[QWidget]) -> None:
    """Put a dock behind the tabs of the others of its kind on its side.

    One below the other, as the Plugins menu places them, they are cut off.

    Parameters
    ----------
    widget
        The widget of the dock.
    kind
        The class of the others.
    """
    frame = frame_of(widget)
    window = frame.parentWidget() if frame is not None else None
    if frame is None or frame.isFloating() or not isinstance(window, QMainWindow):
        return
    area = window.dockWidgetArea(frame)
    if area == Qt.DockWidgetArea.NoDockWidgetArea:
        return
    for other in window.findChildren(QDockWidget):
        beside = window.dockWidgetArea(other) == area
        if other is not frame and beside and other.findChild(kind) is not None:
            if other not in window.tabifiedDockWidgets(frame):
                window.tabifyDockWidget(other, frame)
            return
