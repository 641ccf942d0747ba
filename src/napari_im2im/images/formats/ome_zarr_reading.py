"""Reading OME-Zarr, versions 0.1 to 0.5."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import zarr

from napari_im2im.errors import ImageError
from napari_im2im.images.formats.contents import (
    PROVENANCE,
    UNKNOWN,
    Contents,
    named_axes,
    scene_index,
)
from napari_im2im.images.units import known_sizes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_FIVE = [{"name": name} for name in "tczyx"]
"""The axes that versions 0.1 and 0.2 don't write down."""


def read_ome_zarr(path: Path, scene: int | str | None) -> Contents:
    """Describe an image of an OME-Zarr store, at its first (finest) level.

    Parameters
    ----------
    path
        The store, or a group or array in it: a field of a plate, a label image,
        a level.
    scene
        Which image of a group of images: its path in there, or its position.

    Raises
    ------
    ImageError
        If there is no image, or several and none was chosen.
    """
    try:
        node = zarr.open(path, mode="r")
    except (FileNotFoundError, zarr.errors.NodeNotFoundError) as error:
        raise ImageError(
            f"{path} is a folder, but no OME-Zarr image: choose a file in it."
        ) from error
    if isinstance(node, zarr.Array):
        return _read_level(path, node)
    if "multiscales" not in ome_attributes(node):
        return _read_one_of(path, node, scene)
    multiscales = ome_attributes(node)["multiscales"]
    names = tuple(str(m.get("name") or i) for i, m in enumerate(multiscales))
    index = scene_index(scene, names)
    if index is None:
        raise ImageError(
            f"{path.name} has no image {scene!r}: choose one of {', '.join(names)}."
        )
    multiscale = multiscales[index]
    dataset = multiscale["datasets"][0]
    level = node[str(dataset["path"])]
    return _describe(node, multiscale, dataset, level)


def ome_attributes(group: zarr.Group) -> Mapping[str, Any]:
    """Return what OME-Zarr says about a group, in whatever version."""
    attributes: dict[str, Any] = dict(group.attrs)
    ome: Mapping[str, Any] = attributes.get("ome", attributes)
    return ome


def _read_level(path: Path, array: zarr.Array) -> Contents:
    """Describe an array by itself, or as the level of the image that it is."""
    try:
        group = zarr.open_group(path.parent, mode="r")
    except (FileNotFoundError, zarr.errors.NodeNotFoundError):
        return Contents(array, _array_axes(array))
    for multiscale in ome_attributes(group).get("multiscales", ()):
        for dataset in multiscale["datasets"]:
            if str(dataset["path"]) == path.name:
                return _describe(group, multiscale, dataset, array)
    return Contents(array, _array_axes(array))


def _array_axes(array: zarr.Array) -> tuple[str, ...]:
    names = getattr(array.metadata, "dimension_names", None)
    names = names or array.attrs.get("_ARRAY_DIMENSIONS") or (None,) * array.ndim
    return named_axes("".join((name or UNKNOWN)[:1] for name in names))


def _describe(
    group: zarr.Group,
    multiscale: Mapping[str, Any],
    dataset: Mapping[str, Any],
    array: zarr.Array,
) -> Contents:
    declared = [
        axis if isinstance(axis, dict) else {"name": axis}
        for axis in multiscale.get("axes", _FIVE)
    ]
    axes = named_axes("".join(str(axis["name"])[:1] for axis in declared))
    sizes = [1.0] * len(axes)
    for described in (dataset, multiscale):
        for transformation in described.get("coordinateTransformations", ()):
            if transformation["type"] == "scale":
                factors = transformation["scale"]
                sizes = [s * f for s, f in zip(sizes, factors, strict=True)]
    units = {a: d.get("unit") for a, d in zip(axes, declared, strict=True)}
    measured = [(a, s) for a, s in zip(axes, sizes, strict=True) if a != "channel"]
    scale, spelled = known_sizes(dict(measured), units)
    channels = ome_attributes(group).get("omero", {}).get("channels", ())
    provenance = group.attrs.get(PROVENANCE)
    return Contents(
        array,
        axes,
        scale=scale,
        units=spelled,
        channel_names=tuple(str(c.get("label", i)) for i, c in enumerate(channels)),
        metadata={PROVENANCE: provenance} if provenance else {},
    )


def _read_one_of(path: Path, group: zarr.Group, scene: int | str | None) -> Contents:
    """Read the chosen or the only image of a plate, a well or another collection."""
    if isinstance(scene, str) and (path / scene).is_dir():
        return read_ome_zarr(path / scene, None)
    images = list(image_paths(group))
    if isinstance(scene, int) and scene < len(images):
        return read_ome_zarr(path / images[scene], None)
    if len(images) == 1 and scene is None:
        return read_ome_zarr(path / images[0], None)
    if not images:
        raise ImageError(
            f"{path} is a Zarr group without an image: choose one that holds images."
        )
    raise ImageError(
        f"{path.name} holds {len(images)} images: open one of them, "
        f"e.g. {path / images[0]}."
    )


def image_paths(group: zarr.Group) -> Iterator[str]:
    """Yield the paths of the images in a collection, by its metadata or by looking."""
    attributes = ome_attributes(group)
    if "plate" in attributes:
        for well in attributes["plate"].get("wells", ()):
            for field in image_paths(group[well["path"]]):
                yield f"{well['path']}/{field}"
    elif "well" in attributes:
        yield from (str(image["path"]) for image in attributes["well"]["images"])
    else:
        for name, child in sorted(group.members()):
            if isinstance(child, zarr.Array) or "multiscales" in ome_attributes(child):
                yield name
