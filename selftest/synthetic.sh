#!/usr/bin/env bash
# Twenty networks and what software makes of them, over real stacks: each scenario between hosts of a
# `vanguard lab`, with a control arm, the impairment off or another, that must not pass.
#
# usage: selftest/synthetic.sh [--list] [S1 ... S20]
#
# Exit code: 0 passed, 1 failed, 8 inconclusive: three times in a row the emulator itself lost packets or
# was late, or this machine was too slow for the programs in it. Runs as root and as a plain user.
# shellcheck disable=SC2016 # it is a host's shell that expands
set -euo pipefail
cd "$(dirname "$0")/.."
BUILD=${BUILD:-build}
SUITE="S1 S2 S3 S4 S5 S6 S7 S8 S9 S10 S11 S12 S13 S14 S15 S16 S17 S18 S19 S20"
TRIES=3

if [ "${1-}" = --list ]; then
    echo "$SUITE"
    exit
fi
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
vanguard=$PWD/$BUILD/vanguard
udp=$PWD/$BUILD/bench/datagrams
json=$PWD/selftest/json_value.lua
scenario=setup
control='' # not empty: the arm that must not pass
verdict='' # of the arm that runs: failed, inconclusive or nothing
seed=${SELFTEST_SEED:-20}
# shellcheck source=selftest/scenario.sh
. selftest/scenario.sh

say() { printf '\033[1m[%s%s]\033[0m %s\n' "$scenario" "${control:+, $control}" "$*" >&2; }
inside() { awk -v v="$1" -v a="$2" -v b="$3" 'BEGIN { exit !(v != "" && v + 0 >= a && v + 0 <= b) }'; }

must() { # what, value, least, most: what is tested
    if inside "$2" "$3" "$4"; then
        say "$1: $2 (within $3..$4)"
    else
        say "$1: $2 is not within $3..$4"
        verdict=failed
    fi
}
needs() { # the same for what only a slow machine gets wrong
    inside "$2" "$3" "$4" && return
    say "inconclusive: $1: $2 is not within $3..$4"
    [ -n "$verdict" ] || verdict=inconclusive
}

lab() { # options of lab: what it measures goes to report.json
    local status=0
    timeout 150 "$vanguard" lab -q --seed "$seed" --report-json "$tmp/report.json" "$@" >"$tmp/out" 2>"$tmp/err" || status=$?
    if [ "$status" -ne 0 ]; then
        say "exit code $status of vanguard lab $*"
        tail -n 5 "$tmp/err" "$tmp/out" >&2
        # 8: a scenario's own word for an emulator that was late
        if [ "$status" -ne 8 ]; then
            verdict=failed
        elif [ -z "$verdict" ]; then
            verdict=inconclusive
        fi
        return 0
    fi
    needs "packets that the emulator lost" "$(measured own_drops)" 0 0
}
measured() { value "$tmp/report.json" "measured.$1"; }
value() { "$vanguard" run "$json" "$@" 2>/dev/null; } # file, paths...
quantile() { # share, of the numbers on stdin
    sort -g | awk -v q="$1" '{ x[NR] = $1 } END { print x[int((NR - 1) * q) + 1] }'
}
rtts() { sed -n 's/.*time=\([0-9.]*\) ms.*/\1/p' "$tmp/out"; }
sum_of() { value "$tmp/iperf.json" "end.sum_received.bits_per_second"; }
iperf() { # arguments of the client; goodput is in iperf.json
    echo "iperf3 -4 -c b -J $* >$tmp/iperf.json"
}
count_of() { awk -v n="$2" '$1 == n { s += $2 } END { print s + 0 }' "$1"; } # nstat's file, name
# In the server's host: what the kernel counted there, when the file "ask" is there.
counting="while sleep 0.05; do if [ -e $tmp/ask ]; then nstat -asz >$tmp/nstat.new; mv $tmp/nstat.new $tmp/nstat.b; rm $tmp/ask; fi; done"
ask_b="rm -f $tmp/nstat.b; touch $tmp/ask; while [ ! -e $tmp/nstat.b ]; do sleep 0.05; done"

