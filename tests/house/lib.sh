# SPDX-License-Identifier: MIT
# For checks of the house: sourced by bash with SRCDIR (the tree) and BUILDDIR
# (a finished build) in the environment.  A check prints one TAP line per rule;
# whoever breaks it is named below that line.
#
#	rule "what must hold" < offenders
#	finish
set -u
shopt -s lastpipe # so that rule counts here, at the end of a pipe
SRCDIR=${SRCDIR:-$(cd "$(dirname "$0")/../.." && pwd)}
BUILDDIR=${BUILDDIR:-$SRCDIR/build}
cd "$SRCDIR" || exit 1
export LC_ALL=C

number=0 broken=0

# One rule; the standard input names the offenders, one per line, and is empty when it holds.
rule() {
	local offenders
	offenders=$(cat)
	number=$((number + 1))
	if [ -z "$offenders" ]; then
		echo "ok $number - $1"
	else
		broken=$((broken + 1))
		echo "not ok $number - $1"
		printf '%s\n' "$offenders" | head -n 100 | sed 's/^/#   /'
	fi
}

skip() {
	number=$((number + 1))
	echo "ok $number - $1 # SKIP $2"
}

finish() {
	echo "1..$number"
	exit $((broken > 0))
}

# The files of the tree with one of these endings: files c h
# What is built inside the tree, and what others left there, is not ours.
files() {
	local ending names=()
	for ending in "$@"; do
		names+=(-o -name "*.$ending")
	done
	find . \( -path './build*' -o -path './_*' -o -path ./.git -o -path ./autom4te.cache -o -name node_modules -o -name .libs \
		-o -name .deps -o -path './gangway-[0-9]*' \) -prune -o -type f \( "${names[@]:1}" \) -print |
		sed 's|^\./||' | grep -vE '^(aclocal\.m4|m4/l.*)$' | sort
}

# file:line:text of C without comments and without what is in quotes: code FILE...
code() {
	awk '
	FNR == 1 { in_comment = 0 }
	{
		line = $0
		out = ""
		while (line != "") {
			if (in_comment) {
				end = index(line, "*/")
				if (!end) break
				line = substr(line, end + 2)
				in_comment = 0
			} else if (match(line, /\/\*|\/\/|"([^"\\]|\\.)*"|'\''([^'\''\\]|\\.)+'\''/)) {
				what = substr(line, RSTART, RLENGTH)
				out = out substr(line, 1, RSTART - 1)
				line = substr(line, RSTART + RLENGTH)
				if (what == "/*") in_comment = 1
				else if (what == "//") line = ""
				else out = out "\"\""
			} else {
				out = out line
				line = ""
			}
		}
		if (out ~ /[^ \t]/) print FILENAME ":" FNR ":" out
	}' "$@"
}

# Is there an exception?  See the file exceptions.
exceptions() {
	awk -v kind="$1" '$1 == kind { $1 = ""; sub(/^ /, ""); print }' tests/house/exceptions
}
