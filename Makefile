# The front door: "make help" lists the rooms behind it.
#
# The paths below are compiled into the programs, because a setuid program takes none from its
# environment. Give the same ones to "build" and "install"; install rebuilds if they differ.

PREFIX        ?= /usr/local
SYSCONFDIR    ?= /etc
LOCALSTATEDIR ?= /var/lib
RUNDIR        ?= /run
DESTDIR       ?=
# Service managers to install for: any of systemd, openrc, runit; or none.
INIT          ?= systemd

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS   += --no-print-directory
.DEFAULT_GOAL := build

CARGO      ?= cargo
TARGET_DIR := $(abspath $(or $(CARGO_TARGET_DIR),target))
RELEASE    := $(TARGET_DIR)/release
# The helper has no need of NSS (it asks vmnet) nor of any other shared library. HELPER_LINK=dynamic
# where no static libc is at hand.
HELPER_LINK ?= static
STATIC     := $(if $(filter static,$(HELPER_LINK)),--config 'build.rustflags="-C target-feature=+crt-static"')
# Setuid root, so that a plain user's QEMU may start it; 0755 where the broker is to do all.
HELPER_MODE ?= 4755
# What the tests need of Debian that must not be installed: a kernel for guests, systemd-resolved.
FETCH      := tests/qemu/guest/build-guest.sh && tests/qemu/guest/fetch-resolved.sh

export VMNET_PROGRAM    := $(PREFIX)/sbin/vmnet
export VMNET_HELPER     := $(PREFIX)/libexec/vmnet-bridge-helper
export VMNET_CONFIG_DIR := $(SYSCONFDIR)/vmnet
export VMNET_STATE_DIR  := $(LOCALSTATEDIR)/vmnet
export VMNET_RUN_DIR    := $(RUNDIR)/vmnet
export VMNET_QEMU_RULES := $(SYSCONFDIR)/qemu/bridge.conf
PATHS := $(VMNET_PROGRAM) $(VMNET_HELPER) $(VMNET_CONFIG_DIR) $(VMNET_STATE_DIR) $(VMNET_RUN_DIR) $(VMNET_QEMU_RULES)

# The Rust that Cargo.toml asks for.
RUST_NEEDED := $(shell sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)

# What the programs need on a host, what building and testing needs, what lint needs.
DEBIAN_RUN   := dnsmasq-base iproute2 nftables
DEBIAN_TEST  := busybox-static cpio dbus dbus-daemon dbus-system-bus-common docker.io firewalld \
                gcc git iperf3 iptables iputils-ping kmod libc6-dev libcap2-bin libvirt-clients libvirt-daemon \
                lxc make procps python3-dbus qemu-system-common qemu-system-x86 strace systemd tcpdump ufw \
                util-linux vde2
DEBIAN_LINT  := mandoc shellcheck systemd
# Only bench and its comparisons.
DEBIAN_BENCH := lxc

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1 ^\2/p' Makefile | column -t -s ^
	@echo "  with PREFIX=$(PREFIX) SYSCONFDIR=$(SYSCONFDIR) LOCALSTATEDIR=$(LOCALSTATEDIR) RUNDIR=$(RUNDIR) DESTDIR=$(DESTDIR) INIT=$(INIT)"

# --- what is needed ---------------------------------------------------------------------------

.PHONY: deps deps-bench deps-libvirt rust-check
deps: rust-check ## install the Debian packages that build, demo, test and lint need
	@# Tests start daemons themselves, in namespaces of their own.
	@lint/debian-packages --no-services $(DEBIAN_RUN) $(DEBIAN_TEST) $(DEBIAN_LINT)
	@# A fresh machine may have no list of packages yet.
	@{ $(FETCH); } || { apt-get update --quiet && $(FETCH); }

deps-bench: deps ## and those that bench compares with
	@lint/debian-packages --no-services $(DEBIAN_BENCH)

deps-libvirt: ## and libvirt, for the comparisons that say so; it may start services
	@lint/debian-packages --settle libvirt-daemon-system libvirt-clients

