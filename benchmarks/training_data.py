"""Time to index many files, and memory of a training on a set larger than memory.

    python benchmarks/training_data.py FOLDER [--gigabytes 20] [--steps 30]

Writes 1,000 small TIFF files and a generated pair of Zarr arrays into FOLDER: its
chunks are links to one, so that it takes little space itself, but the decoded images
take all of it in the cache (which is put into FOLDER, too). The set is trained on
twice: with an empty cache, and with a filled one.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import tifffile
import zarr
from scipy.ndimage import gaussian_filter

SIDE, CHUNK = 4096, 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--gigabytes", type=float, default=20)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--train", action="store_true", help="used by itself")
    arguments = parser.parse_args()
    if arguments.train:
        train(arguments.folder, arguments.steps)
        return
    print(json.dumps(index(arguments.folder / "tiffs")))
    generate(arguments.folder / "large", arguments.gigabytes)
    for state in ("empty cache", "filled cache"):
        # In a process of its own, so that peaks don't add up.
        command = [sys.executable, __file__, str(arguments.folder), "--train"]
        command += ["--steps", str(arguments.steps)]
        home = str(arguments.folder / "home")
        environment = {**os.environ, "NAPARI_IM2IM_HOME": home}
        run = subprocess.run(command, env=environment, capture_output=True, check=True)
        print(state, run.stdout.decode().splitlines()[-1])


def index(folder: Path) -> dict[str, float]:
    """Measure finding, pairing and opening 1,000 TIFF files."""
    from napari_im2im.training.config import TrainConfig
    from napari_im2im.training.data.examples import open_examples

    folder.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((64, 64), np.uint16)
    for number in range(500):
        for kind in ("phase", "dna"):
            tifffile.imwrite(folder / f"A{number:04}_{kind}.tif", pixels)
    config = TrainConfig(data={"folder": folder})
    open_examples(config)  # what is imported once doesn't count
    begun, busy = time.perf_counter(), time.process_time()
    found = open_examples(config)
    return {
        "pairs": len(found.examples),
        "seconds": round(time.perf_counter() - begun, 2),
        "cpu_seconds": round(time.process_time() - busy, 2),
    }


def generate(folder: Path, gigabytes: float) -> None:
    """Write two Zarr arrays of noise that decode to so many bytes together."""
    planes = int(gigabytes * 1e9 / 2 / SIDE**2)
    random = np.random.default_rng(0)
    for kind in ("phase", "dna"):
        path = folder / f"{kind}.zarr"
        if path.exists():
            continue
        noise = gaussian_filter(random.random((CHUNK, CHUNK)), 3)
        pixels = 255 * (noise - noise.min()) / np.ptp(noise)
        shape, chunks = (planes, SIDE, SIDE), (1, CHUNK, CHUNK)
        array = zarr.create_array(path, shape=shape, chunks=chunks, dtype="u1")
        array[0, :CHUNK, :CHUNK] = pixels.astype(np.uint8)
        first = path / "c" / "0" / "0" / "0"
        for plane, row, column in np.ndindex(planes, SIDE // CHUNK, SIDE // CHUNK):
            chunk = path / "c" / str(plane) / str(row) / str(column)
            chunk.parent.mkdir(parents=True, exist_ok=True)
            if not chunk.exists():
                os.link(first, chunk)


def train(folder: Path, steps: int) -> None:
    """Train for a few steps; print seconds to the first and the peak of memory."""
    peaks = {"rss_gb": 0.0, "own_gb": 0.0}
    threading.Thread(target=watch, args=(peaks,), daemon=True).start()
    begun = time.perf_counter()
    from napari_im2im.events import Progress
    from napari_im2im.training.config import TrainConfig
    from napari_im2im.training.loop import train_events

    files = {
        role: [str(folder / "large" / f"{kind}.zarr")]
        for role, kind in (("inputs", "phase"), ("targets", "dna"))
    }
    config = TrainConfig(
        output=folder / "runs",
        data={**files, "input_axes": "zyx", "target_axes": "zyx"},
        spatial_axes="yx",
        patch={"y": 128, "x": 128},
        batch_size=4,
        network={"size": "small"},
        effort={"steps": steps},
        device="cpu",
    )
    first = cpu = None
    for event in train_events(config):
        if isinstance(event, Progress) and event.activity == "Training":
            first = first or time.perf_counter() - begun
            cpu = cpu or time.process_time()
    rounded = {name: round(value, 2) for name, value in peaks.items()}
    seconds = {"first_step_seconds": round(first or 0, 1)}
    print(json.dumps({**seconds, "cpu_seconds": round(cpu or 0, 1), **rounded}))


def watch(peaks: dict[str, float]) -> None:
    """Keep the peak of the memory; ``own_gb`` is without pages of files."""
    process = psutil.Process()
    while True:
        memory = process.memory_info()
        peaks["rss_gb"] = max(peaks["rss_gb"], memory.rss / 1e9)
        own = memory.rss - getattr(memory, "shared", 0)
        peaks["own_gb"] = max(peaks["own_gb"], own / 1e9)
        time.sleep(0.05)


if __name__ == "__main__":
    main()
