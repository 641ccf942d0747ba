"""Train, predict and evaluate from Python and notebooks.

The same configurations and the same jobs as in the docks and on the command
line. `train`, `predict` and `evaluate` run a job to its end and return its result;
`train_events` and `predict_events` are the job itself, to loop over.
"""

from napari_im2im.api.evaluation import evaluate
from napari_im2im.api.files import predict_files
from napari_im2im.api.models import load_model
from napari_im2im.api.prediction import predict, predict_events
from napari_im2im.api.training import train, train_events

__all__ = [
    "evaluate",
    "load_model",
    "predict",
    "predict_events",
    "predict_files",
    "train",
    "train_events",
]