rust-check:
	@have=$$($(CARGO) --version 2>/dev/null | cut -d ' ' -f 2) || true; \
	if [[ -z $$have ]]; then \
		echo "make: cannot build: no cargo found" >&2; \
		echo "hint: install Rust $(RUST_NEEDED) or newer from https://rustup.rs" >&2; exit 1; \
	elif ! printf '%s\n' "$(RUST_NEEDED)" "$$have" | sort --check=silent --version-sort; then \
		echo "make: cannot build: cargo $$have is older than $(RUST_NEEDED)" >&2; \
		echo "hint: rustup update stable" >&2; exit 1; \
	fi

# --- build ------------------------------------------------------------------------------------

.PHONY: build
build: rust-check ## build both programs (the default)
	@# One at a time: built together, the helper would get every feature that the companion asks for.
	@# And linked statically: no loader in a setuid program, and a third of its time saved.
	$(CARGO) build --release --locked -p vmnet-bridge-helper $(STATIC)
	$(CARGO) build --release --locked -p vmnet
	@echo '$(PATHS)' >$(RELEASE)/vmnet.paths

.PHONY: completions
completions: build ## write completions/ anew from the parser
	lint/completions --write $(RELEASE)/vmnet

# --- install ----------------------------------------------------------------------------------

MAN8   := man/vmnet.8 man/vmnet-bridge-helper.8
MAN5   := man/vmnet.toml.5 man/vmnet-bridge.conf.5
UNITS  := vmnet@.service vmnet-broker.service vmnet-broker.socket
SHARE  := $(DESTDIR)$(PREFIX)/share
# Fills in a template and writes it to standard output.
FILL   := sed -e 's|@PREFIX@|$(PREFIX)|g' -e 's|@SYSCONFDIR@|$(SYSCONFDIR)|g' -e 's|@RUNDIR@|$(RUNDIR)|g'
# A file below /etc belongs to the administrator once it is there.
CONFIG := conf/install-config '$(DESTDIR)' '$(PREFIX)/share/vmnet/default'
LIBVIRT_HOOKS := $(foreach driver,qemu network,$(SYSCONFDIR)/libvirt/hooks/$(driver).d/vmnet)
CONFIG_FILES := $(SYSCONFDIR)/vmnet/bridge.conf $(SYSCONFDIR)/vmnet/networks/brmgr0.toml \
                $(SYSCONFDIR)/dnsmasq.d/vmnet.conf $(SYSCONFDIR)/NetworkManager/conf.d/vmnet.conf \
                $(LIBVIRT_HOOKS) $(SYSCONFDIR)/init.d/vmnet $(SYSCONFDIR)/init.d/vmnet-broker \
                $(SYSCONFDIR)/sv/vmnet-brmgr0/run $(SYSCONFDIR)/sv/vmnet-brmgr0/finish \
                $(SYSCONFDIR)/sv/vmnet-broker/run

.PHONY: install install-programs install-docs install-config install-group
install: install-programs install-docs install-config install-group ## install below DESTDIR; edited files in /etc are kept

install-programs:
	@if [[ ! -x $(RELEASE)/vmnet || ! -x $(RELEASE)/vmnet-bridge-helper || \
	       $$(cat $(RELEASE)/vmnet.paths 2>/dev/null) != '$(PATHS)' ]]; then $(MAKE) build; fi
	install -D -m 0755 $(RELEASE)/vmnet $(DESTDIR)$(VMNET_PROGRAM)
	install -D -m $(HELPER_MODE) $(RELEASE)/vmnet-bridge-helper $(DESTDIR)$(VMNET_HELPER)

install-docs:
	install -d $(SHARE)/man/man8 $(SHARE)/man/man5
	install -m 0644 $(MAN8) $(SHARE)/man/man8
	install -m 0644 $(MAN5) $(SHARE)/man/man5
	@if [[ -d completions ]]; then \
		install -v -D -m 0644 completions/vmnet.bash $(SHARE)/bash-completion/completions/vmnet; \
		install -v -D -m 0644 completions/_vmnet $(SHARE)/zsh/site-functions/_vmnet; \
		install -v -D -m 0644 completions/vmnet.fish $(SHARE)/fish/vendor_completions.d/vmnet.fish; \
	fi

