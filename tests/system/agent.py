# SPDX-License-Identifier: Apache-2.0
"""Runs commands inside the box under test, asked over a virtio-serial port. It is in no image: QEMU hands it to
systemd as credentials (tests/system/qemu.py), and it needs no network, no clock and nothing of ours.

A request is 4 octets of length (big-endian) and JSON: {"id", "cmd", "timeout", "input"?}; the answer, in the same
form: {"id", "rc", "out", "boot"}. `cmd` goes to /bin/sh, `out` is both its outputs.
"""

import glob
import json
import os
import select
import struct
import subprocess
import time

MOST = 64 * 1024 * 1024
NAME = "platen.test"


def find():
    """The port's device. udev's link may not be there yet, and the module may not be loaded."""
    while True:
        for path in glob.glob("/sys/class/virtio-ports/*/name"):
            with open(path) as file:
                if file.read().strip() == NAME:
                    device = "/dev/" + path.split("/")[-2]
                    if os.path.exists(device):
                        return device
        time.sleep(0.2)


def serve(fd):
    """Answers until the port is gone. What a host left unfinished when it went away is forgotten."""
    buffer = b""
    while True:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        poll.poll()
        piece = os.read(fd, 65536)
        if not piece:
            buffer = b""
            time.sleep(0.1)
            continue
        buffer += piece
        while len(buffer) >= 4:
            (length,) = struct.unpack(">I", buffer[:4])
            if length > MOST:
                buffer = b""
                break
            if len(buffer) < 4 + length:
                break
            request, buffer = buffer[4 : 4 + length], buffer[4 + length :]
            write(fd, answer(json.loads(request)))


def answer(request):
    """Runs one command, at most as long as its timeout."""
    process = subprocess.Popen(
        ["/bin/sh", "-c", request["cmd"]],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        env={
            **os.environ,
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG": "C.UTF-8",
        },
    )
    try:
        out, _ = process.communicate(request.get("input", "").encode(), timeout=request["timeout"])
        rc = process.returncode
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        out, rc = process.communicate()[0], 124
    with open("/proc/sys/kernel/random/boot_id") as file:
        boot = file.read().strip()
    return {"id": request["id"], "rc": rc, "out": out.decode("utf-8", "replace"), "boot": boot}


def write(fd, message):
    data = json.dumps(message).encode()
    data = struct.pack(">I", len(data)) + data
    while data:
        data = data[os.write(fd, data[:32768]) :]


if __name__ == "__main__":
    while True:
        try:
            port = os.open(find(), os.O_RDWR)
            try:
                serve(port)
            finally:
                os.close(port)
        except OSError:
            time.sleep(0.5)
