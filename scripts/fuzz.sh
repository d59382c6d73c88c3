#!/bin/sh
# Runs every fuzz target of the module, one after the other: fuzz.sh HOWMUCH, a
# number of inputs (5000x) or a time (20s). A target that fails leaves its input
# under testdata/fuzz, and fails the run.
set -eu

much=${1:?usage: fuzz.sh HOWMUCH, such as 5000x or 20s}
cd "$(dirname "$0")/.."

targets=$(grep -rE --include='*_test.go' -o '^func Fuzz[A-Z][A-Za-z0-9_]*' . | sort | sed 's/:func / /')
[ -n "$targets" ] || { echo "fuzz.sh: found no fuzz target" >&2; exit 1; }

count=0
failed=
while read -r file target; do
	dir=$(dirname "$file")
	echo "== $dir $target"
	count=$((count + 1))
	# Little is spent on making interesting inputs short: it can take all the time.
	go test -run '^$' -fuzz "^$target\$" -fuzztime "$much" -fuzzminimizetime 10x "$dir" </dev/null || failed="$failed $dir:$target"
done <<EOF
$targets
EOF

[ -z "$failed" ] || { echo "fuzz.sh: FAILED:$failed" >&2; exit 1; }
echo "fuzz.sh: $count targets, $much each, no failure"