install-config:
	$(FILL) conf/lxc.container.conf.in | install -D -m 0644 /dev/stdin $(SHARE)/vmnet/lxc.container.conf
	install -D -m 0644 conf/network.schema.json $(SHARE)/vmnet/network.schema.json
	$(CONFIG) 0644 $(SYSCONFDIR)/vmnet/bridge.conf <conf/bridge.conf
	$(CONFIG) 0644 $(SYSCONFDIR)/vmnet/networks/brmgr0.toml <conf/brmgr0.toml
	$(CONFIG) 0644 $(SYSCONFDIR)/dnsmasq.d/vmnet.conf <conf/dnsmasq.conf
	$(CONFIG) 0644 $(SYSCONFDIR)/NetworkManager/conf.d/vmnet.conf <conf/networkmanager.conf
	@# One and the same, but for the driver, which is its directory's name.
	@for hook in $(LIBVIRT_HOOKS); do driver=$${hook%.d/vmnet}; \
		$(FILL) -e "s|@DRIVER@|$${driver##*/}|" conf/libvirt-hook.in | $(CONFIG) 0755 $$hook; done
	@for init in $(INIT); do $(MAKE) install-$$init; done

.PHONY: install-systemd install-openrc install-runit install-none
install-systemd:
	for unit in $(UNITS); do $(FILL) conf/$$unit.in | install -D -m 0644 /dev/stdin $(DESTDIR)$(PREFIX)/lib/systemd/system/$$unit; done
	install -D -m 0644 conf/networkd.network $(DESTDIR)$(PREFIX)/lib/systemd/network/05-vmnet.network
	install -D -m 0644 conf/sysusers.conf $(DESTDIR)$(PREFIX)/lib/sysusers.d/vmnet.conf
	@if [[ -z '$(DESTDIR)' && -d /run/systemd/system ]]; then systemctl daemon-reload; fi

install-openrc:
	$(FILL) conf/vmnet.openrc.in | $(CONFIG) 0755 $(SYSCONFDIR)/init.d/vmnet
	$(FILL) conf/vmnet-broker.openrc.in | $(CONFIG) 0755 $(SYSCONFDIR)/init.d/vmnet-broker

install-runit:
	$(FILL) conf/vmnet.runit-run.in | $(CONFIG) 0755 $(SYSCONFDIR)/sv/vmnet-brmgr0/run
	$(CONFIG) 0755 $(SYSCONFDIR)/sv/vmnet-brmgr0/finish <conf/vmnet.runit-finish
	$(FILL) conf/vmnet-broker.runit-run.in | $(CONFIG) 0755 $(SYSCONFDIR)/sv/vmnet-broker/run

install-none:

# A package makes the group itself (conf/sysusers.conf); on this host bridge.conf needs it now.
install-group:
	@if [[ -z '$(DESTDIR)' ]] && ! getent group vmnet >/dev/null; then \
		groupadd --system vmnet && echo "made the group vmnet, which $(SYSCONFDIR)/vmnet/bridge.conf lets onto brmgr0"; \
	fi