# Kolmogorov and Smirnov's distance of the numbers on stdin from a law, an expression of x in awk.
distance() {
    sort -g | awk 'function max(a, b) { return a > b ? a : b }
        function normal(z,  t, p) { t = 1 / (1 + 0.2316419 * (z < 0 ? -z : z))
            p = 0.39894228 * exp(-z * z / 2) * t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))))
            return z < 0 ? p : 1 - p }
        { v[NR] = $1 } END { for (i = 1; i <= NR; i++) { x = v[i]; f = '"$1"'
            f = f < 0 ? 0 : f > 1 ? 1 : f
            d = max(d, max(f - (i - 1) / NR, i / NR - f)) } print d + 0 }'
}

# --- scenarios: each sets verdict, under the options in $@, which a control arm changes ------------

# No impairment: everything arrives as it is.
listener='use IO::Socket::INET; $_ = IO::Socket::INET->new(LocalPort => 9000, Listen => 1) or die $!;
    $_ = $_->accept; while (sysread($_, $b, 1 << 20)) { print $b }'
S1() {
    head -c 50000000 /dev/urandom >"$tmp/data"
    printf '%s\n' "$listener" >"$tmp/listener.pl"
    lab "$@" --server "sh -c 'perl $tmp/listener.pl >$tmp/copy & $counting'" --server "iperf3 -s" --wait 9000 -- bash -c \
        "ping -c 50 -i 0.02 b; ping -c 5 -i 0.01 -s 1472 b; ping -4 -c 5 -i 0.01 -M do -s 1472 b; cat $tmp/data >/dev/tcp/10.77.0.2/9000;
        $(iperf -t 2); iperf3 -4 -c b -u -b 20M -l 1200 -t 1 >/dev/null; $ask_b"
    must "pings" "$(rtts | wc -l)" 60 60
    needs "median round trip, ms" "$(rtts | quantile 0.5)" 0 0.3
    must "packets lost" "$(measured ab.lost)" 0 0
    must "bytes that are not those sent" "$(cmp -l "$tmp/data" "$tmp/copy" 2>&1 | wc -l)" 0 0
    needs "TCP, Mbit/s" "$(awk -v b="$(sum_of)" 'BEGIN { print b / 1e6 }')" 300 1e6
    must "bad checksums" "$(($(count_of "$tmp/nstat.b" TcpInCsumErrors) + $(count_of "$tmp/nstat.b" UdpInCsumErrors)))" 0 0
}
S1_arm() { S1 --delay 0ms; }
S1_control() { S1 --loss 2%; }

# 20 ms each way.
S2() {
    lab "$@" -- ping -4 -c 1500 -i 0.01 b
    must "least round trip, ms" "$(rtts | quantile 0)" 40.0 40.3
    needs "median round trip, ms" "$(rtts | quantile 0.5)" 40.0 40.5
    needs "share above 45 ms" "$(rtts | awk '{ n += $1 > 45 } END { print n / NR }')" 0 0.05
    must "median of what it was late by, less than" "$(rtts | quantile 0.5)" 39.9 60
}
S2_arm() { S2 --delay 20ms; }
S2_control() { S2 --delay 10ms; }

# 50 ms, 20 ms more or less, packet by packet.
S3() {
    lab "$@" -- ping -4 -c 4000 -i 0.005 b
    must "distance from uniform, 30 to 70 ms" "$(rtts | distance '(x - 30) / 40')" 0 0.043
    must "distance from normal of that deviation" "$(rtts | distance 'normal((x - 50) / 11.547)')" 0.043 1
    needs "5 of 100, ms" "$(rtts | quantile 0.05)" 31 33.5
    needs "95 of 100, ms" "$(rtts | quantile 0.95)" 66.5 69.5
}
S3_arm() { S3 --ab owd=50ms,jitter.half=20ms,jitter.mode=reorder; }
S3_control() { S3 --ab owd=50ms,jitter.sd=11.547ms,jitter.mode=reorder; }

