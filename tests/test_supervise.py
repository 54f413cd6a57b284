# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from appliance.model.errors import Fault
from appliance.supervise import Program, Supervisor, stop_signals

READY = "from appliance.host import notify; import signal, sys, time, os\n"


@pytest.fixture
def run() -> Iterator[Path]:
    name = tempfile.mkdtemp(prefix="ps")
    yield Path(name)
    shutil.rmtree(name)


class Lines(list[tuple[str, str]]):
    def __call__(self, name: str, line: str) -> None:
        self.append((name, line))

    def of(self, name: str) -> list[str]:
        return [line for n, line in self if n == name]


@pytest.fixture
def lines() -> Lines:
    return Lines()


@pytest.fixture
async def supervisor(lines: Lines) -> AsyncIterator[Supervisor]:
    supervisor = Supervisor(lines)
    yield supervisor
    await supervisor.close()


def program(name: str, code: str, **options: float | str) -> Program:
    return Program(name=name, command=[sys.executable, "-c", READY + textwrap.dedent(code)], **options)  # type: ignore[arg-type]


async def until(condition: Callable[[], object], within: float = 20) -> None:
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


SERVE = "notify.ready('serving'); print('hello', flush=True); time.sleep(600)"


async def test_ready_status_and_output(supervisor: Supervisor, lines: Lines) -> None:
    await supervisor.start(
        program("one", "print('x' * 20_000, flush=True); notify.ready('at work'); time.sleep(600)")
    )
    assert supervisor.states() == {"one": ("ready", "at work")}
    await until(lambda: len("".join(lines.of("one"))) == 20_000)
    assert max(len(line) for line in lines.of("one")) <= 8_192


async def test_start_waits_for_readiness(supervisor: Supervisor, run: Path) -> None:
    go = run / "go"
    code = f"while not os.path.exists({str(go)!r}): time.sleep(0.01)\nnotify.ready(); time.sleep(600)"
    starting = asyncio.create_task(supervisor.start(program("one", code)))
    await until(lambda: supervisor.states() and supervisor.pid("one"))
    assert not starting.done()
    assert supervisor.states()["one"][0] == "starting"
    go.touch()
    await starting
    assert supervisor.states()["one"][0] == "ready"


