# shellcheck shell=bash
# Sourced by demo/run and bench/run: the throw-away host of the tests (tests/qemu/src/house.sh), for
# scripts. Network, mounts and processes of its own; memory laid over /etc, /usr/local and the like.
# It lives as long as this shell, however that ends: its process 1 waits for the end of a pipe.

house_init=

# Opens the house. To be called at the root of the source tree.
open_house() {
	local line=
	coproc HOUSE {
		exec unshare --net --mount --pid --fork --kill-child --mount-proc bash tests/qemu/src/house.sh
	}
	# shellcheck disable=SC2153  # coproc sets it
	house_unshare=$HOUSE_PID
	read -r -t 30 line <&"${HOUSE[0]}" || true
	if [[ $line != ready ]] || ! house_init=$(pgrep --parent "$house_unshare"); then
		echo "cannot make namespaces: root is needed, and a kernel with overlayfs" >&2
		return 1
	fi
}

# Its root directory as seen from here.
house_root() { echo "/proc/$house_init/root"; }

# Ends everything in the house, and waits until it is gone.
close_house() {
	[[ -n $house_init ]] || return 0
	eval "exec ${HOUSE[1]}>&-"
	wait "$house_unshare" 2>/dev/null || true
}

# Runs a program in the house as root.
inside() {
	nsenter --target "$house_init" --mount --net --pid --wd=/ -- \
		env --ignore-environment PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C "$@"
}

# Runs a program in the house as a plain user, with the groups that the house's /etc/group gives.
inside_as() {
	local user=$1 && shift
	inside setpriv --reuid="$user" --regid="$user" --init-groups --inh-caps=-all -- "$@"
}
