"""A web server on the loopback interface that misbehaves as told."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Served:
    """What the server does.

    Attributes:
        files: contents by path ("/a.zip").
        tag: its ETag; empty for none.
        ranges: whether it sends parts.
        drops: for each request in turn, after how many bytes of the answer the connection breaks; None for not at all.
        statuses: for each request in turn, an error to answer with; 0 for none.
        kind: the content type.
        says_length: whether it tells the length beforehand.
        redirect: where to send everyone.
        asked: the Range header of every request, empty where there was none.
    """

    files: dict[str, bytes]
    tag: str = '"one"'
    ranges: bool = True
    drops: list[int | None] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    kind: str = "application/octet-stream"
    says_length: bool = True
    redirect: str = ""
    asked: list[str] = field(default_factory=list)
    url: str = ""


@contextmanager
def serve(served: Served) -> Iterator[Served]:
    """Run the server; `served.url` is its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self, served)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def answer(request: BaseHTTPRequestHandler, served: Served) -> None:
    wanted = request.headers.get("Range", "")
    served.asked.append(wanted)
    status = served.statuses.pop(0) if served.statuses else 0
    content = served.files.get(request.path)
    if served.redirect:
        request.send_response(302)
        request.send_header("Location", served.redirect)
        request.end_headers()
        return
    if status or content is None:
        request.send_error(status or 404)
        return
    start = 0
    if wanted and served.ranges and request.headers.get("If-Range", served.tag) == served.tag:
        start = int(wanted.removeprefix("bytes=").removesuffix("-"))
    if start >= len(content) > 0:
        request.send_response(416)
        request.send_header("Content-Range", f"bytes */{len(content)}")
        request.end_headers()
        return
    request.send_response(206 if start else 200)
    if start:
        request.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
    if served.says_length:
        request.send_header("Content-Length", str(len(content) - start))
    if served.tag:
        request.send_header("ETag", served.tag)
    request.send_header("Content-Type", served.kind)
    request.end_headers()
    drop = served.drops.pop(0) if served.drops else None
    request.wfile.write(content[start:] if drop is None else content[start : start + drop])
