# SPDX-License-Identifier: Apache-2.0
"""RAUC 1.13 itself, as a service on a private bus; and every sentence of its that we know."""

from __future__ import annotations

import base64
import http.server
import os
import re
import shutil
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from appliance.host import uboot
from appliance.host.bus import Bus
from appliance.host.rauc import Installer, fault
from appliance.model.errors import PlatenError, ServiceDown, UpdateError
from appliance.provision import effect
from appliance.provision.installer import Installer as Made
from tests.update.conftest import COMPATIBLE, Bundles, Environment, Rauc

# Said by RAUC 1.13 and its streaming helper in the tests below, on a kernel with dm-verity and nbd, or in its source.
SENTENCES = {
    "signature verification failed: Verify error: self-signed certificate": "bundle-untrusted",
    "signature verification failed: Verify error: unable to get local issuer certificate": "bundle-untrusted",
    "signature verification failed: Verify error: certificate has expired": "bundle-untrusted",
    "Signer certificate key usage does not allow digital signatures": "bundle-untrusted",
    "Bundle format 'plain' not allowed": "bundle-format",
    "Bundle format 'crypt' not allowed": "bundle-format",
    "Bundle format 'plain' not supported in streaming mode": "bundle-format",
    "Refusing to install unencrypted crypt bundles": "bundle-format",
    "Compatible mismatch: Expected 'platen-rpi-arm64' but bundle manifest has 'other'": "bundle-foreign",
    "Version mismatch: Expected at least '1.2.0' but bundle manifest has '1.0.0'": "bundle-too-old",
    "Version mismatch: Expected at least '1.2.0' but bundle manifest has no version": "bundle-too-old",
    "Pre-install handler error: Child process exited with code 3": "bundle-too-old",
    "Pre-install handler error: Child process exited with code 1": "install-failed",
    "Installation error: Failed updating slot rootfs.1: Slot (262144 bytes) is too small for image (524288 bytes).":
        "bundle-too-large",
    "Failed updating slot boot.1: Failed to copy data: Error writing to file descriptor: No space left on device":
        "bundle-too-large",
    "Invalid bundle format: Signature size (1521738151612413522) exceeds bundle size": "bundle-broken",
    "Invalid bundle format: Failed to seek to end of bundle: Error seeking in file: Invalid argument":
        "bundle-broken",
    "Invalid bundle format: Failed to open bundle for reading: Error opening file /x: No such file or directory":
        "bundle-broken",
    "signature verification failed: Signature data is no valid CMS": "bundle-untrusted",
    "Failed to parse signature": "bundle-broken",
    "Failed mounting bundle: Check read from dm-verity device failed between 0 and 4096 bytes with error: "
    "Input/output error": "bundle-broken",
    "bundle payload is corrupted": "bundle-broken",
    "Failed to stream bundle https://h/x: failed to configure streaming: server not responding": "download-gone",
    "Failed to stream bundle https://h/x: failed to configure streaming: range requests not supported by server":
        "download-no-ranges",
    "Failed to stream bundle https://h/x: failed to configure streaming: unexpected HTTP error code 404":
        "download-missing",
    "Failed to stream bundle https://h/x: failed to configure streaming: unexpected HTTP error code 503":
        "download-failed",
    "Failed to stream bundle https://h/x: server did not send bundle size": "download-failed",
    "failed to read data from remote server": "download-failed",
    "Already processing a different method": "update-busy",
    "already processing a different method": "update-busy",
    "Failed mounting bundle: Failed to open /dev/mapper/control: No such file or directory": "install-failed",
    "failed to resolve 'nbd' netlink family - BLK_DEV_NBD not enabled in kernel?": "install-failed",
    "": "install-failed",
}  # fmt: skip


@pytest.mark.parametrize(("sentence", "code"), SENTENCES.items())
def test_what_rauc_says_is_understood(sentence: str, code: str) -> None:
    error = fault(sentence)
    assert error.code == code
    assert isinstance(error, UpdateError)
    assert "{" not in str(error)
    assert error.hint


def test_the_words_of_a_refusal_are_kept() -> None:
    assert fault("Compatible mismatch: Expected 'a' but bundle manifest has 'b'").sentence == (
        "The bundle is for b, this box is a"
    )
    assert "524288" in fault("Slot (262144 bytes) is too small for image (524288 bytes).").sentence
    assert "something new" in fault("something new").sentence


# -- the real one


@pytest.fixture
async def installer(rauc: Rauc) -> AsyncIterator[Installer]:
    bus = await Bus.open(rauc.address)
    yield Installer(bus)
    bus.close()


async def refused(installer: Installer, source: object) -> PlatenError:
    with pytest.raises(PlatenError) as error:
        await installer.inspect(str(source))
    return error.value


