#!/bin/sh
# Fetches Debian's systemd-resolved for the tests: FOLDER/files gets the daemon, resolvectl, the library of
# their version and the policy for the bus. It is unpacked, never installed: its package would take over
# the machine's /etc/resolv.conf.
# Usage: fetch-resolved.sh [FOLDER]; does nothing if it is there. Safe to run many times at once.
set -eu
umask 022
here=$(cd "$(dirname "$0")" && pwd)
folder=${1:-$here/../../../build/resolved}
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)

exec 9>"$folder/lock"
flock 9
if [ -d "$folder/files" ]; then
    exit 0
fi

work=$(mktemp -d "$folder/work.XXXXXX")
trap 'rm -rf "$work"' EXIT
(cd "$work" && apt-get -q -o APT::Sandbox::User=root download systemd-resolved libsystemd-shared) >&2
for package in "$work"/*.deb; do
    dpkg-deb -x "$package" "$work/root"
done
mkdir "$work/files"
for file in systemd-resolved resolvectl 'libsystemd-shared-*.so' org.freedesktop.resolve1.conf; do
    find "$work/root" -type f -name "$file" -exec cp {} "$work/files/" \;
done
mv "$work/files" "$folder/files"
