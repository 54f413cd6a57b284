# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.host import control
from appliance.host.control import call, serve
from appliance.model.errors import (
    AccessDenied,
    Fault,
    NoAnswer,
    PlatenError,
    ServiceDown,
    TargetError,
)


async def echo(parameters: dict[str, Any]) -> dict[str, Any]:
    return parameters


async def fail(parameters: dict[str, Any]) -> dict[str, Any]:
    if parameters.get("how") == "target":
        raise TargetError("It is backwards", hint="Turn it", code="range-reversed")
    if parameters.get("how") == "printer":
        raise NoAnswer("10.0.0.1 does not answer")
    raise ZeroDivisionError("secret detail")


async def slow(parameters: dict[str, Any]) -> dict[str, Any]:
    await asyncio.sleep(60)
    return {}


async def large(parameters: dict[str, Any]) -> dict[str, Any]:
    return {"text": "x" * parameters["octets"]}


HANDLERS = {
    "platen.test.Echo": echo,
    "platen.test.Fail": fail,
    "platen.test.Slow": slow,
    "platen.test.Large": large,
}


@pytest.fixture
def directory() -> Iterator[Path]:
    """A short path: a socket's name holds 107 octets, and pytest's own directories are long."""
    name = tempfile.mkdtemp(prefix="pc")
    yield Path(name)
    shutil.rmtree(name)


@pytest.fixture
async def path(directory: Path) -> AsyncIterator[Path]:
    server = await serve(directory / "test.sock", HANDLERS)
    yield server.path
    await server.close()


async def test_call(path: Path) -> None:
    assert await call(path, "platen.test.Echo", {"a": [1, "ü", None]}) == {"a": [1, "ü", None]}
    assert await call(path, "platen.test.Echo") == {}


async def test_errors_keep_their_class(path: Path) -> None:
    with pytest.raises(TargetError, match="backwards") as target:
        await call(path, "platen.test.Fail", {"how": "target"})
    assert (target.value.code, target.value.hint, target.value.exit_status) == (
        "range-reversed",
        "Turn it",
        2,
    )
    with pytest.raises(NoAnswer) as printer:
        await call(path, "platen.test.Fail", {"how": "printer"})
    assert printer.value.hint == NoAnswer.default_hint


