#!/usr/bin/env bash
# vanguard verify and learn, as a person calls them: what simulate did is what was asked for, and half,
# twice or something else is not.
set -euo pipefail
cd "$(dirname "$0")/.."
BUILD=${BUILD:-build}
vanguard=$PWD/$BUILD/vanguard
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp selftest/traffic.lua "$work"
cd "$work"

fail() {
    echo "verify: $*" >&2
    cat out >&2
    exit 1
}

# 60,000 datagrams within a minute.
"$vanguard" run --no-report traffic.lua 60000 in.pcap 120 1000

simulate() { "$vanguard" simulate in.pcap -o out.pcapng --seed 5 --quiet "$@"; }

verify() { # code, options...
    local want=$1 code=0
    shift
    "$vanguard" verify in.pcap out.pcapng "$@" >out 2>&1 || code=$?
    [ "$code" -eq "$want" ] || fail "exit code $code instead of $want: $*"
}

swapped() {
    local code=0
    "$vanguard" verify out.pcapng in.pcap "$@" >out 2>&1 || code=$?
    [ "$code" -eq 6 ] || fail "exit code $code with the files swapped: $*"
}

fair=(--delay 20ms --loss 4% --duplicate 4% --corrupt 4% --reorder 4%)
simulate "${fair[@]}"
verify 0 "${fair[@]}"
swapped "${fair[@]}"
for wrong in "--loss 2%" "--loss 8%" "--duplicate 2%" "--duplicate 8%" "--corrupt 2%" "--corrupt 8%" \
    "--reorder 2%" "--reorder 8%" "--delay 10ms" "--delay 40ms" "--burst 2" "--rate 100kbit" "--preset 3g" \
    "--jitter 5ms --jitter-mode reorder"; do
    # shellcheck disable=SC2086 # several words
    verify 6 "${fair[@]}" $wrong
done

# Losses in bursts have the same share.
bursts=(--loss 4% --burst 3)
simulate "${bursts[@]}"
verify 0 "${bursts[@]}"
verify 6 --loss 4%
verify 6 --loss 4% --burst 6
verify 6 --loss 4% --burst 1.5

# The law of the delay: each packet its own.
law=(--delay 50ms --jitter 20ms --jitter-mode reorder)
simulate "${law[@]}"
verify 0 "${law[@]}"
verify 6 --delay 50ms --jitter 11.547ms --distribution normal --jitter-mode reorder
verify 6 --delay 50ms --jitter 10ms --jitter-mode reorder
verify 6 --delay 52ms --jitter 20ms --jitter-mode reorder

# A bottleneck that is never idle: 960 kbit/s are offered.
rate=(--rate 600kbit --delay 10ms)
simulate "${rate[@]}"
verify 0 "${rate[@]}"
verify 6 --rate 300kbit --delay 10ms
verify 6 --rate 700kbit --delay 10ms
verify 8 --rate 1200kbit --delay 10ms

# A minute at 1,000 packets a second is too short for losses as rare as these.
simulate --loss 0.1%
verify 8 --loss 0.1%
grep -q 'inconclusive loss .* needs [0-9]* packets' out || fail "needs how many?"
verify 6 --loss 1%

# Against files; Clumsy's own captures; nothing at all.
echo 'return { owd = "5ms", loss = "4%", capture = { before = "before.pcapng", after = "after.pcapng" } }' >p.lua
"$vanguard" simulate in.pcap -c p.lua --quiet
"$vanguard" verify before.pcapng after.pcapng --against p.lua >out || fail "captures"
"$vanguard" verify --json before.pcapng after.pcapng --against p.lua | grep -q '"code":0' || fail "--json"

head -c 24 in.pcap >empty.pcap
code=0
"$vanguard" verify empty.pcap empty.pcap --loss 1% >out || code=$?
[ "$code" -eq 8 ] || fail "nothing is no proof: $code"

# What is learned from two captures does the same with another seed: the true parameters hold.
learn() { # options...
    simulate "$@"
    "$vanguard" learn in.pcap out.pcapng -o learned.lua
    "$vanguard" simulate in.pcap -c learned.lua -o out.pcapng --seed 6 --quiet
    cp learned.lua out
}

learn "${fair[@]}"
verify 0 "${fair[@]}"
learn "${bursts[@]}"
verify 0 "${bursts[@]}"
verify 6 --loss 4%
learn "${law[@]}"
verify 0 "${law[@]}" --tolerance 2ms
learn "${rate[@]}"
verify 0 "${rate[@]}"

# A delay that wanders: mean, width and how long it stays alike, from 60 s.
simulate --delay 30ms --jitter 5ms --set jitter.coherence=50ms
"$vanguard" learn in.pcap out.pcapng >out
awk '/owd/ { gsub(/[^0-9.]/, " "); exit !($1 > 29 && $1 < 31) }' out || fail "owd"
grep -q 'half = "[45][.0-9]*ms"' out || fail "half"
awk -F'coherence = "' '/coherence/ { exit !($2 + 0 > 30 && $2 + 0 < 80) }' out || fail "coherence"
if grep -q 'loss =' out; then fail "nothing was lost"; fi
