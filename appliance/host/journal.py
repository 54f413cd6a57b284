# SPDX-License-Identifier: Apache-2.0
"""Where log lines go: to the journal when systemd started us, else one line each to stderr."""

from __future__ import annotations

import enum
import logging
import os
import sys

_PRIORITY = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}


class Message(enum.StrEnum):
    """Ids of messages that the catalogue explains (rootfs/usr/lib/systemd/catalog/platen.catalog), so that
    `journalctl -x` says what to do and a filter finds them whatever their words."""

    ACCESS_DENIED = "e50406b282444e25bd65eed07b45f88c"
    DATABASE_REFUSES = "3896362226d54c279d09a91cc4e73565"
    DATABASE_WORKS = "f00cbb3fa8be4723bda487244bb82cac"
    PORTAL_REFUSES = "9e2b2fa4993f47c4a7b6a35630a5e355"
    FACTORY_RESET = "d6eadf55572842ea868f5bda0b5bcbec"
    UPDATE_INSTALLED = "994b632b4128447cab671db7bede80c3"
    UPDATE_CONFIRMED = "e540000f3ca842a184669e8104cca8e2"
    UPDATE_TAKEN_BACK = "d67ffacf9974418a9bd3253410ea9a44"


def message(id: Message, **fields: str) -> dict[str, str]:
    """`extra=` of a log call: the message's id, and further journal fields, their names in capitals
    (systemd.journal-fields(7))."""
    return {"MESSAGE_ID": id.value, **fields}


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
