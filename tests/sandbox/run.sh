#!/bin/sh
# SPDX-License-Identifier: MIT
# Drives gangway-sandbox with the clients that people use (jsforce, openai and
# others from npm) and with hand-made requests.  Prints TAP.
#
#   tests/sandbox/run.sh WORKDIR SANDBOX
#
# WORKDIR gets the npm packages (nothing is written beside the sources); SANDBOX
# is the executable.  Without node the whole is skipped; without the packages
# and without a network the tests that need them are.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
if [ $# -ne 2 ]; then
	echo "usage: $0 WORKDIR SANDBOX" >&2
	exit 2
fi
mkdir -p "$1"
work=$(cd "$1" && pwd)
sandbox=$(cd "$(dirname "$2")" && pwd)/$(basename "$2")
if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
	echo "1..0 # SKIP node and npm are not installed"
	exit 0
fi
stamp=$work/node_modules/.gangway-lock
if ! cmp -s "$here/package-lock.json" "$stamp"; then
	echo "# installing the npm packages into $work"
	cp "$here/package.json" "$here/package-lock.json" "$work/"
	if (cd "$work" && npm ci --ignore-scripts --no-audit --no-fund >"$work/npm.log" 2>&1); then
		cp "$here/package-lock.json" "$stamp"
	else
		echo "# npm ci failed (see $work/npm.log); tests of real clients are skipped"
	fi
fi
exec node "$here/run.mjs" "$work" "$sandbox"
