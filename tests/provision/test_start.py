# SPDX-License-Identifier: Apache-2.0
"""A start of the box with what people put on its card, and with the power cut at every step of it."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography import x509

from appliance.health import look
from appliance.host.identity import Identity, load_or_create
from appliance.host.paths import Paths
from appliance.model import personalisation
from appliance.provision import files, service
from appliance.provision.files import Firmware, Owner
from appliance.provision.personal import Places
from appliance.provision.service import Box, start
from appliance.store import settings
from appliance.store.database import open_database
from tests.provision.certificates import pair

BOX = personalisation.Box(
    pack="0123456789abcdef" * 2,
    box_id="PL-7K3M-9Q2X",
    setup_code="AAAA-BBBB",
    claim_code="4T9K-2M7P-XR03",
    fleet=personalisation.Fleet("fleet.example", "acme", 8884),
)
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0"/></svg>'
SECRETS = (b"AAAA-BBBB", b"4T9K-2M7P-XR03", b"PRIVATE KEY")


@pytest.fixture(autouse=True)
def host_name(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Where the machine's name goes instead of to the machine that tests this."""
    named: list[str] = []
    monkeypatch.setattr(socket, "sethostname", named.append)
    return named


def make(folder: Path) -> Box:
    (folder / "firmware" / "platen").mkdir(parents=True)
    (folder / "data").mkdir()
    return Box(
        firmware=Firmware(folder / "firmware"),
        places=Places(Paths(folder / "data" / "state", folder / "run" / "platen"), folder / "data"),
        network=folder / "run" / "systemd" / "network",
        run=folder / "run",
    )


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return make(tmp_path)


def personalise(box: Box, of: personalisation.Box = BOX, **more: bytes) -> Path:
    folder = box.firmware.folder / "platen"
    (folder / "brand").mkdir(exist_ok=True)
    certificate, key = pair(of.box_id)
    contents = {
        "box.toml": personalisation.encode(of),
        "ca.crt": pair("ca")[0],
        "client.crt": certificate,
        "client.key": key,
        "brand/brand.toml": b'name = "Acme"\n',
        "brand/logo.svg": SVG,
        **{k.replace("_", "."): v for k, v in more.items()},
    }
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    return folder


def tree(folder: Path, *, without: tuple[str, ...] = ("platen.db", "run")) -> dict[str, tuple[int, bytes]]:
    return {
        str(p.relative_to(folder)): (p.stat().st_mode & 0o777, p.read_bytes())
        for p in sorted(folder.rglob("*"))
        if p.is_file() and not str(p.relative_to(folder)).split("/")[-1].startswith(without)
    }


def stored(box: Box) -> dict[str, Any]:
    db = open_database(box.places.paths.database, write=False)
    try:
        return {k: (settings.load(db)[k], s) for k, s in settings.sources(db).items()}
    finally:
        db.close()


def test_a_card_without_anything(box: Box, host_name: list[str]) -> None:
    outcome = start(box)
    assert outcome == service.Outcome(using="automatic")
    identity = load_or_create(box.places.paths)
    assert host_name == [f"platen-{identity.box_id[-4:].lower()}"]
    assert "DHCP=yes" in (box.network / "10-platen-wired.network").read_text()
    assert not box.places.paths.keys.exists()
    assert list(box.firmware.folder.iterdir()) == [box.firmware.folder / "platen"]
    assert identity.box_id in (box.run / "issue.d" / "50-platen.issue").read_text()


def test_the_dealers_box(box: Box) -> None:
    folder = personalise(box)
    start(box)
    paths = box.places.paths
    assert load_or_create(paths) == Identity(BOX.box_id, BOX.setup_code)
    found = tree(paths.keys)
    certificate, key = pair(BOX.box_id)
    assert found == {
        "ca.crt": (0o600, pair("ca")[0]),
        "operational.crt": (0o600, certificate),
        "operational.key": (0o600, key),
        "claim-code": (0o600, b"4T9K-2M7P-XR03\n"),
    }
    assert (box.places.brand / "logo.svg").read_bytes() == SVG
    assert stored(box) == {
        "uplink.host": ("fleet.example", "dealer"),
        "uplink.port": (8884, "dealer"),
        "uplink.tenant": ("acme", "dealer"),
    }
    assert sorted(p.name for p in folder.iterdir()) == ["brand", "ca.crt", "client.crt", "done.toml"]
    left = b"".join(p.read_bytes() for p in folder.rglob("*") if p.is_file())
    assert not any(s in left for s in SECRETS)


