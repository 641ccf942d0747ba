"""What napari imports on starting costs next to nothing."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "monai", "lightning", "bioimageio", "onnxruntime", "openvino")
# Processor time: other work on the machine isn't what is measured.
PROGRAM = """
import sys, time
start = time.process_time()
import {module}
seconds = time.process_time() - start
heavy = sorted(set({heavy!r}) & set(sys.modules))
print(seconds, *heavy)
"""


def import_in_a_new_process(module):
    program = PROGRAM.format(module=module, heavy=HEAVY)
    command = [sys.executable, "-c", program]
    output = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds, *heavy = output.stdout.split()
    return float(seconds), heavy


@pytest.mark.parametrize("module", ["napari_im2im", "napari_im2im.contributions"])
def test_entry_points_import_fast_and_without_torch(module):
    runs = [import_in_a_new_process(module) for _ in range(3)]
    assert all(not heavy for _, heavy in runs)
    # The best of three: the first one may write bytecode.
    assert min(seconds for seconds, _ in runs) < 0.3


@pytest.mark.parametrize("dock", ["train", "predict", "model_zoo", "export"])
def test_docks_open_without_torch(dock):
    assert import_in_a_new_process(f"napari_im2im.docks.{dock}.widget")[1] == []