# Jitter that keeps the order has the mean that was asked for, under load and without.
S4() {
    lab "$@" --server "iperf3 -s" --server "sh -c '$udp receive 5000 300 3 >$tmp/udp'" --wait 5201 -- sh -c \
        "$(iperf -C cubic -t 16) & sleep 0.3; $udp send b 5000 150 10 100; wait; nstat -asz >$tmp/nstat.a"
    must "mean delay under load, ms" "$(awk -v d="$(measured ab.delay_mean)" 'BEGIN { print 1e3 * d }')" 38 42
    must "mean delay of 10 packets a second, ms" "$(awk 'NF == 4 { s += ($3 - $2) / 1e6; n++ } END { print n ? s / n : 0 }' "$tmp/udp")" 38 42.5
    must "out of order" "$(measured ab.reordered)" 0 0
    must "reordering that TCP saw" "$(count_of "$tmp/nstat.a" TcpExtTCPSACKReorder)" 0 0
}
S4_arm() { S4 --ab owd=40ms,jitter.sd=5ms; }
S4_control() { S4 --ab owd=40ms,jitter.sd=5ms,jitter.mode=clamp; }

# --- losses, by number: receive writes which datagrams came ------------------------------------------

datagrams() { # count, rate, size, options of lab...
    local count=$1 rate=$2 size=$3
    shift 3
    lab "$@" --server "sh -c '$udp receive 5000 $count 1 >$tmp/udp.new; mv $tmp/udp.new $tmp/udp'" --wait 5000 -- sh -c \
        "rm -f $tmp/udp; $udp send b 5000 $count $rate $size; for i in \$(seq 60); do [ -e $tmp/udp ] && break; sleep 0.05; done"
    [ -e "$tmp/udp" ] || : >"$tmp/udp"
    needs "datagrams that the receiver was too slow for" "$(awk '/socket_drops/ { print $2 }' "$tmp/udp")" 0 0
}
# Lost, runs of losses, lost after a loss, losses behind which there is another packet.
losses() { # count
    awk -v n="$1" 'NF == 4 { came[$1] = 1 } END { for (i = 0; i < n; i++) { l = !(i in came); lost += l
        if (i && p) { after++; again += l } runs += l && !p; p = l } print lost + 0, runs + 0, again + 0, after + 0 }' "$tmp/udp"
}

S5() {
    datagrams 50000 5000 200 "$@"
    read -r lost runs _ _ <<<"$(losses 50000)"
    must "lost of 50,000" "$lost" 851 1157
    must "runs of losses" "$runs" "$(awk -v n="$lost" 'BEGIN { print 0.98 * n - 5 * sqrt(0.98 * n * 0.06) - 1 }')" 1157
    must "the app's own count less the receiver's" "$(($(measured ab.drop_loss) - lost))" -1 1
}
S5_arm() { S5 --ab loss=2%; }
S5_control() { S5 --ab loss=1%; }

S6() {
    datagrams 25000 5000 200 "$@"
    read -r lost runs again after <<<"$(losses 25000)"
    must "share lost" "$(awk "BEGIN { print $lost / 25000 }")" 0.023 0.054
    must "mean run" "$(awk "BEGIN { print $runs ? $lost / $runs : 0 }")" 2.9 5.1
    must "lost after a loss" "$(awk "BEGIN { print $after ? $again / $after : 0 }")" 0.68 0.82
}
S6_arm() { S6 --ab loss.gemodel.p=1%,loss.gemodel.r=25%; }
S6_control() { S6 --ab loss=3.85%; }

# --- TCP ---------------------------------------------------------------------------------------------