def test_only_once(box: Box) -> None:
    personalise(box)
    start(box)
    db = open_database(box.places.paths.database)
    settings.put(db, "uplink.host", "elsewhere.example", "you")
    db.close()
    start(box)
    assert stored(box)["uplink.host"] == ("elsewhere.example", "you")


def test_the_same_card_written_again_is_wiped_and_not_taken(box: Box) -> None:
    personalise(box)
    start(box)
    (box.places.paths.keys / "claim-code").unlink()
    folder = personalise(box)
    start(box)
    assert not (folder / "client.key").exists()
    assert not (box.places.paths.keys / "claim-code").exists()


def test_a_new_personalisation_of_the_same_box(box: Box) -> None:
    personalise(box)
    start(box)
    other = personalisation.Fleet("new.example", "acme")
    personalise(box, msgspec.structs.replace(BOX, pack="f" * 32, fleet=other))
    (box.firmware.folder / "platen" / "brand" / "logo.svg").unlink()
    start(box)
    assert stored(box)["uplink.host"] == ("new.example", "dealer")
    assert [p.name for p in box.places.brand.iterdir()] == ["brand.toml"]


def test_a_box_that_was_started_before_becomes_the_dealers(box: Box) -> None:
    start(box)
    personalise(box)
    start(box)
    assert load_or_create(box.places.paths).box_id == BOX.box_id


def test_a_box_that_is_somebody_stays_it(box: Box) -> None:
    personalise(box)
    start(box)
    folder = personalise(box, msgspec.structs.replace(BOX, pack="f" * 32, box_id="PL-0000-0000"))
    outcome = start(box)
    assert outcome.personalisation.startswith("already-personalised: ")
    assert load_or_create(box.places.paths).box_id == BOX.box_id
    assert (folder / "client.key").exists(), "it may be meant for another box"
    text = (box.firmware.folder / "platen-errors.txt").read_text("utf-8-sig")
    assert "PL-0000-0000" in text


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"box_toml": b"pack = 1"}, "box.toml cannot be read"),
        ({"box_toml": b"#" * 5000}, "larger than"),
        (
            {"box_toml": personalisation.encode(BOX).replace(b"XR03", b"XR0G")},
            "claim_code does not have the form",
        ),
        ({"box_toml": personalisation.encode(BOX).replace(b"acme", b"a/#")}, "tenant does not have the form"),
        ({"ca_crt": b"x"}, "ca.crt is no certificate"),
        ({"client_key": pair("other")[1]}, "key is another's"),
        ({"client_crt": b"\xff" * 70_000}, "larger than 64 KiB"),
        ({"brand/brand_toml": b"name = 3"}, "brand.toml"),
        ({"brand/logo_svg": SVG.replace(b"<path", b"<script/><path")}, "<script>"),
    ],
)
def test_a_bad_personalisation_is_refused_as_a_whole(box: Box, change: dict[str, bytes], says: str) -> None:
    folder = personalise(box, **change)
    before = tree(folder)
    outcome = start(box)
    assert says in outcome.personalisation
    assert tree(folder) == before
    assert not box.places.paths.keys.exists()
    assert load_or_create(box.places.paths).box_id != BOX.box_id
    shown = (box.firmware.folder / "platen-errors.txt").read_bytes() + (
        box.run / "platen/provision.json"
    ).read_bytes()
    assert not any(s in shown for s in SECRETS)
    personalise(box)
    start(box)
    assert load_or_create(box.places.paths).box_id == BOX.box_id
    assert not (box.firmware.folder / "platen-errors.txt").exists()


