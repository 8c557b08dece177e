#!/usr/bin/env bash
# What a flood of datagrams from one blocked source costs the host it is for, with vanguard sentinel
# in front of it and without; and how soon a block is told of on stdout.
#
#     gen: frames that the kernel makes (live.c, CPU 0) -- eth0 == d0 -- dut: threaded NAPI (CPU 1)
#
# All that the kernel does for a frame that comes, XDP, IP, UDP, is CPU time of one kernel thread,
# whatever else the machine does. Added to it is that of the sentinel's process. Without it the frames are
# for a socket that nobody reads: what a server would do with them is not counted. More are sent than
# either can take. Rounds go A B C A B C ..., medians are shown. Figures: $BUILD/protected.json.
#
#     protected.sh [ROUNDS] [SECONDS] [BLOCKS]
# shellcheck disable=SC2016 # it is awk, perl and other shells that expand
set -euo pipefail
cd "$(dirname "$0")/../.."
BUILD=${BUILD:-build}
VANGUARD=$PWD/$BUILD/vanguard
LIVE=$PWD/$BUILD/bench/live
ROUNDS=${1:-5}
SECONDS_EACH=${2:-2}
BLOCKS=${3:-100}

id=vgp$$
tmp=$(mktemp -d)
source=192.0.2.66
host=192.0.2.2
sentinel=

cleanup() {
    set +e
    for ns in gen dut; do
        ip netns pids "$id-$ns" 2>/dev/null | xargs -r kill 2>/dev/null
        ip netns del "$id-$ns" 2>/dev/null
    done
    rm -rf "$tmp"
}
# shellcheck source=selftest/bench/lab.sh
. selftest/bench/lab.sh
trap cleanup EXIT
trap 'exit 130' INT TERM

wait_for() { # command...: ten seconds
    for _ in $(seq 200); do
        "$@" >/dev/null 2>&1 && return 0
        sleep 0.05
    done
    echo "protected.sh: waited in vain: $*" >&2
    cat "$tmp"/*.log >&2
    exit 1
}

# A datagram of 60 bytes for the host of this MAC; and whose it is.
datagram='my ($mac) = @ARGV; binmode STDOUT;
    my $ip = pack("CCnnnCCnC8", 0x45, 0, 46, 1, 0, 64, 17, 0, 192, 0, 2, 66, 192, 0, 2, 2);
    my $sum = 0; $sum += $_ for unpack "n*", $ip; $sum = ($sum & 0xffff) + ($sum >> 16) while $sum >> 16;
    substr($ip, 10, 2) = pack "n", ~$sum & 0xffff;
    print pack("H12H12n", $mac =~ tr/://dr, "020000000001", 0x800), $ip, pack("nnnn", 1024, 81, 26, 0), "x" x 18;'
server='use IO::Socket::INET; my $s = IO::Socket::INET->new(LocalPort => 81, Proto => "udp") or die "$!\n"; sleep;'

build_network() {
    local ns
    for ns in gen dut; do
        ip netns add "$id-$ns"
        n "$ns" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
    done
    ip -n "$id-gen" link add eth0 type veth peer name d0 netns "$id-dut"
    ip -n "$id-gen" link set eth0 up
    ip -n "$id-dut" link set d0 up
    ip -n "$id-dut" addr add $host/24 dev d0
    ip -n "$id-gen" addr add 192.0.2.1/24 dev eth0
    ip -n "$id-gen" neigh replace $host dev eth0 lladdr "$(mac_of dut d0)"
    n dut ethtool -K d0 gro on
    ip netns exec "$id-dut" perl -e "$server" &
    perl -e "$datagram" "$(mac_of dut d0)" >"$tmp/datagram"
}

# Sets $receiver, the kernel's thread for d0. Interfaces of other namespaces have such threads too.
thread_receiver() {
    local before after
    before=$(pgrep -x 'napi/d0-.*' | sort || true)
    n dut sh -c 'echo 1 >/sys/class/net/d0/threaded'
    after=$(pgrep -x 'napi/d0-.*' | sort || true)
    receiver=$(comm -13 <(echo "$before") <(echo "$after") | head -1)
    [ -n "$receiver" ] || { echo "protected.sh: no thread for d0: threaded NAPI (Linux 5.12)" >&2; exit 1; }
    taskset -pc "$(nproc --all --ignore=1)" "$receiver" >/dev/null
}

start() { # row
    sentinel=
    case $1 in
    unprotected) return ;;
    esac
    ip netns exec "$id-dut" "$VANGUARD" sentinel d0 --attach "$1" --block $source --name "$id" >"$tmp/out" 2>"$tmp/sentinel.log" &
    sentinel=$!
    wait_for grep -q '"type":"watch"' "$tmp/out"
}
stop() {
    [ -z "$sentinel" ] || { kill "$sentinel" && wait "$sentinel"; }
    sentinel=
}

cpu_ns() { cat "/proc/$receiver/schedstat" ${sentinel:+/proc/$sentinel/task/*/schedstat} | awk '{ n += $1 } END { printf "%.0f", n }'; }
came() { n dut awk '$1 == "d0:" { print $3 }' /proc/net/dev; }
handled() { n dut awk '$1 == "Ip:" && $4 + 0 == $4 { print $4 }' /proc/net/snmp; }

