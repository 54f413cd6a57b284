# SPDX-License-Identifier: Apache-2.0
"""Mosquitto, set up as a dealer's broker: mutual TLS, one name space per box, persistence.

`Broker(folder, ...)` writes the configuration and starts, stops, kills and restarts the program. The same
configuration serves the demo and the tests.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

from appliance.model.errors import BrokerUnreachable, UsageError
from demo.pki import Authority

PORTAL = "portal"
"""Common name of the portal's certificate."""

ACCOUNT = "mosquitto"
"""Whom Mosquitto runs as when root starts it: Debian's package makes this account."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")


def acl(tenant: str, boxes: Iterable[str], portal: str = PORTAL) -> str:
    """Access rules: a box writes and reads below its own name only, the portal all of one tenant."""
    for name in (tenant, portal, *(boxes := sorted(boxes))):
        # A "+" or "#" or a line break in a name would widen the rule that names it.
        if not _NAME.match(name):
            raise UsageError(
                f"{name!r} cannot name a tenant or a box", hint="Letters, digits, dots and dashes"
            )
    lines = ["# Generated. One block per certificate's common name; whatever is not named is denied."]
    for box in boxes:
        base = f"v1/{tenant}/{box}"
        lines += ["", f"user {box}"]
        lines += [f"topic write {base}/{t}" for t in ("state", "t", "ev", "hb", "res/#")]
        lines += [f"topic read {base}/{t}" for t in ("ack", "cmd/#", "cfg")]
    base = f"v1/{tenant}/+"
    lines += ["", f"user {portal}", f"topic read {base}/#"]
    lines += [f"topic write {base}/{t}" for t in ("ack", "cmd/#", "cfg")]
    return "\n".join(lines) + "\n"


def configuration(folder: Path, *, host: str, port: int, user: str | None, tls: str = "tlsv1.2") -> str:
    """mosquitto.conf(5). `tls` is the lowest version; `user` whom to become, where root starts it."""
    lines = [
        "# Generated.",
        # Not per_listener_settings: with it, Mosquitto 2.0.21 never publishes a delayed will, because the client that
        # has gone has no listener any more whose rules would allow it.
        f"listener {port} {host}",
        "allow_anonymous false",
        f"cafile {folder}/ca.crt",
        f"certfile {folder}/broker.crt",
        f"keyfile {folder}/broker.key",
        "require_certificate true",
        "use_identity_as_username true",
        # Otherwise one box could take over the session of another by naming its client id.
        "use_username_as_clientid true",
        f"tls_version {tls}",
        f"acl_file {folder}/acl",
        "max_packet_size 262144",
        "persistence true",
        f"persistence_location {folder}/data/",
        # What it took in the last half minute dies with it, and whoever sent that sends it again: nothing rests on its
        # memory, so its disk is spared.
        "autosave_interval 30",
        "persistent_client_expiration 14d",
        "max_inflight_messages 200",
        "max_queued_messages 20000",
        "max_queued_bytes 268435456",
        "log_dest stderr",
        "log_type error",
        "log_type warning",
        "log_type notice",
        "log_type information",
    ]
    if user is not None:
        lines.append(f"user {user}")
    return "\n".join(lines) + "\n"


class Broker:
    """One Mosquitto in `folder`, which has to be reachable for the account it runs as."""

    def __init__(
        self, folder: Path, *, tenant: str, boxes: Iterable[str], host: str = "127.0.0.1", port: int = 0
    ):
        self.folder = folder
        self.host = host
        self.port = port or free_port(host)
        self.tenant = tenant
        self.boxes = set(boxes)
        self.process: subprocess.Popen[bytes] | None = None
        self._user = ACCOUNT if os.geteuid() == 0 else None

    def prepare(self, authority: Authority, *, server: str = "broker") -> None:
        """Writes configuration, rules and copies of the keys, owned by the account that reads them."""
        (self.folder / "data").mkdir(parents=True, exist_ok=True)
        if not (authority.folder / f"{server}.crt").exists():
            authority.server(server)
        for source, name in (
            (authority.certificate, "ca.crt"),
            (authority.folder / f"{server}.crt", "broker.crt"),
            (authority.folder / f"{server}.key", "broker.key"),
        ):
            shutil.copyfile(source, self.folder / name)
        (self.folder / "broker.key").chmod(0o600)
        text = configuration(self.folder, host=self.host, port=self.port, user=self._user)
        (self.folder / "mosquitto.conf").write_text(text, encoding="utf-8")
        self.allow(self.boxes)
        self._hand_over()

    def allow(self, boxes: Iterable[str]) -> None:
        """Writes the access rules for exactly these boxes; a running broker takes them over at `reload`."""
        self.boxes = set(boxes)
        path = self.folder / "acl"
        path.write_text(acl(self.tenant, self.boxes), encoding="utf-8")
        path.chmod(0o600)
        self._hand_over()

    @property
    def command(self) -> list[str]:
        """How to run it in the foreground, for a supervisor."""
        return [program(), "-c", str(self.folder / "mosquitto.conf")]

    def start(self, timeout_s: float = 10) -> None:
        """Starts it and returns once it accepts connections."""
        path = self.folder / "log"
        log = open(path, "ab")  # noqa: SIM115  # the child keeps it
        begin = log.tell()
        self.process = subprocess.Popen(self.command, stderr=log, stdout=log)
        log.close()
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            if self.process.poll() is not None:
                break
            with socket.socket() as probe:
                probe.settimeout(0.2)
                # It listens before it handles signals: a SIGHUP in between would end it. "running" comes after both.
                if probe.connect_ex((self.host, self.port)) == 0 and b" running" in path.read_bytes()[begin:]:
                    return
            time.sleep(0.02)
        self.kill()
        last = path.read_text(errors="replace").strip().splitlines()[-1:]
        raise BrokerUnreachable(f"Mosquitto did not start: {' '.join(last) or 'no message'}", hint="")

    def reload(self) -> None:
        """Has a running one take over new rules and certificates."""
        if self.process is not None:
            self.process.send_signal(signal.SIGHUP)

    def stop(self) -> None:
        """Asks it to end; it writes its sessions to disk."""
        self._end(terminate=True)

    def kill(self) -> None:
        """Ends it at once (SIGKILL), as a power cut would."""
        self._end(terminate=False)

    def _end(self, *, terminate: bool) -> None:
        if self.process is None:
            return
        if terminate:
            self.process.terminate()
        else:
            self.process.kill()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def _hand_over(self) -> None:
        if self._user is None:
            return
        account = pwd.getpwnam(self._user)
        for path in (self.folder, *self.folder.rglob("*")):
            os.chown(path, account.pw_uid, account.pw_gid)
        for parent in self.folder.resolve().parents:
            if not parent.stat().st_mode & stat.S_IXOTH:
                raise UsageError(
                    f"Mosquitto runs as {self._user!r} and may not enter {parent}",
                    hint="Choose a folder that every account may pass through",
                )


def program() -> str:
    """Mosquitto's path, or UsageError that says how to get it."""
    found = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if found is None:
        raise UsageError("Mosquitto is not installed", hint="Run: apt-get install mosquitto")
    return found


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