# The exact region of lost segments: 1e-6, two-sided, by the normal law with a correction.
region_of() { awk -v n="$1" -v p="$2" 'BEGIN { s = sqrt(n * p * (1 - p)); printf "%d %d", n * p - 4.9 * s - 3, n * p + 4.9 * s + 4 }'; }

bulk() { # congestion control, seconds, options of lab...
    local control_name=$1 seconds=$2
    shift 2
    lab "$@" --server "iperf3 -s" -- sh -c "$(iperf -C "$control_name" -t "$seconds"); nstat -asz >$tmp/nstat.a"
}

S7() {
    bulk reno 40 "$@"
    read -r low high <<<"$(region_of "$(measured ab.packets)" 0.02)"
    must "lost of $(measured ab.packets)" "$(measured ab.drop_loss)" "$low" "$high"
    must "goodput by Mathis' formula" "$(awk -v g="$(sum_of)" -v rtt="$(value "$tmp/iperf.json" end.streams.1.sender.mean_rtt)" \
        -v p="$(measured ab.loss)" 'BEGIN { print (p > 0 ? g / (1448 * 8 / (rtt / 1e6) * 1.2247 / sqrt(p)) : 0) }')" 0.65 1.20
    must "retransmitted for each lost" "$(awk -v r="$(value "$tmp/iperf.json" end.sum_sent.retransmits)" -v d="$(measured ab.drop_loss)" \
        'BEGIN { print d ? r / d : 0 }')" 0.85 1.25
}
S7_arm() { S7 --delay 40ms --ab loss=2%; }
S7_control() { S7 --delay 40ms --ab loss=0.5%; }

S8() {
    bulk bbr 15 "$@"
    read -r low high <<<"$(region_of "$(measured ab.packets)" 0.02)"
    must "lost of $(measured ab.packets)" "$(measured ab.drop_loss)" "$low" "$high"
    needs "BBR, Mbit/s" "$(awk -v b="$(sum_of)" 'BEGIN { print b / 1e6 }')" 50 1e6
}
S8_arm() { S8 --delay 40ms --ab loss=2%; }
S8_control() { S8 --delay 40ms --ab loss=4%; }

S9() {
    local rate=$1
    shift
    lab --delay 5ms "$@" --server "iperf3 -s" -- sh -c "$(iperf -C cubic -O 5 -t 15)"
    must "goodput of $rate Mbit/s, Mbit/s" "$(awk -v b="$(sum_of)" 'BEGIN { print b / 1e6 }')" \
        "$(awk "BEGIN { print $rate * 1448 / 1514 * 0.995 }")" "$(awk "BEGIN { print $rate * 1448 / 1514 * 1.005 }")"
}
S9_arm() { for rate in 1 10 100; do S9 $rate --rate "${rate}mbit"; done; }
S9_control() { S9 10 --rate 10.2mbit; }

S10() { # congestion control, what the median must be, options
    local name=$1 least=$2 most=$3
    shift 3
    lab --delay 10ms "$@" --server "iperf3 -s" -- sh -c "$(iperf -C "$name" -t 15) & sleep 3; ping -4 -c 200 -i 0.05 b; wait"
    must "median ping beside $name, ms" "$(rtts | quantile 0.5)" "$least" "$most"
    must "longest ping, ms" "$(rtts | quantile 1)" 20 1250
    must "goodput, Mbit/s" "$(awk -v b="$(sum_of)" 'BEGIN { print b / 1e6 }')" 8.6 10
}
S10_arm() {
    S10 cubic 150 1150 --ab rate=10mbit,queue=1s
    S10 cubic 20 60 --ab rate=10mbit,queue.aqm=codel
    S10 bbr 20 60 --ab rate=10mbit,queue=1s
}
S10_control() { S10 cubic 150 1150 --ab rate=10mbit,queue=20ms; }

