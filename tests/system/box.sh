# SPDX-License-Identifier: Apache-2.0
# Joins the container's network card and the guest's in a bridge, so that the guest stands on the compose network with
# an address of its own, and becomes QEMU. Its arguments, one a line, are tests/system/qemu.py's.
set -eu
ip link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0
ip tuntap add dev tap0 mode tap
ip address flush dev eth0
for card in eth0 tap0; do
    ip link set "$card" master br0 up
done
ip link set br0 up
set --
while IFS= read -r word; do
    set -- "$@" "$word"
done < /lab/box/arguments
exec qemu-system-aarch64 "$@"
