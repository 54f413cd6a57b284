# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from appliance.collector.read import identity
from appliance.collector.read.profile import BUILT_IN, GENERIC, Profiles, load, load_profiles
from appliance.collector.read.values import Values
from appliance.collector.wire.value import OBJECT_IDENTIFIER, OCTET_STRING, Varbind
from appliance.model.errors import ProfileError

SYS_DESCR = "1.3.6.1.2.1.1.1.0"
SYS_OBJECT_ID = "1.3.6.1.2.1.1.2.0"
HR_DESCR = "1.3.6.1.2.1.25.3.2.1.3.1"
HR_TYPE = "1.3.6.1.2.1.25.3.2.1.2.1"
DEVICE_ID = "1.3.6.1.4.1.11.2.3.9.1.1.7.0"


@pytest.fixture(scope="module")
def profiles() -> Profiles:
    return load_profiles()


def said(**texts: str) -> list[Varbind]:
    oids = {"descr": SYS_DESCR, "device": HR_DESCR, "id": DEVICE_ID}
    found = [Varbind(oids[k], OCTET_STRING, v.encode()) for k, v in texts.items() if k in oids]
    if "oid" in texts:
        found.append(Varbind(SYS_OBJECT_ID, OBJECT_IDENTIFIER, texts["oid"]))
    if "device" in texts:
        found.append(Varbind(HR_TYPE, OBJECT_IDENTIFIER, "1.3.6.1.2.1.25.3.1.5"))
    return found


def test_every_built_in_profile_loads(profiles: Profiles) -> None:
    assert not profiles.refused
    assert len(profiles.by_name) == len(list(BUILT_IN.glob("*.toml"))) >= 15


HP = "1.3.6.1.4.1.11.2.3.9.1"


@pytest.mark.parametrize(
    ("facts", "name", "vendor"),
    [
        # Brother, Zebra and OKI answer with HP's sysObjectID.
        ({"oid": HP, "descr": "Brother NC-8700w", "device": "Brother HL-L8260CDW"}, "brother", "Brother"),
        ({"oid": HP, "id": "MFG:Brother;MDL:HL-1;"}, "brother", "Brother"),
        ({"oid": HP, "descr": "HP ETHERNET MULTI-ENVIRONMENT,ROM none"}, "hp", "HP"),
        ({"oid": HP, "id": "MFG:Zebra;MDL:ZT411;"}, "zebra", "Zebra"),
        (
            {"oid": "1.3.6.1.4.1.367.1.1", "descr": "SAVIN MP C4503 1.18 / SAVIN Network Printer"},
            "ricoh",
            "Savin",
        ),
        ({"oid": "1.3.6.1.4.1.367.1.1", "descr": "NRG SP 4210N 1.05 / NRG Network Printer"}, "ricoh", "NRG"),
        ({"oid": "1.3.6.1.4.1.1347.41", "descr": "UTAX 3061i"}, "kyocera", "UTAX"),
        ({"oid": "1.3.6.1.4.1.1347.41", "descr": "TA Triumph-Adler 3206ci"}, "kyocera", "TA"),
        ({"oid": "1.3.6.1.4.1.18334.1.2.1", "descr": "Develop ineo+ 250i"}, "konica-minolta", "Develop"),
        (
            {
                "oid": "1.3.6.1.4.1.641.2.7",
                "descr": "TOSHIBA e-STUDIO305CS version NH63 kernel 3.0.0 All-N-1",
            },
            "lexmark",
            "Toshiba",
        ),
        ({"descr": "Samsung C"}, "samsung", "Samsung"),
        ({"id": "MFG:Acme;MDL:P1;"}, "generic", "Acme"),
        ({"oid": "1.3.6.1.4.1.8072.3.2.10", "descr": "Linux box"}, "generic", None),
        ({}, "generic", None),
    ],
)
def test_a_profile_is_chosen_by_several_facts(
    profiles: Profiles, facts: dict[str, str], name: str, vendor: str | None
) -> None:
    heard = identity.facts(Values(said(**facts)))
    found = profiles.match(heard)
    assert found.name == name
    assert identity.brand(found, heard) == vendor


GOOD = 'vendor = "Acme"\n[match]\nsys_object_id = ["1.3.6.1.4.1.99999"]\n'


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (GOOD + "colour = 1\n", ["colour"]),
        ("[match]\n", ["vendor"]),
        (GOOD + '[[meters]]\nname = "pages"\nadd = [{oid = "1.3.6.1.4.1.1.1.0"}]\n', ["meters", "pages"]),
        (GOOD + '[[meters]]\nname = "total"\nadd = "x"\n', ["meters", "add"]),
        (GOOD + '[[meters]]\nname = "total"\nunit = "miles"\nadd = []\n', ["unit", "miles"]),
        (GOOD + '[[meters]]\nname = "total"\nadd = [{oid = "1.3..6"}]\n', ["oid", "1.3..6"]),
        (
            GOOD + '[[meters]]\nname = "total"\nadd = [{oid = "1.3.6.1.1", decode = "magic"}]\n',
            ["decode", "magic"],
        ),
        (GOOD + '[[supplies]]\ntype = "soap"\nlevel = []\n', ["supplies.type", "soap"]),
        (GOOD + 'receptacle = "upside-down"\n', ["upside-down"]),
        ('vendor = "Acme"\n[match]\ntext = "("\n', ["pattern", "regular expression"]),
        ("vendor = \n", ["TOML"]),
        ('vendor = "Acme"\nname = "x"\n', ["name"]),
    ],
)
def test_a_broken_profile_is_refused_with_file_key_and_reason(
    tmp_path: Path, body: str, words: list[str]
) -> None:
    file = tmp_path / "acme.toml"
    if "colour" in body or "receptacle" in body:
        head, _, rest = body.partition("[match]")
        line = rest.strip().splitlines()[-1]
        body = f"{line}\n{head}[match]{rest.replace(line, '')}"
    file.write_text(body)
    with pytest.raises(ProfileError) as caught:
        load(file)
    sentence = str(caught.value)
    assert sentence.startswith("bad-profile: acme.toml")
    assert "\n" not in caught.value.sentence
    for word in words:
        assert word in sentence


def test_octets_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_bytes(b"vendor = '\xff'")
    (tmp_path / "b.toml").write_bytes(b"#" * 300_000)
    assert len(load_profiles(tmp_path).refused) == 2


def test_a_later_directory_masks_and_a_broken_file_does_not(tmp_path: Path) -> None:
    (tmp_path / "kyocera.toml").write_text('vendor = "Mine"\n')
    (tmp_path / "brother.toml").write_text("nonsense")
    (tmp_path / "acme.toml").write_text(GOOD)
    found = load_profiles(BUILT_IN, tmp_path)
    assert found.get("kyocera").vendor == "Mine"
    assert found.get("brother").vendor == "Brother"
    assert found.get("acme").vendor == "Acme"
    assert found.get("epson").vendor == "Epson"
    assert [e.sentence.partition(" ")[0] for e in found.refused] == ["brother.toml"]


def test_a_directory_that_is_not_there_is_no_fault(tmp_path: Path) -> None:
    assert load_profiles(tmp_path / "none").by_name == {}
    assert load_profiles(tmp_path / "none").get("kyocera") is GENERIC


def test_a_changed_file_has_another_digest(tmp_path: Path) -> None:
    file = tmp_path / "acme.toml"
    file.write_text(GOOD)
    first = load(file).digest
    file.write_text(GOOD + "# changed\n")
    assert load(file).digest != first
