#!/bin/sh
# Builds a small host that runs under systemd, as FOLDER/system (an initramfs): the programs that it
# needs and their libraries from this machine, modules from the kernel that build-guest.sh unpacked, and
# our programs from PROGRAMS, by `make install`. Process 1 is systemd, check-system obeys the console.
# Usage: build-system.sh FOLDER PROGRAMS
set -eu
umask 022
here=$(cd "$(dirname "$0")" && pwd)
project=$here/../../..
programs=$(cd "$2" && pwd)
mkdir -p "$1"
folder=$(cd "$1" && pwd)
kernel=$(find "$project/build/guest/kernel/lib/modules" -mindepth 1 -maxdepth 1 -type d | head -n 1)
[ -n "$kernel" ] || { echo "build-system.sh: cannot find a kernel: run build-guest.sh first" >&2; exit 1; }
units=/lib/systemd/system

work=$(mktemp -d "$folder/work.XXXXXX")
trap 'rm -rf "$work"' EXIT
root=$work/root

# Files under their own names, symlinks followed.
copy() {
    for file in "$@"; do
        mkdir -p "$root${file%/*}"
        cp --dereference --preserve=mode "$file" "$root$file"
    done
}

# What programs are linked to.
libraries() {
    # shellcheck disable=SC2046 # one word for each
    copy $(for path in "$@"; do ldd "$path" 2>/dev/null || true; done | grep -o '/[^ ]*' | sort -u)
}

# A module and what it depends on; nothing for one that is built into the kernel.
module() (
    find "$kernel" -name "$1.ko*" | while read -r path; do
        place=$root/usr/lib/modules/${path#"${kernel%/*}"/}
        [ ! -e "$place" ] || continue
        mkdir -p "${place%/*}"
        cp "$path" "$place"
        for needed in $(modinfo -F depends "$path" | tr ',' ' '); do
            module "$needed"
        done
    done
)

for place in bin sbin lib lib64; do
    mkdir -p "$root/usr/$place"
    ln -s "usr/$place" "$root/$place"
done
for place in dev etc/systemd/system proc root run sys tmp usr/local/bin var/lib/misc var/log; do
    mkdir -p "$root/$place"
done
ln -s ../run "$root/var/run"

set -- /lib/systemd/systemd /lib/systemd/systemd-journald
for name in busybox dbus-daemon dnsmasq ip journalctl kmod nft pgrep setpriv systemctl systemd-tmpfiles \
    systemd-tty-ask-password-agent vde_switch; do
    path=$(command -v $name) || { echo "build-system.sh: cannot find $name" >&2; exit 1; }
    set -- "$@" "$path"
done
# Later ones start services with it.
[ ! -e /lib/systemd/systemd-executor ] || set -- "$@" /lib/systemd/systemd-executor
copy "$@"
libraries "$@" "$programs/vmnet" "$programs/vmnet-bridge-helper"
for name in cat chmod grep sed sh sleep stty tail tr wc; do
    ln -s busybox "$root/usr/bin/$name"
done
ln -s ../bin/kmod "$root/usr/sbin/modprobe"
ln -s usr/lib/systemd/systemd "$root/init"

# What a host comes up with, and no more: the kernel's modules by need, /dev/net/tun, journal and bus.
copy $units/*.target $units/kmod-static-nodes.service $units/systemd-tmpfiles-setup-dev.service \
    $units/systemd-journald*.so* $units/systemd-journald.service $units/dbus.s*
for wish in "$units"/*.target.wants/*; do
    if [ -e "$root$units/${wish##*/}" ]; then
        mkdir -p "$root${wish%/*}"
        ln -s "../${wish##*/}" "$root$wish"
    fi
done
copy /usr/share/dbus-1/system.conf /usr/share/dbus-1/system.d/org.freedesktop.systemd1.conf

for name in autofs4 bridge dummy tun veth nf_conntrack_netlink; do module "$name"; done
module 'nft_*'
cp "$kernel"/modules.builtin* "$kernel/modules.order" "$root/usr/lib/modules/${kernel##*/}/"
depmod -b "$root" "${kernel##*/}"

# Installed as an administrator would, without what make says to itself in the environment.
mkdir -p "$work/target/release"
cp "$programs/vmnet" "$programs/vmnet-bridge-helper" "$work/target/release/"
ours() { env -i PATH="$PATH" make -s -C "$project" CARGO_TARGET_DIR="$work/target" CARGO=false "$@"; }
# shellcheck disable=SC2016 # for make
ours --eval='paths: ; @echo "$(PATHS)"' paths >"$work/target/release/vmnet.paths"
ours install-programs install-config DESTDIR="$root" INIT=systemd >&2

cp "$here/check-system" "$root/usr/local/bin/check-system"
chmod 755 "$root/usr/local/bin/check-system"
cat >"$root/etc/systemd/system/check-system.service" <<'END'
[Service]
ExecStart=/usr/local/bin/check-system
END
mkdir "$root/etc/systemd/system/multi-user.target.wants"
ln -s ../check-system.service "$root/etc/systemd/system/multi-user.target.wants/"
ln -s "$units/multi-user.target" "$root/etc/systemd/system/default.target"

cat >"$root/etc/passwd" <<'END'
root:x:0:0::/root:/bin/sh
messagebus:x:100:100::/:/bin/false
dnsmasq:x:101:101::/:/bin/false
alice:x:1000:1000::/:/bin/sh
nobody:x:65534:65534::/:/bin/false
END
sed 's/^\([^:]*:x:\)[0-9]*:\([0-9]*\):.*/\1\2:/' "$root/etc/passwd" >"$root/etc/group"
echo 'ID=guest' >"$root/etc/os-release"
# Without one systemd takes this for the first start of all.
echo '0123456789abcdef0123456789abcdef' >"$root/etc/machine-id"
: >"$root/etc/resolv.conf"
echo 'allow all' >"$root/etc/vmnet/bridge.conf"
printf 'subnet = "10.9.0.0/24"\n[vde]\n' >"$root/etc/vmnet/networks/lab.toml"

# Uncompressed: copying is quicker than unpacking in an emulator.
(cd "$root" && find . | sort | cpio --quiet -o -H newc -R 0:0) >"$work/system"
mv "$work/system" "$folder/system"