# Adds a line "frames a second, ns a frame, share of the frames that IP saw".
measure() { # row
    local cpu frames up began
    start "$1"
    began=${EPOCHREALTIME/./} cpu=$(cpu_ns) frames=$(came) up=$(handled)
    n gen taskset -c 0 "$LIVE" blast eth0 60 "$SECONDS_EACH" "$tmp/datagram" >/dev/null
    awk -v us=$((${EPOCHREALTIME/./} - began)) -v n=$(($(came) - frames)) -v c=$(($(cpu_ns) - cpu)) -v up=$(($(handled) - up)) \
        'BEGIN { printf "%.0f %.0f %.4f\n", n / us * 1e6, n ? c / n : 0, n ? up / n : 0 }' >>"$tmp/row.$1"
    stop
}

quantile() { # share, column, file
    awk -v c="$2" '{ print $c }' "$3" | sort -g | awk -v q="$1" '{ x[NR] = $1 } END { print x[int((NR - 1) * q) + 1] }'
}

# How late the line of a block is on stdout, ms, by the clock that the program in the kernel has.
reader='$| = 1; while (<STDIN>) { next unless /"event":"block"/ && /"time":([0-9.]+)/; my $t = pack "qq", 0, 0; syscall(228, 7, $t);
    my ($s, $n) = unpack "qq", $t; printf "%.2f\n", 1e3 * ($s + $n / 1e9 - $1); }'
told() { [ "$(wc -l <"$tmp/late")" -ge "$1" ]; }
time_blocks() {
    local i
    : >"$tmp/late"
    mkfifo "$tmp/lines"
    perl -e "$reader" <"$tmp/lines" >"$tmp/late" &
    ip netns exec "$id-dut" "$VANGUARD" sentinel d0 --src-syn 10 --set src_syn.burst=10 --name "$id" >"$tmp/lines" 2>"$tmp/sentinel.log" &
    sentinel=$!
    wait_for n dut sh -c 'ip link show d0 | grep -q prog/xdp'
    for i in $(seq "$BLOCKS"); do
        ip netns exec "$id-gen" timeout 5 hping3 -I eth0 -a "198.51.100.$i" -c 100 -i u100 -q -S -p 81 $host >/dev/null 2>&1 &
        wait_for told "$i"
        kill $! 2>/dev/null || true
        wait $! 2>/dev/null || true
    done
    stop
}

build_network
thread_receiver
rows="unprotected native generic"
for _ in $(seq "$ROUNDS"); do
    for row in $rows; do measure "$row"; done
done
time_blocks
median_of() { quantile 0.5 "$1" "$tmp/row.$2"; }
printf '\nA host under a flood of one blocked source, %s rounds of %s s\n' "$ROUNDS" "$SECONDS_EACH"
printf '%-14s %12s %12s %22s %12s\n' "" "frames/s" "ns a frame" "% of a core at 100 kpps" "share up"
for row in $rows; do
    printf '%-14s %12s %12s %22s %12s\n' "$row" "$(median_of 1 "$row")" "$(median_of 2 "$row")" "$(median_of 2 "$row" | awk '{ print $1 / 100 }')" "$(median_of 3 "$row")"
done
printf 'a block is on stdout after ms (goal 100): median %s, 99 of 100 %s, of %s\n' "$(quantile 0.5 1 "$tmp/late")" "$(quantile 0.99 1 "$tmp/late")" "$BLOCKS"
{
    printf '{'
    for row in $rows; do
        printf '"%s": {"frames_per_second": %s, "ns_per_frame": %s}, ' "$row" "$(median_of 1 "$row")" "$(median_of 2 "$row")"
    done
    printf '"block_told_ms": {"median": %s, "p99": %s, "goal": 100}}\n' "$(quantile 0.5 1 "$tmp/late")" "$(quantile 0.99 1 "$tmp/late")"
} >"$BUILD/protected.json"
