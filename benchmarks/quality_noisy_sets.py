"""The images of the benchmarks of denoising.

No training sees a reference. Where nobody knows the clean image, pixels are held out:
noise that is another one in each pixel can't be told from the neighbours, so that the
mean squared error of what they tell is that to the clean image, and a constant (Batson
& Royer 2019).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from quality_sets import ImageSet, Pair, split
from scipy import ndimage

from napari_im2im.images.image import Image
from napari_im2im.images.reading import open_image

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PHOTONS, READOUT = 20.0, 1.5
"""Of the noise on `noisy_wells`: at the brightest, and standard deviation."""

AROUND = np.array([[1, 2, 1], [2, 0, 2], [1, 2, 1]]) / 12
HELD_OUT = ((0, 0), (1, 2), (2, 1), (3, 3))
"""Of 4 x 4 pixels: which are held out together."""


def noisy_wells(folder: Path) -> ImageSet:
    """Nuclei of BBBC013 with known noise on top; the clean images only test."""
    random = np.random.default_rng(0)
    pairs = []
    for path in sorted(folder.glob("*_dna.tif")):
        pixels = open_image(path).read(axes=("y", "x")).astype(np.float64)
        low, high = np.percentile(pixels, (0.5, 99.9))
        clean = np.clip((pixels - low) / (high - low), 0, None) * PHOTONS
        noisy = random.poisson(clean) + random.normal(0, READOUT, clean.shape)
        pairs.append(plane_pair(noisy, clean, path.stem))
    return replace(split("noise2void", pairs, 3), tuning=pairs[:2])


def movie(folder: Path) -> ImageSet:
    """Lysosomes in a noisy movie (Huang lab): single frames are denoised.

    Nobody knows the clean frames. The mean of the frame before and the one after is
    the reference, whose noise is another one; what moves limits what can be reached.
    """
    frames = open_image(folder / "lysosome_1_tyx.tif", axes="tyx").read()
    frames = frames.astype(np.float64)
    pairs = [
        plane_pair(frames[t], (frames[t - 1] + frames[t + 1]) / 2, f"frame {t}")
        for t in range(1, len(frames) - 1)
    ]
    found = split("noise2void", pairs, 10)
    # The frame next to the first that tests is part of its reference.
    training = [p for p in found.training if p is not pairs[-11]]
    return replace(found, training=training, tuning=pairs[:36:7])


def exit_sites(folder: Path) -> ImageSet:
    """ER exit sites in one noisy image (NEUBIAS), split at rows."""
    path = folder / "xy_calibrated_16bit__cells_eres_noisy.tif"
    pixels = open_image(path).read(axes=("y", "x"))
    return without_reference([pixels[:240]], [pixels[240:368]], [pixels[376:]])


def nucleus(folder: Path) -> ImageSet:
    """Chromatin of a nucleus in 7 noisy planes (NEUBIAS), of which two test."""
    planes = open_image(folder / "xyz_8bit__nucleus.tif", axes="zyx").read()
    return without_reference([*planes[:4]], [planes[4]], [*planes[5:]])


def without_reference(
    training: list[np.ndarray], validation: list[np.ndarray], testing: list[np.ndarray]
) -> ImageSet:
    return ImageSet(
        "noise2void",
        [plane_pair(each, each, "training") for each in training],
        [plane_pair(each, each, "validation") for each in validation],
        [*(plane_pair(each, each, "testing") for each in testing), *held_out(testing)],
        tuning=held_out(training),
    )


def held_out(images: list[np.ndarray]) -> list[Pair]:
    """Return images with every 16th pixel replaced by the mean of its neighbours.

    Their cost map is where that happened.
    """
    pairs = []
    for pixels in images:
        around = ndimage.convolve(pixels.astype(np.float32), AROUND, mode="mirror")
        for row, column in HELD_OUT:
            counted = np.zeros(pixels.shape, np.uint8)
            counted[row::4, column::4] = 1
            pair = plane_pair(np.where(counted, around, pixels), pixels, "held out")
            pairs.append(pair._replace(cost_map=Image(counted, ("y", "x"))))
    return pairs


def plane_pair(noisy: np.ndarray, reference: np.ndarray, name: str) -> Pair:
    arrays = (noisy.astype(np.float32), reference.astype(np.float32))
    return Pair(*(Image(array, ("y", "x"), name=name) for array in arrays))


NOISY_SETS: dict[str, Callable[[Path], ImageSet]] = {
    "noisy-wells": noisy_wells,
    "movie": movie,
    "exit-sites": exit_sites,
    "nucleus": nucleus,
}
