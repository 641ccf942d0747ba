"""Predictions by several processes, one of which is lost."""

from __future__ import annotations

import gc
import os
import signal
from typing import TYPE_CHECKING
from unittest.mock import Mock

import dask
import numpy as np
import pytest

from napari_im2im.errors import ConfigError, ModelError
from napari_im2im.events import FileDone, FileFailed, FilesFinished, TileDone
from napari_im2im.images import Image, open_image, save_image
from napari_im2im.inference.clusters.distributed import _hand_out, open_client
from napari_im2im.inference.clusters.files import distribute_files_events
from napari_im2im.inference.collection import predict_files_events
from napari_im2im.inference.config import PredictConfig
from napari_im2im.inference.file_tasks import plan_predictions
from napari_im2im.models.package import load_package
from packages import write_smooth_package

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from distributed import Client

    from napari_im2im.models.package import ModelPackage

pytestmark = [
    # What dask.distributed leaves open when its workers start slowly or are killed.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

HOW = PredictConfig(tile={"y": 64, "x": 64}, halo="exact")


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with open_client("2") as client:
        yield client
    gc.collect()


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> ModelPackage:
    folder = tmp_path_factory.mktemp("model") / "smooth"
    return load_package(write_smooth_package(folder))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    pixels = random.normal(100, 20, (600, 500)).astype(np.float32)
    save_image(Image(pixels, ("y", "x")), tmp_path / "in" / "a.ome.zarr")
    save_image(Image(pixels[:99, :80], ("y", "x")), tmp_path / "in" / "b.ome.tif")
    return tmp_path


def test_a_lost_worker_changes_nothing(
    client: Client, package: ModelPackage, folder: Path
) -> None:
    source = [str(folder / "in" / "a.ome.zarr")]
    alone = plan_predictions(source, 1, folder / "one", package.name)
    list(predict_files_events(HOW, alone, package))
    shared = plan_predictions(source, 1, folder / "two", package.name)
    workers = client.run(os.getpid)
    seen = 0
    for event in predict_files_events(HOW, shared, package, client=client):
        if isinstance(event, TileDone):
            seen += 1
            if seen == 1:
                os.kill(next(iter(workers.values())), signal.SIGKILL)
    assert seen == event_count(alone[0].output, HOW)
    expected, result = (
        np.asarray(open_image(task.output).data[...]) for task in (*alone, *shared)
    )
    np.testing.assert_array_equal(result, expected)
    assert [path.name for path in (folder / "two").iterdir()] == [shared[0].output.name]


def test_workers_that_are_lost_at_the_start_are_told_again() -> None:
    client = Mock()
    client.scatter.side_effect = [OSError("closed"), KeyError("tcp://a"), "told"]
    assert _hand_out(client, Mock()) == "told"
    client.scatter.side_effect = OSError("closed")
    with pytest.raises(ModelError, match="lost again and again"):
        _hand_out(client, Mock())


def event_count(output: Path, how: PredictConfig) -> int:
    """Return how many tiles there are, from the chunks that they fill."""
    data = open_image(output).data
    return int(
        np.prod([-(-n // c) for n, c in zip(data.shape, data.chunks, strict=True)])
    )


def test_images_are_shared_out_and_a_broken_one_is_reported(
    client: Client, package: ModelPackage, folder: Path
) -> None:
    (folder / "in" / "c.tif").write_bytes(b"not a TIFF")
    tasks = plan_predictions([str(folder / "in")], 1, folder / "out", package.name)
    events = list(distribute_files_events(client, HOW, tasks, package))
    assert sum(isinstance(event, FileDone) for event in events) == 2
    (failed,) = [event for event in events if isinstance(event, FileFailed)]
    assert failed.input.name == "c.tif"
    finished = events[-1]
    assert isinstance(finished, FilesFinished)
    assert (finished.done, finished.skipped, finished.failed) == (2, 0, (failed,))
    again = HOW.model_copy(update={"resume": True})
    events = list(distribute_files_events(client, again, tasks, package))
    assert [e.skipped for e in events if isinstance(e, FileDone)] == [True, True]


def test_workers_need_a_file_and_separate_tiles(
    client: Client, package: ModelPackage, folder: Path
) -> None:
    from napari_im2im.inference.clusters.distributed import DistributedTiles
    from napari_im2im.inference.loaded import LoadedModel
    from napari_im2im.inference.prediction import predict_events

    image = Image(np.zeros((80, 80), np.float32), ("y", "x"))
    with LoadedModel(package, HOW) as loaded:
        tiles = DistributedTiles(client, loaded)
        with pytest.raises(ConfigError, match="name an output"):
            list(predict_events(HOW, [image], loaded=loaded, tiles=tiles))
        changes = {"output": folder / "part.ome.zarr", "region": {"y": (5, 75)}}
        part = HOW.model_copy(update=changes)
        with pytest.raises(ConfigError, match="share chunks of the output along y"):
            list(predict_events(part, [image], loaded=loaded, tiles=tiles))


def test_a_missing_scheduler_is_named() -> None:
    with (
        pytest.raises(ConfigError, match=r"no scheduler at nowhere\.json"),
        open_client("nowhere.json"),
    ):
        pass
    assert dask.config.get("scheduler", None) is None
