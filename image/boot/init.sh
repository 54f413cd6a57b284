#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# PID 1 until the root is open: finds the slot that U-Boot chose, opens it under dm-verity, hands over to systemd.
# A slot is called bad here only on proof: its root does not open, or does not match its hash tree.

/bin/busybox mkdir -p /proc /sys /dev /run /sysroot /tmp
/bin/busybox --install -s /bin
export PATH=/bin:/sbin:/usr/bin:/usr/sbin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs -o mode=0755,nosuid,nodev run /run

# Priority 3, so that the console shows it in spite of "quiet".
say() { echo "<3>platen: $*" > /dev/kmsg; }

# The value of KEY=VALUE on the kernel's command line.
arg() {
    for word in $(cat /proc/cmdline); do
        case "$word" in "$1="*) echo "${word#*=}"; return ;; esac
    done
}

coldplug() { find /sys/devices -name modalias -exec cat {} + 2> /dev/null | sort -u | xargs modprobe -a -q 2> /dev/null; }

# The device of the partition named $1.
partition() {
    for uevent in /sys/class/block/*/uevent; do
        if [ -e "$uevent" ] && grep -q "^PARTNAME=$1\$" "$uevent"; then
            device=${uevent%/uevent}
            echo "/dev/${device##*/}"
            return
        fi
    done
    return 1
}

wait_for() {
    n=0
    until partition "$1"; do
        n=$((n + 1))
        [ "$n" -le 300 ] || return 1
        coldplug
        sleep 0.1
    done
}

restart() {
    sync
    sleep 2
    echo b > /proc/sysrq-trigger
    sleep 60
}

# This slot is proven bad: U-Boot goes on to the other one, or to the rescue page.
bad() {
    say "slot $SLOT: $*"
    if ENV=$(partition env); then
        echo "$ENV 0x0 0x200" > /etc/fw_env.config
        fw_setenv "BOOT_${SLOT}_LEFT" 0
    fi
    restart
}

if [ -n "$(arg platen.rescue)" ]; then
    coldplug
    . /rescue/rescue.sh
fi

SLOT=$(arg rauc.slot)
TRIAL=$(arg platen.trial)
SEEN=$(arg platen.seen)
NAME=$(arg platen.root)
modprobe -a dm_verity ext4 2> /dev/null

ROOT=$(wait_for "$NAME") || { say "the disk does not appear"; restart; }

IFS=, read -r BLOCKS TREE HASH SALT << V
$(arg platen.verity)
V

# $1: what the kernel does about a block that does not match (empty: an I/O error)
open_root() {
    DM_DISABLE_UDEV=1 dmsetup create root --readonly --table \
        "0 $((BLOCKS * 8)) verity 1 $ROOT $ROOT 4096 4096 $BLOCKS $TREE sha256 $HASH $SALT ${1:+1 $1}"
}

# Three starts in a row came to nothing. Power cuts do that too, so it proves nothing; reading everything does.
if [ "${SEEN:-0}" -ge 3 ] && [ "$TRIAL" != 1 ]; then
    say "slot $SLOT did not come up $((SEEN - 1)) times in a row, reading all of it"
    open_root || bad "the root cannot be opened"
    cat /dev/dm-0 > /dev/null || bad "the root does not match its hash tree"
    DM_DISABLE_UDEV=1 dmsetup remove root
    say "slot $SLOT is whole"
fi
open_root panic_on_corruption || bad "the root cannot be opened"
# The first block decides about the file system; with panic_on_corruption a bad one would only restart us.
mount -t ext4 -o ro /dev/dm-0 /sysroot || bad "the root cannot be mounted"
[ -x /sysroot/usr/lib/systemd/systemd ] || bad "the root holds no system"

# The machine's id lives on the data partition, and on a first boot nowhere yet.
if DATA=$(partition data) && mkdir /data && mount -t ext4 -o ro,noload "$DATA" /data 2> /dev/null; then
    grep -xE '[0-9a-f]{32}' /data/etc/machine-id > /run/machine-id 2> /dev/null
    umount /data
fi
[ -s /run/machine-id ] || tr -d - < /proc/sys/kernel/random/uuid > /run/machine-id
chmod 0444 /run/machine-id
mount --bind /run/machine-id /sysroot/etc/machine-id

# On trial: if nobody has called this slot good in time, give it up and restart, whatever else hangs. It runs on a copy
# of busybox of its own, because nothing of the initrd is left by then, and writes an environment that was made before.
if [ "$TRIAL" = 1 ] && ENV=$(partition env); then
    mkdir /switch
    mount -t tmpfs -o mode=0700 switch /switch
    cp /bin/busybox /switch/busybox
    # The tries are for power cuts. Whoever had his time once, undisturbed, is not given it twice more.
    dd if="$ENV" of=/switch/seen bs=512 count=1 2> /dev/null
    cp /switch/seen /switch/over
    echo "/switch/over 0x0 0x200" > /etc/fw_env.config
    fw_setenv "BOOT_${SLOT}_LEFT" 0
    # It has the files that it holds open and its own folder; there is no /dev/null there.
    cat > /switch/wait << W
sleep 230
dd bs=512 count=1 <&4 > now
grep -q "BOOT_${SLOT}_LEFT=9" now && exit
echo "<3>platen: slot $SLOT was not confirmed in time, restarting" >&5
cmp -s now seen && dd if=over bs=512 conv=fsync >&6
echo s >&3; sleep 1; echo b >&3
W
    for applet in sh sleep dd grep cmp; do ln -s busybox "/switch/$applet"; done
    (
        exec 3> /proc/sysrq-trigger 4< "$ENV" 5> /dev/kmsg 6<> "$ENV"
        exec env -i PATH=/ chroot /switch /sh /wait > /dev/null 2>&1 < /dev/null
    ) &
fi

for m in proc sys dev run; do mount --move "/$m" "/sysroot/$m"; done
exec switch_root /sysroot /usr/lib/systemd/systemd
