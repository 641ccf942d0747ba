"""The checks of an export, and what they advise."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import bioimageio.core
import pytest

from napari_im2im.errors import ModelError
from napari_im2im.zoo.export import checks

PROBLEM = (
    "Output 'output': 9 of 9 elements disagree with expected values (100.0%). "
    "Max relative difference not accounted for: 1e-1 at {'x': np.int64(28)}"
)


@pytest.mark.parametrize(
    ("own", "failing", "advice"),
    [
        (["torchscript"], "torchscript", "No other format would do better"),
        (["onnx", "torchscript"], "onnx", "Leave this format out"),
    ],
)
def test_the_models_own_weights_are_checked_first(
    monkeypatch: pytest.MonkeyPatch, own: list[str], failing: str, advice: str
) -> None:
    def fail(built: Any, weight_format: str) -> Any:
        asked.append(weight_format)
        detail = SimpleNamespace(errors=[SimpleNamespace(msg=PROBLEM)])
        return SimpleNamespace(details=[detail], status="")

    asked: list[str] = []
    monkeypatch.setattr(bioimageio.core, "test_model", fail)
    monkeypatch.setattr(checks, "code_of", lambda _: {})
    weights = {"onnx": None, "pytorch_state_dict": None, "torchscript": None}
    package: Any = SimpleNamespace(weights=weights)
    with pytest.raises(ModelError) as error:
        list(checks.core_events(SimpleNamespace(), package, own, ()))  # type: ignore[arg-type]
    assert asked == [failing]
    assert f"{failing}: Output 'output': 9 of 9" in str(error.value)
    assert f"(100.0%). {advice}" in str(error.value)