async def test_a_fault_tells_nothing_of_its_inside(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(Fault) as fault:
        await call(path, "platen.test.Fail")
    assert "secret" not in str(fault.value)
    assert "secret detail" in caplog.text
    with pytest.raises(Fault, match="MethodNotFound"):
        await call(path, "platen.test.Nothing")
    assert await call(path, "platen.test.Echo") == {}


async def test_nobody_there(directory: Path, path: Path) -> None:
    with pytest.raises(ServiceDown, match="collector is not running"):
        await call(directory / "collector.sock", "platen.collector.Status")
    with pytest.raises(ServiceDown) as slow:
        await call(path, "platen.test.Slow", timeout_s=0.1)
    assert slow.value.code == "service-slow"


async def exchange(path: Path, data: bytes, *, answers: int = 1) -> list[Any]:
    """What the server says to raw octets."""
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(data)
    async with asyncio.timeout(10):
        got = [json.loads((await reader.readuntil(b"\0"))[:-1]) for _ in range(answers)]
    writer.close()
    return got


async def test_wire_format(path: Path) -> None:
    assert await exchange(path, b'{"method":"platen.test.Echo","parameters":{"n":1}}\0') == [
        {"parameters": {"n": 1}}
    ]
    assert await exchange(path, b'{"method":"x.Y"}\0') == [
        {"error": "org.varlink.service.MethodNotFound", "parameters": {"method": "x.Y"}}
    ]
    [info] = await exchange(path, b'{"method":"org.varlink.service.GetInfo"}\0')
    assert info["parameters"]["interfaces"] == ["org.varlink.service", "platen.test"]
    [wrong] = await exchange(path, b'{"method":"platen.test.Fail","parameters":{"how":"target"}}\0')
    assert wrong == {
        "error": "range-reversed",
        "parameters": {"sentence": "It is backwards", "hint": "Turn it", "kind": "TargetError"},
    }


async def test_several_calls_on_one_connection_in_order(path: Path) -> None:
    calls = b"".join(b'{"method":"platen.test.Echo","parameters":{"n":%d}}\0' % n for n in range(50))
    assert [a["parameters"]["n"] for a in await exchange(path, calls, answers=50)] == list(range(50))


async def test_oneway_is_not_answered(path: Path) -> None:
    calls = (
        b'{"method":"platen.test.Echo","oneway":true,"parameters":{"n":1}}\0'
        b'{"method":"platen.test.Echo","parameters":{"n":2}}\0'
    )
    assert await exchange(path, calls) == [{"parameters": {"n": 2}}]


async def test_many_clients_at_once(path: Path) -> None:
    answers = await asyncio.gather(
        *(call(path, "platen.test.Echo", {"n": n}) for n in range(control.MOST_CLIENTS))
    )
    assert [a["n"] for a in answers] == list(range(control.MOST_CLIENTS))


async def test_a_slow_call_does_not_hold_up_another(path: Path) -> None:
    waiting = asyncio.create_task(call(path, "platen.test.Slow"))
    await asyncio.sleep(0)
    assert await call(path, "platen.test.Echo", {"n": 1}) == {"n": 1}
    waiting.cancel()


async def test_one_client_too_many(path: Path) -> None:
    held = [await asyncio.open_unix_connection(str(path)) for _ in range(control.MOST_CLIENTS)]
    with pytest.raises(ServiceDown) as busy:
        await call(path, "platen.test.Echo")
    assert busy.value.code == "service-busy"
    for _, writer in held:
        writer.close()
    for _ in range(100):
        try:
            assert await call(path, "platen.test.Echo") == {}
            break
        except ServiceDown:
            await asyncio.sleep(0.02)
    else:
        pytest.fail("places are not freed")


@pytest.mark.parametrize(
    "data",
    [
        b"garbage\0",
        b'{"method": "platen.x.\xff"}\0',
        b"\0",
        b"[]\0",
        b'{"method": 1}\0',
        b'{"method": "a", "parameters": []}\0',
        b"\xff\xfe\0",
        b"[" * 100_000 + b"\0",
        b'{"method": "a", "parameters": {"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}\0",
    ],
)
async def test_garbage(path: Path, data: bytes) -> None:
    [answer] = await exchange(path, data)
    assert answer["error"] == "bad-message"
    assert await call(path, "platen.test.Echo") == {}


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300))
async def test_any_octets_are_answered(path: Path, data: bytes) -> None:
    [answer] = await exchange(path, data + b"\0")
    assert "error" in answer


async def test_oversized_message(path: Path) -> None:
    [answer] = await exchange(path, b'{"method":"' + b"x" * (control.MOST_OCTETS + 10))
    assert answer["error"] == "bad-message"
    assert await call(path, "platen.test.Echo") == {}


async def test_oversized_answer(path: Path) -> None:
    assert len((await call(path, "platen.test.Large", {"octets": 900_000}))["text"]) == 900_000
    with pytest.raises(Fault, match="too large"):
        await call(path, "platen.test.Large", {"octets": control.MOST_OCTETS})


async def test_half_open_and_silent_clients_are_dropped(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "IDLE_S", 0.1)
    for begun in (b"", b'{"method":'):
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(begun)
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()


async def test_a_client_that_fetches_nothing_is_dropped(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "IDLE_S", 0.2)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.connect(str(path))
    request = b'{"method":"platen.test.Large","parameters":{"octets":1000000}}\0'
    await asyncio.to_thread(sock.sendall, request * 20)
    await asyncio.sleep(1)
    sock.settimeout(5)
    received = 0
    try:
        while chunk := await asyncio.to_thread(sock.recv, 1 << 20):
            received += len(chunk)
    except ConnectionResetError:
        pass
    sock.close()
    assert received < 5 * 1_000_000


async def test_a_client_that_leaves_in_the_middle(path: Path) -> None:
    for _ in range(20):
        _, writer = await asyncio.open_unix_connection(str(path))
        writer.write(b'{"method":"platen.test.Large","parameters":{"octets":1000000}}\0')
        writer.transport.abort()
    assert await call(path, "platen.test.Echo") == {}


@pytest.mark.parametrize("mode", [0o600, 0o660])
async def test_permissions(directory: Path, mode: int) -> None:
    server = await serve(directory / "m.sock", {}, mode=mode)
    assert server.path.stat().st_mode & 0o777 == mode
    await server.close()
    assert not server.path.exists()


