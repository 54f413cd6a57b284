# SPDX-License-Identifier: Apache-2.0
"""`platen-image build`, `bundle`, `lock` and `keys`."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from appliance import __version__
from appliance.model.errors import UsageError
from image import build, cache, keys, packages
from image.progress import note

_ENVIRONMENT = """\
environment:
  PLATEN_CACHE       what survives between builds: packages, prepared parts, development keys
                     (default: $XDG_CACHE_HOME/platen, ~/.cache/platen)
  PLATEN_SITE        a folder with the Python packages for the box; tools/image makes it
  SOURCE_DATE_EPOCH  seconds since 1970 that every file of the image bears; tools/image takes the commit's time

exit status: 0 done, 1 something is not as it should be, 2 bad usage, 70 a fault of ours or of a tool
"""
_BUILD = """\
Makes the image of a card and the update bundle for boxes that are out there, from Debian's packages as base.lock names
them, the Python packages of uv.lock, and this tree.

In DIR, each named platen-VERSION-ARCHITECTURE:
  .img            the card, as it is; sparse
  .img.zst        the same, compressed: what one downloads
  .bmap           which blocks of it hold anything: 'bmaptool copy FILE.img /dev/sdX' writes only those, and checks them
  .raucb          the signed update bundle (RAUC)
  .spdx.json      what is in it (SPDX 2.3), and
  .cdx.json       the same in CycloneDX 1.6
  .licences.txt   every licence text in it
  .sha256         the SHA-256 of each of these, for 'sha256sum -c'

Two builds of one commit are the same octets, except for the signature of the bundle and the salt of its hash tree.
What is slow is kept in the cache; after a change to the application a build takes less than a minute.
"""
_BUNDLE = """\
Makes the signed update bundle alone. Keys of another folder and another signer are for the change from one root to the
next: every box trusts both roots.
"""
_LOCK = """\
Resolves what packages.toml asks for against Debian's mirror of today, and writes the versions and hashes to
image/base.lock. The commit then shows what changes on the boxes. Every difference is printed.

With --check nothing is written, and the exit status is 1 if the mirror has moved on.
"""
_KEYS = """\
Makes the keys that sign updates, as far as they are not there: two roots, a signer below each, and keyring.pem, which
every image carries. Boxes take updates of either root. Keys made here are for development, unless you move the .key
files of both roots to a safe: whoever has one of them can update every box that trusts it.
"""
_VERSION = re.compile(r"\d{1,4}\.\d{1,4}\.\d{1,4}([-+][0-9A-Za-z.-]{1,40})?")

Run = Callable[[argparse.Namespace], int]


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The subcommands; `args.run(args)` runs one and returns its exit status."""
    parser = _command(commands, "build", "make the image of a card and the update bundle", _BUILD, _build)
    _architecture(parser)
    _what(parser)
    parser.add_argument("--no-bundle", action="store_true", help="make the card's image alone")
    parser = _command(commands, "bundle", "make the update bundle alone", _BUNDLE, _bundle)
    _architecture(parser)
    _what(parser)
    parser = _command(commands, "lock", "take the present Debian packages, or show the drift", _LOCK, _lock)
    _architecture(parser)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit status 1 if anything differs"
    )
    parser = _command(commands, "keys", "make the keys that sign updates", _KEYS, _keys)
    parser.add_argument("folder", type=Path, nargs="?", metavar="DIR", help="(default: keys in the cache)")


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    help_: str,
    description: str,
    run: Run,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name,
        help=help_,
        description=description,
        epilog=_ENVIRONMENT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--json", action="store_true", help="print the result as JSON; progress stays on stderr"
    )
    parser.set_defaults(run=run)
    return parser


def _architecture(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--architecture",
        default="arm64",
        metavar="ARCH",
        help="(default, and the only recipe: %(default)s)",
    )


