# SPDX-License-Identifier: MIT
# What scripts/demo and scripts/test share: tools and libraries are here, the
# build is configured and made.  To be sourced by bash, from the top of the tree.
# Everything is quick when it was done before.

say() {
	printf '==> %s\n' "$*"
}

die() {
	printf '%s\n' "$@" >&2
	exit 1
}

# --- what must be installed -------------------------------------------------------------------

# Prints the Debian packages that are missing, one per line.
missing_packages() {
	local tool package module
	while read -r tool package; do
		command -v "$tool" >/dev/null || echo "$package"
	done <<-'END'
		gcc gcc
		make make
		autoreconf autoconf
		automake automake
		libtoolize libtool
		pkg-config pkg-config
	END
	[ -e /usr/include/stdio.h ] || echo libc6-dev
	while read -r module package; do
		pkg-config --exists "$module" 2>/dev/null || echo "$package"
	done <<-'END'
		libxml-2.0 libxml2-dev
		jansson libjansson-dev
		libcurl libcurl4-openssl-dev
		lua5.4 liblua5.4-dev
		sqlite3 libsqlite3-dev
		libuv libuv1-dev
		libmicrohttpd libmicrohttpd-dev
		libcrypto libssl-dev
		libpcre2-8 libpcre2-dev
	END
}

# Installs what is missing when it may, else says which one command an administrator must run.
set_up() {
	local packages log
	packages=$(missing_packages | sort -u | tr '\n' ' ')
	packages=${packages% }
	[ -n "$packages" ] || return 0
	if ! command -v apt-get >/dev/null; then
		die "These Debian packages, or what your system calls them, are missing:" "    $packages"
	fi
	local as_root=
	if [ "$(id -u)" -ne 0 ]; then
		as_root="sudo -n" # which a CI may have; a person is asked
		{ [ "${CI-}" = true ] && $as_root true 2>/dev/null; } ||
			die "Some packages are missing. An administrator must run this once:" "" \
			"    sudo apt-get update && sudo apt-get install -y --no-install-recommends $packages" "" \
			"Then run this script again."
	fi
	say "installing $packages"
	log=$(mktemp)
	# shellcheck disable=SC2086
	if ! { $as_root apt-get update && $as_root env DEBIAN_FRONTEND=noninteractive \
		apt-get install -y --no-install-recommends $packages; } </dev/null >"$log" 2>&1; then
		tail -n 20 "$log" >&2
		die "The packages could not be installed; all of it: $log"
	fi
	rm -f "$log"
}

# --- building ---------------------------------------------------------------------------------

# configure is made again when what it is made from changed.
bootstrap() {
	[ ! -e Makefile ] || die "The tree itself is configured, so no other folder can be:" \
		"run 'make distclean' first, or use make here instead of this script."
	if [ -e configure ] && [ -e Makefile.in ] &&
		[ -z "$(find configure.ac Makefile.am m4/gw.m4 ./*/local.mk ./*/*/local.mk -newer configure)" ]; then
		return 0
	fi
	say "making configure"
	autoreconf -fi >autoreconf.log 2>&1 || die "$(cat autoreconf.log)"
	rm -f autoreconf.log
}

# build FOLDER JOBS OPTION...: configures FOLDER when it is not, or with other options, and makes it.
build() {
	local folder=$1 jobs=$2
	shift 2
	mkdir -p "$folder"
	if [ ! -e "$folder/Makefile" ] || [ configure -nt "$folder/config.status" ] ||
		[ "$*" != "$(cat "$folder/.options" 2>/dev/null)" ]; then
		say "configuring $folder/ ${*:+($*)}"
		(cd "$folder" && ../configure -q "$@" </dev/null) || return 1
		echo "$*" >"$folder/.options"
	fi
	say "building $folder/"
	make -C "$folder" -s --no-print-directory -j"$jobs" all
}
