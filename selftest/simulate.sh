#!/usr/bin/env bash
# vanguard simulate, as a person calls it; needs no privileges.
set -euo pipefail
cd "$(dirname "$0")/.."
BUILD=${BUILD:-build}
vanguard=$PWD/$BUILD/vanguard
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp selftest/traffic.lua config/examples/lossy.lua "$work"
cd "$work"

fail() {
    echo "simulate: $*" >&2
    exit 1
}

same() { cmp "$1" "$2" || fail "$1 and $2 differ"; }
differ() { if cmp -s "$1" "$2"; then fail "$1 and $2 are the same"; fi; }

exits() { # code, command...
    local want=$1 code=0
    shift
    "$@" >out 2>&1 || code=$?
    [ "$code" -eq "$want" ] || {
        cat out >&2
        fail "exit code $code instead of $want: $*"
    }
}

# 20,000 UDP datagrams, all different, 100 us apart.
"$vanguard" run --no-report traffic.lua 20000 in.pcap

# The same seed and input: the same bytes.
bad=(--loss 2% --delay 20ms --jitter 5ms --duplicate 1% --corrupt 1% --reorder 1%)
for i in 1 2 3; do
    "$vanguard" simulate in.pcap -o "out$i.pcap" --decisions "log$i" --seed 7 "${bad[@]}" --quiet
done
same out1.pcap out2.pcap
same out2.pcap out3.pcap
same log1 log2
same log2 log3
"$vanguard" simulate in.pcap -o other.pcap --decisions other.log --seed 8 "${bad[@]}" --quiet
differ out1.pcap other.pcap
differ log1 other.log

# Without an impairment nothing changes, not even a timestamp.
"$vanguard" simulate in.pcap -o copy.pcap --quiet
same in.pcap copy.pcap

# A graph file: two interfaces become files.
"$vanguard" simulate -c lossy.lua --seed 3 -m if1=in.pcap:back.pcapng -m if2=in.pcap:there.pcapng --json >report
grep -q '"complete":true' report || fail "not complete"
"$vanguard" simulate in.pcap -c lossy.lua --seed 3 -o there2.pcapng --quiet
differ back.pcapng there.pcapng
same there.pcapng there2.pcapng

# Parameters alone.
echo 'return { owd = "1s" }' >parameters.lua
"$vanguard" simulate in.pcap -c parameters.lua >out
grep -q 'delivered 20000, dropped nothing, held 0' out || fail "owd: $(cat out)"
"$vanguard" simulate in.pcap -c parameters.lua --tail 0.5s >out
grep -Eq 'held (4999|50[0-9]{2})$' out || fail "--tail: $(cat out)"

# What cannot be.
exits 2 "$vanguard" simulate
exits 2 "$vanguard" simulate in.pcap -m if1=x
exits 3 "$vanguard" simulate nothing.pcap --loss 1%
exits 3 "$vanguard" simulate lossy.lua --loss 1%
exits 5 "$vanguard" simulate in.pcap -o /dev/full --loss 1%
cp in.pcap kept.pcap
ln -sf kept.pcap other.pcap
exits 2 "$vanguard" simulate kept.pcap -o other.pcap
exits 2 "$vanguard" simulate -c lossy.lua -m if1=kept.pcap:./kept.pcap
same in.pcap kept.pcap

# Clumsy's own captures: before is what came in, after is what left, and the same run again gives the same.
capture=(--set "capture.before=before.pcapng,capture.after=after.pcapng")
"$vanguard" simulate in.pcap -o out.pcapng --seed 7 "${bad[@]}" "${capture[@]}" --quiet
"$vanguard" simulate before.pcapng -o copy.pcap --quiet
same in.pcap copy.pcap
"$vanguard" simulate after.pcapng -o copy.pcap --quiet
same out1.pcap copy.pcap

# Years of silence cost nothing.
"$vanguard" run --no-report traffic.lua 100 years.pcap 120 1000000000000
timeout 20 "$vanguard" simulate years.pcap --delay 20ms --jitter 5ms --tail 1h >out || fail "years"
grep -q 'delivered 100, dropped nothing, held 0' out || fail "years: $(cat out)"

# A link of one opportunity a millisecond (Mahimahi's "1"): 1504 bytes each, 12.032 Mbit/s.
echo 1 >one.trace
"$vanguard" run --no-report traffic.lua 20000 fast.pcap 752 250
"$vanguard" simulate fast.pcap -o traced.pcap --set trace.file=one.trace --quiet
"$vanguard" verify --json fast.pcap traced.pcap --rate 12.032mbit >out || true
seen=$(sed -n 's/.*"seen":"\([0-9.e+]*\) bit.*/\1/p' out)
awk -v seen="$seen" 'BEGIN { exit !(seen > 12032000 * 0.995 && seen < 12032000 * 1.005) }' || fail "trace: $seen bit/s"
