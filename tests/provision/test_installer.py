# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from appliance import provision
from appliance.provision import words
from appliance.provision.installer import KEYS, Installer, Kept, Proxy, Wifi, read

FULL = b"""
[network]
address = ["192.168.7.50/24", "fd00:7::50/64"]
gateway = ["192.168.7.1", "fe80::1"]
dns = "192.168.7.1"
vlan = 20
hostname = "Platen-Office"
[time]
ntp = ["192.168.7.1", "pool.ntp.org"]
[proxy]
url = "http://proxy.example:3128"
user = "peter"
password = "p: w@rd"
[wifi]
ssid = "B\xc3\xbcro"
passphrase = "geheim 123"
country = "de"
"""


def test_everything() -> None:
    reading = read(FULL)
    assert reading.problems == []
    assert reading.installer == Installer(
        addresses=["192.168.7.50/24", "fd00:7::50/64"],
        gateways=["192.168.7.1", "fe80::1"],
        dns=["192.168.7.1"],
        vlan=20,
        hostname="platen-office",
        ntp=["192.168.7.1", "pool.ntp.org"],
        proxy=Proxy("proxy.example", 3128, "peter", "p: w@rd"),
        wifi=Wifi("Büro", "geheim 123", "DE"),
    )
    assert "geheim" not in repr(reading.installer)
    assert "w@rd" not in repr(reading.installer)


def test_an_empty_file_is_dhcp() -> None:
    assert read(b"").installer == Installer()
    assert read(b"# nothing\r\n").installer == Installer()


TEN = "[network]\naddress = '10.0.0.2/24'\n"
AIR = "[wifi]\nssid = 'x'\ncountry = 'DE'\n"
WRONG = [
    ("[network]\nadress = '192.168.1.5/24'", "network.adress", "Did you mean address?", "Ist address gemeint?"),
    ("[network]\nnetmask = '255.255.255.0'", "network.netmask", "Did you mean address?", "Ist address gemeint?"),
    ("[network]\nssid = 'x'", "network.ssid", "below [wifi]", "unter [wifi]"),
    ("[network]\ncolour = 'red'", "network.colour", "has no such key", "gibt es in [network] nicht"),
    ("[netwrok]\nvlan = 2", "netwrok", "Did you mean [network]?", "Ist [network] gemeint?"),
    ("vlan = 2", "vlan", "belongs below [network]", "gehört unter [network]"),
    ("[printers]", "printers", "There is no such part", "gibt es nicht"),
    ("network = 1", "network", "as a part", "als Teil"),
    ("[network]\naddress = '192.168.1.5'", "network.address", "mask is missing", "Netzmaske fehlt"),
    ("[network]\naddress = '192.168.1.256/24'", "network.address", "is no address", "keine Adresse"),
    ("[network]\naddress = '192.168.1.0/24'", "network.address", "first or last", "erste oder letzte"),
    ("[network]\naddress = '192.168.1.255/24'", "network.address", "first or last", "erste oder letzte"),
    ("[network]\naddress = '127.0.0.1/8'", "network.address", "cannot be", "kann nicht"),
    ("[network]\naddress = 'fe80::1/64'", "network.address", "cannot be", "kann nicht"),
    ("[network]\naddress = 5", "network.address", "takes a text", "gehört ein Text"),
    (TEN + "dns = []", "network.gateway", "gateway is needed", "gehört das Gateway"),
    (TEN + "gateway = []", "network.dns", "name server is needed", "der Nameserver"),
    ("[network]\ngateway = '10.0.0.1'", "network.gateway", "goes with a fixed", "zu einer festen"),
    (TEN + "dns = []\ngateway = '10.0.1.1'", "network.gateway", "not in the box's", "nicht im Netz"),
    (TEN + "dns = []\ngateway = '10.0.0.2'", "network.gateway", "own address", "eigene Adresse"),
    (TEN + "dns = []\ngateway = ['10.0.0.1', '10.0.0.3']", "network.gateway", "Only one", "Nur ein"),
    ("[network]\ndns = 'dns.example'", "network.dns", "is no address", "keine Adresse"),
    ("[network]\nvlan = 4095", "network.vlan", "1 to 4094", "1 bis 4094"),
    ("[network]\nvlan = true", "network.vlan", "1 to 4094", "1 bis 4094"),
    ("[network]\nhostname = 'a_b'", "network.hostname", "hyphens", "Bindestriche"),
    ("[network]\nhostname = '-a'", "network.hostname", "hyphens", "Bindestriche"),
    ("[time]\nntp = 'a b'", "time.ntp", "no name", "kein Name"),
    ("[time]\nntp = ['1','2','3','4','5']", "time.ntp", "up to 4", "höchstens 4"),
    ("[proxy]\nurl = 'proxy:3128'", "proxy.url", "http://HOST:PORT", "http://HOST:PORT"),
    ("[proxy]\nurl = 'http://a:b@proxy:3128'", "proxy.url", "keys of their own", "eigene Schlüssel"),
    ("[proxy]\nurl = 'http://proxy:99999'", "proxy.url", "http://HOST:PORT", "http://HOST:PORT"),
    ("[proxy]\nuser = 'x'", "proxy.url", "is missing", "fehlt"),
    ("[wifi]\nssid = 'x'\ncountry = 'DE'", "wifi.passphrase", "is missing", "fehlt"),
    (AIR + "passphrase = 'kurz'", "wifi.passphrase", "8 to 63", "8 bis 63"),
    (AIR + "passphrase = 'umläutig-lang'", "wifi.passphrase", "8 to 63", "8 bis 63"),
    (AIR + "passphrase = '''geheim123'''", "wifi.passphrase", "line of its own", "eigene Zeile"),
    (AIR.replace("DE", "Germany") + "passphrase = 'geheim123'", "wifi.country", "two letters", "zwei Buchstaben"),
    (AIR.replace("x", "x" * 33) + "passphrase = 'geheim123'", "wifi.ssid", "32 octets", "32 Bytes"),
    (AIR + "passphrase = '*********'", "wifi.passphrase", "once more", "noch einmal"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "key", "en", "de"), WRONG, ids=[f"{w[1]}-{n}" for n, w in enumerate(WRONG)])
