# SPDX-License-Identifier: Apache-2.0
"""`platen-image personalise`, `label` and `inspect` as a dealer calls them; the box takes in what they write."""

from __future__ import annotations

import csv
import json
import os
import socket
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import zxingcpp
from PIL import Image
from pypdf import PdfReader

from appliance.host.identity import load_or_create
from appliance.host.paths import Paths
from appliance.model import personalisation as pack
from appliance.provision.files import Firmware
from appliance.provision.personal import Places
from appliance.provision.service import Box, start
from image import label
from image.cli import main
from tests.image import disk
from tests.provision.certificates import pair

ID = "PL-7K3M-9Q2X"


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return disk.make(tmp_path / "platen.img")


@pytest.fixture
def dealer(tmp_path: Path) -> list[str]:
    """A dealer's options."""
    (tmp_path / "ca.crt").write_bytes(pair("ca")[0])
    brand = tmp_path / "brand"
    brand.mkdir()
    (brand / "brand.toml").write_text('name = "Büro Acme"\n[support]\nphone = "+41 44 123 45 67"\n')
    (brand / "logo.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
    return [
        "--fleet",
        "fleet.example:8884",
        "--tenant",
        "acme",
        "--ca",
        str(tmp_path / "ca.crt"),
        "--brand",
        str(brand),
    ]


def test_a_copy_is_the_image_and_takes_no_more_room(image: Path, dealer: list[str], tmp_path: Path) -> None:
    with image.open("r+b") as file:
        file.truncate(image.stat().st_size + 300_001)  # no whole block, and nothing in it
    out = tmp_path / "box.img"
    assert main(["personalise", str(image), "-o", str(out), *dealer]) == 0
    assert out.stat().st_size == image.stat().st_size
    assert out.stat().st_blocks * 512 < 4 * 1024 * 1024 < out.stat().st_size
    assert main(["personalise", str(out), "--undo"]) == 0
    assert disk.fat(out).read("platen/README.txt") == disk.fat(image).read("platen/README.txt")


def box_of(path: Path) -> pack.Box:
    data = disk.fat(path).read("platen/box.toml")
    assert data is not None
    return pack.decode(data)


def test_one_box_from_the_image_to_the_box(
    image: Path,
    dealer: list[str],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    certificate, key = pair(ID)
    (tmp_path / "c.crt").write_bytes(certificate)
    (tmp_path / "c.key").write_bytes(key)
    out, printed, before = tmp_path / "one.img", tmp_path / "label.pdf", image.read_bytes()
    more = [
        "--client-cert",
        str(tmp_path / "c.crt"),
        "--client-key",
        str(tmp_path / "c.key"),
        "--box-id",
        ID,
        "--claim",
    ]
    assert main(["personalise", str(image), "-o", str(out), *dealer, *more, "--label", str(printed)]) == 0
    assert image.read_bytes() == before
    assert stat.S_IMODE(out.stat().st_mode) == stat.S_IMODE(printed.stat().st_mode) == 0o600
    box = box_of(out)
    assert box.fleet == pack.Fleet("fleet.example", "acme", 8884)
    said = "".join(capfd.readouterr())
    assert ID in said
    assert box.claim_code is not None
    for secret in (box.setup_code, box.claim_code, "PRIVATE KEY"):
        assert secret not in said
    text = PdfReader(printed).pages[0].extract_text()
    for shown in ("Büro Acme", ID, box.setup_code, box.claim_code, "http://platen-9q2x.local/"):
        assert shown in text

    # What the card holds, as the box sees it.
    monkeypatch.setattr(socket, "sethostname", lambda _name: None)
    firmware, fat = tmp_path / "firmware", disk.fat(out)
    (firmware / "platen" / "brand").mkdir(parents=True)
    for folder in ("platen", "platen/brand"):
        for entry in fat.entries(folder):
            if not entry.folder:
                (firmware / folder / entry.name).write_bytes(fat.read(f"{folder}/{entry.name}") or b"")
    paths = Paths(tmp_path / "state", tmp_path / "run" / "platen")
    outcome = start(Box(Firmware(firmware), Places(paths, tmp_path), tmp_path / "net", tmp_path / "run"))
    assert outcome.personalisation == ""
    assert load_or_create(paths).box_id == ID
    assert (paths.keys / "operational.key").read_bytes() == key


def test_undo_leaves_the_image_as_it_was(
    image: Path, dealer: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["personalise", str(image), *dealer]) == 0
    setup = box_of(image).setup_code
    assert main(["personalise", str(image), *dealer]) == 2
    assert "card-personalised" in capsys.readouterr().err
    assert main(["personalise", str(image), *dealer, "--force"]) == 0
    assert main(["personalise", str(image), "--undo"]) == 0
    assert [e.name for e in disk.fat(image).entries("platen") if e.name[0] != "."] == ["README.txt"]
    assert setup.encode() not in image.read_bytes()
    assert main(["label", str(image), "-o", str(image.with_suffix(".pdf"))]) == 2
    assert "card-blank" in capsys.readouterr().err


def test_show_and_inspect(image: Path, dealer: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    main(["inspect", str(image), "--json"])
    assert json.loads(capsys.readouterr().out)["state"] == "blank"
    main(["personalise", str(image), *dealer, "--claim", "--box-id", ID])
    capsys.readouterr()
    assert main(["personalise", str(image), "--show"]) == 0
    said = capsys.readouterr().out
    box = box_of(image)
    for shown in ("waiting", ID, "Büro Acme", "fleet.example:8884", "acme", "with a code", "no certificate"):
        assert shown in said
    assert box.setup_code not in said
    assert str(box.claim_code) not in said


def _cut(image: Path) -> None:
    with image.open("r+b") as file:
        file.truncate(300_000)


def _other(image: Path) -> None:
    disk.make(image, ("firmware", "root"))


def _flip(at: int) -> Callable[[Path], None]:
    def flip(image: Path) -> None:
        with image.open("r+b") as file:
            file.seek(at)
            octet = file.read(1)[0]
            file.seek(at)
            file.write(bytes((octet ^ 1,)))

    return flip


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda p: p.unlink(), "card-unreadable"),
        (lambda p: p.write_bytes(b""), "not-platen"),
        (lambda p: p.write_bytes(b"\x28\xb5\x2f\xfd" + bytes(4096)), "image-packed"),
        (lambda p: p.write_bytes(bytes(4096)), "not-platen"),
        (_other, "not-platen"),
        (_cut, "card-unreadable"),
        (_flip(512 + 20), "card-unreadable"),
        (_flip(1024 + 60), "card-unreadable"),
        (_flip(disk.START * 512 + 510), "card-unreadable"),
    ],
    ids=["missing", "empty", "packed", "zeroes", "another-system", "cut", "gpt-head", "gpt-table", "fat"],
)
def test_what_is_no_platen_image(
    image: Path,
    dealer: list[str],
    spoil: Callable[[Path], None],
    code: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    spoil(image)
    before = image.read_bytes() if image.exists() else None
    assert main(["personalise", str(image), *dealer]) == 2
    assert capsys.readouterr().err.startswith(f"platen-image: {code}: ")
    assert before == (image.read_bytes() if image.exists() else None)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--fleet", "f.example"], "Give --tenant"),
        (["--fleet", "f.example", "--tenant", "a"], "Give --ca"),
        (["--fleet", "f.example:0", "--tenant", "a"], "HOST:PORT"),
        (["--fleet", "f.example", "--tenant", "a/#"], "no account"),
        (["--box-id", "PL-1"], "no box id"),
        (["--client-cert", "ca.crt"], "go together"),
        (["--client-cert", "ca.crt", "--client-key", "other.key"], "another certificate's"),
        (["--client-cert", "other.crt", "--client-key", "other.key"], "is of other, and the box is"),
        (["--client-cert", "ca.crt", "--client-key", "ca.crt"], "client.key cannot be used"),
        (["--ca", "other.key"], "ca.crt cannot be used"),
        (["--brand", "none"], "no folder"),
        (["--brand", "."], "no part of a brand"),
        (["--undo", "--show"], "do not go together"),
        (["--label", "label.txt"], "neither .pdf nor .png"),
    ],
)
def test_what_cannot_be(
    image: Path,
    arguments: list[str],
    says: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(image.parent)
    Path("ca.crt").write_bytes(pair("ca")[0])
    for path, data in zip(("other.crt", "other.key"), pair("other"), strict=True):
        Path(path).write_bytes(data)
    before = image.read_bytes()
    assert main(["personalise", str(image), *arguments]) == 2
    assert says in capsys.readouterr().err
    assert image.read_bytes() == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has block devices")
def test_not_onto_a_card_in_use(image: Path, dealer: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """What a mount does to a block device is that it opens it exclusively (open(2), O_EXCL)."""
    run = subprocess.run(["losetup", "--show", "-f", image], capture_output=True, text=True, check=False)
    if run.returncode:
        pytest.skip(f"no loop device here: {run.stderr.strip()}")
    card = run.stdout.strip()
    try:
        mounted = os.open(card, os.O_RDWR | os.O_EXCL)
        before = image.read_bytes()
        assert main(["personalise", card, *dealer]) == 2
        assert "card-in-use" in capsys.readouterr().err
        assert image.read_bytes() == before
        os.close(mounted)
        assert main(["personalise", card, *dealer]) == 0
    finally:
        subprocess.run(["losetup", "-d", card], check=False)
    assert box_of(image).fleet is not None


# -- labels


@pytest.mark.parametrize("size", ["roll-62", "roll-29x90", "avery-l7160", "avery-5163"])
@pytest.mark.parametrize("claim", [True, False])
def test_the_qr_code_reads_back(
    image: Path, dealer: list[str], tmp_path: Path, size: str, claim: bool
) -> None:
    out = tmp_path / "label.png"
    more = ["--claim"] if claim else []
    main(["personalise", str(image), *dealer, *more])
    assert main(["label", str(image), "-o", str(out), "--dealer", "Acme", "--size", size]) == 0
    box = box_of(image)
    (found,) = zxingcpp.read_barcodes(Image.open(out))
    page = f"http://platen-{box.box_id[-4:].lower()}.local/"
    assert found.text == (f"PLATEN:{box.box_id}:{box.claim_code}" if claim else page)


def test_a_name_beyond_the_built_in_font(
    image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["personalise", str(image)])
    out = tmp_path / "label.pdf"
    assert main(["label", str(image), "-o", str(out), "--dealer", "Łódź"]) == 2
    assert "--font" in capsys.readouterr().err
    font = Path("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf")
    if font.exists():
        assert main(["label", str(image), "-o", str(out), "--dealer", "Łódź", "--font", str(font)]) == 0
        assert "Łódź" in PdfReader(out).pages[0].extract_text()


def test_an_umlaut_is_drawn_or_refused(image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow's own font draws a box for what it lacks."""
    main(["personalise", str(image)])
    out = ["label", str(image), "-o", str(tmp_path / "label.png"), "--dealer"]
    monkeypatch.setattr(label, "FONTS", ("no-such-font.ttf",))
    assert main([*out, "Müller"]) == 2
    assert main([*out, "Miller"]) == 0


# -- batches


def results(folder: Path) -> list[dict[str, str]]:
    with (folder / "results.csv").open(encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def boxes(tmp_path: Path, count: int = 25) -> Path:
    path = tmp_path / "boxes.csv"
    path.write_text("note;box_id\r\n" + "".join(f"Kunde {n};\r\n" for n in range(count)), "cp1252")
    return path


def test_a_batch_of_packs(
    image: Path, dealer: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arguments = [
        "personalise",
        "--batch",
        str(boxes(tmp_path)),
        "-o",
        str(out),
        *dealer,
        "--claim",
        "--size",
        "avery-l7160",
    ]
    assert main([*arguments, "--skip", "2"]) == 0
    rows = results(out)
    said = "".join(capfd.readouterr())
    assert len({r["box_id"] for r in rows}) == 25
    assert [r["note"] for r in rows] == [f"Kunde {n}" for n in range(25)]
    assert not any(r[c] in said for r in rows for c in ("setup_code", "claim_code"))
    assert all(stat.S_IMODE(p.stat().st_mode) == 0o600 for p in out.iterdir())
    pages = PdfReader(out / "labels.pdf").pages
    assert [sum(r["setup_code"] in p.extract_text() for r in rows) for p in pages] == [19, 6]
    # One of them onto a card.
    assert main(["personalise", str(image), "--pack", str(out / rows[3]["file"])]) == 0
    assert (box_of(image).box_id, box_of(image).setup_code) == (rows[3]["box_id"], rows[3]["setup_code"])
    # Once more: the same codes.
    (out / rows[5]["file"]).unlink()
    assert main(arguments) == 0
    assert results(out) == rows
    assert (
        main(
            ["label", str(out / "results.csv"), "-o", str(tmp_path / "l.pdf"), "--box-id", rows[7]["box_id"]]
        )
        == 0
    )
    assert rows[7]["setup_code"] in PdfReader(tmp_path / "l.pdf").pages[0].extract_text()


def test_a_batch_that_was_broken_off(
    image: Path, dealer: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from image import batch, personalise

    out, real, made = tmp_path / "out", personalise.copy, []

    def breaks(*args: object, **named: object) -> None:
        if len(made) == 1:
            raise KeyboardInterrupt
        made.append(args[1])
        real(*args, **named)  # type: ignore[arg-type]

    arguments = ["personalise", str(image), "--batch", str(boxes(tmp_path, 3)), "-o", str(out), *dealer]
    monkeypatch.setattr(batch.personalise, "copy", breaks)
    assert main(arguments) == 130
    rows = results(out)
    assert [r["state"] for r in rows] == ["made", "planned", "planned"]
    first = (out / rows[0]["file"]).read_bytes()
    monkeypatch.setattr(batch.personalise, "copy", real)
    assert main(arguments) == 0
    assert [r["state"] for r in results(out)] == ["made"] * 3
    assert [r["setup_code"] for r in results(out)] == [r["setup_code"] for r in rows]
    assert (out / rows[0]["file"]).read_bytes() == first
    for row in rows:
        assert box_of(out / row["file"]).setup_code == row["setup_code"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name\nx\n", "has the column 'name'"),
        ("box_id\n", "no rows"),
        ("box_id\nPL-1\n", "Row 1"),
        (f"box_id\n{ID}\n{ID}\n", "Row 2"),
        ("client_cert\nnone.crt\n", "go together"),
    ],
)
def test_a_bad_batch(tmp_path: Path, text: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "boxes.csv"
    path.write_text(text)
    assert main(["personalise", "--batch", str(path)]) == 2
    assert says in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.zip"))


def test_another_list_in_the_same_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = boxes(tmp_path, 2)
    assert main(["personalise", "--batch", str(path)]) == 0
    path.write_text("note\nother\n")
    assert main(["personalise", "--batch", str(path)]) == 2
    assert "batch-changed" in capsys.readouterr().err
    assert main(["personalise", "--batch", str(path), "--force"]) == 0