S11() {
    datagrams 12500 1250 1200 "$@"
    read -r lost _ _ _ <<<"$(losses 12500)"
    must "share lost" "$(awk "BEGIN { print $lost / 12500 }")" 0.175 0.205
    must "delivered, Mbit/s" "$(awk 'NF == 4 { n++; if (!a) a = $3; z = $3 } END { print n * 9600 / ((z - a) / 1e9) / 1e6 }' "$tmp/udp")" 9.55 9.75
}
S11_arm() { S11 --ab rate=10mbit,queue=50ms; }
S11_control() { S11 --ab rate=11mbit,queue=50ms; }

# A paced stream over a path that is gone for so long: the longest silence at the receiver.
S12() { # seconds
    local gone=$1
    shift
    printf 'network { owd = "20ms" }\nat "3s" { down = { now = %s } }\nat "%ss" { down = { now = false } }\n' \
        "${1:-true}" "$((3 + gone))" >"$tmp/blackout.lua"
    lab --scenario "$tmp/blackout.lua" --server "iperf3 -s -i 0.1 --logfile $tmp/server.log" -- sh -c "$(iperf -C cubic -b 2M -t $((6 + 3 * gone)))"
    must "silence of a blackout of $gone s" "$(awk '/sec/ && /bits\/sec/ && !/sender|receiver/ { split($0, f); bytes = 0
        for (i in f) if (f[i] ~ /Bytes$/) bytes = f[i - 1]; if (bytes + 0 == 0) { s += 0.1; if (s > m) m = s } else s = 0 } END { print m + 0 }' \
        "$tmp/server.log")" "$(awk "BEGIN { print $gone - 0.15 }")" "$((2 * gone + 1)).2"
}
S12_arm() { for gone in 1 2 5; do S12 $gone; done; }
S12_control() { S12 2 false; }

S13() { # options of the arm that reorders
    bulk cubic 8 "$@"
    must "reordering that TCP saw" "$(count_of "$tmp/nstat.a" TcpExtTCPSACKReorder)" 100 1e9
    local reordered
    reordered=$(sum_of)
    bulk cubic 8 --ab owd=40ms,jitter.half=20ms
    must "reordering in order" "$(count_of "$tmp/nstat.a" TcpExtTCPSACKReorder)" 0 0
    must "goodput in order for that out of order" "$(awk -v a="$(sum_of)" -v b="$reordered" 'BEGIN { print a / b }')" 3 1e6
}
S13_arm() { S13 --ab owd=40ms,jitter.half=20ms,jitter.mode=reorder; }
S13_control() { S13 --ab owd=40ms; }

S14() { # option of the arm in which data is lost, of that in which acknowledgements are
    bulk cubic 5 --delay 1ms "$1" "$2"
    local data
    data=$(sum_of)
    bulk cubic 5 --delay 1ms "$3" "$4"
    must "goodput with data lost, Mbit/s" "$(awk -v b="$data" 'BEGIN { print b / 1e6 }')" 0.01 20
    must "goodput with acknowledgements lost for that" "$(awk -v a="$(sum_of)" -v b="$data" 'BEGIN { print a / b }')" 20 1e6
}
S14_arm() { S14 --ab loss=10% --ba loss=30%; }
S14_control() { S14 --ba loss=10% --ab loss=30%; }

S15() {
    lab "$@" --server "$udp answer 5001" --wait 5001 -- "$udp" ask b 5001 4000 60 3
    local name
    while read -r name try low high; do
        must "share $name" "$(awk -v t="$try" '{ n += $1 == t } END { print n / NR }' "$tmp/out")" "$low" "$high"
    done <<'LAW'
first 1 0.685 0.755
second 2 0.171 0.233
third 3 0.038 0.074
none 0 0.010 0.034
LAW
}
S15_arm() { S15 --ab loss=20% --ba loss=10%; }
S15_control() { S15 --ab loss=20%; }

