#!/usr/bin/env bash
# How exact delays and rates are, beside the plain path: two hosts and a veth between them.
#
# usage: timing.sh [ROUNDS]
#
# Each round takes every row in turn. Lateness is the engine's own histogram (from when a packet was to
# leave to when it did); the delay of each datagram is taken at the receiver, by the clock that all hosts
# have in common, and is never below what was asked for. Run by root the engine sleeps with SCHED_FIFO,
# otherwise it does not.
set -euo pipefail
cd "$(dirname "$0")/../.."
BUILD=${BUILD:-build}
rounds=${1:-3}
tmp=$(mktemp -d)
id=vgt$$
vanguard=$PWD/$BUILD/vanguard
udp=$PWD/$BUILD/bench/datagrams
json=$PWD/selftest/json_value.lua
trap 'rm -rf "$tmp"; for ns in a b; do ip netns del $id$ns 2>/dev/null || true; done' EXIT

quantiles() { sort -g | awk '{ x[NR] = $1 } END { printf "%.3f %.3f %.3f\n", x[1], x[int((NR - 1) * 0.5) + 1], x[int((NR - 1) * 0.99) + 1] }'; }
delays() { awk 'NF == 4 { print ($3 - $2) / 1e6 }' "$tmp/udp" | quantiles; }
row() { printf '%-34s least %8s  median %8s  p99 %8s ms   %s\n' "$@"; }

plain() {
    ip netns add ${id}a
    ip netns add ${id}b
    ip -n ${id}a link add eth0 type veth peer name eth0 netns ${id}b
    for ns in a b; do ip -n $id$ns link set eth0 up; done
    ip -n ${id}a addr add 192.0.2.1/24 dev eth0
    ip -n ${id}b addr add 192.0.2.2/24 dev eth0
    ip netns exec ${id}b "$udp" receive 5000 2000 2 >"$tmp/udp" &
    local receiver=$!
    sleep 0.2
    ip netns exec ${id}a "$udp" send 192.0.2.2 5000 2000 1000 200 >/dev/null
    wait "$receiver"
    for ns in a b; do ip netns del $id$ns; done
    # shellcheck disable=SC2046 # three words
    row "veth, no emulator" $(delays) ""
}
late() { "$vanguard" run "$json" "$tmp/report.json" measured.ab.late_p50 measured.ab.late_p99 2>/dev/null |
    awk '{ x[NR] = $1 * 1e6 } END { printf "emulator late: p50 %.0f us, p99 %.0f us", x[1], x[2] }'; }
delay() { # milliseconds
    "$vanguard" lab -q --ab "owd=$1ms" --report-json "$tmp/report.json" --server "sh -c '$udp receive 5000 2000 2 >$tmp/new; mv $tmp/new $tmp/udp'" \
        --wait 5000 -- sh -c "rm -f $tmp/udp; $udp send b 5000 2000 1000 200; while [ ! -e $tmp/udp ]; do sleep 0.05; done" >/dev/null
    # shellcheck disable=SC2046
    row "lab, owd $1 ms" $(delays) "$(late)"
}
rate() { # Mbit/s
    "$vanguard" lab -q --ab "rate=$1mbit,queue=100p" --delay 2ms --server "iperf3 -s" -- sh -c "iperf3 -4 -c b -C cubic -O 5 -t 10 -J >$tmp/iperf.json"
    awk -v b="$("$vanguard" run "$json" "$tmp/iperf.json" end.sum_received.bits_per_second 2>/dev/null)" -v r="$1" \
        'BEGIN { want = r * 1448 / 1514; printf "lab, rate %s Mbit/s: goodput %.4f, %.4f by the formula, off by %.2f %%\n", r, b / 1e6, want, 100 * (b / 1e6 / want - 1) }'
}

for _ in $(seq "$rounds"); do
    [ "$(id -u)" -ne 0 ] || plain
    for ms in 0 1 20 300; do delay $ms; done
    for mbit in 1 10 100; do rate $mbit; done
done
