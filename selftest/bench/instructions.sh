#!/usr/bin/env bash
# Instructions per packet, counted by callgrind, beside the committed figures.
#
# usage: instructions.sh [--update]
#
# A rise of more than 5 % fails; --update writes what was counted to instructions.txt.
set -euo pipefail
cd "$(dirname "$0")/../.."
BUILD=${BUILD:-build}
figures=selftest/bench/instructions.txt
make -s "$BUILD/bench/breaths"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

count() { # graph, breaths: "instructions packets"
    local packets
    packets=$(valgrind --tool=callgrind --callgrind-out-file="$tmp/out" \
        "$BUILD/bench/breaths" "$1" "$2" 2>"$tmp/log")
    echo "$(sed -n 's/.*Collected : *\([0-9]*\).*/\1/p' "$tmp/log") $packets"
}

status=0
: >"$tmp/new"
for graph in basic1 chain10 clumsy_loss clumsy_owd filter; do
    # The difference of two runs leaves the start-up out.
    read -r i1 p1 <<<"$(count $graph 2000)"
    read -r i2 p2 <<<"$(count $graph 6000)"
    per_packet=$(awk "BEGIN { printf \"%.1f\", ($i2 - $i1) / ($p2 - $p1) }")
    committed=$(awk -v g=$graph '$1 == g { print $2 }' "$figures" 2>/dev/null || true)
    echo "$graph $per_packet" >>"$tmp/new"
    printf '%-12s %8s instructions per packet, committed %s\n' "$graph" "$per_packet" "${committed:-none}"
    if [ -n "$committed" ] && awk "BEGIN { exit !($per_packet > 1.05 * $committed) }"; then
        echo "instructions: $graph takes more than 5 % more than it did" >&2
        status=1
    elif [ -z "$committed" ] && [ "${1-}" != --update ]; then
        echo "instructions: no committed figure for $graph" >&2
        status=1
    fi
done
if [ "${1-}" = --update ]; then
    cp "$tmp/new" "$figures"
    status=0
fi
exit $status
