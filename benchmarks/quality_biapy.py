"""Trains BiaPy on the images of a folder that `quality.py` has written.

BiaPy needs other versions of common libraries than this project, so it runs in a Python
of its own. Its settings are those of its templates but for the learning rate; the time
counts from the first epoch, in CPU seconds.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import biapy.engine.base_workflow as engine
import numpy as np
import tifffile
from biapy import BiaPy, build_config

if TYPE_CHECKING:
    from collections.abc import Iterator


class Limited:
    """Batches until time is up, counted."""

    def __init__(self, loader: Any, until: float) -> None:
        self.loader, self.until, self.count = loader, until, 0

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Any]:
        for batch in self.loader:
            self.count += 1
            yield batch
            if time.process_time() > self.until:
                return


class Stop:
    """What BiaPy asks after each validation."""

    def __init__(self, seconds: float) -> None:
        self.until, self.steps = time.process_time() + seconds, 0
        self.learn = engine.train_one_epoch

    def __call__(self, _loss: float) -> None:
        self.early_stop = time.process_time() > self.until

    def epoch(self, *args: Any, **kwargs: Any) -> Any:
        batches = Limited(kwargs["data_loader"], self.until)
        result = self.learn(*args, **{**kwargs, "data_loader": batches})
        self.steps += batches.count
        return result


def settings_of(folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
    three = len(settings["patch"]) == 3
    semantic = settings["task"] == "semantic"

    def data(role: str) -> dict[str, Any]:
        order = {"input_img_axes_order": "ZYX", "input_mask_axes_order": "ZYX"}
        return {
            "path": str(folder / role / "x"),
            "gt_path": str(folder / role / "y"),
            "in_memory": True,
            **(order if three else {}),
        }

    return build_config(
        "SEMANTIC_SEG" if semantic else "INSTANCE_SEG",
        "3D" if three else "2D",
        patch_size=(*settings["patch"], 1),
        model={
            "architecture": "attention_unet" if semantic else "unet",
            **({"z_down": [1, 1, 1, 1]} if three else {}),
        },
        train_data=data("training"),
        val_data={**data("validation"), "from_train": False},
        test_data={
            **data("testing"),
            "load_gt": False,
            "padding": (4, 16, 16) if three else (32, 32),
        },
        extra_config={
            "SYSTEM": {"NUM_WORKERS": 0, "SEED": settings["seed"]},
            "PROBLEM": {"INSTANCE_SEG": {"DATA_CHANNELS": ["F", "C"]}},
            "DATA": {"N_CLASSES": settings["classes"] if semantic else 2},
            "AUGMENTOR": {
                "ENABLE": True,
                "RANDOM_ROT": True,
                "VFLIP": True,
                "HFLIP": True,
                **({"ZFLIP": True} if three else {}),
            },
            "TRAIN": {
                "OPTIMIZER": ["ADAMW"],
                # Ten times the templates', whose trainings last hours.
                "LR": [1e-3],
                "BATCH_SIZE": settings["batch"],
                "EPOCHS": 100_000,
                "PATIENCE": 50,
            },
            "TEST": {"AUGMENTATION": False, "FULL_IMG": not three},
        },
    )


def main() -> None:
    folder = Path(sys.argv[1])
    settings = json.loads((folder / "settings.json").read_text())
    stops: list[Stop] = []

    def build(_config: Any) -> Stop:
        stops.append(Stop(settings["seconds"]))
        engine.train_one_epoch = stops[0].epoch
        return stops[0]

    engine.build_callbacks = build
    job = BiaPy(settings_of(folder, settings), str(folder / "run"), "quality")
    job.train()
    (folder / "told.txt").write_text(f"BiaPy: {stops[0].steps} steps")
    (folder / "result").mkdir()
    for path in sorted((folder / "testing" / "x").glob("*.tif")):
        result = np.squeeze(job.predict(tifffile.imread(path)))
        if settings["task"] == "semantic":
            # Probabilities of the classes, or of the only one.
            several = settings["classes"] > 2
            result = result.argmax(axis=-1) if several else result > 0.5
            result = result.astype(np.uint8)
        tifffile.imwrite(folder / "result" / path.name, result)


if __name__ == "__main__":
    main()
