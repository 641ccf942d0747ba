"""The commands by name."""

from __future__ import annotations

from napari_im2im.cli.demo import Demo
from napari_im2im.cli.doctor import Doctor
from napari_im2im.cli.evaluate import Evaluate
from napari_im2im.cli.export import Export
from napari_im2im.cli.lightmycells import LightMyCells
from napari_im2im.cli.models import Models
from napari_im2im.cli.predict import Predict
from napari_im2im.cli.presets import Presets
from napari_im2im.cli.provenance import Provenance
from napari_im2im.cli.report import Report
from napari_im2im.cli.test import Test
from napari_im2im.cli.train import Train
from napari_im2im.cli.zoo import Zoo

COMMANDS = {
    "train": Train,
    "predict": Predict,
    "evaluate": Evaluate,
    "report": Report,
    "provenance": Provenance,
    "presets": Presets,
    "models": Models,
    "demo": Demo,
    "doctor": Doctor,
    "zoo": Zoo,
    "test": Test,
    "export": Export,
    "lightmycells": LightMyCells,
}