async def test_one_that_is_quicker_than_we_are(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """READY=1 may arrive before the parent knows the process id of what it has started."""
    real = asyncio.create_subprocess_exec

    async def slow(*args: object, **kwargs: object) -> object:
        process = await real(*args, **kwargs)  # type: ignore[arg-type]
        await asyncio.sleep(1)
        return process

    monkeypatch.setattr(asyncio, "create_subprocess_exec", slow)
    await supervisor.start(program("quick", SERVE, ready_s=10))
    assert supervisor.states()["quick"] == ("ready", "serving")


async def test_one_that_says_it_in_words(supervisor: Supervisor) -> None:
    code = "print('listening at 1.2.3.4', flush=True); time.sleep(600)"
    await supervisor.start(program("sim", code, ready_on="listening at "))
    assert supervisor.states()["sim"][0] == "ready"


async def test_one_that_ends_before_it_is_ready(supervisor: Supervisor) -> None:
    with pytest.raises(Fault, match=r"web ended with status 3 before it was ready; it said: port taken") as e:
        await supervisor.start(program("web", "print('port taken'); sys.exit(3)"))
    assert e.value.code == "service-failed"
    assert supervisor.states() == {}


async def test_one_that_is_never_ready(supervisor: Supervisor) -> None:
    with pytest.raises(Fault, match=r"not ready within 0\.5 s"):
        await supervisor.start(program("web", "time.sleep(600)", ready_s=0.5))


async def test_one_that_cannot_be_run(supervisor: Supervisor) -> None:
    with pytest.raises(Fault, match="No such file"):
        await supervisor.start(Program(name="x", command=["/nowhere/at/all"]))


async def test_killed_while_starting_gets_another_chance(supervisor: Supervisor, run: Path) -> None:
    mark = run / "mark"
    code = f"""
    if not os.path.exists({str(mark)!r}):
        open({str(mark)!r}, "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    {SERVE}
    """
    await supervisor.start(program("one", code))
    assert supervisor.states()["one"][0] == "ready"


async def test_a_dead_child_comes_back(supervisor: Supervisor, lines: Lines) -> None:
    await supervisor.start(program("one", SERVE, again_s=0.05))
    first = supervisor.pid("one")
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await until(lambda: supervisor.states()["one"][0] != "ready")
    await until(lambda: supervisor.states()["one"][0] == "ready")
    assert supervisor.pid("one") not in (None, first)
    assert "was killed by SIGKILL; starting it again in 0.05 s" in lines.of("one")


async def test_back_off_grows_and_is_reset(supervisor: Supervisor, lines: Lines, run: Path) -> None:
    stay = run / "stay"
    code = f"notify.ready(); time.sleep(3 if os.path.exists({str(stay)!r}) else 0); sys.exit(1)"
    await supervisor.start(program("one", code, again_s=0.01, most_s=0.04, stable_s=2.5))
    again = "starting it again in "
    await until(lambda: len([s for s in lines.of("one") if again in s]) >= 5)
    waits = [s.split(again)[1] for s in lines.of("one") if again in s]
    assert waits[:5] == ["0.01 s", "0.02 s", "0.04 s", "0.04 s", "0.04 s"]
    stay.touch()
    lines.clear()
    await until(lambda: any("again in 0.01 s" in s for s in lines.of("one")))


async def test_stop_is_orderly(supervisor: Supervisor, lines: Lines) -> None:
    code = """
    def stop(*_):
        print("tidied up", flush=True)
        sys.exit(0)
    signal.signal(signal.SIGTERM, stop)
    notify.ready(); time.sleep(600)
    """
    for name in ("a", "b", "c"):
        await supervisor.start(program(name, code))
    pids = [supervisor.pid(n) for n in "abc"]
    await supervisor.close()
    assert [name for name, line in lines if line == "tidied up"] == ["c", "b", "a"]
    assert not any(alive(p) for p in pids if p)


async def test_one_that_ignores_sigterm_is_killed(supervisor: Supervisor, lines: Lines) -> None:
    code = "signal.signal(signal.SIGTERM, signal.SIG_IGN); notify.ready(); time.sleep(600)"
    await supervisor.start(program("deaf", code, stop_s=0.2))
    pid = supervisor.pid("deaf")
    assert pid is not None
    await supervisor.stop("deaf")
    assert not alive(pid)
    assert lines.of("deaf") == ["did not stop within 0.2 s; killed"]


async def test_stopping_while_it_waits_to_restart(supervisor: Supervisor) -> None:
    await supervisor.start(program("one", "notify.ready(); time.sleep(0.05)", again_s=60))
    await until(lambda: supervisor.states()["one"][0] == "waiting")
    await asyncio.wait_for(supervisor.close(), 2)


async def test_only_the_child_itself_is_believed(supervisor: Supervisor) -> None:
    """Its own children know the socket too; what they say is not the child's word."""
    code = """
    import subprocess
    said = "from appliance.host import notify; notify.ready('not me')"
    subprocess.run([sys.executable, "-c", said], check=True)
    time.sleep(600)
    """
    with pytest.raises(Fault, match="not ready within"):
        await supervisor.start(program("one", code, ready_s=2))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to be somebody else")
async def test_another_user(supervisor: Supervisor) -> None:
    """It reaches the socket all the same, and the kernel knows that it dies with us (prctl(2))."""
    code = """
    import ctypes, os, socket, time
    number = ctypes.c_int()
    ctypes.CDLL(None).prctl(2, ctypes.byref(number))
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    status = f"READY=1\\nSTATUS={os.getuid()} {os.getgroups()} {number.value}"
    sock.sendto(status.encode(), chr(0) + os.environ["NOTIFY_SOCKET"][1:])
    time.sleep(600)
    """  # of no import but the standard library: that account may not be able to read this clone
    python = "/usr/bin/python3" if os.access("/usr/bin/python3", os.X_OK) else sys.executable
    await supervisor.start(Program(name="n", command=[python, "-c", textwrap.dedent(code)], user="nobody"))
    uid = pwd.getpwnam("nobody").pw_uid
    assert supervisor.states()["n"] == ("ready", f"{uid} [] 9")


PARENT = """
import asyncio, sys
from appliance.supervise import Program, Supervisor, stop_signals
CODE = "from appliance.host import notify; import time; notify.ready(); time.sleep(600)"
async def main():
    with stop_signals() as stop:
        s = Supervisor(lambda *a: None)
        for name in "abc":
            await s.start(Program(name=name, command=[sys.executable, "-c", CODE]))
        print(*(s.pid(n) for n in "abc"), flush=True)
        await stop.wait()
        await s.close()
        print("stopped", flush=True)
asyncio.run(main())
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_nothing_is_left_behind(number: signal.Signals) -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, stdout=subprocess.PIPE, start_new_session=True
    )
    assert parent.stdout is not None
    pids = [int(p) for p in (await asyncio.wait_for(parent.stdout.readline(), 30)).split()]
    assert all(alive(p) for p in pids)
    parent.send_signal(number)
    rest, _ = await asyncio.wait_for(parent.communicate(), 20)
    await until(lambda: not any(alive(p) for p in pids))
    if number != signal.SIGKILL:
        assert (rest, parent.returncode) == (b"stopped\n", 0)


async def test_stop_signals_gives_back_the_handlers() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with stop_signals() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(stop.wait(), 5)
    assert signal.getsignal(signal.SIGTERM) == before
