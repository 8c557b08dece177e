#!/usr/bin/env bash
# Live traffic, then the same packets from its capture by vanguard simulate: with key = "content" every
# packet meets the same decision, whatever was timed otherwise. Runs in a lab of its own.
set -euo pipefail
cd "$(dirname "$0")/.."
BUILD=${BUILD:-build}
vanguard=$PWD/$BUILD/vanguard
export ASAN_OPTIONS=detect_leaks=0:exitcode=99
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

fail() {
    echo "replay: $*" >&2
    exit 1
}

# What became of which content: copy, outcome, content of every line, whatever the order.
verdicts() { grep -v '^#' "$1" | cut -d' ' -f2,4,6 | sort; }

network=loss=20%,duplicate=10%,corrupt=5%,key=content
files=decisions=live.log,capture.before=before.pcapng,capture.after=after.pcapng

"$vanguard" lab --quiet --seed 7 --delay 2ms --ab "$network,$files" --server 'iperf3 -s' -- \
    sh -c 'ping -q -c 200 -i 0.002 b; timeout 20 iperf3 -c b -n 300K' >live.out 2>&1 || true
[ "$(grep -vc '^#' live.log)" -gt 300 ] || fail "too little traffic: $(cat live.out)"

replay() { # seed, app, log
    "$vanguard" simulate before.pcapng --quiet --seed "$1" --app "$2" --delay 2ms --set "$network,decisions=$3"
}

replay 7 ab same.log
verdicts live.log >live
verdicts same.log >same
cmp live same || fail "live and replayed verdicts differ: $(diff live same | head -5)"
replay 8 ab seed.log
verdicts seed.log >seed
if cmp -s live seed; then fail "another seed decides the same"; fi
replay 7 ba name.log
verdicts name.log >name
if cmp -s live name; then fail "another name decides the same"; fi

# The captures alone show that network.
code=0
"$vanguard" verify before.pcapng after.pcapng --delay 2ms --set "$network" --tolerance 100ms >verify.out || code=$?
[ "$code" -eq 0 ] || [ "$code" -eq 8 ] || fail "verify: $code: $(cat verify.out)"
