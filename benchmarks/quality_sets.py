"""The images of the quality benchmarks: what trains, what is held out, what tests.

Each set is a function of the folder of its images. What is held out for validation is
given to every tool alike; nobody sees the test images.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import imageio.v3
import numpy as np
from scipy import ndimage
from skimage.filters import gaussian, threshold_otsu
from skimage.measure import label

from napari_im2im.images.image import Image
from napari_im2im.images.reading import open_image

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path


class Pair(NamedTuple):
    """An image, what is to be made of it, and where that counts."""

    input: Image
    target: Image
    cost_map: Image | None = None


@dataclass(frozen=True)
class ImageSet:
    """Pairs by what they are for.

    ``names`` are channels of an image or classes; ``settings`` are what the config of a
    training has to be told of the images. To denoise, the targets of ``testing`` and of
    ``tuning``, by which filters are chosen, are references, and no training sees them.
    """

    task: str
    training: list[Pair]
    validation: list[Pair]
    testing: list[Pair]
    names: tuple[str, ...] = ("image",)
    settings: dict[str, Any] = field(default_factory=dict)
    tuning: list[Pair] = field(default_factory=list)


def split(task: str, pairs: Sequence[Pair], testing: int, **more: Any) -> ImageSet:
    """Let the last pairs test, and every fourth of the others validate."""
    others = pairs[:-testing]
    held_out = others[2::4]
    training = [p for p in others if not any(p is q for q in held_out)]
    return ImageSet(task, training, list(held_out), list(pairs[-testing:]), **more)


def pooled(found: ImageSet) -> ImageSet:
    """Leave it to our training what it holds out."""
    pairs = [*found.training, *found.validation]
    pairs.sort(key=lambda pair: pair.input.name)
    return replace(found, training=pairs, validation=[])


def part(pair: Pair, name: str, **region: slice) -> Pair:
    return Pair(*(i and replace(i.crop(region), name=f"{i.name} {name}") for i in pair))


def grey(path: Path) -> Image:
    """Return the first channel of an image."""
    image = open_image(path)
    if "channel" in image.axes:
        image = image.select("channel", 0)
    return Image(image.read(), image.axes, image.scale, image.units, name=image.name)


def beside(folder: Path, old: str, new: str, axes: str | None = None) -> list[Pair]:
    """Return files whose names hold one word, with those that hold another."""
    return [
        Pair(
            open_image(path, axes=axes),
            open_image(path.with_name(path.name.replace(old, new)), axes=axes),
        )
        for path in sorted(folder.glob(f"*{old}.tif"))
    ]


def neurons(folder: Path) -> ImageSet:
    """Phase contrast, 4 planes, to 3 stains (Christiansen et al. 2018)."""
    words = ("input_phase_zyx", "target_dapi-map2-nfh_cyx")
    pairs = beside(folder, *words, axes="cyx")
    return split("image", pairs, 3, names=("DAPI", "MAP2", "NFH"))


def flow(folder: Path) -> ImageSet:
    """Brightfield to DNA, imaging flow cytometry (Blasi et al. 2016)."""
    return split("image", beside(folder, "brightfield", "dna"), 2, names=("DNA",))


def wells(folder: Path) -> ImageSet:
    """FKHR-GFP to DNA, U2OS cells (BBBC013)."""
    return split("image", beside(folder, "gfp", "dna"), 3, names=("DNA",))


def blastocyst(folder: Path) -> ImageSet:
    """LaminB1 to DAPI in 3D (IDR 6001240), split at planes."""
    image = open_image(next(folder.glob("*.zarr")))
    pair = Pair(image.select("channel", [0]), image.select("channel", [1]))
    return ImageSet(
        "image",
        [part(pair, "front", z=slice(0, 140))],
        [part(pair, "middle", z=slice(144, 164))],
        [part(pair, "back", z=slice(168, 236))],
        ("DAPI",),
    )


def restoration(folder: Path) -> ImageSet:
    """Widefield to confocal in 3D: one half of a nucleus trains, the other tests.

    Nothing is held out: there would be too little of the nucleus left.
    """
    pair = Pair(
        *(
            open_image(folder / f"registered_{name}_zyx.tif")
            for name in ("widefield", "confocal")
        )
    )
    upper, lower = (
        part(pair, "upper", y=slice(0, 64)),
        part(pair, "lower", y=slice(66, 130)),
    )
    return ImageSet("image", [upper], [upper], [lower], ("confocal",))


def myelin(folder: Path) -> ImageSet:
    """Background, myelin and axons in a scanning electron micrograph (axondeepseg)."""
    pair = micrograph(folder)
    return ImageSet(
        "semantic",
        [part(pair, "left", x=slice(0, 832))],
        [part(pair, "middle", x=slice(848, 1000))],
        [part(pair, "right", x=slice(1061, 1541))],
        ("background", "myelin", "axon"),
        {"semantic": {"values": [0, 128, 255]}},
    )


def myelin_strip(folder: Path) -> ImageSet:
    """Learn from the same micrograph; our training chooses what it holds out."""
    left = part(micrograph(folder), "left", x=slice(0, 1000))
    return replace(myelin(folder), training=[left], validation=[])


def micrograph(folder: Path) -> Pair:
    return Pair(grey(folder / "sem_full_image.png"), grey(folder / "sem_full_mask.png"))


def nuclei(folder: Path) -> ImageSet:
    """Fluorescent nuclei of the Data Science Bowl 2018 (Caicedo et al. 2019)."""
    pairs = []
    for path in sorted(folder.glob("*_image.png")):
        colors = imageio.v3.imread(path)[..., :3]
        if (colors == colors[..., :1]).all():  # else stained tissue
            labels = path.with_name(path.name.replace("image.png", "labels.tif"))
            pairs.append(Pair(grey(path), grey(labels)))
    testing = pairs[::4]
    rest = [pair for number, pair in enumerate(pairs) if number % 4]
    return split("instances", [*rest, *testing], len(testing))


def nuclear_mask(folder: Path) -> ImageSet:
    """Tell the same nuclei from the background."""
    return replace(
        nuclei(folder),
        task="semantic",
        names=("background", "nucleus"),
        settings={"semantic": {"foreground": True}},
    )


def ovule(folder: Path) -> ImageSet:
    """Nuclei of an ovule in 3D (PlantSeg): one stack trains, the other tests."""
    import h5py

    def volume(name: str) -> Pair:
        with h5py.File(folder / f"plantseg_nuclei_{name}_mini.h5") as file:
            scale = dict(zip("zyx", file["raw"].attrs["element_size_um"], strict=True))
            raw, labels = file["raw"][:], file["label"][:].astype(np.int32)
        units = dict.fromkeys("zyx", "micrometer")
        return Pair(
            *(Image(a, ("z", "y", "x"), scale, units, name=name) for a in (raw, labels))
        )

    first = volume("1135")
    return ImageSet(
        "instances",
        [part(first, "front", z=slice(0, 78))],
        [part(first, "back", z=slice(82, 100))],
        [volume("1136")],
    )


def coli(folder: Path) -> ImageSet:
    """E. coli in brightfield (ColiCoords), of which only isolated cells are labelled.

    The cost map leaves out what is as dark as cells but unlabelled.
    """
    pairs = []
    for path in sorted(folder.glob("*_brightfield.tif")):
        image, labels = (
            open_image(path.with_name(path.name.replace("brightfield", word)))
            for word in ("brightfield", "labels")
        )
        counted = ~unlabelled(image.read(), labels.read())
        cost_map = Image(counted.astype(np.uint8), labels.axes, name="cost map")
        pairs.append(Pair(image, labels, cost_map))
    return split("instances", pairs, 3)


def unlabelled(pixels: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return where cells are that nobody labelled, and a margin around them."""
    smooth = gaussian(pixels, 2, preserve_range=True)
    dark = ndimage.binary_dilation(smooth < threshold_otsu(smooth), iterations=3)
    things = label(dark)
    known = np.unique(things[labels > 0])
    alone = dark & ~np.isin(things, known)
    near = ndimage.binary_dilation(labels > 0, iterations=4)
    return ndimage.binary_dilation(alone, iterations=5) & ~near


def coli_without_cost_map(folder: Path) -> ImageSet:
    """Learn the same images as if all cells were labelled; the test knows better."""
    found = coli(folder)
    bare = [
        [pair._replace(cost_map=None) for pair in pairs]
        for pairs in (found.training, found.validation)
    ]
    return replace(found, training=bare[0], validation=bare[1])


SETS: dict[str, Callable[[Path], ImageSet]] = {
    "neurons": neurons,
    "flow": flow,
    "wells": wells,
    "blastocyst": blastocyst,
    "restoration": restoration,
    "myelin": myelin,
    "myelin-strip": myelin_strip,
    "nuclear-mask": nuclear_mask,
    "nuclei": nuclei,
    "ovule": ovule,
    "coli": coli,
    "coli-without-cost-map": coli_without_cost_map,
}