def _what(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--to", type=Path, default=Path("build/image"), metavar="DIR", help="(default: %(default)s)"
    )
    parser.add_argument(
        "--version",
        default=__version__,
        metavar="X.Y.Z[-SUFFIX]",
        help="of the system (default: %(default)s)",
    )
    parser.add_argument(
        "--floor",
        default="0.0.0",
        metavar="X.Y.Z",
        help="boxes that confirmed this bundle take nothing below",
    )
    parser.add_argument("--keys", type=Path, metavar="DIR", help="(default: keys in the cache)")
    parser.add_argument(
        "--signer", default="root-1-signer", metavar="NAME", help="the key that signs (default: %(default)s)"
    )
    parser.add_argument(
        "--strict", action="store_true", help="fail if the mirror has dropped what base.lock names"
    )
    parser.add_argument("--overlay", type=Path, metavar="DIR", help="lay it over the root, for tests")


def options(args: argparse.Namespace, **more: Any) -> build.Options:
    """UsageError for what cannot be meant."""
    for name in ("version", "floor"):
        if not _VERSION.fullmatch(getattr(args, name)):
            raise UsageError(
                f"--{name} is not a version", hint="Write three numbers, like 1.2.3 or 1.2.3-rc1"
            )
    for name in ("keys", "overlay"):
        folder = getattr(args, name)
        if folder is not None and not folder.is_dir():
            raise UsageError(f"{folder} is not a folder", hint=f"--{name} wants one that is there")
    return build.Options(
        **environment(),
        to=args.to,
        version=args.version,
        architecture=args.architecture,
        keys=args.keys,
        signer=args.signer,
        floor=args.floor,
        strict=args.strict,
        overlay=args.overlay,
        **more,
    )


def environment() -> dict[str, Any]:
    """What the environment says of build.Options."""
    return {
        "cache": _cache(),
        "site": Path(_needed("PLATEN_SITE")),
        "epoch": int(_needed("SOURCE_DATE_EPOCH")),
    }


def _build(args: argparse.Namespace) -> int:
    return _show(args, build.build(options(args, update=not args.no_bundle)))


def _bundle(args: argparse.Namespace) -> int:
    return _show(args, build.build(options(args, card=False)))


def _show(args: argparse.Namespace, built: build.Built) -> int:
    if args.json:
        print(json.dumps(msgspec.to_builtins(built), indent=2))
        return 0
    for name, size in built.sizes.items():
        print(f"{args.to / name}  {size / 1e6:.1f} MB")
    print(
        f"root {built.root / 1e6:.1f} MB, boot {built.boot / 1e6:.1f} MB, {sum(built.seconds.values()):.0f} s"
    )
    return 0


def _lock(args: argparse.Namespace) -> int:
    if args.architecture not in build.STRIP:
        raise build.no_recipe(args.architecture)
    want = packages.wanted()
    with cache.locked(_cache() / f"base-{args.architecture}.lock"):
        apt = packages.Apt(_cache() / f"apt-{args.architecture}", args.architecture, want)
        note("asking the mirror")
        apt.update()
        current = apt.resolve(want.packages + want.boot_packages)
    locked = packages.read_lock(packages.LOCK.read_text()) if packages.LOCK.exists() else []
    differs = packages.drift(locked, current)
    if not args.check:
        packages.LOCK.write_text(packages.write_lock(current))
    if args.json:
        print(json.dumps({"packages": len(current), "drift": differs, "written": not args.check}, indent=2))
    else:
        print("\n".join(differs) or f"The mirror has what base.lock names ({len(locked)} packages).")
    return 1 if args.check and differs else 0


def _keys(args: argparse.Namespace) -> int:
    folder = args.folder or _cache() / "keys"
    with cache.locked(_cache() / "keys.lock"):
        keys.make(folder)
    rows = []
    for path in sorted(folder.glob("*.crt")):
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        rows.append(
            {
                "file": str(path),
                "sha256": certificate.fingerprint(hashes.SHA256()).hex(),
                "until": certificate.not_valid_after_utc.astimezone(datetime.UTC).date().isoformat(),
            }
        )
    if args.json:
        print(json.dumps(rows, indent=2))
    else:
        for row in rows:
            print(f"{row['file']}  SHA-256 {row['sha256']}  until {row['until']}")
    return 0


def _cache() -> Path:
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("PLATEN_CACHE") or home / "platen")


def _needed(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise UsageError(f"{name} is not set", hint="Run this as tools/image, which sets it")
    return value
