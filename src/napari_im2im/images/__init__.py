"""Arrays with named axes and pixel size, and the files that hold them."""

from napari_im2im.images.image import AXES, SPATIAL_AXES, Image

__all__ = ["AXES", "SPATIAL_AXES", "Image"]
