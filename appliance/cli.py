# SPDX-License-Identifier: Apache-2.0
"""`platen`: the command line. Each command stands in a module beside this one and imports what it needs when
it runs."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import inspect
import logging
import os
import sys
import textwrap
from collections.abc import Awaitable, Callable, Sequence
from typing import NoReturn

from appliance import __version__
from appliance.model.errors import Fault, PlatenError, UsageError

Run = Callable[[argparse.Namespace], int | Awaitable[int]]
"""A command: it prints what was asked for and returns the exit status."""

INTERRUPTED = 130
PIPE_CLOSED = 141
"""What a shell reports of a program that SIGINT or SIGPIPE ended."""


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status: 0 done, 1 nothing found or no answer, 2 bad usage, 70 a fault of ours, 130 interrupted."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal of few letters gets escapes rather than a traceback.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    debug = os.environ.get("PLATEN_DEBUG") == "1"
    try:
        words = sys.argv[1:] if argv is None else list(argv)
        args = parser(words).parse_args(words)
        debug = debug or args.debug
        if not debug:
            # A command says what is wrong in one line of its own.
            logging.getLogger("appliance").addHandler(logging.NullHandler())
        status = _run(args)
        sys.stdout.flush()
        return status
    except PlatenError as e:
        return _failed(e, debug)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _drop_output()  # whoever read us has seen enough
        return PIPE_CLOSED
    except Exception as e:
        if isinstance(e, OSError):
            _drop_output()  # it may be what failed
        return _failed(Fault(f"{type(e).__name__}: {' '.join(str(e).split())}".rstrip(": ")), debug)


def parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """The command line, of which only the command that `words` name takes arguments: the others' stay unloaded."""
    from appliance import cli_bench, cli_box, cli_printers, cli_record, cli_update

    top = _Parser(
        prog="platen",
        description="Find printers, read them, and run the printer-monitoring box.",
        epilog=_sections(
            examples="""
                platen discover 192.168.1.0/24      which printers are there
                platen query 192.168.1.20           everything one printer says of itself
                platen run                          the whole box on this machine
                platen update                       which software a box runs, and what waits
                """,
            more="'platen COMMAND --help' describes each command, with examples.",
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"platen {__version__}")
    top.set_defaults(debug=False)
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=_Parser)
    for module in (cli_printers, cli_record, cli_box, cli_update, cli_bench):
        module.add(Commands(commands, words))
    return top


class Commands:
    """Where the commands add themselves, so that all of them look alike."""

    def __init__(self, commands: argparse._SubParsersAction[_Parser], words: Sequence[str]) -> None:
        self._commands = commands
        self._wanted = next((w for w in words if not w.startswith("-")), None)

    def add(
        self,
        name: str,
        arguments: Callable[[argparse.ArgumentParser], Run],
        *,
        summary: str,
        text: str,
        examples: str,
        status: str = "",
        more: str = "",
    ) -> None:
        """A command. `arguments` adds what it takes and returns what carries it out; it is called only when the
        command is. `text` describes it; `status` says what 0 and 1 mean for it."""
        command = self._commands.add_parser(
            name,
            help=summary,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        # SUPPRESS keeps what the top level has set when this one is not given here.
        command.add_argument(
            "--debug", action="store_true", default=argparse.SUPPRESS, help="show the traceback of a fault"
        )
        if name == self._wanted:
            command.set_defaults(run=arguments(command))
            usual = "2  the command line is wrong\n70  a fault of ours, or of the store"
            command.description = _filled(text)
            command.epilog = _sections(
                examples=examples, more=more or command.epilog or "", status=f"{status or '0  done'}\n{usual}"
            )


class _Parser(argparse.ArgumentParser):
    def __init__(self, **kwargs: object) -> None:
        super().__init__(**{"allow_abbrev": False, **kwargs})  # type: ignore[arg-type]

    def error(self, message: str) -> NoReturn:
        message = message.removeprefix("argument ").replace("COMMAND: invalid choice", "no such command", 1)
        raise UsageError(message[:1].upper() + message[1:], hint=f"'{self.prog} --help' shows how")


def _run(args: argparse.Namespace) -> int:
    result = args.run(args)
    if not inspect.isawaitable(result):
        return int(result)

    async def wait() -> int:
        return int(await result)

    return asyncio.run(wait())


def _failed(error: PlatenError, debug: bool) -> int:
    if debug:
        import traceback

        traceback.print_exc()
    with contextlib.suppress(OSError):  # nobody is left to tell
        print(f"platen: {plain(str(error))}", file=sys.stderr)
    return error.exit_status


def _drop_output() -> None:
    """What is still buffered must not fail once more at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def plain(text: str) -> str:
    """On one line, and nothing in it that moves a cursor: printers choose their own words."""
    return "".join(c if c.isprintable() else " " for c in text)


class Progress:
    """One line on a terminal, rewritten in place; nothing anywhere else."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()
        self._width = 0

    def show(self, text: str) -> None:
        if self._shown:
            text = plain(text)
            print("\r" + text.ljust(self._width), end="", file=sys.stderr, flush=True)
            self._width = len(text)

    def clear(self) -> None:
        if self._shown and self._width:
            print("\r" + " " * self._width + "\r", end="", file=sys.stderr, flush=True)
            self._width = 0


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows as lines with aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def _filled(text: str) -> str:
    return "\n\n".join(textwrap.fill(" ".join(p.split()), 78) for p in textwrap.dedent(text).split("\n\n"))


def _sections(*, examples: str, more: str = "", status: str = "") -> str:
    parts = ["examples:\n" + textwrap.indent(textwrap.dedent(examples).strip("\n"), "  ")]
    if more:
        parts.append(textwrap.dedent(more).strip("\n"))
    if status:
        parts.append("exit status:\n" + textwrap.indent(textwrap.dedent(status), "  "))
    return "\n\n".join(parts)


if __name__ == "__main__":
    sys.exit(main())
