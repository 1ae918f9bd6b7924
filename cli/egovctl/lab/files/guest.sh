#!/bin/sh
# Boots one guest: usage guest.sh IMAGE DISK -- SYSTEMD-NSPAWN-ARGUMENTS...
# Runs in a mount namespace of its own, so the overlay, and what nspawn notes under /run/systemd/nspawn, vanish
# with the guest, however it ends.
image=$1 disk=$2
shift 3
mount -t tmpfs -o mode=755,size=1M tmpfs /run/systemd/nspawn || exit 1
mount -t overlay overlay -o "lowerdir=$image,upperdir=$disk/upper,workdir=$disk/work" "$disk/root" || exit 1
exec systemd-nspawn --directory="$disk/root" "$@"
