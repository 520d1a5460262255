"""A server on loopback that gives out files well, and badly in the ways that servers have."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HELD = 60.0
"""Seconds after which a body goes on though nobody said so."""


class WeightsServer(ThreadingHTTPServer):
    """Serves `files` by path. What it does wrong is in its other attributes."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.asked: list[tuple[str, str | None]] = []
        """Path and Range of each request."""
        self.knows_ranges = True
        self.breaks_off_after: list[int] = []
        """Bytes of a body after which the next answers end, one entry each."""
        self.announces: int | None = None
        """The length that it claims, instead of the true one."""
        self.holds_after: int | None = None
        """Bytes of a body after which it says nothing more until `goes_on` is set."""
        self.goes_on = threading.Event()
        self.elsewhere: dict[str, str] = {}
        """Redirects, by path."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: WeightsServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.server.asked.append((self.path, asked))
        if target := self.server.elsewhere.get(self.path):
            self.answer(302, b"", Location=target)
            return
        data = self.server.files.get(self.path)
        if data is None:
            self.answer(404, b"Not here.")
            return
        start = int(re.match(r"bytes=(\d+)-", asked)[1]) if asked else 0
        if not asked or not self.server.knows_ranges:
            self.answer(200, data)
        elif start >= len(data):
            self.answer(416, b"", **{"Content-Range": f"bytes */{len(data)}"})
        else:
            span = f"bytes {start}-{len(data) - 1}/{len(data)}"
            self.answer(206, data[start:], **{"Content-Range": span})

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        announced = len(body) if self.server.announces is None else self.server.announces
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(announced))
        self.end_headers()
        whole = len(body)
        if status in {200, 206} and self.server.breaks_off_after:
            body = body[: self.server.breaks_off_after.pop(0)]
        sent = len(body)
        if self.server.holds_after is not None:
            self.wfile.write(body[: self.server.holds_after])
            body = body[self.server.holds_after :]
            self.server.goes_on.wait(HELD)
        self.wfile.write(body)
        if sent < max(whole, announced):
            self.close_connection = True

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def serving() -> Iterator[WeightsServer]:
    server = WeightsServer()
    threading.Thread(target=server.serve_forever, args=[0.05], daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
