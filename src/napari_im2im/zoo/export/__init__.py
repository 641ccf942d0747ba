"""From a model on this computer to a package that can be published."""

from napari_im2im.zoo.export.config import ExportConfig
from napari_im2im.zoo.export.events import Checked, ExportFinished
from napari_im2im.zoo.export.job import export_events

__all__ = ["Checked", "ExportConfig", "ExportFinished", "export_events"]
