# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import multiprocessing
import os
from pathlib import Path

import pytest

from appliance.model.errors import BaseDrift
from image import build, cache, cli, packages
from image.packages import Package


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLATEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PLATEN_SITE", str(tmp_path / "site"))
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")


@pytest.mark.parametrize("command", ["build", "bundle", "lock", "keys"])
def test_help_says_what_it_does_and_what_it_reads(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main([command, "--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    for word in ("PLATEN_CACHE", "SOURCE_DATE_EPOCH", "exit status", "--json"):
        assert word in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["build", "--architecture", "amd64"], "There is no recipe for amd64"),
        (["lock", "--check", "--architecture", "amd64"], "There is no recipe for amd64"),
        (["build", "--version", "new"], "--version is not a version"),
        (["bundle", "--floor", "1.2"], "--floor is not a version"),
        (["bundle", "--keys", "/nowhere"], "/nowhere is not a folder"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(arguments) == 2
    assert said in capsys.readouterr().err


def test_outside_of_the_tool_it_says_how_to_run_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("PLATEN_SITE")
    assert cli.main(["build"]) == 2
    assert "tools/image" in capsys.readouterr().err


class Mirror:
    """apt, of which only the answer matters here."""

    answer: tuple[Package, ...] = ()

    def __init__(self, *_: object) -> None: ...

    def update(self) -> None: ...

    def resolve(self, _: object) -> list[Package]:
        return list(self.answer)


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> type[Mirror]:
    old = Package("openssl", "3.5.6", "arm64", "ab" * 32, 7)
    (tmp_path / "base.lock").write_text(packages.write_lock([old]))
    monkeypatch.setattr(packages, "LOCK", tmp_path / "base.lock")
    monkeypatch.setattr(packages, "Apt", Mirror)
    monkeypatch.setattr(Mirror, "answer", (old,))
    return Mirror


def test_no_drift_is_exit_status_0(mirror: type[Mirror], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["lock", "--check", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"packages": 1, "drift": [], "written": False}


def test_drift_is_shown_and_locked_when_asked(
    mirror: type[Mirror], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(mirror, "answer", (Package("openssl", "3.5.7", "arm64", "cd" * 32, 7),))
    before = packages.LOCK.read_text()
    assert cli.main(["lock", "--check"]) == 1
    assert capsys.readouterr().out == "openssl 3.5.6 -> 3.5.7\n"
    assert packages.LOCK.read_text() == before
    assert cli.main(["lock"]) == 0
    assert "3.5.7" in packages.LOCK.read_text()
    assert cli.main(["lock", "--check"]) == 0


def test_keys_are_made_once_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["keys", str(tmp_path / "keys"), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [Path(r["file"]).name for r in rows] == [
        "root-1-signer.crt", "root-1.crt", "root-2-signer.crt", "root-2.crt",
    ]  # fmt: skip
    assert cli.main(["keys", str(tmp_path / "keys"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == rows


def test_a_fault_of_a_tool_has_its_exit_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(_: build.Options) -> None:
        raise BaseDrift("The mirror no longer has it")

    monkeypatch.setattr(build, "build", fails)
    assert cli.main(["build"]) == 1
    assert "base-drift" in capsys.readouterr().err


def slow(to: Path) -> None:
    to.mkdir()
    with (to.parent / "made").open("a") as file:
        file.write("x")
    (to / "value").write_text("whole")


def keep(at: Path) -> None:
    assert (cache.kept(at, "thing", "1", slow) / "value").read_text() == "whole"


def test_what_is_kept_is_made_once_by_however_many(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    builds = [context.Process(target=keep, args=(tmp_path,)) for _ in range(6)]
    for one in builds:
        one.start()
    for one in builds:
        one.join()
    assert [one.exitcode for one in builds] == [0] * 6
    assert (tmp_path / "made").read_text() == "x"


def test_what_was_left_half_made_is_made_anew(tmp_path: Path) -> None:
    for half in ("thing-1", "thing-1.new"):
        (tmp_path / half).mkdir()
    keep(tmp_path)


def die(at: Path) -> None:
    with cache.workspace(at):
        os._exit(9)


def test_workspaces_are_apart_and_those_of_the_dead_go(tmp_path: Path) -> None:
    killed = multiprocessing.get_context("fork").Process(target=die, args=(tmp_path,))
    killed.start()
    killed.join()
    assert len(list(tmp_path.glob("work-*"))) == 1
    with cache.workspace(tmp_path) as one, cache.workspace(tmp_path) as other:
        assert set(tmp_path.glob("work-*")) == {one, other}
        assert one != other
    assert not list(tmp_path.glob("work-*"))
