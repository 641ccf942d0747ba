"""The options of the Predict dock: their titles, in order."""

OBJECT_OPTIONS = {
    "objects.foreground": "Object threshold",
    "objects.seed": "Seed threshold",
    "objects.smallest": "Smallest object",
}
"""Options of models that separate objects."""

OPTIONS = {
    "result": "Result",
    **OBJECT_OPTIONS,
    "device": "Device",
    "engine": "Engine",
    "precision": "Precision",
    "compile": "Compile for a GPU",
    "tile": "Tile",
    "halo": "Halo",
    "overlap": "Overlap",
    "tolerance": "Tolerance",
    "batch_size": "Batch",
    "test_time_augmentation": "Mean over flips",
    "rescale": "Rescale to the model",
    "output_type": "Output type",
    "statistics": "Statistics",
    "unreadable": "Unreadable parts",
    "empty": "Empty parts",
    "output": "Write to",
}

DEVICES = {"device": ("auto", "cpu", "cuda", "mps")}
