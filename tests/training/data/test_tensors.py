from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_im2im.training.data.normalization import learn_scaling
from napari_im2im.training.data.tensors import normalized, restored


@pytest.mark.parametrize("shape", [(2, 3, 16, 16), (2, 3, 4, 16, 16)])
def test_restored_undoes_normalized(shape):
    images = np.random.default_rng(0).random(shape).astype(np.float32) * 1000 + 5000
    scaling = learn_scaling(list(images), "mean_std")
    tensor = normalized(images, [scaling], torch.device("cpu"))
    assert abs(float(tensor.mean())) < 1e-3
    np.testing.assert_allclose(restored(tensor, scaling).numpy(), images, rtol=1e-4)
