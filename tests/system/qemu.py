# SPDX-License-Identifier: Apache-2.0
"""QEMU's command line, all of it in one place. Paths are those inside the container."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

BOARD = "virt"
MAC = "52:54:00:50:4c:54"
U_BOOT = "/usr/lib/u-boot/qemu_arm64/u-boot.bin"
PORT, AGENT = "platen.test", "platen-test.py"
UNIT = "t.service"
"""fw_cfg allows 55 characters, and systemd's part of the name takes 46 of them."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """One start of the machine. `write_log` has the disk's writes recorded as Linux' dm-log-writes would;
    `sticks` are images of USB sticks; `firmware` and `tree` what a Raspberry Pi's own firmware would have loaded."""

    machine: Literal["virt", "raspi3b", "raspi4b"] = "virt"
    folder: str = "/lab/box"
    disk: str = "/lab/box/disk.img"
    memory_mib: int = 512
    write_log: str | None = None
    sticks: tuple[str, ...] = ()
    network: bool = True
    firmware: str | None = None
    tree: str | None = None


def arguments(o: Options) -> list[str]:
    """What comes after `qemu-system-aarch64`."""
    if o.machine == BOARD:
        return [*_common(o), "-serial", "chardev:s", *_virt(o)]
    # The boards have no PCI: no agent, no network but USB's, and the disk is the SD card.
    assert o.firmware
    assert o.tree
    return [
        *_common(o),
        *("-M", o.machine),
        *("-kernel", o.firmware, "-dtb", o.tree),
        *("-drive", f"if=sd,format=raw,file={o.disk},cache=writeback"),
        # The first is the PL011 that real boards give to Bluetooth; firmware and kernel speak on the small one.
        *("-serial", "null", "-serial", "chardev:s"),
    ]


def _common(o: Options) -> list[str]:
    return [
        *("-nodefaults", "-display", "none"),
        *("-accel", "tcg,thread=multi"),
        # A log that grows over power cuts: whoever reads it remembers where a boot began.
        *("-chardev", f"socket,id=s,path={o.folder}/serial.sock,server=on,wait=off"
          f",logfile={o.folder}/serial.log,logappend=on"),
    ]  # fmt: skip


def _virt(o: Options) -> list[str]:
    disk = f"driver=raw,node-name=card,file.driver=file,file.filename={o.disk}"
    drive = "card"
    more = []
    if o.write_log:
        more = ["-blockdev", f"driver=blklogwrites,node-name=logged,file=card,log.driver=file"
                f",log.filename={o.write_log},log-sector-size=512"]  # fmt: skip
        drive = "logged"
    if o.sticks:
        more += ["-device", "qemu-xhci"]
    for number, stick in enumerate(o.sticks):
        more += ["-drive", f"if=none,id=stick{number},format=raw,file={stick}"]
        more += ["-device", f"usb-storage,drive=stick{number}"]
    if o.network:
        more += ["-netdev", "tap,id=lan,ifname=tap0,script=no,downscript=no"]
        more += ["-device", f"virtio-net-pci,netdev=lan,mac={MAC},romfile="]
        # What really left the box, whatever it says itself.
        more += ["-object", f"filter-dump,id=wire,netdev=lan,maxlen=128,file={o.folder}/wire.pcap"]
    return [
        *("-M", "virt", "-cpu", "cortex-a53", "-smp", "2", "-m", str(o.memory_mib)),
        *("-bios", U_BOOT),
        # A Raspberry Pi has no clock of its own; neither does this box, until a time server tells it.
        *("-rtc", "base=1970-01-02"),
        *("-blockdev", disk),
        *more,
        *("-device", f"virtio-blk-pci,drive={drive}"),
        *("-device", "i6300esb"),
        *("-device", "virtio-rng-pci"),
        *("-device", "virtio-serial-pci"),
        *("-chardev", f"socket,id=agent,path={o.folder}/agent.sock,server=on,wait=off"),
        *("-device", f"virtserialport,chardev=agent,name={PORT}"),
        *(
            word
            for name in credentials()
            for word in ("-fw_cfg", f"name=opt/io.systemd.credentials/{name},file={o.folder}/{name}")
        ),
    ]


def credentials() -> dict[str, str]:
    """systemd-debug-generator(8) makes a unit and a drop-in of two of these; the third is the agent. The drop-in is
    the root slice's, because every boot starts it, and because no longer name than `-.slice` fits."""
    unit = f"""\
[Unit]
Description=Agent of the tests
DefaultDependencies=no
[Service]
ImportCredential={AGENT}
ExecStart=/usr/bin/python3 %d/{AGENT}
Restart=always
OOMScoreAdjust=-900
"""
    return {
        AGENT: (Path(__file__).parent / "agent.py").read_text(),
        f"systemd.extra-unit.{UNIT}": unit,
        "systemd.unit-dropin.-.slice": f"[Unit]\nWants={UNIT}\n",
    }
