# SPDX-License-Identifier: Apache-2.0
"""The network around the box: what its containers find below /lab, and what can be asked and done from outside."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from demo import broker, pki
from fleet.store import Printer, Reader

TREE = Path(__file__).parent.parent.parent
COMPOSE = Path(__file__).parent / "docker-compose.yml"
PROJECT = "platen-tests"
AROUND = ("dhcp", "http", "broker", "portal", "attacker", "printers")
"""Every service but the box."""

TENANT = "office"
PREFIX = "10.213.77."
ATTACKER, ELSEWHERE = PREFIX + "6", "203.0.113.7"
"""ELSEWHERE is a public address that the office's router, the attacker, answers for."""

BROKER, UPDATES = "broker.dealer.test", "updates.dealer.test"
HOSTS = {UPDATES: PREFIX + "3", BROKER: PREFIX + "4"}
BOOTSTRAP = "https://updates.dealer.test/bootstrap"
FIRST_PRINTER, MOST_PRINTERS = 17, 110
LEASES = (128, 250)

OFFICE = (
    "kyocera-taskalfa-3554ci", "hp-laserjet-m507", "hp-color-laserjet-mfp-m480", "brother-hl-l6400dw",
    "epson-wf-c579r", "lexmark-ms431dn", "konica-minolta-bizhub-c360i", "canon-ir-adv-c3830",
)  # fmt: skip
"""Printers of the usual tests, by their folder in tests/printers."""


