"""Small servers that answer as the documents of Immich and PhotoPrism say, with people and mistakes to order."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pictures import encoded
from toys import picture

KEY = "a-very-secret-key"
PASSWORD = "a-very-secret-password"
PREVIEW = "preview-token"


class App(ThreadingHTTPServer):
    """`people` by id: {"name", "seed", "version"}; `trouble(path, times asked) -> status, "silence" or bytes` comes first."""

    daemon_threads = True

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.people: dict[str, dict[str, Any]] = {}
        self.trouble: Callable[[str, int], Any] = lambda path, times: None
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.largest_page = 1000

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def person(self, id: str, name: str, seed: int, **more: Any) -> None:
        """Somebody new, or somebody known with another name or picture."""
        version = self.people.get(id, {"version": 0})["version"] + 1
        self.people[id] = {"name": name, "seed": seed, "version": version, **more}

    def pictures(self) -> list[str]:
        """Which pictures were asked for since the last time."""
        found = [path for path in self.asked if path.endswith("/thumbnail") or "/t/" in path]
        self.asked.clear()
        return found


class Handler(BaseHTTPRequestHandler):
    server: App

    def log_message(self, *_: Any) -> None:
        """Nothing on stderr."""

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except ConnectionError:
            self.close_connection = True

    def do_GET(self) -> None:
        if not self.troubled():
            self.answer(urlsplit(self.path).path, {k: v[0] for k, v in parse_qs(urlsplit(self.path).query).items()})

    def troubled(self) -> bool:
        path = urlsplit(self.path).path
        self.server.asked.append(path)
        self.server.headers.append(dict(self.headers))
        trouble = self.server.trouble(path, self.server.asked.count(path))
        if trouble is None:
            return False
        if trouble == "silence":
            time.sleep(1.0)
        elif isinstance(trouble, bytes):
            self.send(200, trouble, "image/jpeg")
        elif isinstance(trouble, str):
            self.send(302, b"", Location=trouble)
        else:
            self.send(trouble, b'{"message": "trouble with a-very-secret-key"}', **{"Retry-After": "0"})
        return True

    def answer(self, path: str, query: dict[str, str]) -> None:
        raise NotImplementedError

    def send(self, status: int, body: bytes, kind: str = "application/json", **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def say(self, value: Any, status: int = 200, **headers: str) -> None:
        self.send(status, json.dumps(value).encode(), **headers)


class ImmichHandler(Handler):
    def answer(self, path: str, query: dict[str, str]) -> None:
        people = self.server.people
        if self.headers.get("x-api-key") != KEY:
            self.say({"message": "Invalid API key", "error": "Unauthorized", "statusCode": 401}, 401)
        elif path == "/api/people":
            size = min(int(query.get("size", 500)), self.server.largest_page)
            shown = [(i, p) for i, p in people.items() if query.get("withHidden") == "true" or not p.get("hidden")]
            first = size * (int(query.get("page", 1)) - 1)
            page = [
                {"id": i, "name": p["name"], "birthDate": None, "thumbnailPath": f"upload/thumbs/{i}.jpeg",
                 "isHidden": p.get("hidden", False), "isFavorite": False, "updatedAt": f"2026-11-{p['version']:02}"}
                for i, p in shown[first : first + size]
            ]  # fmt: skip
            more = first + size < len(shown)
            self.say({"people": page, "total": len(shown), "hidden": 0, "hasNextPage": more})
        elif path.split("/")[-1] == "thumbnail" and path.split("/")[3] in people:
            self.send(200, encoded(picture(people[path.split("/")[3]]["seed"]), "JPEG"), "image/jpeg")
        else:
            self.say({"message": "Not found"}, 404)


class PhotoPrismHandler(Handler):
    def do_POST(self) -> None:
        said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.troubled():
            return
        if said == {"username": "kim", "password": PASSWORD}:
            self.say({"status": "success", "access_token": KEY, "config": {"previewToken": PREVIEW}})
        else:
            self.say({"error": "Invalid credentials"}, 401)

    def do_DELETE(self) -> None:
        self.server.asked.append(f"DELETE {self.path}")
        self.say({})

    def answer(self, path: str, query: dict[str, str]) -> None:
        if path == "/api/v1/subjects":
            if self.headers.get("Authorization") != f"Bearer {KEY}":
                self.say({"error": "Unauthorized"}, 401)
                return
            offset, limit = int(query["offset"]), min(int(query["count"]), self.server.largest_page)
            found = [
                {"UID": i, "Type": "person", "Name": p["name"], "Hidden": p.get("hidden", False),
                 "Thumb": f"{p['seed']:040x}-0123456789ab"}
                for i, p in self.server.people.items()
            ][offset : offset + limit]  # fmt: skip
            self.say(found, **{"X-Preview-Token": PREVIEW, "X-Count": str(len(found)), "X-Limit": str(limit)})
        elif path.startswith("/api/v1/t/"):
            thumb, token, size = path.split("/")[4:]
            known = token == PREVIEW and size == "tile_320"
            body = encoded(picture(int(thumb.split("-")[0], 16)), "JPEG") if known else b"<svg></svg>"
            self.send(200 if known else 403, body, "image/jpeg")
        else:
            self.say({"error": "Not found"}, 404)


@contextmanager
def running(handler: type[Handler]) -> Iterator[App]:
    """The app of `handler`, on a port of this machine."""
    app = App(handler)
    thread = threading.Thread(target=app.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield app
    finally:
        app.shutdown()
        app.server_close()
        thread.join()
