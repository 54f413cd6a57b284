# SPDX-License-Identifier: Apache-2.0
"""A person at the box's page: a browser without a screen, that keeps cookies and fills in forms."""

from __future__ import annotations

import http.cookiejar
import re
import urllib.error
import urllib.parse
import urllib.request

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
        token = re.search(r'name="token" value="([^"]+)"', self.get(form))
        assert token, f"{form} has no form"
        data = urllib.parse.urlencode({"token": token[1], **fields}).encode()
        request = urllib.request.Request(self._base + path, data, {"Origin": self._base})
        try:
            with self._opener.open(request, timeout=timeout) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path}: {error.code}: {_text(error.read().decode())}") from None

    def enter(self, setup_code: str) -> None:
        """Sets the password with the code from the label, or logs in where that was done before."""
        if 'name="code"' in self.get("/setup"):
            self.post("/setup", "/setup", code=setup_code, password=PASSWORD, again=PASSWORD)
        else:
            self.post("/login", "/login", password=PASSWORD)


def _text(page: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", page).split())[:600]