class Lab:
    """The folder that is /lab in every container, and the containers."""

    def __init__(self) -> None:
        # Sockets in it have to stay short of 108 octets (unix(7)), which pytest's own folders do not.
        self.folder = Path(tempfile.mkdtemp(prefix="platen-lab-", dir="/tmp"))
        self.folder.chmod(0o755)
        os.environ["PLATEN_LAB"] = str(self.folder)
        for name in ("box", "dhcp", "http/www", "broker/data", "portal", "printers"):
            (self.folder / name).mkdir(parents=True)
        self.authority = pki.Authority(self.folder / "authority")
        self.authority.client(broker.PORTAL)
        self._lay_out_servers()
        self.office(OFFICE)

    def close(self, keep: Path | None = None) -> None:
        """Ends and removes every container; whatever happened before. `keep` gets what they wrote."""
        if keep is not None:
            keep.parent.mkdir(parents=True, exist_ok=True)
            keep.write_text(self.compose("logs", "--no-color", "--timestamps", check=False))
        self.compose("down", "-v", "--remove-orphans", "-t", "1", check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    # --- what the containers find ---

    def _lay_out_servers(self) -> None:
        folder = self.folder
        for name, where in ((UPDATES, "http/server"), (BROKER, "broker/broker")):
            pair = self.authority.server(name, hosts=(name, HOSTS[name]))
            shutil.copyfile(pair.certificate, folder / f"{where}.crt")
            shutil.copyfile(pair.key, folder / f"{where}.key")
        shutil.copyfile(self.authority.certificate, folder / "broker/ca.crt")
        # The container is the fence here; Mosquitto stays root, which can read its key.
        text = broker.configuration(Path("/lab/broker"), host="0.0.0.0", port=8883, user="root")
        (folder / "broker/mosquitto.conf").write_text(text)
        self.allow()
        uri = BOOTSTRAP.encode()
        option = ":".join(f"{octet:02x}" for octet in (*len(uri).to_bytes(2, "big"), *uri))
        lines = [
            "user=root", "interface=eth0", "bind-interfaces", "no-resolv", "no-hosts", "no-ping",
            "log-facility=-", "log-dhcp", "dhcp-authoritative", "dhcp-leasefile=/lab/dhcp/leases",
            f"dhcp-range={PREFIX}{LEASES[0]},{PREFIX}{LEASES[1]},255.255.255.0,1h",
            f"dhcp-option=option:router,{ATTACKER}",
            f"dhcp-option-force=42,{HOSTS[UPDATES]}",
            # networkd does not ask for it by itself.
            f"dhcp-option-force=143,{option}",
            *(f"host-record={name},{address}" for name, address in HOSTS.items()),
        ]  # fmt: skip
        (folder / "dhcp/dnsmasq.conf").write_text("\n".join(lines) + "\n")

    def allow(self, *boxes: str) -> None:
        """Whom the broker lets in. A running one is told."""
        path = self.folder / "broker/acl"
        path.write_text(broker.acl(TENANT, boxes))
        path.chmod(0o600)
        if boxes:
            # Not by SIGHUP: docs/wire.md says what Mosquitto does to those who are away just then.
            self.compose("restart", "-t", "0", "broker")

    def office(self, printers: Sequence[str]) -> list[str]:
        """Says which printers stand on the network from the next start of their container on; their addresses. The
        second and later ones of a model get a serial number and a network card of their own."""
        assert len(printers) <= MOST_PRINTERS
        addresses = [f"{PREFIX}{FIRST_PRINTER + n}" for n in range(len(printers))]
        lines = [f"ip address add {address}/24 dev eth0" for address in addresses]
        words, seen = [], set()
        for number, (name, address) in enumerate(zip(printers, addresses, strict=True)):
            file = f"tests/printers/{name}/walk.snmprec"
            if name in seen:
                file = f"/lab/printers/{name}-{number}.snmprec"
                recording = (TREE / f"tests/printers/{name}/walk.snmprec").read_text()
                (self.folder / "printers" / Path(file).name).write_text(another(recording, number))
            seen.add(name)
            words.append(f"{file},at={address}")
        command = f"exec python3 -m appliance.simulate --live --listen {addresses[0]}:161 {' '.join(words)}"
        (self.folder / "printers/run").write_text("\n".join(["set -eu", *lines, command]) + "\n")
        return addresses

    # --- what can be done ---

    def compose(
        self, *words: str, check: bool = True, input: bytes | None = None, timeout: float = 300
    ) -> str:
        """`docker compose WORDS`; what it wrote."""
        command = ["docker", "compose", "-p", PROJECT, "-f", str(COMPOSE), *words]
        return _run(command, check=check, input=input, timeout=timeout)

    def on(self, service: str, *command: str, timeout: float = 300, check: bool = True) -> str:
        """Runs a command in a running container."""
        return self.compose("exec", "-T", service, *command, timeout=timeout, check=check)

    def tool(self, *command: str, timeout: float = 600) -> str:
        """Runs a command of Debian 13's in a container of its own, with the lab's folder and no network."""
        mounts = (
            ("PLATEN_ROOT", "/usr", "/usr:ro"),
            ("PLATEN_TREE", "", "/platen:ro"),
            ("PLATEN_SITE", "", "/site:ro"),
        )
        volumes = [w for name, below, to in mounts for w in ("-v", f"{os.environ[name]}{below}:{to}")]
        where = [
            "--rm",
            "--network",
            "none",
            "-v",
            f"{self.folder}:/lab",
            *volumes,
            os.environ["PLATEN_IMAGE"],
        ]
        return _run(["docker", "run", *where, *command], timeout=timeout, both=False)

    def printers(self, box: str) -> list[Printer]:
        """What the portal has of a box."""
        database = self.folder / "portal/fleet.db"
        if not database.exists():
            return []
        reader = Reader(database)
        try:
            return list(reader.printers(box))
        finally:
            reader.close()

    def served(self, path: str) -> list[dict[str, Any]]:
        """What the update server answered for that path."""
        log = self.folder / "http/log"
        lines = log.read_text().splitlines() if log.exists() else []
        return [line for line in map(json.loads, lines) if line["path"] == path]

    def leases(self) -> Iterator[tuple[str, str]]:
        """MAC and IPv4 address."""
        file = self.folder / "dhcp/leases"
        for line in file.read_text().splitlines() if file.exists() else []:
            fields = line.split()
            if len(fields) >= 3:
                yield fields[1], fields[2]

    def personal(self, box_id: str, setup_code: str) -> dict[str, bytes]:
        """The files that a dealer puts onto the card's first partition, in `platen/`."""
        pair = self.authority.client(box_id)
        text = [
            f'pack = "{secrets.token_hex(16)}"', f'box_id = "{box_id}"', f'setup_code = "{setup_code}"',
            "[fleet]", f'host = "{BROKER}"', f'tenant = "{TENANT}"', "port = 8883",
        ]  # fmt: skip
        return {
            "box.toml": ("\r\n".join(text) + "\r\n").encode(),
            "ca.crt": self.authority.certificate.read_bytes(),
            "client.crt": pair.certificate.read_bytes(),
            "client.key": pair.key.read_bytes(),
        }


def another(recording: str, number: int) -> str:
    """The recording of another device of the same model: its serial number and MAC addresses differ."""
    found = re.search(r"^1\.3\.6\.1\.2\.1\.43\.5\.1\.1\.17\.1\|4(x?)\|(\S+)", recording, re.MULTILINE)
    assert found, "a recording without a serial number"
    old = bytes.fromhex(found[2]).decode() if found[1] else found[2]
    new = f"{old[:-3]}{900 + number}"  # above those of the recordings
    for before, after in ((old, new), (old.encode().hex(), new.encode().hex())):
        recording = re.sub(re.escape(before), after, recording, flags=re.IGNORECASE)
    cards = r"^(1\.3\.6\.1\.2\.1\.2\.2\.1\.6\.\d+\|4x\|[0-9A-Fa-f]{8})[0-9A-Fa-f]{4}$"
    return re.sub(cards, rf"\g<1>{number:04x}", recording, flags=re.MULTILINE)


def _run(
    command: list[str],
    *,
    check: bool = True,
    input: bytes | None = None,
    timeout: float = 300,
    both: bool = True,
) -> str:
    """What it wrote, with `both` to either output; RuntimeError where that is a failure."""
    errors = subprocess.STDOUT if both else subprocess.PIPE
    done = subprocess.run(
        command, input=input, stdout=subprocess.PIPE, stderr=errors, timeout=timeout, check=False
    )
    text = done.stdout.decode(errors="replace")
    if check and done.returncode:
        more = (done.stderr or b"").decode(errors="replace")
        raise RuntimeError(f"{' '.join(command)}: {done.returncode}\n{text}{more}")
    return text