# b is not heard for 5 s, while it hears all.
S16() {
    cat >"$tmp/oneway.lua" <<LUA
partition "2s" { "$1" }
heal "7s" {}
LUA
    lab --scenario "$tmp/oneway.lua" --server "sh -c '$udp receive 5000 10000 6 >$tmp/udp.b'" \
        --server "sh -c 'sleep 0.3; $udp send a 5000 1800 200 100 >/dev/null'" --wait 5000 -- sh -c \
        "$udp receive 5000 1800 4 >$tmp/udp.a & $udp send b 5000 1800 200 100 >/dev/null; wait"
    must "of b's 1,800 at a" "$(awk 'NF == 4' "$tmp/udp.a" | wc -l)" 1800 1800
    must "of a's 1,800 at b" "$(awk 'NF == 4' "$tmp/udp.b" | wc -l)" 780 820
    needs "silence at b, s" "$(awk 'NF == 4 { if (p && $3 - p > m) m = $3 - p; p = $3 } END { print m / 1e9 }' "$tmp/udp.b")" 4.97 5.06
}
S16_arm() { S16 'a>b'; }
S16_control() { S16 'b>a'; }

S17() { # fix, wrong at the application from and to, bad checksums from and to, options
    local wrong_low=$1 wrong_high=$2 bad_low=$3 bad_high=$4
    shift 4
    lab "$@" --server "sh -c '$udp receive 5000 10000 1 >$tmp/udp'" --server "sh -c '$counting'" --wait 5000 -- sh -c \
        "$udp send b 5000 10000 4000 1400 >/dev/null; sleep 1.2; $ask_b"
    must "wrong at the application" "$(awk 'NF == 4 && ($4 > 0 || $1 >= 10000)' "$tmp/udp" | wc -l)" "$wrong_low" "$wrong_high"
    must "bad checksums" "$(count_of "$tmp/nstat.b" UdpInCsumErrors)" "$bad_low" "$bad_high"
    must "wrong in more than one bit" "$(awk 'NF == 4 && $4 > 1 && $1 < 10000' "$tmp/udp" | wc -l)" 0 20
}
S17_arm() {
    S17 0 0 856 1150 --ab corrupt=10%
    S17 856 1150 0 0 --ab corrupt=10%,corrupt.fix=all
}
S17_control() { S17 856 1150 0 0 --ab corrupt=10%; }

S18() { # seconds, least and most bytes, options
    local seconds=$1 least=$2 most=$3
    shift 3
    lab "$@" --server "sh -c 'iperf3 -s -i 1 --logfile $tmp/server.log'" --wait 5201 -- sh -c \
        "timeout $seconds iperf3 -4 -c b -C cubic -n 5M >/dev/null 2>&1; ip route get 10.77.0.2 >$tmp/route; true"
    must "bytes that left for b" "$(awk -v p="$(measured ab.delivered)" 'BEGIN { print p * 1400 }')" "$least" "$most"
}
S18_arm() {
    S18 5 0 60000 --set mtu=1400
    must "no path MTU is known" "$(grep -c 'mtu 1400' "$tmp/route" || true)" 0 0
    # how long it takes to complete is the losses' at the beginning
    S18 30 5000000 20000000 --set mtu=1400,mtu.icmp=true
    must "path MTU of 1400" "$(grep -c 'mtu 1400' "$tmp/route" || true)" 1 1
}
S18_control() { S18 5 0 60000 --set mtu=1500; }

