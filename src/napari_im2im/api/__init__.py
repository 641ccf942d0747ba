"""Train, predict and evaluate from Python and notebooks.

The same configurations and the same jobs as in the docks and on the command
line. `train`, `predict` and `evaluate` run a job to its end and return its result;
`train_events` and `predict_events` are the job itself, to loop over.
"""

from napari_im2im.api.files import predict_files
from napari_im2im.api.jobs import (
    evaluate,
    predict,
    predict_events,
    train,
    train_events,
)
from napari_im2im.api.models import load_model

__all__ = [
    "evaluate",
    "load_model",
    "predict",
    "predict_events",
    "predict_files",
    "train",
    "train_events",
]
