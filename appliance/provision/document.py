# SPDX-License-Identifier: Apache-2.0
"""A TOML file that somebody wrote with whatever editor there was: its text, its keys and where they stand.

tomllib says nothing of places and stops at the first mistake; here each key has its line and column, and a line that
cannot be read is reported and left out, so that a person sees all mistakes at once.
"""

from __future__ import annotations

import codecs
import re
import tomllib
from typing import Any

import msgspec

MOST = 64 * 1024
MOST_MISTAKES = 20

_AT = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)\Z")
_TABLE = re.compile(r"[ \t]*\[[ \t]*([A-Za-z0-9_.\-]+)[ \t]*\]")
_KEY = re.compile(r"[ \t]*([A-Za-z0-9_.\-]+)[ \t]*=[ \t]*")
_QUOTED = re.compile(r"(?:\"((?:[^\"\\]|\\.)*)\"|'([^']*)')[ \t]*(?:#|\r?$)")
_CURLY = "„“”‟«»‚‘’`´"


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One mistake, in two languages. Lines and columns count from 1; `key` is "" where no key is meant. `fatal`:
    none of the file is used because of it."""

    line: int
    column: int
    key: str = ""
    en: str
    de: str
    fatal: bool = True

    def text(self, german: bool = False) -> str:
        """One line for the file of errors and the journal."""
        where = (
            f"Zeile {self.line}, Spalte {self.column}"
            if german
            else f"line {self.line}, column {self.column}"
        )
        key = f", {self.key}" if self.key else ""
        return f"{where}{key}: {self.de if german else self.en}"


class Span(msgspec.Struct, frozen=True):
    """A quoted value as it stands in the file: characters `start` to `start + len(raw)` of the text."""

    start: int
    raw: str


class Document(msgspec.Struct, frozen=True):
    """`text` has the characters of the file one by one, so that places in it are places in the file; `mark` octets
    of a byte order mark stand before them."""

    text: str
    encoding: str
    mark: int
    values: dict[str, Any]
    places: dict[str, tuple[int, int]]
    spans: dict[str, Span]
    problems: list[Problem]

    def place(self, key: str) -> tuple[int, int]:
        """Line and column of the key, of its table where it has no line of its own, else of the beginning."""
        return self.places.get(key) or self.places.get(key.rpartition(".")[0]) or (1, 1)

    def offset(self, span: Span) -> int:
        """Octets before the value in the file."""
        return self.mark + len(self.text[: span.start].encode(self.encoding, "replace"))


def parse(data: bytes) -> Document:
    """Never raises: what is wrong is in `problems`."""
    if len(data) > MOST:
        problem = Problem(
            line=1,
            column=1,
            en=f"The file is larger than {MOST // 1024} KiB; none of it was read.",
            de=f"Die Datei ist größer als {MOST // 1024} KiB; sie wurde nicht gelesen.",
        )
        return Document("", "utf-8", 0, {}, {}, {}, [problem])
    encoding, mark = _encoding(data)
    # A letter for each octet that cannot be read: the place of everything behind it stays the same.
    text = data[mark:].decode(encoding, "replace")
    lines = _plain(text).split("\n")
    problems: list[Problem] = []
    values: dict[str, Any] = {}
    while len(problems) < MOST_MISTAKES:
        try:
            values = tomllib.loads("\n".join(lines))
            break
        except RecursionError:
            problems.append(_too_deep())
            break
        except tomllib.TOMLDecodeError as e:
            problem = _mistake(e, lines)
            problems.append(problem)
            if not lines[problem.line - 1]:
                break
            lines[problem.line - 1] = ""
    places, spans = _places(_plain(text))
    return Document(text, encoding, mark, values, places, spans, problems)


def _encoding(data: bytes) -> tuple[str, int]:
    """Notepad's names for them are "UTF-8", "UTF-8 with BOM", "Unicode" (UTF-16) and "ANSI"."""
    for mark, encoding in (
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ):
        if data.startswith(mark):
            return encoding, len(mark)
    if data[1:2] == b"\0":
        return "utf-16-le", 0
    if data[:1] == b"\0":
        return "utf-16-be", 0
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return "cp1252", 0
    return "utf-8", 0


def _plain(text: str) -> str:
    """Ends of lines and blanks as TOML knows them, and as many characters as before."""
    return re.sub(r"\r(?!\n)", "\n", text).replace("\u00a0", " ")


def _mistake(error: tomllib.TOMLDecodeError, lines: list[str]) -> Problem:
    message = str(error)
    found = _AT.search(message)
    if found and found[1]:
        line, column = min(int(found[1]), len(lines)), int(found[2])
    else:
        line = max((n for n, text in enumerate(lines, 1) if text.strip()), default=1)
        column = len(lines[line - 1].rstrip()) + 1
    en, de = _why(lines[line - 1], message.removesuffix(found[0]) if found else message)
    return Problem(line=line, column=column, en=en, de=de)


def _why(line: str, message: str) -> tuple[str, str]:
    """The mistakes that people make, in plain words; else the parser's."""
    value = line.partition("=")[2].strip()
    if any(c in line for c in _CURLY):
        return 'Use straight quotes: "like this".', 'Bitte gerade Anführungszeichen verwenden: "so".'
    if "overwrite" in message or "twice" in message:
        return "This is in the file twice; keep one.", "Das steht doppelt in der Datei; eines davon genügt."
    if "=" not in line and line.strip() and not line.lstrip().startswith("["):
        return (
            'This line is not of the form: key = "value". A remark begins with #.',
            'Diese Zeile hat nicht die Form: schlüssel = "wert". Eine Bemerkung beginnt mit #.',
        )
    if value and value[0] not in "\"'[{" and not re.fullmatch(r"[0-9]+|true|false", value):
        return 'Put the value in quotes: "...".', 'Bitte den Wert in Anführungszeichen setzen: "...".'
    if "\\" in value or "escape" in message.lower():
        return (
            "A backslash has a meaning of its own in \"...\"; write '...' instead.",
            "Ein Backslash hat in \"...\" eine eigene Bedeutung; bitte '...' schreiben.",
        )
    return (
        f"This cannot be read ({message}). Are all quotes and brackets closed?",
        "Das ist nicht lesbar. Sind alle Anführungszeichen und Klammern geschlossen?",
    )


def _too_deep() -> Problem:
    return Problem(line=1, column=1, en="Too many brackets.", de="Zu viele Klammern.")


def _places(text: str) -> tuple[dict[str, tuple[int, int]], dict[str, Span]]:
    places: dict[str, tuple[int, int]] = {}
    spans: dict[str, Span] = {}
    table, at = "", 0
    for number, line in enumerate(text.split("\n"), 1):
        if found := _TABLE.match(line):
            table = found[1]
            places.setdefault(table, (number, found.start(1) + 1))
        elif found := _KEY.match(line):
            key = f"{table}.{found[1]}" if table else found[1]
            places.setdefault(key, (number, found.start(1) + 1))
            if quoted := _QUOTED.match(line, found.end()):
                group = 1 if quoted[1] is not None else 2
                spans.setdefault(key, Span(at + quoted.start(group), quoted[group]))
        at += len(line) + 1
    return places, spans
