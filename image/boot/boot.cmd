# SPDX-License-Identifier: Apache-2.0
# Chooses the slot and boots it. The same text on every board and in QEMU; never replaced by an update.
#
# Partitions: 1 firmware, 2 env, 3 boot_a, 4 root_a, 5 boot_b, 6 root_b (image/layout.py).
# The environment is the first sector of partition 2, written whole or not at all:
#   BOOT_ORDER     slots, the preferred one first (RAUC)
#   BOOT_x_LEFT    9: has proven itself, and no power cut can take that away
#                  1..3: on trial, one less for each try · 0: bad or empty
#   BOOT_SEEN      starts in a row that nobody called good; the initrd looks closer from 3 on

if test "${vendor}" = "raspberrypi"; then
  # Debian's kernel is larger than U-Boot's default addresses allow for.
  setenv kernel_addr_r 0x04000000
  setenv ramdisk_addr_r 0x0c000000
  setenv kernel_comp_addr_r 0x10000000
  setenv console "console=ttyS1,115200 console=tty1"
else
  setenv kernel_comp_addr_r 0x4c000000
  setenv console ""
fi
setenv kernel_comp_size 0x08000000
setenv buf ${ramdisk_addr_r}

part start ${devtype} ${devnum} 2 envblk
setenv BOOT_ORDER
if ${devtype} read ${buf} 0x${envblk} 1; then
  env import -c ${buf} 0x200 BOOT_ORDER BOOT_A_LEFT BOOT_B_LEFT BOOT_SEEN
fi
if test -z "${BOOT_ORDER}"; then
  # Unreadable: try both as if proven. What does not boot is found out below, and by the initrd.
  echo "platen: the environment cannot be read, starting with defaults"
  setenv BOOT_ORDER "A B"
  setenv BOOT_A_LEFT 9
  setenv BOOT_B_LEFT 9
fi
test -n "${BOOT_A_LEFT}" || setenv BOOT_A_LEFT 0
test -n "${BOOT_B_LEFT}" || setenv BOOT_B_LEFT 0
test -n "${BOOT_SEEN}" || setenv BOOT_SEEN 0

setenv slot ""
for s in ${BOOT_ORDER}; do
  if test -z "${slot}"; then
    if test "${s}" = "A"; then
      setenv left ${BOOT_A_LEFT}
      setenv bootpart 3
      setenv rootname root_a
      setenv small a
    else
      setenv left ${BOOT_B_LEFT}
      setenv bootpart 5
      setenv rootname root_b
      setenv small b
    fi
    if test ${left} -gt 0; then
      setenv verity ""
      if load ${devtype} ${devnum}:${bootpart} ${buf} slot.env; then
        env import -t ${buf} ${filesize} verity
      fi
      if test -n "${verity}"; then
        if load ${devtype} ${devnum}:${bootpart} ${kernel_addr_r} Image.gz; then
          setenv slot ${s}
        fi
      fi
      if test -z "${slot}"; then
        echo "platen: slot ${s} holds nothing that boots"
        setenv BOOT_${s}_LEFT 0
      else
        if test ${left} -ge 9; then
          setenv trial 0
          if test ${BOOT_SEEN} -lt 9; then
            setexpr BOOT_SEEN ${BOOT_SEEN} + 1
          fi
        else
          setenv trial 1
          setexpr left ${left} - 1
          setenv BOOT_${s}_LEFT ${left}
        fi
      fi
    fi
  fi
done

env export -c -s 0x200 ${buf} BOOT_ORDER BOOT_A_LEFT BOOT_B_LEFT BOOT_SEEN
${devtype} write ${buf} 0x${envblk} 1
echo "platen: slot=${slot} order=${BOOT_ORDER} left A=${BOOT_A_LEFT} B=${BOOT_B_LEFT} seen=${BOOT_SEEN}"

test -n "${fdt_addr}" || setenv fdt_addr ${fdtcontroladdr}
if test -n "${slot}"; then
  setenv bootargs "${console} ro quiet gpt panic=5 rauc.slot=${slot} platen.slot=${small} platen.root=${rootname} platen.trial=${trial} platen.seen=${BOOT_SEEN} platen.verity=${verity}"
  if load ${devtype} ${devnum}:${bootpart} ${ramdisk_addr_r} initrd; then
    booti ${kernel_addr_r} ${ramdisk_addr_r}:${filesize} ${fdt_addr}
  fi
  # Only reached where the kernel or initrd is broken in spite of the checks above.
  setenv BOOT_${slot}_LEFT 0
  env export -c -s 0x200 ${buf} BOOT_ORDER BOOT_A_LEFT BOOT_B_LEFT BOOT_SEEN
  ${devtype} write ${buf} 0x${envblk} 1
  echo "platen: slot ${slot} does not boot"
  reset
fi

echo "platen: no slot is left, starting the rescue page"
setenv bootargs "${console} quiet gpt panic=30 platen.rescue=1"
load ${devtype} ${devnum}:1 ${kernel_addr_r} Image.gz
load ${devtype} ${devnum}:1 ${ramdisk_addr_r} initrd
booti ${kernel_addr_r} ${ramdisk_addr_r}:${filesize} ${fdt_addr}
sleep 30
reset
