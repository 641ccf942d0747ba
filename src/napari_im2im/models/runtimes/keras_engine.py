"""Keras weights, on Keras 3 with PyTorch below it: no TensorFlow is needed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_im2im.errors import ModelError
from napari_im2im.models.runtimes.runtime import required_inputs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_im2im.models.package import ModelPackage

# Keras chooses its backend once, when it is imported.
os.environ.setdefault("KERAS_BACKEND", "torch")


class KerasRuntime:
    """A Keras model on the CPU."""

    engine = "keras"
    device = "cpu"

    def __init__(self, package: ModelPackage, weights_format: str) -> None:
        import keras

        self.weights_format = weights_format
        self._package = package
        entry = package.weights[weights_format]
        path = package.file(entry.source, entry.sha256)
        try:
            # In safe mode, Keras refuses layers that hold Python code.
            self._model: Any = keras.saving.load_model(
                path, compile=False, safe_mode=True
            )
        except (ValueError, TypeError, OSError, KeyError, AttributeError) as error:
            raise ModelError(
                f"{package.name}: Keras {keras.__version__} can't load its "
                f"{weights_format} weights ({' '.join(str(error).split())[:200]})."
            ) from error

    def __call__(self, inputs: Sequence[np.ndarray | None]) -> list[np.ndarray]:
        """Run the model; see `Runtime`."""
        import keras

        if self._model is None:
            raise ModelError(f"{self._package.name} was closed: load it again.")
        arrays = required_inputs(self._package, inputs, self.engine)
        try:
            result = self._model.predict_on_batch(
                arrays[0] if len(arrays) == 1 else arrays
            )
        except (ValueError, RuntimeError, TypeError) as error:
            # Keras goes on to print the arrays.
            reason = " ".join(str(error).partition("Arguments received")[0].split())
            raise ModelError(
                f"{self._package.name} can't run on arrays of "
                f"{[array.shape for array in arrays]}: {reason}"
            ) from error
        outputs = keras.tree.flatten(result)
        return self._package.results([np.ascontiguousarray(array) for array in outputs])

    def close(self) -> None:
        """Free the model."""
        self._model = None
