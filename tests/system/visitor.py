# SPDX-License-Identifier: Apache-2.0
"""A person at the box's page: a browser without a screen, that keeps cookies and fills in forms."""

from __future__ import annotations

import contextlib
import http.cookiejar
import itertools
import re
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

PASSWORD = "four words in a row"


class Visitor:
    """One browser, on a computer of the office."""

    def __init__(self, address: str) -> None:
        self._base = f"http://{address}"
        cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._opener = urllib.request.build_opener(cookies)

    def get(self, path: str, timeout: float = 30) -> str:
        """A page, after redirections."""
        with self._opener.open(self._base + path, timeout=timeout) as answer:
            return str(answer.read().decode())

    def post(self, form: str, path: str, timeout: float = 60, **fields: str) -> str:
        """Sends what a form of the page `form` would; the page that follows. AssertionError says what it did not
        take."""
        data = urllib.parse.urlencode({"token": self._token(form), **fields}).encode()
        return self._sent(urllib.request.Request(self._base + path, data, {"Origin": self._base}), timeout)

    def restart(self, form: str, path: str, **fields: str) -> None:
        """Sends a form upon which the box restarts: the page that follows may come or not."""
        with contextlib.suppress(OSError):
            self.post(form, path, **fields)

    def upload(self, form: str, path: str, file: Path, timeout: float = 300) -> str:
        """Sends a file as the browser does, in pieces; the page that follows. AssertionError as in `post`."""
        limit = "platen-tests-limit"
        token = self._token(form)
        head = (
            f'--{limit}\r\nContent-Disposition: form-data; name="token"\r\n\r\n{token}\r\n'
            f'--{limit}\r\nContent-Disposition: form-data; name="file"; filename="{file.name}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        ).encode()
        tail = f"\r\n--{limit}--\r\n".encode()
        headers = {
            "Origin": self._base,
            "Content-Type": f"multipart/form-data; boundary={limit}",
            "Content-Length": str(len(head) + file.stat().st_size + len(tail)),
        }
        with file.open("rb") as content:
            pieces = itertools.chain([head], iter(lambda: content.read(256 * 1024), b""), [tail])
            return self._sent(urllib.request.Request(self._base + path, pieces, headers), timeout)

    def enter(self, setup_code: str) -> None:
        """Sets the password with the code from the label, or logs in where that was done before."""
        if 'name="code"' in self.get("/setup"):
            self.post("/setup", "/setup", code=setup_code, password=PASSWORD, again=PASSWORD)
        else:
            self.post("/login", "/login", password=PASSWORD)

    def _token(self, form: str) -> str:
        token = re.search(r'name="token" value="([^"]+)"', self.get(form))
        assert token, f"{form} has no form"
        return token[1]

    def _sent(self, request: urllib.request.Request, timeout: float) -> str:
        try:
            with self._opener.open(request, timeout=timeout) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            said = _text(error.read().decode())
            raise AssertionError(f"{request.selector}: {error.code}: {said}") from None


def _text(page: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", page).split())[:600]
