"""How well Noise2Void denoises, on images that training never saw.

    python benchmarks/denoising.py DATA/mc2d-u2os-fkhr-dna --seconds 150

Nuclei of BBBC013 with known noise on top (photon noise of 20 at the brightest, and
Gaussian of 1.5): the first 8 wells train, noisy images alone; the last 3 test against
the clean ones. Beside it the noisy images, filters of scikit-image whose strength is
the best for the clean *training* images, and, where it is installed, CAREamics, trained
for the same time or number of steps on the same images.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import imageio.v3
import numpy as np
import torch
from skimage.filters import gaussian, median
from skimage.morphology import disk
from skimage.restoration import denoise_nl_means

from napari_im2im.api import predict
from napari_im2im.images.image import Image
from napari_im2im.images.reading import open_image
from napari_im2im.training.config import TrainConfig
from napari_im2im.training.loop import train_events
from napari_im2im.training.metrics import image_metrics

PHOTONS, READOUT = 20.0, 1.5


def load(folder: Path) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return clean images in photons, and noisy ones."""
    random = np.random.default_rng(0)
    clean = []
    for path in sorted(folder.glob("*_dna.tif")):
        pixels = open_image(path).read(axes=("y", "x")).astype(np.float64)
        low, high = np.percentile(pixels, (0.5, 99.9))
        clean.append(np.clip((pixels - low) / (high - low), 0, None) * PHOTONS)
    noisy = [random.poisson(c) + random.normal(0, READOUT, c.shape) for c in clean]
    return clean, [image.astype(np.float32) for image in noisy]


FILTERS = {
    "Gaussian": (gaussian, [{"sigma": s} for s in (0.7, 1, 1.5, 2, 3)]),
    "median": (median, [{"footprint": disk(r)} for r in (1, 2, 3)]),
    "non-local means": (
        denoise_nl_means,
        [{"h": h, "patch_size": 5, "patch_distance": 5} for h in (1.5, 2.5, 4)],
    ),
}


def filtered(
    name: str, clean: list[np.ndarray], noisy: list[np.ndarray], testing: int
) -> tuple[str, list[np.ndarray]]:
    """Choose the strength on two training images, apply it to the test images."""
    function, choices = FILTERS[name]
    errors = [
        sum(np.square(function(noisy[i], **c) - clean[i]).mean() for i in range(2))
        for c in choices
    ]
    best = choices[int(np.argmin(errors))]
    shown = {k: v for k, v in best.items() if isinstance(v, int | float)}
    return f"{name} {shown or ''}", [function(x, **best) for x in noisy[-testing:]]


def ours(
    noisy: list[np.ndarray], options: argparse.Namespace, testing: int
) -> list[np.ndarray]:
    images = [
        Image(pixels, ("y", "x"), {}, {}, name=f"well {i}")
        for i, pixels in enumerate(noisy)
    ]
    config = TrainConfig.model_validate(
        {
            "task": "noise2void",
            "name": "denoising",
            "output": options.out or tempfile.mkdtemp(),
            "spatial_axes": "yx",
            "patch": {"y": 64, "x": 64},
            "batch_size": 16,
            "noise2void": {"replacement": options.replacement},
            "optimizer": {"learning_rate": options.rate},
            "network": {"size": options.size},
            "effort": {"steps": options.steps, "seconds": options.seconds},
        }
    )
    *events, finished = train_events(config, [(i, i) for i in images[:-testing]])
    steps = max(e.done for e in events if type(e).__name__ == "Progress")
    print(f"napari-im2im: {steps} steps, {finished.metrics}", flush=True)
    return [
        np.squeeze(np.asarray(predict(finished.package, i))) for i in images[-testing:]
    ]


def careamics(
    noisy: list[np.ndarray], options: argparse.Namespace, testing: int
) -> list[np.ndarray]:
    from careamics import CAREamist
    from careamics.config import create_n2v_config
    from pytorch_lightning.callbacks import Callback

    started = time.monotonic()

    class Stop(Callback):
        def on_train_batch_end(self, trainer: object, *_: object) -> None:
            self.steps = trainer.global_step
            late = time.monotonic() - started > (options.seconds or 1e9)
            trainer.should_stop = late or self.steps >= (options.steps or 1e9)

    stop = Stop()
    config = create_n2v_config(
        experiment_name="denoising",
        data_type="array",
        axes="YX",
        patch_size=[64, 64],
        batch_size=16,
        num_epochs=1000,
        use_n2v2=options.replacement == "median",
    )
    trainer = CAREamist(config, work_dir=tempfile.mkdtemp(), callbacks=[stop])
    trainer.train(train_data=noisy[:-testing], val_data=noisy[:1])
    print(f"CAREamics: {stop.steps} steps", flush=True)
    result = trainer.predict(noisy[-testing:])
    arrays = result[0] if isinstance(result, tuple) else result
    return [np.squeeze(np.asarray(array)) for array in arrays]


def row(name: str, results: list[np.ndarray], clean: list[np.ndarray]) -> str:
    values = [
        image_metrics(
            torch.from_numpy(np.asarray(result, np.float32))[None, None],
            torch.from_numpy(truth.astype(np.float32))[None, None],
            [PHOTONS],
        )
        for result, truth in zip(results, clean, strict=True)
    ]
    means = [np.mean([v[m] for v in values]) for m in ("psnr", "ssim", "pcc")]
    return f"| {name} | {means[0]:.2f} | {means[1]:.3f} | {means[2]:.3f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--size", default="medium", help="of our network")
    parser.add_argument("--rate", type=float, default=1e-3, help="learning rate")
    parser.add_argument("--replacement", default="pixel", help="pixel or median")
    parser.add_argument("--tools", nargs="*", default=["napari-im2im", "CAREamics"])
    parser.add_argument("--out", type=Path, help="folder for the run")
    parser.add_argument("--picture", type=Path, help="PNG to write")
    options = parser.parse_args()
    clean, noisy = load(options.data)
    testing = 3
    results = {"noisy": noisy[-testing:]}
    for name in FILTERS:
        title, images = filtered(name, clean, noisy, testing)
        results[title] = images
    for name, tool in (("napari-im2im", ours), ("CAREamics", careamics)):
        if name in options.tools:
            results[name] = tool(noisy, options, testing)
    print("| | PSNR (dB) | SSIM | PCC |\n|---|---|---|---|")
    for name, images in results.items():
        print(row(name, images, clean[-testing:]))
    if options.picture:
        shown = [images[-1] for images in results.values()] + [clean[-1]]
        panels = [np.clip(image[200:456, 200:456] / PHOTONS, 0, 1) for image in shown]
        picture = (255 * np.hstack(panels)).astype(np.uint8)
        imageio.v3.imwrite(options.picture, picture)


if __name__ == "__main__":
    main()