# One of two connections is reset at its millionth byte.
S19() {
    lab "$@" --delay 2ms --rate 50mbit --server "iperf3 -s -p 5001 --logfile $tmp/server1.log" --server "iperf3 -s -p 5002" --server "sh -c '$counting'" --wait 5002 -- sh -c \
        "(iperf3 -4 -c b -p 5001 -n 5M 2>&1; true) >$tmp/first & iperf3 -4 -c b -p 5002 -n 5M -J >$tmp/iperf.json; wait; $ask_b; nstat -asz >$tmp/nstat.a"
    must "resets that the sender met" "$(grep -c 'Connection reset' "$tmp/first" || true)" 1 2
    must "resets in the server" "$(count_of "$tmp/nstat.b" TcpEstabResets)" 1 2
    must "bytes of the other" "$(value "$tmp/iperf.json" end.sum_sent.bytes)" 5000000 6000000
    must "challenge acknowledgements" "$(($(count_of "$tmp/nstat.b" TcpExtTCPChallengeACK) + $(count_of "$tmp/nstat.a" TcpExtTCPChallengeACK)))" 0 0
}
S19_arm() { S19 --ab 'rst.at=1000000,rst.match=tcp and dst port 5001'; }
S19_control() { S19 --ab loss=0%; }

# What lives is replayed: the same content has the same fate, and the same seed the same bytes. A link by
# a Mahimahi trace of one line.
S20() { # seed of the replay
    local i differ=0
    rm -f "$tmp/before.pcapng"
    datagrams 3000 1500 200 --ab "loss=10%,key=content,capture.before=$tmp/before.pcapng,decisions=$tmp/live"
    for i in 1 2 3; do
        "$vanguard" simulate -q "$tmp/before.pcapng" --app ab --seed "$1" --loss 10% --set key=content \
            --decisions "$tmp/replayed" -o "$tmp/$i.pcap" || verdict=failed
        cmp -s "$tmp/1.pcap" "$tmp/$i.pcap" || differ=$((differ + 1))
    done
    must "replays that are not as the first" "$differ" 0 0
    must "decisions" "$(grep -c -v '^#' "$tmp/live")" 3000 4000
    for i in live replayed; do grep -v '^#' "$tmp/$i" | awk '{ print $6, $4 }' | sort >"$tmp/$i.sorted"; done
    must "fates that differ" "$(comm -3 "$tmp/live.sorted" "$tmp/replayed.sorted" | wc -l)" 0 0
}
S20_arm() {
    S20 "$seed"
    echo 1 >"$tmp/link.trace"
    datagrams 8000 1300 1400 --ab "trace.file=$tmp/link.trace,queue=50p"
    must "a trace of 12.032 Mbit/s carries" "$(awk 'NF == 4 && ++all > 300 { n++; if (!a) a = $3; z = $3 } END { print (n - 1) * 1442 * 8 / ((z - a) / 1e9) / 1e6 }' "$tmp/udp")" 11.97 12.09
}
S20_control() { S20 $((seed + 1)); }

# --- all of them -------------------------------------------------------------------------------------

# Sets $verdict: what an arm says, once it says something.
try() { # arm
    local i before began
    for i in $(seq $TRIES); do
        verdict=''
        before=$(waited)
        began=${EPOCHREALTIME/./}
        "$1"
        if [ -z "$control" ] && [ "$verdict" = failed ] && starved "$before" "$began"; then
            verdict=inconclusive
        fi
        [ "$verdict" = inconclusive ] || break
        say "try $i of $TRIES says nothing"
    done
}

main_arm() {
    try "${scenario}_arm"
    [ "$verdict" != inconclusive ] || exit 8
    [ -z "$verdict" ] || exit 1
}

control_arm() {
    control=control
    try "${scenario}_control" 2>"$tmp/control.log"
    if [ "$verdict" != failed ]; then
        cat "$tmp/control.log" >&2
        say "FAILED: the control arm passes"
        exit 1
    fi
    say "does not pass: $(grep -c 'is not within' "$tmp/control.log") criteria"
    control=''
}

[ -x "$udp" ] || make -s "$BUILD/bench/datagrams" >&2
# shellcheck disable=SC2086 # one word per scenario
[ $# -gt 0 ] || set -- $SUITE
for scenario in "$@"; do
    case " $SUITE " in *" $scenario "*) ;; *) say "there is no such scenario"; exit 2 ;; esac
    main_arm
    control_arm
    say "passed"
done
