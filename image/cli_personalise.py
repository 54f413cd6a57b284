# SPDX-License-Identifier: Apache-2.0
"""`platen-image personalise`, `label` and `inspect`. Codes go onto labels and into results.csv, never to the screen."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from appliance.model import brand, codes
from appliance.model import personalisation as pack
from appliance.model.errors import UsageError
from image import batch, personalise
from image.personalise import Content

if TYPE_CHECKING:
    from image.label import Label

SIZES = ("roll-62", "roll-29x90", "avery-l7160", "avery-5163")


def add(commands: argparse._SubParsersAction[Any]) -> None:
    one = commands.add_parser(
        "personalise", help="make an image or card the one of a box", description=_PERSONALISE
    )
    one.add_argument(
        "image", type=Path, metavar="IMAGE|DEVICE", nargs="?", help="the unpacked image, or the card itself"
    )
    one.add_argument(
        "-o", "--out", type=Path, help="leave IMAGE as it is and write a copy; of --batch the folder"
    )
    one.add_argument("--fleet", metavar="HOST[:PORT]", help="the dealer's broker")
    one.add_argument("--tenant", help="the dealer's account")
    one.add_argument(
        "--ca", type=Path, metavar="FILE", help="the authority its certificate is checked by (PEM)"
    )
    one.add_argument("--client-cert", type=Path, metavar="FILE", help="the box's own certificate (PEM)")
    one.add_argument("--client-key", type=Path, metavar="FILE", help="its key, without a password (PEM)")
    one.add_argument("--brand", type=Path, metavar="DIR", help="brand.toml, logo.svg, logo.png")
    one.add_argument(
        "--claim",
        action="store_true",
        help="make a claim code, so that the box is claimed without anybody typing",
    )
    one.add_argument("--box-id", help="instead of a new one")
    one.add_argument("--label", type=Path, metavar="FILE", help="write the label, .pdf or .png")
    _label_options(one)
    one.add_argument(
        "--batch",
        type=Path,
        metavar="CSV",
        help="one box for each row; without IMAGE, packs for a card writer",
    )
    one.add_argument("--pack", type=Path, metavar="ZIP", help="write a pack that --batch made")
    one.add_argument(
        "--undo", action="store_true", help="remove a personalisation that no box has taken in yet"
    )
    one.add_argument("--show", action="store_true", help="say whose it is, without its codes")
    one.add_argument("--force", action="store_true", help="replace what is there")
    one.set_defaults(run=_personalise)

    two = commands.add_parser("label", help="print labels again", description=_LABEL)
    two.add_argument("source", type=Path, metavar="IMAGE|DEVICE|results.csv")
    two.add_argument("-o", "--out", type=Path, required=True, metavar="FILE", help=".pdf or .png")
    two.add_argument("--box-id", action="append", help="only this one of results.csv; may be repeated")
    two.add_argument("--dealer", default="", help="the name on top; of an image, that of its brand")
    _label_options(two)
    two.set_defaults(run=_label)

    three = commands.add_parser("inspect", help="say what an image or card is, without its codes")
    three.add_argument("image", type=Path, metavar="IMAGE|DEVICE")
    three.add_argument("--json", action="store_true", help="for programs")
    three.set_defaults(run=_show)


_PERSONALISE = """Writes fleet address, certificates, brand and codes onto an image or a card, without building or
mounting anything. The box takes them in on its first start and wipes what is secret from the card."""
_LABEL = "Labels of a personalised image that no box has started from yet, or of a batch's results.csv."


def _label_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--size", choices=SIZES, default="roll-62", help="of the label (default: %(default)s)"
    )
    parser.add_argument("--font", type=Path, metavar="TTF", help="for names beyond Western European")
    parser.add_argument(
        "--skip", type=int, default=0, metavar="N", help="labels of the first sheet that are used already"
    )


def _personalise(options: argparse.Namespace) -> int:
    ways = [w for w in ("batch", "pack", "undo", "show") if getattr(options, w)]
    if len(ways) > 1:
        raise UsageError(f"--{ways[0]} and --{ways[1]} do not go together")
    if options.batch:
        return _batch(options)
    if options.image is None:
        raise UsageError("Give an image or a card", hint="Only --batch makes do without")
    if options.show:
        options.json = False
        return _show(options)
    if options.undo:
        personalise.undo(options.image)
        _say(f"{options.image} is nobody's now")
        return 0
    what = batch.read_pack(options.pack) if options.pack else _content(options, _new(options))
    out = options.out or options.image
    if options.label:
        if options.label.exists() and not options.force:
            raise UsageError(
                f"{options.label} is already there", hint="--force replaces it", code="file-exists"
            )
        # Before the card: a card without its label is the worse half.
        _draw([_of(what)], options.label, options)
    if options.out:
        personalise.copy(options.image, out, what, force=options.force)
    else:
        personalise.write(out, what, force=options.force)
    _say(f"{out} is {what.box.box_id} now")
    if not options.label:
        _say(f"Its codes are on it until its first start: 'platen-image label {out} -o label.pdf'")
    return 0


def _new(options: argparse.Namespace) -> pack.Box:
    if options.box_id and not codes.BOX_ID.match(options.box_id):
        raise UsageError(f"{options.box_id!r} is no box id", hint="It looks like PL-7K3M-9Q2X")
    return personalise.new_box(fleet=_fleet(options), claim=options.claim, box_id=options.box_id)


def _fleet(options: argparse.Namespace) -> pack.Fleet | None:
    if not options.fleet:
        return None
    if not options.tenant:
        raise UsageError("A fleet address needs an account", hint="Give --tenant")
    host, port = options.fleet, "8883"
    if host.startswith("[") and "]" in host:
        host, _, rest = host[1:].partition("]")
        port = rest.removeprefix(":") or port
    elif host.count(":") == 1:
        host, _, port = host.partition(":")
    if not pack.HOST.match(host) or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65_536:
        raise UsageError(f"{options.fleet!r} is no HOST or HOST:PORT")
    if not pack.TENANT.match(options.tenant):
        raise UsageError(
            f"{options.tenant!r} is no account", hint="Letters, digits, dot, hyphen and underscore, up to 64"
        )
    return pack.Fleet(host, options.tenant, int(port))


def _content(options: argparse.Namespace, box: pack.Box, row: dict[str, str] | None = None) -> Content:
    certificate, key = options.client_cert, options.client_key
    if row is not None:
        folder = options.batch.parent
        certificate, key = (folder / row[c] if row[c] else None for c in ("client_cert", "client_key"))
    return personalise.content(
        box, ca=options.ca, certificate=certificate, key=key, brand_folder=options.brand
    )


def _batch(options: argparse.Namespace) -> int:
    for name in ("box_id", "client_cert", "client_key"):
        if getattr(options, name):
            raise UsageError(
                f"--{name.replace('_', '-')} is one box's", hint="Of a batch it is a column of the CSV"
            )
    given, fleet = batch.read_csv(options.batch), _fleet(options)
    made = batch.Batch(options.out or options.batch.with_suffix(""))
    rows = made.planned(
        given, claim=options.claim, ending=".img" if options.image else ".zip", force=options.force
    )
    contents: list[Content] = []

    def each() -> Iterator[Content]:
        for row, source in zip(rows, given, strict=True):
            new = personalise.new_box(fleet=fleet, claim=False, box_id=row.box_id)
            box = msgspec.structs.replace(new, setup_code=row.setup_code, claim_code=row.claim_code or None)
            contents.append(_content(options, box, source))
            yield contents[-1]

    list(each())  # every mistake before the first image
    for row in made.make(rows, iter(list(contents)), options.image, force=options.force):
        _say(f"{row.number} of {len(rows)}: {row.file}")
    label = options.label or made.folder / "labels.pdf"
    _draw([_of(c) for c in contents], label, options)
    _say(f"Codes: {made.path}. Labels: {label}. Both open the boxes: keep them to yourself")
    return 0


def _label(options: argparse.Namespace) -> int:
    from image.label import Label

    if options.source.suffix.lower() == ".csv":
        rows = [
            r for r in batch.read_results(options.source) if not options.box_id or r.box_id in options.box_id
        ]
        if not rows:
            raise UsageError(f"{options.source} has no such box")
        labels = [Label(r.box_id, r.setup_code, r.claim_code or None, options.dealer) for r in rows]
    else:
        box = personalise.waiting(options.source)
        dealer = options.dealer or personalise.show(options.source).dealer
        labels = [Label(box.box_id, box.setup_code, box.claim_code, dealer)]
    _draw(labels, options.out, options)
    return 0


def _show(options: argparse.Namespace) -> int:
    shown = personalise.show(options.image)
    if options.json:
        print(msgspec.json.encode(shown).decode())
        return 0
    print(f"state:  {shown.state}: {_STATES[shown.state]}")
    for name in ("box_id", "dealer", "fleet", "tenant"):
        if value := getattr(shown, name):
            print(f"{name + ':':8}{value}")
    if shown.state == "waiting":
        print(f"claim:  {'with a code' if shown.claim else 'no code'}")
        print(f"client: {'with a certificate' if shown.client_certificate else 'no certificate'}")
    return 0


_STATES = {
    "blank": "nobody's yet",
    "waiting": "the box takes it in on its next start",
    "taken": "a box has taken it in, and the secrets are wiped",
    "damaged": "what is on it cannot be read; personalise it anew with --force",
}


def _of(what: Content) -> Label:
    from image.label import Label

    text = what.files.get(f"{pack.BRAND}/{brand.TEXT}")
    dealer = brand.check({brand.TEXT: text}).name if text is not None else ""
    return Label(what.box.box_id, what.box.setup_code, what.box.claim_code, dealer)


def _draw(labels: Sequence[Label], path: Path, options: argparse.Namespace) -> None:
    from image import label

    label.draw(labels, path, label.SIZES[options.size], font=options.font, skip=options.skip)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