async def test_a_signed_bundle_tells_what_it_is(installer: Installer, bundles: Bundles) -> None:
    bundle = await installer.inspect(str(bundles.make("good")))
    assert (bundle.compatible, bundle.version, bundle.format) == (COMPATIBLE, "1.5.0", "verity")
    assert bundle.floor == "1.3.0"
    assert {i.slot_class: i.size for i in bundle.images} == {"rootfs": 131_072, "boot": 65_536}
    assert await installer.compatible() == COMPATIBLE


async def test_bad_bundles_are_refused_by_name(
    installer: Installer, bundles: Bundles, tmp_path: Path
) -> None:
    good = bundles.make("good").read_bytes()
    cut = tmp_path / "cut.raucb"
    cut.write_bytes(good[: len(good) * 2 // 3])
    flipped = tmp_path / "flipped.raucb"
    flipped.write_bytes(good[:-600] + bytes([good[-600] ^ 1]) + good[-599:])
    text = tmp_path / "text.raucb"
    text.write_text("hello")
    empty = tmp_path / "empty.raucb"
    empty.write_bytes(b"")
    codes = {
        bundles.make("stranger", signer="stranger"): "bundle-untrusted",
        bundles.make("plain", format="plain"): "bundle-format",
        cut: "bundle-broken",
        text: "bundle-broken",
        empty: "bundle-broken",
        tmp_path / "missing.raucb": "bundle-broken",
    }
    found = {path: (await refused(installer, path)).code for path in codes}
    assert found == codes
    assert (await refused(installer, flipped)).code in ("bundle-untrusted", "bundle-broken")


async def test_slots_and_marks_are_those_of_the_boot_loader(
    installer: Installer, environment: Environment
) -> None:
    slots = {s.name: s for s in await installer.slots()}
    assert slots["boot.0"].state == "booted"
    assert slots["boot.1"].state == slots["rootfs.1"].state == "inactive"
    assert slots["rootfs.1"].parent == "boot.1"
    assert slots["boot.1"].good is True
    assert await installer.primary() == "boot.0"
    environment.set(BOOT_A_LEFT="2")
    await installer.mark("good", "booted")
    assert environment.values()["BOOT_A_LEFT"] == "9", "boot-attempts is what makes a slot committed"
    assert uboot.parse(environment.file.read_text()).left["A"] == uboot.COMMITTED
    await installer.mark("bad", "other")
    read = await uboot.read()
    assert (read.order, read.left["B"]) == (["A"], 0)
    assert not read.pending("B")
    assert not read.spent("B")
    await installer.mark("bad", "booted")
    assert await installer.primary() is None


@pytest.mark.parametrize("left", [bytes(240), b"", b"[slot.boot.0]\nstatus=o"])
async def test_a_status_file_that_a_power_cut_spoilt_is_written_anew(
    rauc: Rauc, environment: Environment, tmp_path: Path, left: bytes
) -> None:
    """RAUC makes its status file without waiting for the disk (docs/reliability.md)."""
    rauc.stop()
    status = tmp_path / "rauc/central.raucs"
    status.write_bytes(left)
    await rauc.start()
    bus = await Bus.open(rauc.address)
    try:
        installer = Installer(bus)
        environment.set(BOOT_A_LEFT="2")
        assert {s.name for s in await installer.slots()} >= {"boot.0", "rootfs.1"}
        await installer.mark("good", "booted")
        await installer.mark("active", "other")
    finally:
        bus.close()
    assert environment.values()["BOOT_A_LEFT"] == "9"
    assert b"[slot." in status.read_bytes().strip(b"\0")


async def test_an_installation_ends_with_rauc_s_own_reason(installer: Installer, bundles: Bundles) -> None:
    with pytest.raises(PlatenError) as error:
        await installer.install(str(bundles.make("stranger", signer="stranger")), lambda _: None)
    assert error.value.code == "bundle-untrusted"
    assert not await installer.busy()


async def test_a_file_of_another_user_is_looked_at(
    installer: Installer, bundles: Bundles, tmp_path: Path
) -> None:
    """The page writes the spool as its own user. What it changes afterwards the kernel's dm-verity finds."""
    if os.geteuid():
        pytest.skip("needs root")
    path = tmp_path / "uploaded.raucb"
    shutil.copy(bundles.make("good"), path)
    path.chmod(0o660)
    os.chown(path, 65_534, 65_534)
    assert (await installer.inspect(str(path))).version == "1.5.0"


async def test_rauc_that_dies_is_not_waited_for(installer: Installer, rauc: Rauc, bundles: Bundles) -> None:
    rauc.stop()
    with pytest.raises(ServiceDown):
        await installer.inspect(str(bundles.make("good")))


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        what = self.path.strip("/")
        if what == "stalls":
            time.sleep(60)
        elif what == "no-ranges":
            self._send(200, b"x" * 8192)
        elif what == "broken":
            self._send(206, b"x" * 4, **{"Content-Range": "bytes nonsense"})
        elif what == "busy":
            self._send(503, b"")
        else:
            self._send(404, b"")

    def _send(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(bundles: Bundles) -> Iterator[http.server.ThreadingHTTPServer]:
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.daemon_threads = True
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()


@pytest.mark.parametrize(
    ("path", "code"),
    [("missing", "download-missing"), ("no-ranges", "download-no-ranges"), ("broken", "download-failed")],
)
async def test_a_server_that_lies(
    installer: Installer, server: http.server.ThreadingHTTPServer, path: str, code: str
) -> None:
    """Over plain http, which we do not take, so that RAUC's answer is about the server and not its certificate."""
    error = await refused(installer, f"http://127.0.0.1:{server.server_address[1]}/{path}")
    assert error.code == code, error


async def test_a_server_without_a_known_certificate(
    installer: Installer, server: http.server.ThreadingHTTPServer, bundles: Bundles
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(bundles.folder / "stranger.crt", bundles.folder / "stranger.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    error = await refused(installer, f"https://127.0.0.1:{server.server_address[1]}/x")
    assert error.code in ("download-untrusted", "download-gone"), error


@pytest.fixture
def own_server(
    server: http.server.ThreadingHTTPServer,
) -> Iterator[tuple[http.server.ThreadingHTTPServer, Path]]:
    """With a certificate of its own authority, and that authority in a file that RAUC's downloading user can read."""
    folder = Path(tempfile.mkdtemp(prefix="platen-trust-"))
    folder.chmod(0o755)
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=own"
    more = [
        "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", f"{folder}/own.key", "-out", f"{folder}/own.crt"
    ]  # fmt: skip
    subprocess.run([*command.split(), *more], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "own.crt", folder / "own.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    yield server, folder / "own.crt"
    shutil.rmtree(folder)


async def test_the_dealer_s_authority_certifies_a_server(
    rauc: Rauc, own_server: tuple[http.server.ThreadingHTTPServer, Path], tmp_path: Path
) -> None:
    """What the server says then is about the file: it was believed."""
    server, authority = own_server
    address = f"https://127.0.0.1:{server.server_address[1]}/missing"
    found = {}
    for trust in (None, tmp_path / "missing.pem", authority):
        bus = await Bus.open(rauc.address)
        installer = Installer(bus, trust)
        found[trust] = (await refused(installer, address)).code
        with pytest.raises(PlatenError) as error:
            await installer.install(address, lambda _: None)
        assert error.value.code == found[trust]
        bus.close()
    assert found[None] == found[tmp_path / "missing.pem"] != "download-missing"
    assert found[authority] == "download-missing"


async def test_downloads_go_by_the_proxy_of_the_environment(
    tmp_path: Path,
    bus_address: str,
    environment: Environment,
    bundles: Bundles,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As rauc.service gets it from provision's proxy.env."""
    asked: list[str] = []

    class Proxy(http.server.BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            asked.append(f"{self.path} {self.headers.get('Proxy-Authorization', '')}")
            self.send_error(502)

        def log_message(self, *_: object) -> None:
            pass

    proxy = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    proxy.daemon_threads = True
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    wanted = effect.run_files(
        Made(proxy=effect.Proxy("127.0.0.1", proxy.server_address[1], user="u ser", password="p@ss"))
    )["platen/proxy.env"].text
    for line in wanted.splitlines():
        if not line.startswith("#"):
            monkeypatch.setenv(*line.split("=", 1))
    rauc = Rauc(tmp_path, bus_address, environment, bundles)
    await rauc.start()
    try:
        bus = await Bus.open(rauc.address)
        await refused(Installer(bus), "https://updates.example/x.raucb")
        bus.close()
    finally:
        rauc.stop()
        proxy.shutdown()
    login = base64.b64encode(b"u ser:p@ss").decode()
    assert set(asked) == {f"updates.example:443 Basic {login}"}


def test_rauc_knows_every_option_we_rely_on(tmp_path: Path, bundles: Bundles) -> None:
    """RAUC refuses a key it does not know, so that a misspelt one cannot pass."""
    options = {
        "system": ["boot-attempts=9", "boot-attempts-primary=3", "min-bundle-version=1.0.0", "bundle-formats=verity"],
        "streaming": ["sandbox-user=nobody"],
        "handlers": ["pre-install=/bin/true"],
    }  # fmt: skip
    text = f"[system]\ncompatible=x\nbootloader=uboot\ndata-directory={tmp_path}\n"
    text += "".join(f"{o}\n" for o in options["system"])
    text += "".join(f"[{s}]\n" + "".join(f"{o}\n" for o in options[s]) for s in ("streaming", "handlers"))
    conf = tmp_path / "system.conf"

    def status() -> str:
        command = ["rauc", "-c", str(conf), f"--keyring={bundles.keyring}", "info", str(bundles.make("good"))]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        return run.stderr if run.returncode else ""

    conf.write_text(text)
    assert status() == ""
    for option in [o for s in options.values() for o in s]:
        conf.write_text(text.replace(option, "x" + option))
        assert re.search("Invalid key", status()), option
