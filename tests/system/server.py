# SPDX-License-Identifier: Apache-2.0
"""An update server with ranges over HTTPS, and a time server. `server.py FOLDER` serves FOLDER/www/NAME at
/MODE/NAME; the first word of the path says what goes wrong. FOLDER/log gets one JSON object for each answer.
"""

from __future__ import annotations

import json
import re
import socket
import ssl
import struct
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

MODES = {
    "plain": "as it should be",
    "no-ranges": "ignores ranges and sends all",
    "stall": "stops in the middle and says nothing more",
    "short": "announces all and closes in the middle",
    "shifted": "answers with other octets than were asked for",
    "wrong-range": "sends the octets and announces others",
    "other-size": "says another size each time",
    "vanish": "is there at first, then hangs up on everything",
    "missing": "knows of no such file",
}
AT_FIRST = 3
"""Answers before the one that goes wrong: size and signature are read first, faults belong in the payload."""

PIECE = 64 * 1024


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    timeout = 600
    folder: Path
    lock = threading.Lock()
    answered: dict[str, int] = {}  # noqa: RUF012  # by path, for the whole server

    def do_GET(self) -> None:
        self._send(body=True)

    def do_HEAD(self) -> None:
        self._send(body=False)

    def _send(self, *, body: bool) -> None:
        found = re.fullmatch(r"/([a-z-]+)/([A-Za-z0-9._-]+)", self.path)
        mode = found[1] if found else "missing"
        file = self.folder / "www" / found[2] if found else Path("/nonexistent")
        with self.lock:
            number = self.answered[self.path] = self.answered.get(self.path, 0) + 1
        late = number > AT_FIRST
        if mode not in MODES or mode == "missing" or not file.is_file():
            self._log(404, 0)
            self.send_error(404)
            return
        if mode == "vanish" and late:
            self.close_connection = True
            self._log(0, 0)
            return
        size = file.stat().st_size
        first, last = self._range(size)
        status = 206 if "Range" in self.headers and mode != "no-ranges" else 200
        if status == 200:
            first, last = 0, size - 1
        if first > last:
            self._log(416, 0)
            self.send_error(416)
            return
        named = (first + 512, last + 512) if mode == "wrong-range" and late else (first, last)
        told = size + 4096 * number if mode == "other-size" and late else size
        self.send_response(status)
        self.send_header("Accept-Ranges", "none" if mode == "no-ranges" else "bytes")
        self.send_header("Content-Length", str(last - first + 1))
        self.send_header("Content-Type", "application/octet-stream")
        if status == 206:
            self.send_header("Content-Range", f"bytes {named[0]}-{named[1]}/{told}")
        self.end_headers()
        if not body:
            self._log(status, 0)
            return
        stop = first + (last - first) // 2 if mode in ("stall", "short") and late else last + 1
        start = max(first - 512, 0) if mode == "shifted" and late else first
        self._log(status, self._copy(file, start, stop - first))
        if mode == "stall" and late:
            time.sleep(self.timeout)
        if stop <= last:
            self.close_connection = True

    def _range(self, size: int) -> tuple[int, int]:
        found = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if not found or not (found[1] or found[2]):
            return 0, size - 1
        if not found[1]:
            return max(size - int(found[2]), 0), size - 1
        return int(found[1]), min(int(found[2] or size), size - 1)

    def _copy(self, file: Path, start: int, octets: int) -> int:
        sent = 0
        with file.open("rb") as source:
            source.seek(start)
            while sent < octets and (piece := source.read(min(PIECE, octets - sent))):
                self.wfile.write(piece)
                sent += len(piece)
        return sent

    def _log(self, status: int, octets: int) -> None:
        asked = self.headers.get("Range", "")
        line = {
            "from": self.client_address[0],
            "path": self.path,
            "range": asked,
            "status": status,
            "octets": octets,
        }
        with self.lock, (self.folder / "log").open("a") as log:
            print(json.dumps(line), file=log)

    def log_message(self, format: str, *args: object) -> None:
        pass


def tell_time() -> None:
    """SNTP (RFC 4330), as a server that knows."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("", 123))
    while True:
        asked, asker = server.recvfrom(1024)
        if len(asked) < 48 or asked[0] & 7 != 3:
            continue
        now = time.time() + 2_208_988_800
        stamp = struct.pack(">II", int(now), int(now % 1 * 2**32))
        head = struct.pack(">BBbbII4s", (asked[0] & 0x38) | 4, 1, asked[2], -20, 0, 0, b"LOCL")
        server.sendto(head + stamp + asked[40:48] + stamp + stamp, asker)


def main() -> None:
    """Until it is killed."""
    Handler.folder = Path(sys.argv[1])
    threading.Thread(target=tell_time, daemon=True).start()
    server = ThreadingHTTPServer(("", 443), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(Handler.folder / "server.crt", Handler.folder / "server.key")
    # The handshake belongs to the connection's own thread: one that never begins must not hold up the others.
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.serve_forever()


if __name__ == "__main__":
    main()
