# SPDX-License-Identifier: Apache-2.0
"""Where log lines go: to the journal when systemd started us, else one line each to stderr."""

from __future__ import annotations

import logging
import os
import sys

_PRIORITY = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}


def set_up(name: str, *, debug: bool | None = None) -> None:
    """Log of the process `name`, to be called once, early. `debug` None: as PLATEN_DEBUG=1 says."""
    if debug is None:
        debug = os.environ.get("PLATEN_DEBUG") == "1"
    logging.basicConfig(level=logging.DEBUG if debug else logging.INFO, handlers=[_handler(name)], force=True)
    logging.captureWarnings(True)
    if not debug:
        for chatty in ("asyncio", "aiohttp.access", "pyroute2"):
            logging.getLogger(chatty).setLevel(logging.WARNING)


def _handler(name: str) -> logging.Handler:
    if _in_journal():
        try:
            from systemd.journal import JournalHandler
        except ImportError:
            handler = logging.StreamHandler(sys.stderr)
            handler.setFormatter(_OneLine(priority=True))
            return handler
        journal: logging.Handler = JournalHandler(SYSLOG_IDENTIFIER=f"platen-{name}")
        journal.setFormatter(_OneLine(level=False))
        return journal
    handler = logging.StreamHandler(sys.stderr)
    # Whoever reads stderr through a pipe (platen run, a container) puts time and name in front itself.
    handler.setFormatter(_OneLine(head=name if sys.stderr.isatty() else ""))
    return handler


def _in_journal() -> bool:
    """Whether stderr is the journal's stream (systemd.exec(5), JOURNAL_STREAM)."""
    try:
        stat = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{stat.st_dev}:{stat.st_ino}"


class _OneLine(logging.Formatter):
    """Texts come from printers too: whatever could move a cursor or forge a second line is written as an
    escape. Only a traceback of ours takes lines of its own, each indented."""

    def __init__(self, *, head: str = "", level: bool = True, priority: bool = False) -> None:
        super().__init__()
        self._head, self._level, self._priority = head, level, priority

    def format(self, record: logging.LogRecord) -> str:
        text = "".join(
            c if c.isprintable() else c.encode("unicode_escape").decode() for c in record.getMessage()
        )
        if self._level:
            text = f"{record.levelname.lower()}: {text}"
        if self._head:
            text = f"{self.formatTime(record, '%H:%M:%S')} {self._head} {text}"
        if record.exc_info and record.exc_info[0] is not None:
            text += "\n    " + self.formatException(record.exc_info).replace("\n", "\n    ")
        if self._priority:
            mark = f"<{_PRIORITY.get(record.levelno, 6)}>"
            text = "\n".join(mark + line for line in text.split("\n"))
        return text
