"""Whether going on from a model that learned something else saves steps.

    python benchmarks/finetuning.py PARENT DATA/mc2d-u2os-fkhr-dna --steps 20 60

PARENT is a model package, e.g. the bundled one. FKHR-GFP to DNA (BBBC013): the first
8 wells train, the last 3 test. For each number of steps the same network learns from
PARENT's weights and from scratch, with the same images, patches and learning rate.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from quality import Pair, read, score, wells

from napari_im2im.api import predict
from napari_im2im.events import TrainingFinished
from napari_im2im.images.image import Image
from napari_im2im.models.package import load_package
from napari_im2im.training.config import TrainConfig
from napari_im2im.training.loop import train_events


def before(parent: Path, testing: list[Pair]) -> list[np.ndarray]:
    """Predict with the parent as it is: every input channel is the one image."""
    (spec,) = load_package(parent).inputs
    channels = spec.axis("channel").size.size
    results = []
    for source, _ in testing:
        pixels = np.repeat(read(source), channels, axis=0).astype(np.float32)
        result = predict(parent, Image(pixels, ("channel", "y", "x")))
        results.append(np.asarray(result).reshape(-1, *pixels.shape[1:])[0])
    return results


def train(
    training: list[Pair], steps: int, options: argparse.Namespace, **start: object
) -> Path:
    config = TrainConfig.model_validate(
        {
            "name": f"{'tuned' if start else 'scratch'}-{steps}",
            "output": options.out,
            "effort": {"steps": steps},
            "optimizer": {"learning_rate": options.learning_rate},
            "device": options.device,
            "network": {"size": options.size},
            **start,
        }
    )
    *_, last = train_events(config, training)
    assert isinstance(last, TrainingFinished)
    return last.package


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parent", type=Path)
    parser.add_argument("data", type=Path, help="folder of the images")
    parser.add_argument("--steps", type=int, nargs="+", default=[20, 60])
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--size", default="small", help="of the network from scratch")
    parser.add_argument("--out", type=Path, help="folder for the runs")
    options = parser.parse_args()
    training, testing = wells(options.data)
    span = [float(np.ptp(np.concatenate([read(t).ravel() for _, t in training])))]

    def report(name: str, predictions: list[np.ndarray]) -> None:
        print(score(name, predictions, testing, ("DNA",), span), flush=True)

    print("| | DNA PCC | DNA SSIM |\n|---|---|---|")
    report("PARENT, before", before(options.parent, testing))
    for steps in options.steps:
        for name, start in (
            ("from PARENT", {"start_from": options.parent}),
            ("from scratch", {}),
        ):
            started = time.monotonic()
            package = train(training, steps, options, **start)
            seconds = time.monotonic() - started
            results = [np.asarray(predict(package, source)) for source, _ in testing]
            report(f"{steps} steps {name} ({seconds:.0f} s)", results)


if __name__ == "__main__":
    main()