def test_nothing_secret_is_logged(box: Box, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    personalise(box)
    write(
        box,
        b"[wifi]\nssid='x'\ncountry='DE'\npassphrase = 'geheim123'\n[proxy]\nurl='x'\npassword='geheim123'",
    )
    start(box)
    assert caplog.text
    assert not any(s.decode() in caplog.text for s in (*SECRETS, b"geheim123"))


def test_update_servers_may_be_certified_by_the_dealer_too(box: Box, tmp_path: Path) -> None:
    roots = tmp_path / "roots.pem"
    roots.write_bytes(pair("root")[0].rstrip())
    box = msgspec.structs.replace(box, roots=roots)
    trust = box.run / "platen-trust" / "ca.pem"
    start(box)
    assert not trust.exists(), "the system's own file holds"
    personalise(box)
    for _ in range(2):  # the second start finds it on the data partition only
        start(box)
        found = x509.load_pem_x509_certificates(trust.read_bytes())
        assert [c.subject.rfc4514_string() for c in found] == ["CN=root", "CN=ca"]
        trust.unlink()
    start(box)
    (box.places.paths.keys / "ca.crt").unlink()
    start(box)
    assert not trust.exists(), "a factory reset took the dealer away"


def test_the_page_gets_the_dealers_brand(box: Box) -> None:
    start(box)
    shown = box.run / "platen-brand"
    assert not shown.exists() or not list(shown.iterdir())
    png = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
    personalise(box)
    start(box)
    assert (shown / "logo.svg").read_bytes() == SVG
    assert (shown / "brand.toml").stat().st_mode & 0o777 == 0o644
    assert shown.stat().st_mode & 0o777 == 0o755
    (box.places.brand / "logo.png").write_bytes(png)
    (box.places.brand / "logo.svg").unlink()
    start(box)
    assert (shown / "logo.png").read_bytes() == png
    assert not (shown / "logo.svg").exists()


def test_other_users_can_read_what_is_made_for_them(box: Box, tmp_path: Path) -> None:
    """networkd, timesyncd and RAUC's downloads have users of their own, and we start with a tight umask."""
    roots = tmp_path / "roots.pem"
    roots.write_bytes(pair("root")[0])
    personalise(box)
    write(box, GOOD + b"[time]\nntp = '10.0.0.1'\n")
    before = os.umask(0o077)
    try:
        start(msgspec.structs.replace(box, roots=roots))
    finally:
        os.umask(before)
    for path in (
        box.network / "10-platen-wired.network",
        box.run / "systemd/timesyncd.conf.d/50-platen.conf",
        box.run / "platen-trust/ca.pem",
        box.run / "platen/provision.json",
    ):
        assert path.stat().st_mode & 0o444 == 0o444, path
        folder = path.parent
        while folder != box.run.parent:
            assert folder.stat().st_mode & 0o555 == 0o555, folder
            folder = folder.parent


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_owners(tmp_path: Path) -> None:
    box = make(tmp_path)
    shared, uplink = Owner(0, 61_001), Owner(61_002, 61_001)
    box = msgspec.structs.replace(
        box, places=msgspec.structs.replace(box.places, shared=shared, uplink=uplink)
    )
    personalise(box)
    write(box, b"[proxy]\nurl = 'http://p.example:3128'\n")
    start(box)
    paths = box.places.paths
    for path, uid, mode in (
        (paths.keys, 61_002, 0o700),
        (paths.keys / "operational.key", 61_002, 0o600),
        (paths.identity, 0, 0o2750),
        (paths.identity / "setup-code", 0, 0o640),
        (box.run / "platen" / "proxy.env", 0, 0o640),
    ):
        found = path.stat()
        assert (found.st_uid, found.st_gid, found.st_mode & 0o7777) == (uid, 61_001, mode), path


# -- the installer's file


def write(box: Box, data: bytes) -> Path:
    path = box.firmware.folder / "platen.toml"
    path.write_bytes(data)
    return path


GOOD = b'[network]\r\naddress = "10.0.0.2/24"\r\ngateway = "10.0.0.1"\r\ndns = "10.0.0.1"\r\n'
AIR = b"[wifi]\nssid = 'x'\ncountry = 'DE'\npassphrase = 'geheim 123' # ours\n"


def in_force(box: Box) -> str:
    return (box.network / "10-platen-wired.network").read_text()


def test_a_mistake_keeps_what_was_in_force(box: Box) -> None:
    write(box, GOOD)
    assert start(box).using == "file"
    write(box, GOOD.replace(b"gateway", b"gatway"))
    outcome = start(box)
    assert outcome.using == "kept"
    assert "Address=10.0.0.2/24" in in_force(box)
    text = (box.firmware.folder / "platen-errors.txt").read_text("utf-8-sig")
    assert "Line 3, column 1, network.gatway: Did you mean gateway?" in text
    assert "settings it had before" in text
    card = look.card(box.run / "platen")
    assert card is not None
    assert (card.using, [(m.line, m.key) for m in card.problems]) == (
        "kept",
        [(1, "network.gateway"), (3, "network.gatway")],
    )
    write(box, GOOD)
    start(box)
    assert not (box.firmware.folder / "platen-errors.txt").exists()


def test_a_mistake_in_the_first_file_means_dhcp(box: Box) -> None:
    write(box, b"[network]\nvlan = 0\n")
    assert start(box).using == "automatic"
    assert "DHCP=yes" in in_force(box)


def test_without_the_file_the_settings_are_forgotten(box: Box) -> None:
    path = write(box, GOOD)
    start(box)
    path.unlink()
    assert start(box).using == "automatic"
    write(box, b"x")
    assert start(box).using == "automatic"


def test_without_the_partition_they_stay(box: Box) -> None:
    write(box, GOOD)
    start(box)
    box.firmware.folder.rename(box.firmware.folder.with_name("gone"))
    assert start(box).using == "kept"
    assert "Address=10.0.0.2/24" in in_force(box)


def test_what_is_no_longer_wanted_goes(box: Box) -> None:
    write(box, b"[network]\nvlan = 7\n[time]\nntp = 'a.example'\n[proxy]\nurl = 'http://p:1'\n")
    start(box)
    assert (box.network / "10-platen-vlan.netdev").exists()
    write(box, b"")
    start(box)
    assert [p.name for p in box.network.iterdir()] == ["10-platen-wired.network"]
    assert not (box.run / "platen" / "proxy.env").exists()
    assert not (box.run / "systemd" / "timesyncd.conf.d" / "50-platen.conf").exists()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_a_secret_moves_to_the_box(box: Box, encoding: str) -> None:
    box = msgspec.structs.replace(box, wifi=True)
    before = "# für uns\r\n" + AIR.decode()
    path = write(box, before.encode(encoding))
    start(box)
    assert path.read_bytes().decode(encoding) == before.replace("geheim 123", "*" * 10)
    supplicant = box.run / "platen" / "wpa_supplicant.conf"
    assert 'psk="geheim 123"' in supplicant.read_text()
    assert supplicant.stat().st_mode & 0o777 == 0o600
    supplicant.unlink()
    assert start(box).problems == []
    assert 'psk="geheim 123"' in supplicant.read_text()


def test_a_secret_that_could_not_be_kept_stays_on_the_card(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    box = msgspec.structs.replace(box, wifi=True)
    path = write(box, AIR)
    (box.places.data / "provision").mkdir()
    real = os.fsync

    def full(fd: int) -> None:
        if "provision" in os.readlink(f"/proc/self/fd/{fd}"):
            raise OSError(28, "No space left on device")
        real(fd)

    monkeypatch.setattr(os, "fsync", full)
    start(box)
    assert path.read_bytes() == AIR
    assert "geheim" in (box.run / "platen" / "wpa_supplicant.conf").read_text(), "it is in force all the same"


def test_a_full_disk_keeps_nobody_from_the_network(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    personalise(box)
    write(box, GOOD)
    real = os.open

    def full(path: Any, flags: int, *more: Any, **named: Any) -> int:
        if flags & os.O_CREAT and str(path).startswith(str(box.places.data)):
            raise OSError(28, "No space left on device")
        return real(path, flags, *more, **named)

    monkeypatch.setattr(os, "open", full)
    start(box)
    assert "Address=10.0.0.2/24" in in_force(box)
    assert (box.firmware.folder / "platen" / "client.key").exists()


# -- power cuts


class PowerCut(BaseException):
    pass


STEPS = ("open", "write", "pwrite", "fsync", "rename", "unlink", "fchmod", "close")


class Power:
    """Cuts it before the nth step, or in the middle of it where it writes. What was not synced by then may be lost:
    `lossy` empties such files. The database's own steps are cut in tests/store."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, root: Path, nth: int, *, lossy: bool) -> None:
        self.left, self.lossy, self.root = nth, lossy, root
        self.unsynced: set[str] = set()
        self.real = {name: getattr(os, name) for name in STEPS}
        for name in STEPS:
            monkeypatch.setattr(os, name, self._step(name))

    def _step(self, name: str) -> Callable[..., Any]:
        def step(*args: Any, **named: Any) -> Any:
            path = os.fspath(args[0]) if name in ("open", "rename", "unlink") else self._path(args[0])
            if (
                self.left < 0
                or not str(path).startswith(str(self.root))
                or "/run/" in str(path)
                or "platen.db" in str(path)
            ):
                return self.real[name](*args, **named)
            self.left -= 1
            if self.left < 0:
                if name in ("write", "pwrite"):
                    self.real[name](args[0], bytes(args[1])[: len(args[1]) // 2], *args[2:])
                self._lose()
                raise PowerCut
            if name == "write":  # overwriting in place loses nothing of what was there
                self.unsynced.add(path)
            if name == "fsync":
                self.unsynced.discard(path)
            if name == "rename" and path in self.unsynced:
                self.unsynced.add(os.fspath(args[1]))
            return self.real[name](*args, **named)

        return step

    def _path(self, fd: int) -> str:
        try:
            return os.readlink(f"/proc/self/fd/{fd}")
        except OSError:
            return ""

    def _lose(self) -> None:
        for path in self.unsynced if self.lossy else ():
            if Path(path).exists():
                os.truncate(path, 0)


def cuts(build: Callable[[Path], Box], root: Path, *, lossy: bool) -> Iterator[Box]:
    """A box for each step of its start, with the power cut there."""
    for nth in range(1000):
        folder = root / str(nth)
        box = build(folder)
        with pytest.MonkeyPatch.context() as monkeypatch:
            power = Power(monkeypatch, folder, nth, lossy=lossy)
            with contextlib.suppress(PowerCut):
                start(box)
            if power.left >= 0:
                assert nth > 20, "the steps were seen"
                return
        yield box


def dealers(folder: Path) -> Box:
    box = make(folder)
    personalise(box)
    return box


@pytest.mark.parametrize("lossy", [False, True])
def test_a_cut_anywhere_in_the_personalisation(tmp_path: Path, lossy: bool) -> None:
    whole = dealers(tmp_path / "whole")
    start(whole)
    wanted = tree(tmp_path / "whole")
    count = 0
    for box in cuts(dealers, tmp_path / "cut", lossy=lossy):
        count += 1
        card = (box.firmware.folder / "platen").rglob("*")
        safe = (box.places.paths.keys / "operational.key").exists() and box.places.journal.exists()
        assert safe or pair(BOX.box_id)[1] in [p.read_bytes() for p in card if p.is_file()], (
            "the key is somewhere"
        )
        start(box)
        assert tree(box.firmware.folder.parent) == wanted
        assert stored(box) == stored(whole)
    assert count > 60


@pytest.mark.parametrize("lossy", [False, True])
def test_a_cut_anywhere_in_the_second_attempt(tmp_path: Path, lossy: bool) -> None:
    """The start after the first cut is cut as well."""
    whole = dealers(tmp_path / "whole")
    start(whole)
    wanted = tree(tmp_path / "whole")

    def once_cut(folder: Path) -> Box:
        box = dealers(folder)
        with pytest.MonkeyPatch.context() as monkeypatch:
            Power(monkeypatch, folder, 45, lossy=lossy)
            with pytest.raises(PowerCut):
                start(box)
        return box

    for box in cuts(once_cut, tmp_path / "cut", lossy=lossy):
        start(box)
        assert tree(box.firmware.folder.parent) == wanted


@pytest.mark.parametrize("lossy", [False, True])
def test_a_cut_anywhere_in_the_installers_file(tmp_path: Path, lossy: bool) -> None:
    def installers(folder: Path) -> Box:
        box = msgspec.structs.replace(make(folder), wifi=True)
        load_or_create(box.places.paths)
        write(box, AIR)
        return box

    whole = installers(tmp_path / "whole")
    start(whole)
    for box in cuts(installers, tmp_path / "cut", lossy=lossy):
        assert start(box).problems == []
        assert (box.firmware.folder / "platen.toml").read_bytes() == AIR.replace(b"geheim 123", b"*" * 10)
        assert 'psk="geheim 123"' in (box.run / "platen" / "wpa_supplicant.conf").read_text()


def test_the_secret_is_synced_before_it_is_wiped(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    power = Power(monkeypatch, box.firmware.folder.parent, 10_000, lossy=False)
    seen: list[set[str]] = []
    real = files.wipe

    def wipe(path: Path) -> None:
        seen.append({p for p in power.unsynced if Path(p).exists() and "/data/" in p})
        real(path)

    monkeypatch.setattr(files, "wipe", wipe)
    personalise(box)
    start(box)
    assert seen == [set(), set()]
