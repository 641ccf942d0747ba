"""What needs no training of a network: thresholds, filters and linear mappings."""

from __future__ import annotations

from itertools import permutations, product
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage
from skimage.feature import peak_local_max
from skimage.filters import gaussian, median, threshold_multiotsu, threshold_otsu
from skimage.morphology import disk
from skimage.restoration import denoise_nl_means
from skimage.segmentation import watershed

from napari_im2im.inference.objects.scores import score_objects

if TYPE_CHECKING:
    from collections.abc import Callable

    from quality_sets import ImageSet, Pair

    from napari_im2im.images.image import Image

Results = dict[str, list[np.ndarray]]
"""By the name in the table: a result for each test image."""


def read(image: Image) -> np.ndarray:
    """Return ``(channel, [z,] y, x)``."""
    axes = ("channel", *(a for a in ("z", "y", "x") if a in image.axes))
    return image.read(axes=axes).astype(np.float64)


def image_floors(found: ImageSet) -> Results:
    """Return the mean of the targets, and the best linear mappings."""
    inputs = [read(pair.input) for pair in found.testing]
    targets = [read(p.target).reshape(len(found.names), -1) for p in found.training]
    mean = np.concatenate(targets, axis=1).mean(axis=1)
    flat = [np.multiply.outer(mean, np.ones(x.shape[1:])) for x in inputs]
    return {
        "mean of the targets": flat,
        "linear, same pixel": linear(found.training, inputs, 0),
        "linear, 7 pixels wide": linear(found.training, inputs, 3),
    }


def neighbourhood(pixels: np.ndarray, radius: int) -> np.ndarray:
    """Return what surrounds each pixel, and 1: ``(pixel, feature)``; 3 planes of z."""
    radii = [min(radius, 1), radius, radius][-(pixels.ndim - 1) :]
    windows = np.lib.stride_tricks.sliding_window_view(
        np.pad(pixels, [(0, 0), *((r, r) for r in radii)], mode="reflect"),
        [2 * r + 1 for r in radii],
        axis=tuple(range(1, pixels.ndim)),
    )
    features = np.moveaxis(windows, 0, pixels.ndim - 1).reshape(pixels[0].size, -1)
    return np.c_[features, np.ones(len(features))]


def linear(
    training: list[Pair], inputs: list[np.ndarray], radius: int
) -> list[np.ndarray]:
    gram, moment = 0.0, 0.0
    for pair in training:
        features = neighbourhood(read(pair.input), radius)
        target = read(pair.target)
        values = target.reshape(len(target), -1).T
        gram, moment = gram + features.T @ features, moment + features.T @ values
    weights = np.linalg.lstsq(gram, moment, rcond=None)[0]
    return [
        (neighbourhood(pixels, radius) @ weights).T.reshape(-1, *pixels.shape[1:])
        for pixels in inputs
    ]


def semantic_floors(found: ImageSet) -> Results:
    """Return Otsu's classes, in the order that fits the training best."""
    count = len(found.names)

    def thresholded(image: Image) -> np.ndarray:
        pixels = image.read()
        return np.digitize(pixels, threshold_multiotsu(pixels, count))

    guesses = [
        (thresholded(p.input), classes(found, p.target.read())) for p in found.training
    ]

    def right(order: tuple[int, ...]) -> int:
        return sum(int((np.array(order)[a] == b).sum()) for a, b in guesses)

    best = np.array(max(permutations(range(count)), key=right))
    return {"Otsu": [best[thresholded(pair.input)] for pair in found.testing]}


def classes(found: ImageSet, labels: np.ndarray) -> np.ndarray:
    """Return the number of the class of each pixel, from its label."""
    values = found.settings["semantic"].get("values", [0, 1])
    middles = np.add(values[1:], values[:-1]) / 2
    return np.digitize(labels, middles)


def instances_floors(found: ImageSet) -> Results:
    """Return Otsu and watershed, with the settings that fit the training best."""

    def precision(settings: tuple[float, int]) -> float:
        scores = []
        for pair in found.training[:12]:
            objects = separated(pair.input, *settings)
            counted = None if pair.cost_map is None else pair.cost_map.read()
            scores.append(score_objects(pair.target.read(), objects, counted=counted))
        return float(np.mean([score.mean_average_precision for score in scores]))

    best = max(product((1.0, 2.0, 4.0), (3, 6, 10, 15)), key=precision)
    return {"scikit-image": [separated(pair.input, *best) for pair in found.testing]}


def separated(image: Image, sigma: float, apart: int) -> np.ndarray:
    """Return objects: Gauss, Otsu, and a watershed from peaks of the distance."""
    pixels = image.read().astype(np.float32)
    # Objects are the fewer pixels, bright or dark.
    if np.median(pixels) > pixels.mean():
        pixels = -pixels
    spacing = [image.scale.get(axis, 1.0) for axis in image.axes]
    relative = np.array(spacing) / min(spacing)
    smooth = gaussian(pixels, sigma / relative)
    mask = smooth > threshold_otsu(smooth)
    depth = ndimage.distance_transform_edt(mask, sampling=relative)
    peaks = peak_local_max(depth, min_distance=apart, labels=mask.astype(int))
    seeds = np.zeros(mask.shape, np.int32)
    seeds[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    return watershed(-depth, seeds, mask=mask)


FILTERS: dict[str, tuple[Callable[..., np.ndarray], list[dict[str, Any]]]] = {
    "Gaussian": (gaussian, [{"sigma": s} for s in (0.7, 1.0, 1.5, 2.0, 3.0)]),
    "median": (median, [{"footprint": disk(r)} for r in (1, 2, 3)]),
    "non-local means": (
        denoise_nl_means,
        # In standard deviations of an image's noise, as neighbours tell it.
        [{"h": h, "patch_size": 5, "patch_distance": 5} for h in (0.3, 0.6, 1, 1.6)],
    ),
}


def noise2void_floors(found: ImageSet) -> Results:
    """Return the noisy images, and filters as strong as references want them."""
    held_out = any(pair.cost_map for pair in found.testing)
    name = "mean of the neighbours" if held_out else "noisy"
    results = {name: [pair.input.read() for pair in found.testing]}
    for name, (function, choices) in FILTERS.items():
        errors = []
        for choice in choices:
            squares = [
                np.average(
                    np.square(filtered(function, p.input, choice) - p.target.read()),
                    weights=p.cost_map and p.cost_map.read(),
                )
                for p in found.tuning
            ]
            errors.append(sum(squares))
        best = choices[int(np.argmin(errors))]
        shown = next((f"{k} {v}" for k, v in best.items() if isinstance(v, float)), "")
        title = f"{name} {shown}".strip()
        results[title] = [filtered(function, p.input, best) for p in found.testing]
    return results


def filtered(
    function: Callable[..., np.ndarray], image: Image, choice: dict[str, Any]
) -> np.ndarray:
    pixels = image.read()
    if "h" in choice:
        noise = np.diff(pixels, axis=0).std() / np.sqrt(2)
        choice = {**choice, "h": choice["h"] * noise}
    return function(pixels, **choice)


FLOORS: dict[str, Callable[[ImageSet], Results]] = {
    "image": image_floors,
    "semantic": semantic_floors,
    "instances": instances_floors,
    "noise2void": noise2void_floors,
}
