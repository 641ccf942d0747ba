"""Take the pictures of the Model Zoo dock, from the real window at work.

    xvfb-run -a -s "-screen 0 1400x900x24" python tools/zoo_screenshots.py

The zoo is a server on this computer with the descriptions of ``--collection``
(files ``NICKNAME__VERSION.rdf.yaml``) and one whole model, the folder ``--model``.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import os
import shutil
import tempfile
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from screenshots import FOLDER, SIZE, picture, wait, work

EXCERPT = Path(__file__).parents[1] / "tests" / "data" / "zoo"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--collection", type=Path, default=EXCERPT)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=FOLDER)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NAPARI_IM2IM_HOME"] = str(Path(folder) / "home")
        os.environ["NAPARI_CONFIG"] = str(Path(folder) / "napari.yaml")
        web = Path(folder) / "web"
        with serve(web) as url:
            lay_out(web, url, arguments.collection, arguments.model)
            os.environ["NAPARI_IM2IM_ZOO_INDEX_URL"] = f"{url}/index.json"
            take_all(arguments.out, arguments.model.name.replace("_", "-"))


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, *_: Any) -> None:
        return


class serve:
    """Serve a folder on this computer; the value is its address."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        handler = functools.partial(QuietHandler, directory=str(folder))
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)

    def __enter__(self) -> str:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self.server.server_port}"

    def __exit__(self, *error: object) -> None:
        self.server.shutdown()
        self.server.server_close()


def lay_out(web: Path, url: str, collection: Path, model: Path) -> None:
    """Lay out the files of the zoo: the list, descriptions, one whole model."""
    items = []
    for file in sorted(collection.glob("*.rdf.yaml")):
        name, _, version = file.name.removesuffix(".rdf.yaml").partition("__")
        (web / name).mkdir(exist_ok=True)
        shutil.copyfile(file, web / name / "rdf.yaml")
        items.append(entry(web, url, name, version))
    name = model.name.replace("_", "-")
    (web / name).mkdir()
    for file in model.iterdir():
        shutil.copyfile(file, web / name / file.name)
    items.append(entry(web, url, name, "v0"))
    latest = {item["id"]: item for item in items}
    (web / "index.json").write_text(json.dumps({"items": list(latest.values())}))


def entry(web: Path, url: str, name: str, version: str) -> dict[str, Any]:
    content = (web / name / "rdf.yaml").read_bytes()
    one = {
        "version": version,
        "source": f"{url}/{name}/rdf.yaml",
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    return {"id": f"bioimage-io/{name}", "type": "model", "versions": [one]}


def take_all(folder: Path, nickname: str) -> None:
    """Browse, get, test and use a model."""
    import napari

    from napari_im2im.docks.opening import open_dock

    viewer = napari.Viewer()
    viewer.window.resize(*SIZE)
    dock = open_dock(viewer, "Model Zoo")
    wait(lambda: dock.catalogue.index is not None and not dock.catalogue.reading)
    work(2)
    dock.view.choose(next(e.key for e in dock.entries.entries if e.summary.tags))
    work(1)
    picture(viewer, folder / "zoo-browse")
    dock.search.text.setText(nickname.split("-")[1])
    work(1)
    dock.view.choose(nickname)
    dock.run()
    wait(lambda: not dock.running)
    work(1)
    picture(viewer, folder / "zoo-get")
    dock.actions.test()
    wait(lambda: len(viewer.layers) == 4 and not dock.running)
    picture(viewer, folder / "zoo-test")
    dock.run()
    work(4)
    picture(viewer, folder / "zoo-use")
    viewer.close()


if __name__ == "__main__":
    main()
