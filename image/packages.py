# SPDX-License-Identifier: Apache-2.0
"""Debian's packages for another architecture: which ones, pinned, fetched and checked, by apt and without root's
own package lists being touched. Runs in the Debian 13 root."""

from __future__ import annotations

import hashlib
import re
import subprocess
import tomllib
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from urllib.parse import unquote

import msgspec

from appliance.model.errors import BaseDrift, PlatenError, UsageError
from image.progress import note

HERE = Path(__file__).parent
LOCK = HERE / "base.lock"
_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
_URI = re.compile(r"'(?P<url>[^']+)' (?P<file>\S+) (?P<size>\d+) SHA256:(?P<sha256>[0-9a-f]{64})")


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """packages.toml."""

    suite: str
    components: list[str]
    packages: list[str]
    boot_packages: list[str]
    without: dict[str, str]
    leave: dict[str, list[str]]


class Package(msgspec.Struct, frozen=True, order=True):
    """One .deb. `size` in octets."""

    name: str
    version: str
    architecture: str
    sha256: str
    size: int

    @property
    def file(self) -> str:
        return f"{self.name}_{self.version.replace(':', '%3a')}_{self.architecture}.deb"


def wanted() -> Wanted:
    return msgspec.convert(tomllib.loads((HERE / "packages.toml").read_text()), Wanted)


def read_lock(text: str) -> list[Package]:
    """The packages of a lock file. UsageError names the line that is none."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        try:
            name, version, architecture, sha256, size = line.split()
            found.append(Package(name, version, architecture, sha256, int(size)))
        except ValueError:
            raise UsageError(
                f"Line {number} of base.lock is not a package", hint="Write it anew with 'platen-image lock'"
            ) from None
    return found


def write_lock(packages: Iterable[Package]) -> str:
    head = (
        "# SPDX-License-Identifier: Apache-2.0\n"
        "# What the image is made of: name, version, architecture, SHA-256, octets. Made by 'platen-image lock'.\n"
    )
    return head + "".join(
        f"{p.name} {p.version} {p.architecture} {p.sha256} {p.size}\n" for p in sorted(packages)
    )


def drift(locked: Sequence[Package], current: Sequence[Package]) -> list[str]:
    """What differs, a line each: "openssl 3.5.6 -> 3.5.7"."""
    before = {p.name: p.version for p in locked}
    now = {p.name: p.version for p in current}
    return [
        f"{name} {before.get(name, '(none)')} -> {now.get(name, '(none)')}"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    ]


class Apt:
    """apt on lists of its own in `state`, for packages of `architecture`, from all of the mirror or some `suites`."""

    def __init__(
        self, state: Path, architecture: str, want: Wanted, *, suites: Collection[str] | None = None
    ) -> None:
        self._state, self._architecture, self._want, self._suites = state, architecture, want, suites
        for folder in ("lists/partial", "archives/partial", "preferences.d"):
            (state / folder).mkdir(parents=True, exist_ok=True)
        (state / "status").write_text("")
        (state / "sources.list").write_text(self._sources(Path("/etc/apt/sources.list").read_text()))

    def update(self) -> None:
        self._run("apt-get", "-q", "update")

    def resolve(self, names: Sequence[str]) -> list[Package]:
        """Everything that `names` need, less what only maintainer scripts need."""
        text = self._run("apt-get", "-q", "-y", "--print-uris", "install", *names)
        found = []
        for line in text.splitlines():
            match = _URI.match(line)
            if match is None:
                continue
            name, version, rest = match["file"].split("_")
            if name not in self._want.without:
                architecture = rest.removesuffix(".deb")
                found.append(
                    Package(name, unquote(version), architecture, match["sha256"], int(match["size"]))
                )
        return sorted(found)

    def fetch(self, packages: Sequence[Package], store: Path) -> None:
        """The .deb of each package into `store`. What is there already is not fetched again. BaseDrift where the
        mirror has another version."""
        store.mkdir(parents=True, exist_ok=True)
        missing = [p for p in packages if not _whole(store / p.file, p)]
        for at in range(0, len(missing), 20):
            part = missing[at : at + 20]
            note(f"fetching {at + 1} to {at + len(part)} of {len(missing)} packages")
            names = [f"{p.name}:{self._architecture}={p.version}" for p in part]
            try:
                self._run("apt-get", "-q", "download", *names, cwd=store)
            except PlatenError:
                raise BaseDrift("The mirror no longer has every version of base.lock") from None
        for package in packages:
            if not _whole(store / package.file, package):
                raise PlatenError(
                    f"{package.file} is not what base.lock says",
                    hint="Remove it and try again",
                    code="bad-package",
                )

    def _sources(self, text: str) -> str:
        lines = []
        for line in text.splitlines():
            words = line.split()
            if len(words) < 4 or words[0] != "deb":
                continue
            url, suite = words[1], words[2]
            if self._suites is None or suite in self._suites:
                how = f"[arch={self._architecture} signed-by={_KEYRING}]"
                lines.append(f"deb {how} {url} {suite} {' '.join(self._want.components)}")
        return "\n".join(lines) + "\n"

    def _run(self, command: str, *arguments: str, cwd: Path | None = None) -> str:
        state = self._state
        options = {
            "Dir::State": state,
            "Dir::State::status": state / "status",
            "Dir::State::lists": state / "lists",
            "Dir::Cache": state,
            "Dir::Cache::archives": state / "archives",
            "Dir::Etc::sourcelist": state / "sources.list",
            "Dir::Etc::sourceparts": "-",
            "Dir::Etc::preferencesparts": state / "preferences.d",
            "APT::Architecture": self._architecture,
            "APT::Architectures": self._architecture,
            "APT::Install-Recommends": "false",
            "APT::Sandbox::User": "root",
            "Acquire::Languages": "none",
            "Acquire::Retries": 3,
            "Acquire::ForceHash": "SHA256",  # else --print-uris gives MD5
        }
        flags = [f"-o{key}={value}" for key, value in options.items()]
        run = subprocess.run(
            [command, *flags, *arguments], cwd=cwd, capture_output=True, text=True, check=False, timeout=900
        )
        if run.returncode != 0:
            raise PlatenError(
                f"{command} {arguments[-1]} failed: {run.stderr.strip()[-500:]}",
                hint="Check that Debian's mirror can be reached",
                code="apt-failed",
            )
        return run.stdout


def _whole(path: Path, package: Package) -> bool:
    if not path.exists() or path.stat().st_size != package.size:
        return False
    return hashlib.sha256(path.read_bytes()).hexdigest() == package.sha256
