"""Others that train, a step at a turn: for ``training.py steps``.

Each comes with a bare loop of its own network, which isn't ours.
"""

from __future__ import annotations

import copy
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Iterator

    import torch

Images = list[tuple[np.ndarray, np.ndarray]]


class Turn:
    """Lets a trainer, in a thread of its own, take a step at a time."""

    def __init__(self) -> None:
        self.go, self.done = threading.Semaphore(0), threading.Semaphore(0)

    def callback(self, base: type) -> Any:
        """Return a callback of Lightning that waits."""
        turn = self

        class Wait(base):  # type: ignore[misc]
            def on_train_start(self, *_: Any) -> None:
                turn.go.acquire()

            def on_train_batch_end(self, *_: Any, **__: Any) -> None:
                turn.done.release()
                turn.go.acquire()

        return Wait()

    def batches(self, loader: Iterable[Any]) -> Iterator[Any]:
        """Yield batches of a loader; the step is what happens until the next one."""
        for batch in loader:
            yield batch
            self.done.release()
            self.go.acquire()

    def steps(
        self, fit: Callable[[], object], clock: Callable[[], float]
    ) -> Iterator[float]:
        threading.Thread(target=fit, daemon=True).start()
        while True:
            started = clock()
            self.go.release()
            self.done.acquire()
            yield clock() - started


class CAREamics:
    """CARE of CAREamics with its default augmentation."""

    name = "CAREamics CARE"

    def __init__(
        self, options: argparse.Namespace, axes: str, patch: list[int], images: Images
    ) -> None:
        from careamics import CAREamist
        from careamics.config import create_care_config
        from pytorch_lightning import Callback

        self.turn = Turn()
        self.trainer = CAREamist(
            create_care_config(
                experiment_name="speed",
                data_type="array",
                axes=axes.upper(),
                patch_size=patch,
                batch_size=options.batch,
                num_epochs=1000,
            ),
            work_dir=tempfile.mkdtemp(),
            callbacks=[self.turn.callback(Callback)],
            enable_progress_bar=False,
        )
        self.images = images

    def network(self) -> torch.nn.Module:
        """Return a copy of its network as it is before the first step."""
        return copy.deepcopy(self.trainer.model.model)

    def fit(self) -> None:
        inputs, targets = (
            [image.astype(np.float32) for image in side]
            for side in zip(*self.images, strict=True)
        )
        self.trainer.train(
            train_data=inputs,
            train_data_target=targets,
            val_data=inputs[:1],
            val_data_target=targets[:1],
        )


class BiaPy:
    """The image-to-image workflow of BiaPy, with flips and quarter turns."""

    name = "BiaPy"

    def __init__(
        self, options: argparse.Namespace, axes: str, patch: list[int], images: Images
    ) -> None:
        import biapy
        from biapy.engine import base_workflow

        folder = Path(tempfile.mkdtemp())
        for number, pair in enumerate(images):
            for side, pixels in zip(("x", "y"), pair, strict=True):
                path = folder / side / f"{number:02}.tif"
                path.parent.mkdir(exist_ok=True)
                tifffile.imwrite(path, pixels)
        augmented = options.augmentation != "none"
        job = biapy.BiaPy(
            {
                "SYSTEM": {"NUM_WORKERS": 0, "NUM_CPUS": 1},
                "PROBLEM": {"TYPE": "IMAGE_TO_IMAGE", "NDIM": f"{len(axes)}D"},
                "DATA": {
                    "PATCH_SIZE": (*patch, 1),
                    "TRAIN": {
                        "PATH": str(folder / "x"),
                        "GT_PATH": str(folder / "y"),
                        "EXTRACT_RANDOM_PATCH": True,
                        # Validations and checkpoints between epochs are no steps.
                        "REPLICATE": 1000,
                        "IN_MEMORY": True,
                    },
                    "VAL": {"FROM_TRAIN": True, "SPLIT_TRAIN": 0.1},
                },
                "AUGMENTOR": {
                    "ENABLE": augmented,
                    "VFLIP": augmented,
                    "HFLIP": augmented,
                    "ROT90": augmented,
                },
                "MODEL": {
                    "ARCHITECTURE": "unet",
                    # As in its templates: 16 planes can't be halved four times.
                    **({"Z_DOWN": [1, 1, 1, 1]} if len(axes) == 3 else {}),
                },
                "TRAIN": {
                    "ENABLE": True,
                    "EPOCHS": 1000,
                    "BATCH_SIZE": options.batch,
                    "OPTIMIZER": ["ADAMW"],
                    "LR": [1e-3],
                },
                "TEST": {"ENABLE": False},
            },
            result_dir=str(folder / "results"),
            name="speed",
            run_id=1,
            gpu="0" if options.device == "cuda" else "",
        )
        self.turn, self.workflow = Turn(), job.workflow
        learn = base_workflow.train_one_epoch

        def by_turns(*args: Any, data_loader: Any, **values: Any) -> Any:
            return learn(*args, data_loader=Loader(data_loader, self.turn), **values)

        base_workflow.train_one_epoch = by_turns
        self.workflow.prepare_model()

    def network(self) -> torch.nn.Module:
        """Return a copy of its network as it is before the first step."""
        return copy.deepcopy(self.workflow.model_without_ddp)

    def fit(self) -> None:
        self.turn.go.acquire()
        self.workflow.train()


class Loader:
    """A data loader whose batches wait for their turn."""

    def __init__(self, loader: Any, turn: Turn) -> None:
        self.loader, self.turn = loader, turn

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Any]:
        return self.turn.batches(self.loader)


PEERS = {peer.name: peer for peer in (CAREamics, BiaPy)}
