"""A stand-in for the Hugging Face Hub: takes commits of models, and gives their files, in the forms of its HTTP API."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Hub:
    """What it holds: by model, by file. `asked` are method, path and token of every request."""

    address: str = ""
    models: dict[str, dict[str, bytes]] = field(default_factory=dict)
    private: set[str] = field(default_factory=set)
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)

    def revision(self, model: str) -> str:
        return hashlib.sha1(repr(sorted(self.models[model].items())).encode()).hexdigest()


@contextmanager
def running_hub() -> Iterator[Hub]:
    """A hub that listens at `address` on the loopback until the block ends."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *parts: object) -> None:
        """Say nothing."""

    def _parts(self) -> list[str]:
        path = self.path.partition("?")[0]
        self.hub.asked.append((self.command, path, self.headers.get("Authorization")))
        return path.strip("/").split("/")

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        match self._parts():
            case ["api", "models", org, name, "tree", *_]:
                files = self.hub.models[f"{org}/{name}"].items()
                self._answer(200, [{"type": "file", "path": path, "size": len(content), "oid": "0" * 40}
                                   for path, content in files])  # fmt: skip
            case ["api", "models", org, name, *_]:
                self._model(f"{org}/{name}")
            case [org, name, "resolve", _, *path]:
                self._file(f"{org}/{name}", "/".join(path))
            case _:
                self._answer(404, {"error": "not found"})

    def do_POST(self) -> None:
        parts = self._parts()
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Authorization") != "Bearer secret":
            return self._answer(401, {"error": "no token"})
        match parts:
            case ["api", "repos", "create"]:
                self._create(json.loads(body))
            case ["api", "validate-yaml"]:
                self._answer(200, {"errors": [], "warnings": []})
            case ["api", "models", _, _, "preupload", _]:
                files = [{"path": each["path"], "uploadMode": "regular", "shouldIgnore": False, "oid": None}
                         for each in json.loads(body)["files"]]  # fmt: skip
                self._answer(200, {"files": files})
            case ["api", "models", org, name, "commit", _]:
                self._commit(f"{org}/{name}", body)
            case _:
                self._answer(404, {"error": "not found"})
        return None

    def _create(self, wanted: dict) -> None:
        name = f"{wanted.get('organization')}/{wanted['name']}"
        if name in self.hub.models:
            return self._answer(409, {"error": "exists", "url": f"{self.hub.address}/{name}"})
        self.hub.models[name] = {}
        if wanted.get("private") or wanted.get("visibility") == "private":
            self.hub.private.add(name)
        return self._answer(200, {"url": f"{self.hub.address}/{name}"})

    def _commit(self, model: str, body: bytes) -> None:
        for line in body.splitlines():
            entry = json.loads(line)
            if entry["key"] == "file":
                self.hub.models[model][entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
        revision = self.hub.revision(model)
        self._answer(200, {"commitUrl": f"{self.hub.address}/{model}/commit/{revision}", "commitOid": revision})

    def _model(self, model: str) -> None:
        if model not in self.hub.models:
            return self._answer(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
        files = [{"rfilename": name, "size": len(content)} for name, content in self.hub.models[model].items()]
        return self._answer(200, {"id": model, "sha": self.hub.revision(model), "siblings": files, "private": False})

    def _file(self, model: str, name: str) -> None:
        content = self.hub.models.get(model, {}).get(name)
        if content is None:
            return self._answer(404, {"error": "no file"}, {"X-Error-Code": "EntryNotFound"})
        facts = {"X-Repo-Commit": self.hub.revision(model), "ETag": f'"{hashlib.sha1(content).hexdigest()}"'}
        return self._send(200, content, facts)

    def _answer(self, status: int, document: dict | list, headers: dict[str, str] | None = None) -> None:
        self._send(status, json.dumps(document).encode(), headers or {})

    def _send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), "Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