async def test_a_stale_socket_is_replaced_and_a_live_one_is_not(directory: Path, path: Path) -> None:
    stale = directory / "stale.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(str(stale))
    server = await serve(stale, HANDLERS)
    assert await call(stale, "platen.test.Echo") == {}
    await server.close()
    with pytest.raises(ServiceDown) as second:
        await serve(path, HANDLERS)
    assert second.value.code == "already-running"
    assert await call(path, "platen.test.Echo") == {}


async def test_close_leaves_a_successor_alone(directory: Path) -> None:
    path = directory / "s.sock"
    first = await serve(path, HANDLERS)
    path.unlink()
    second = await serve(path, HANDLERS)
    await first.close()
    assert await call(path, "platen.test.Echo") == {}
    await second.close()


async def test_close_ends_what_is_running(directory: Path) -> None:
    server = await serve(directory / "s.sock", HANDLERS)
    waiting = asyncio.create_task(call(server.path, "platen.test.Slow"))
    await asyncio.sleep(0.05)
    await asyncio.wait_for(server.close(), 2)
    with pytest.raises(ServiceDown):
        await waiting


async def test_a_socket_that_cannot_be_made(directory: Path) -> None:
    with pytest.raises(Fault, match="cannot be opened"):
        await serve(directory / "no" / "s.sock", {})
    with pytest.raises(Fault):
        await serve(directory / ("x" * 120), {})


CLIENT = """
import asyncio, os, sys
from pathlib import Path
from appliance.host.control import call
from appliance.model.errors import PlatenError
os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[2]))
try:
    print(asyncio.run(call(Path(sys.argv[1]), sys.argv[3], {"n": 1})))
except PlatenError as e:
    print(e.code)
"""


async def as_user(path: Path, uid: int, method: str = "platen.test.Echo") -> str:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CLIENT, str(path), str(uid), method, stdout=subprocess.PIPE
    )
    return (await child.communicate())[0].decode().strip()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to be somebody else")
async def test_peers_are_known_by_the_kernel(directory: Path) -> None:
    os.chmod(directory, 0o755)  # noqa: S103
    server = await serve(directory / "s.sock", HANDLERS, uids=[4242], mode=0o666)
    assert await as_user(server.path, 4242) == "{'n': 1}"
    assert await as_user(server.path, 4343) == AccessDenied.code
    assert await as_user(server.path, 0) == "{'n': 1}"
    await server.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to be somebody else")
async def test_a_reader_may_ask_for_the_status_alone(directory: Path) -> None:
    os.chmod(directory, 0o755)  # noqa: S103
    handlers = {**HANDLERS, "platen.test.Status": echo}
    server = await serve(directory / "s.sock", handlers, uids=[4242], readers=[4343], mode=0o666)
    assert await as_user(server.path, 4343, "platen.test.Status") == "{'n': 1}"
    assert await as_user(server.path, 4343, "platen.test.Echo") == AccessDenied.code
    assert await as_user(server.path, 4242, "platen.test.Echo") == "{'n': 1}"
    assert await as_user(server.path, 4444, "platen.test.Status") == AccessDenied.code
    await server.close()


async def test_others_that_may_call_can_open_the_socket(directory: Path) -> None:
    for others, mode in (({}, 0o600), ({"uids": [4242]}, 0o660), ({"readers": [4242]}, 0o660)):
        server = await serve(directory / "s.sock", HANDLERS, **others)
        assert server.path.stat().st_mode & 0o777 == mode
        await server.close()


async def test_a_passed_socket_is_used_and_left(directory: Path) -> None:
    """systemd keeps listening on it: who connects while we are away starts us again."""
    path = directory / "s.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(path))
        listening.listen()
        server = await serve(path, HANDLERS, passed=listening.dup())
        assert await call(path, "platen.test.Echo", {"n": 1}) == {"n": 1}
        await server.close()
        assert path.is_socket()
        again = await serve(path, HANDLERS, passed=listening.dup())
        assert await call(path, "platen.test.Echo", {"n": 2}) == {"n": 2}
        await again.close()


def test_every_error_of_the_tree_travels() -> None:
    def tree(kind: type[PlatenError]) -> Iterator[type[PlatenError]]:
        yield kind
        for below in kind.__subclasses__():
            yield from tree(below)

    for kind in tree(PlatenError):
        e = kind("It went wrong", hint="Do this")
        message = json.loads(json.dumps(control._error(e)))
        back = control._raised(message["error"], message["parameters"])
        assert (type(back), str(back), back.exit_status) == (kind, str(e), e.exit_status)
