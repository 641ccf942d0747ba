"""A web server on this computer that can be as bad as real ones are."""

from __future__ import annotations

import hashlib
import io
import json
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaml

from napari_im2im.zoo.settings import ZooSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

DATA = Path(__file__).parents[1] / "data" / "zoo"


@dataclass
class Answer:
    """What the server says to a request for one path."""

    body: bytes = b""
    status: int = 200
    etag: str | None = None
    breaks_after: int | None = None
    """Bytes after which the connection is cut, for the first `bad_answers`."""
    bad_answers: int = 10**9
    """How many answers are bad (status, break); later ones are good."""
    delay: float = 0.0
    """Seconds before the answer, and before each further 16 bytes of `drips`."""
    drips: bool = False
    ranges: bool = True
    headers: dict[str, str] = field(default_factory=dict)


class Server:
    """The server's contents and what was asked of it."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.served = Counter[str]()
        self.stopping = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server.answer(self)

            do_HEAD = do_GET

            def log_message(self, *_: Any) -> None:
                return

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        self.thread = threading.Thread(
            target=self.http.serve_forever, kwargs={"poll_interval": 0.05}
        )

    def put(self, path: str, body: bytes | str, **kwargs: Any) -> str:
        """Serve a file; return its address."""
        if isinstance(body, str):
            body = body.encode()
        self.answers[path] = Answer(body, **kwargs)
        return f"{self.url}/{path}"

    def count(self, path: str) -> int:
        return sum(asked == path for asked, _ in self.requests)

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path = request.path.partition("?")[0].lstrip("/")
        self.requests.append((path, dict(request.headers)))
        answer = self.answers.get(path, Answer(b"no such file", 404))
        self.served[path] += 1
        bad = self.served[path] <= answer.bad_answers
        body, status = answer.body, answer.status if bad else 200
        if self.stopping.wait(answer.delay):
            return
        asked = request.headers.get("If-None-Match")
        if status == 200 and answer.etag and asked == answer.etag:
            body, status = b"", 304
        wanted = request.headers.get("Range", "")
        if status == 200 and wanted and answer.ranges:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            body, status = body[start:], 206
        request.send_response(status)
        request.send_header("Content-Length", str(len(body)))
        if answer.etag:
            request.send_header("ETag", answer.etag)
        for key, value in answer.headers.items():
            request.send_header(key, value)
        request.end_headers()
        if request.command == "HEAD":
            return
        try:
            self._send(request, answer, body, bad)
        except ConnectionError:
            request.close_connection = True

    def _send(
        self, request: BaseHTTPRequestHandler, answer: Answer, body: bytes, bad: bool
    ) -> None:
        if bad and answer.breaks_after is not None:
            request.wfile.write(body[: answer.breaks_after])
            request.close_connection = True
        elif answer.drips:
            for start in range(0, len(body), 16):
                request.wfile.write(body[start : start + 16])
                if self.stopping.wait(answer.delay):
                    return
        else:
            request.wfile.write(body)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    server.thread.start()
    yield server
    server.stopping.set()
    server.http.shutdown()
    server.http.server_close()
    server.thread.join()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep models, consent and caches of the tests away from the user's."""
    folder = tmp_path / "home"
    monkeypatch.setenv("NAPARI_IM2IM_HOME", str(folder))
    return folder


@pytest.fixture
def settings(server: Server) -> ZooSettings:
    return ZooSettings(
        index_url=f"{server.url}/collection/index.json",
        records_url=f"{server.url}/records",
    )


@pytest.fixture
def hasty(settings: ZooSettings) -> ZooSettings:
    """Settings that give a slow server up soon; a busy computer is one, too."""
    return settings.model_copy(update={"timeout": 0.5, "deadline": 1.0})


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def collection(server: Server) -> list[str]:
    """Serve the excerpt of the real list with its descriptions; return the ids."""
    index = json.loads((DATA / "index.json").read_text("utf-8"))
    for item in index["items"]:
        if item["type"] != "model":
            continue
        for version in item["versions"]:
            name = item["id"].removeprefix("bioimage-io/")
            file = DATA / f"{name}__{version['version']}.rdf.yaml"
            path = f"artifacts/{name}/files/rdf.yaml"
            version["source"] = f"{server.url}/{path}?version={version['version']}"
            if file.exists():
                server.put(path, file.read_bytes())
                version["sha256"] = sha256(file.read_bytes())
    report = (DATA / "affable-shark__v0.report.json").read_bytes()
    server.put("collection/reports/bioimage-io/affable-shark/v0/summary.json", report)
    server.put("collection/index.json", json.dumps(index), etag='"1"')
    return [
        item["id"].removeprefix("bioimage-io/")
        for item in index["items"]
        if item["type"] == "model"
    ]


def wait_until(condition: Any, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


@pytest.fixture
def package_files() -> dict[str, bytes]:
    """The files of a small valid package whose weights nothing here opens."""
    tensor = np.zeros((1, 1, 16, 16), np.float32)
    files = {
        "weights.onnx": bytes(range(256)) * 2000,
        "input.npy": _npy(tensor),
        "output.npy": _npy(tensor + 1),
        "cover.png": b"\x89PNG cover",
        "README.md": b"# What it does",
    }
    axes = [
        {"type": "batch"},
        {"type": "channel", "channel_names": ["signal"]},
        {"type": "space", "id": "y", "size": {"min": 16, "step": 8}},
        {"type": "space", "id": "x", "size": {"min": 16, "step": 8}},
    ]
    same = [
        axis | {"size": {"tensor_id": "raw", "axis_id": axis["id"]}}
        if axis["type"] == "space"
        else axis
        for axis in axes
    ]
    spec = {
        "format_version": "0.5.4",
        "type": "model",
        "id": "humble-heron",
        "name": "Humble heron",
        "description": "Returns what it gets.",
        "authors": [{"name": "A. Tester"}],
        "cite": [{"text": "none", "doi": "10.1000/none"}],
        "license": "MIT",
        "timestamp": "2026-01-01T00:00:00",
        "tags": ["image-to-image"],
        "covers": ["cover.png"],
        "documentation": "README.md",
        "inputs": [_tensor("raw", axes, "input.npy", files)],
        "outputs": [_tensor("out", same, "output.npy", files)],
        "weights": {
            "onnx": {
                "source": "weights.onnx",
                "sha256": sha256(files["weights.onnx"]),
                "opset_version": 17,
            }
        },
    }
    return {"rdf.yaml": yaml.safe_dump(spec, sort_keys=False).encode(), **files}


def _npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def _tensor(
    name: str, axes: list[dict[str, Any]], file: str, files: dict[str, bytes]
) -> dict[str, Any]:
    return {
        "id": name,
        "axes": axes,
        "test_tensor": {"source": file, "sha256": sha256(files[file])},
    }


@pytest.fixture
def served_model(
    server: Server, package_files: dict[str, bytes], settings: ZooSettings
) -> str:
    """Serve a list with one model and its files; return the model's nickname."""
    for name, content in package_files.items():
        server.put(f"heron/{name}", content)
    item = {
        "id": "bioimage-io/humble-heron",
        "type": "model",
        "versions": [
            {
                "version": "v0",
                "source": f"{server.url}/heron/rdf.yaml?version=v0",
                "sha256": sha256(package_files["rdf.yaml"]),
            }
        ],
    }
    server.put("collection/index.json", json.dumps({"items": [item]}), etag='"1"')
    return "humble-heron"
