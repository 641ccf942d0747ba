"""OME-Zarr images and plates, whose channels or labels are the targets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_im2im.errors import DataError
from napari_im2im.images.folders.collections import images_in, is_store
from napari_im2im.images.folders.tables import ImageTable, TableRow

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_im2im.images.folders.kinds import TargetKind


def zarr_table(stores: Sequence[Path], layout: str, target: TargetKind) -> ImageTable:
    """Return a row for each image of the stores; labels in them may be the target."""
    rows: list[TableRow] = []
    without: list[Path] = []
    for store in stores:
        for image in [store / path for path in images_in(store)] or [store]:
            labels = _label_images(image) if target == "labels" else []
            # The fields of a well are one group.
            well = image.parent.relative_to(store.parent)
            group = well.as_posix() if image != store else None
            rows.append(TableRow((image,), tuple(labels[:1]), group=group))
            without += [image] if target == "labels" and not labels else []
    if without:
        raise DataError(
            f"{without[0]} has no labels: name files of labels as targets, or choose "
            "the task that predicts an image."
        )
    if not rows:
        raise DataError(f"{stores[0]} holds no image: choose another folder.")
    notes = []
    if target == "image":
        notes.append("Input and target are channels of the same image.")
    fields = f", {len(rows)} images" if len(rows) > 1 else ""
    return ImageTable(tuple(rows), f"{layout}{fields}", tuple(notes))


def _label_images(image: Path) -> list[Path]:
    """Return the paths of the label images of an OME-Zarr image."""
    import zarr

    from napari_im2im.images.formats.ome_zarr_reading import ome_attributes

    labels = image / "labels"
    if not is_store(labels):
        return []
    group = zarr.open_group(labels, mode="r")
    return [labels / str(name) for name in ome_attributes(group).get("labels", ())]
