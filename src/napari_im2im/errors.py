"""What can go wrong, in sentences that a user can act on.

Every message says what happened, where, and how to fix it.
"""

from __future__ import annotations


class Im2ImError(Exception):
    """Base of all errors that napari-im2im raises on purpose."""


class ConfigError(Im2ImError):
    """A job description asks for something that can't be done."""


class ImageError(Im2ImError):
    """An image can't be read, written or understood."""


class DataError(Im2ImError):
    """Images that are fine one by one don't make a training set."""


class ModelError(Im2ImError):
    """A model package can't be read, run or written."""


class TrustError(ModelError):
    """A model package asks for something that nobody has agreed to."""


class NetworkError(Im2ImError):
    """A file on the web can't be read."""