def test_what_is_wrong(text: str, key: str, en: str, de: str) -> None:
    reading = read(text.encode())
    assert reading.installer is None
    (problem,) = reading.problems
    assert problem.key == key
    assert en in problem.en
    assert de in problem.de
    wanted = key.rpartition(".")[2]
    line = text.split("\n")[problem.line - 1][problem.column - 1 :]
    assert line.startswith((wanted, key.partition(".")[0])), "the place is the key's, or its table's"
    assert "geheim" not in problem.text() + problem.text(german=True)


def test_all_at_once_in_the_order_of_the_file() -> None:
    reading = read(b"[network]\nadress = '1'\nvlan = 9999\n\n[wlan]\nssid 'x'\n")
    assert [(p.line, p.key) for p in reading.problems] == [
        (2, "network.adress"),
        (3, "network.vlan"),
        (5, "wlan"),
        (6, ""),
    ]
    text = words.told(reading.problems, "kept", "")
    assert text is not None
    shown = text.decode("utf-8-sig")
    assert "\r\n  Line 2, column 1, network.adress: Did you mean address?\r\n" in shown
    assert "\r\n  Zeile 3, Spalte 1, network.vlan: Hier gehört eine Zahl von 1 bis 4094 hin.\r\n" in shown
    assert "\n\n" not in shown.replace("\r\n", "\r")


def test_a_box_without_wifi_uses_the_rest() -> None:
    reading = read(FULL, wifi=False)
    assert reading.installer is not None
    assert reading.installer.wifi is None
    assert reading.installer.hostname == "platen-office"
    (problem,) = reading.problems
    assert (problem.key, problem.line, problem.fatal) == ("wifi", 14, False)


def test_a_secret_is_kept_and_asterisks_mean_it() -> None:
    first = read(FULL)
    assert sorted(first.wipe) == ["proxy.password", "wifi.passphrase"]
    wiped = FULL.replace(b"geheim 123", b"*" * 10).replace(b"p: w@rd", b"*" * 7)
    second = read(wiped, first.secrets)
    assert second.installer == first.installer
    assert second.wipe == []
    assert second.secrets == first.secrets


@pytest.mark.parametrize("cut", range(1, 10))
def test_a_wiping_that_was_cut_is_recognised(cut: int) -> None:
    first = read(FULL)
    torn = FULL.replace(b"geheim 123", b"*" * cut + b"geheim 123"[cut:])
    second = read(torn, first.secrets)
    assert second.installer == first.installer
    assert "wifi.passphrase" in second.wipe


def test_a_new_secret_replaces_the_kept_one() -> None:
    kept = {"wifi.passphrase": Kept("geheim 123", "geheim 123")}
    reading = read(FULL.replace(b"geheim 123", b"anders 123"), kept)
    assert reading.secrets["wifi.passphrase"].value == "anders 123"


def test_the_template_says_every_key_and_changes_nothing() -> None:
    template = (Path(provision.__file__).parent / "platen.toml").read_bytes()
    assert read(template).installer == Installer()
    lines = template.decode().splitlines()
    used = "\n".join(n[1:] for n in lines if n.startswith("#") and not n.startswith("# ") and n != "#")
    reading = read(used.replace('"..."  ', '"geheim 123"').encode())
    assert reading.problems == []
    assert {t: set(v) for t, v in reading.document.values.items()} == {t: set(k) for t, k in KEYS.items()}
