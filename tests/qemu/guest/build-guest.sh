#!/bin/sh
# Builds the tests' guest: Debian's cloud kernel as FOLDER/vmlinuz and a busybox initramfs with the
# modules for virtio-net as FOLDER/initramfs. The kernel package is unpacked, never installed.
# Usage: build-guest.sh [FOLDER]; does nothing if FOLDER is up to date. Safe to run many times at once.
set -eu
umask 022
here=$(cd "$(dirname "$0")" && pwd)
folder=${1:-$here/../../../build/guest}
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)

exec 9>"$folder/lock"
flock 9
stamp=$(cat "$here/build-guest.sh" "$here/init" "$here/udhcpc" "$(command -v busybox)" | sha256sum)
if [ -s "$folder/vmlinuz" ] && [ -s "$folder/initramfs" ] && [ "$(cat "$folder/stamp" 2>/dev/null)" = "$stamp" ]; then
    exit 0
fi

work=$(mktemp -d "$folder/work.XXXXXX")
trap 'rm -rf "$work"' EXIT

if ! [ -d "$folder/kernel/boot" ]; then
    package=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/^ *Depends: *\(linux-image-[0-9].*\)$/\1/p' | head -n 1)
    if [ -z "$package" ]; then
        echo "build-guest.sh: cannot find the kernel package: apt knows no linux-image-cloud-amd64" >&2
        exit 1
    fi
    (cd "$work" && apt-get -q -o APT::Sandbox::User=root download "$package") >&2
    mkdir "$work/kernel"
    dpkg-deb -x "$work"/linux-image-*.deb "$work/kernel"
    rm -rf "$folder/kernel"
    mv "$work/kernel" "$folder/kernel"
fi

# A module and, before it, what it depends on. In a subshell, so that every call has its own variables.
with_dependencies() (
    path=$(find "$folder/kernel/lib/modules" -name "$1.ko*" | head -n 1)
    [ -n "$path" ] || exit 0 # built into the kernel
    for needed in $(modinfo -F depends "$path" | tr ',' ' '); do
        with_dependencies "$needed"
    done
    file=${path##*/}
    grep -qx "$file" "$root/modules/order" || echo "$file" >>"$root/modules/order"
    cp "$path" "$root/modules/"
)

root=$work/root
mkdir -p "$root/bin" "$root/dev" "$root/etc" "$root/modules" "$root/proc" "$root/sys" "$root/tmp"
: >"$root/modules/order"
for module in virtio_pci virtio_net; do
    with_dependencies "$module"
done
cp "$(command -v busybox)" "$root/bin/busybox"
cp "$here/init" "$root/init"
cp "$here/udhcpc" "$root/etc/udhcpc"
chmod 755 "$root/init" "$root/etc/udhcpc" "$root/bin/busybox"
# Uncompressed: copying is quicker than unpacking in an emulator.
(cd "$root" && find . | sort | cpio --quiet -o -H newc -R 0:0) >"$work/initramfs"

cp "$(find "$folder/kernel/boot" -name 'vmlinuz-*' | head -n 1)" "$work/vmlinuz"
mv "$work/vmlinuz" "$folder/vmlinuz"
mv "$work/initramfs" "$folder/initramfs"
echo "$stamp" >"$folder/stamp"