.PHONY: uninstall
uninstall: ## remove what install put there; edited files in /etc and the group vmnet stay
	@for file in $(CONFIG_FILES); do $(CONFIG) remove $$file; done
	rm -f $(DESTDIR)$(VMNET_PROGRAM) $(DESTDIR)$(VMNET_HELPER)
	rm -f $(addprefix $(SHARE)/man/man8/,$(notdir $(MAN8))) $(addprefix $(SHARE)/man/man5/,$(notdir $(MAN5)))
	rm -f $(SHARE)/bash-completion/completions/vmnet $(SHARE)/zsh/site-functions/_vmnet
	rm -f $(SHARE)/fish/vendor_completions.d/vmnet.fish
	rm -f $(SHARE)/vmnet/lxc.container.conf $(SHARE)/vmnet/network.schema.json
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/lib/systemd/system/,$(UNITS))
	rm -f $(DESTDIR)$(PREFIX)/lib/systemd/network/05-vmnet.network $(DESTDIR)$(PREFIX)/lib/sysusers.d/vmnet.conf
	@for directory in $(SHARE)/vmnet $(DESTDIR)$(SYSCONFDIR)/vmnet/networks $(DESTDIR)$(SYSCONFDIR)/vmnet; do \
		rmdir --ignore-fail-on-non-empty $$directory 2>/dev/null || true; done
	@if [[ -z '$(DESTDIR)' && -d /run/systemd/system ]]; then systemctl daemon-reload; fi
	@if [[ -z '$(DESTDIR)' && -n $$(ls $(VMNET_RUN_DIR)/*/record.json 2>/dev/null) ]]; then \
		echo "networks are still up; their records are in $(VMNET_RUN_DIR)" >&2; fi

# --- try, test, measure -----------------------------------------------------------------------

.PHONY: demo test lint bench root-check
root-check:
	@if [[ $$(id -u) != 0 ]]; then \
		echo "make: cannot make network namespaces: not root" >&2; \
		echo "hint: sudo make $(MAKECMDGOALS), or the same in a container or virtual machine" >&2; exit 1; \
	fi

demo: root-check deps build ## the whole way, in namespaces of its own: a plain user's QEMU gets the network
	@demo/run $(RELEASE)

# Each test in a process of its own, many side by side; the line that counts is the last. "make deps"
# brings all that a test needs, so a test that would skip fails here. TESTS=firewall:: runs those alone.
test: root-check ## every test: units, golden files, namespaces, real guests
	@# Linking the product takes one processor and long: the tests' programs are built beside it.
	@$(MAKE) -j$$(nproc) build test-programs
	@VMNET_BIN_DIR=$(RELEASE) VMNET_NO_SKIP=1 $(CARGO) run --quiet --locked \
		--manifest-path tests/qemu/Cargo.toml --bin side-by-side -- $(TESTS)

.PHONY: test-programs
test-programs: rust-check
	@for workspace in Cargo.toml tests/qemu/Cargo.toml; do \
		$(CARGO) test --no-run --quiet --workspace --tests --locked --manifest-path $$workspace; done

# Files that earlier versions left must be readable: tests/qemu/golden.
.PHONY: old-programs golden
test: old-programs
old-programs: rust-check ## the programs of the oldest commit with golden files, which an upgrade is tested with
	@tests/qemu/golden/build-old 7e656fa

golden: root-check rust-check ## golden files as the programs of COMMIT=… write them
	@tests/qemu/golden/build-old $(COMMIT)
	VMNET_BIN_DIR=$(CURDIR)/build/old/$(COMMIT) $(CARGO) run --quiet --locked --manifest-path tests/qemu/Cargo.toml \
		--bin golden -- $(CURDIR)/tests/qemu/golden/$(COMMIT)

lint: build ## format, clippy, docs, dependencies, man pages, completions, scripts, unit
	@lint/run $(RELEASE)

.PHONY: mutants
mutants: rust-check ## what the units would not notice, by changing the deciding rooms; an hour, goes on where it stopped (SEED, SAMPLE)
	@SEED='$(or $(SEED),1)' SAMPLE='$(or $(SAMPLE),400)' lint/mutants

.PHONY: fuzz
fuzz: rust-check ## made-up bytes for every parser of strangers' bytes, a minute each (TARGET, SECONDS)
	@TARGET='$(TARGET)' SECONDS_EACH='$(or $(SECONDS),60)' fuzz/run

.PHONY: endurance
endurance: root-check build ## ten minutes of traffic over a VDE switch that is killed every 20 seconds
	@VMNET_ENDURANCE=600 VMNET_BIN_DIR=$(RELEASE) VMNET_NO_SKIP=1 $(CARGO) test --locked \
		--manifest-path tests/qemu/Cargo.toml --test vde -- endurance:: --nocapture

bench: root-check deps-bench build ## measure beside QEMU's helper, a bare C floor and lxc-net
	@bench/run $(RELEASE)
