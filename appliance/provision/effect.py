# SPDX-License-Identifier: Apache-2.0
"""From what the installer wants to the files that networkd, resolved, timesyncd and wpa_supplicant read. Pure."""

from __future__ import annotations

from urllib.parse import quote

import msgspec

from appliance.provision.installer import Installer, Proxy, Wifi

HEAD = "# SPDX-License-Identifier: Apache-2.0\n# Made at each start from platen.toml on the card.\n"
WIRED = "en* eth*"
WIRELESS = "wl*"


class File(msgspec.Struct, frozen=True):
    """`group`: readable for the services' group. Others may read what holds no secret."""

    text: str | bytes
    mode: int = 0o644
    group: bool = False


def network_files(installer: Installer) -> dict[str, File]:
    """Of systemd-networkd, by name. The address is the Wi-Fi's where there is one, else the VLAN's, else the
    cable's; a cable beside Wi-Fi is configured by its network."""
    files: dict[str, File] = {}
    plain = Installer(dns=installer.dns, ntp=installer.ntp)
    if installer.vlan is not None:
        name = f"vlan{installer.vlan}"
        files["10-platen-vlan.netdev"] = File(
            f"{HEAD}[NetDev]\nName={name}\nKind=vlan\n\n[VLAN]\nId={installer.vlan}\n"
        )
        files["10-platen-vlan.network"] = _network(name, plain if installer.wifi else installer)
        files["10-platen-wired.network"] = File(
            f"{HEAD}[Match]\nName={WIRED}\n\n[Link]\nRequiredForOnline=no\n\n[Network]\nVLAN={name}\n"
            "LinkLocalAddressing=no\nIPv6AcceptRA=no\nLLMNR=no\n"
        )
    else:
        files["10-platen-wired.network"] = _network(WIRED, plain if installer.wifi else installer)
    if installer.wifi is not None:
        files["11-platen-wifi.network"] = _network(WIRELESS, installer)
    return files


def _network(match: str, installer: Installer) -> File:
    four = any(":" not in a for a in installer.addresses)
    six = any(":" in a for a in installer.addresses)
    own_route = any(":" in g for g in installer.gateways)
    dhcp = {(False, False): "yes", (True, False): "ipv6", (False, True): "ipv4", (True, True): "no"}[
        four, six
    ]
    lines = [
        f"[Match]\nName={match}\n",
        "[Network]",
        f"DHCP={dhcp}",
        f"IPv6AcceptRA={'no' if own_route else 'yes'}",
    ]
    # An address of its own (RFC 3927) where DHCP stays silent: a laptop on the other end finds the page.
    lines += [f"LinkLocalAddressing={'ipv6' if four else 'yes'}", "MulticastDNS=yes", "LLMNR=no"]
    lines += [f"Address={a}" for a in installer.addresses]
    lines += [f"Gateway={g}" for g in installer.gateways]
    lines += [f"DNS={d}" for d in installer.dns or ()]
    lines += [f"NTP={n}" for n in installer.ntp or ()]
    use = [f"UseDNS={'yes' if installer.dns is None else 'no'}"]
    ntp = f"UseNTP={'yes' if installer.ntp is None else 'no'}"
    # By its MAC, so that a reservation made from the label or the switch holds.
    lines += [
        "",
        "[DHCPv4]",
        "ClientIdentifier=mac",
        *use,
        ntp,
        "",
        "[DHCPv6]",
        *use,
        ntp,
        "",
        "[IPv6AcceptRA]",
        *use,
    ]
    return File(HEAD + "\n".join(lines) + "\n")


def run_files(installer: Installer) -> dict[str, File]:
    """Below /run, by path. An empty text: the file is not to be there."""
    ntp = " ".join(installer.ntp or ())
    return {
        "systemd/timesyncd.conf.d/50-platen.conf": File(f"{HEAD}[Time]\nNTP={ntp}\n" if ntp else ""),
        "platen/proxy.env": File(_proxy(installer.proxy) if installer.proxy else "", 0o640, group=True),
        "platen/proxy.ports": File(f"{installer.proxy.port}\n" if installer.proxy else ""),
        "platen/wpa_supplicant.conf": File(_supplicant(installer.wifi) if installer.wifi else "", 0o600),
    }


def _proxy(proxy: Proxy) -> str:
    """For EnvironmentFile= (systemd.exec(5)). Percent-encoding leaves no sign that it would read otherwise."""
    host = f"[{proxy.host}]" if ":" in proxy.host else proxy.host
    login = quote(proxy.user, safe="") + (f":{quote(proxy.password, safe='')}" if proxy.password else "")
    url = f"http://{login}{'@' if login else ''}{host}:{proxy.port}"
    # curl, and with it RAUC, knows the lower-case names only.
    return f"{HEAD}http_proxy={url}\nhttps_proxy={url}\nno_proxy=localhost,127.0.0.1,::1\n"


def _supplicant(wifi: Wifi) -> str:
    """The name goes as hex and the passphrase has printable ASCII only: neither can end its line."""
    psk = wifi.passphrase if len(wifi.passphrase) == 64 else f'"{wifi.passphrase}"'
    return (
        f"{HEAD}country={wifi.country}\nnetwork={{\n\tssid={wifi.ssid.encode().hex()}\n\tscan_ssid=1\n"
        f"\tkey_mgmt={'WPA-PSK' if len(wifi.passphrase) == 64 else 'SAE WPA-PSK'}\n\tieee80211w=1\n\tpsk={psk}\n}}\n"
    )


def issue(box_id: str, host: str) -> str:
    """For the screen and the serial console (issue(5)); agetty fills in the addresses."""
    return f"\nPlaten {box_id}\nPage: http://{host}.local/ or http://\\4/\n\n"
