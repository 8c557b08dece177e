#!/usr/bin/env bash
# VXLAN frames from one veth pair to another, out of their tunnel and with another destination, ours
# beside the kernel's vxlan device with nft, all in one run:
#
#     blast (a) -- eth0 == a0 [ dut ] b0 == eth0 -- sink (b)
#
# What is in the kernel runs on the source's processor (1), which then cannot outrun it: nothing may
# be lost. Programs have processor 1, the source has 0 and outruns them. Rounds go A B C A B C,
# medians are shown. Then what time frames take, at half of that rate, by stamps in them, and what of a
# processor the fast path needs for 85,000 a second, when a NAPI thread on processor 1 does all of it.
# Figures: $BUILD/vxlan_wires.json.
#
#     vxlan_wires.sh [ROUNDS] [SECONDS]
# shellcheck disable=SC2016 # a program in single quotes
set -euo pipefail
cd "$(dirname "$0")/../.."
BUILD=${BUILD:-build}
BENCH=$PWD/$BUILD/bench
VANGUARD=$PWD/$BUILD/vanguard
ROUNDS=${1:-5}
SECONDS_EACH=${2:-3}
ROWS=${ROWS:-"fast kernel xdp_socket raw_socket"}
SECONDS_THREAD=${SECONDS_THREAD:-10}
SIZES="114 850"
TOGETHER="1 16 64"

id=vgx$$
tmp=$(mktemp -d)
program=

cleanup() {
    set +e
    stop_row
    for ns in a dut b; do ip netns del "$id-$ns" 2>/dev/null; done
    rm -rf "$tmp"
}
# shellcheck source=selftest/bench/lab.sh
. selftest/bench/lab.sh
trap cleanup EXIT
trap 'exit 130' INT TERM


build_network() {
    local ns
    for ns in a dut b; do
        ip netns add "$id-$ns"
        n "$ns" sysctl -qw net.ipv6.conf.default.disable_ipv6=1
    done
    ip -n "$id-a" link add eth0 type veth peer name a0 netns "$id-dut"
    ip -n "$id-b" link add eth0 type veth peer name b0 netns "$id-dut"
    for end in a:eth0 b:eth0 dut:a0 dut:b0; do ip -n "$id-${end%:*}" link set "${end#*:}" up; done
    # Frames from live.c and from a redirect need NAPI where they arrive.
    n b "$BENCH/live" sink eth0
    n a "$BENCH/live" sink eth0
    n dut ethtool -K a0 gro on
    ip -n "$id-dut" addr add 192.0.2.2/24 dev a0
    ip -n "$id-dut" addr add 172.30.82.1/24 dev b0
    ip -n "$id-dut" neigh add 172.30.82.95 lladdr "$(mac_of b eth0)" dev b0
}

# A frame of so many bytes: UDP from 10.42.0.1 to 10.42.0.2, port 8080, in network 42.
frame='my ($size, $outer_to, $inner_to) = @ARGV; sub mac { pack "H12", $_[0] =~ tr/://dr }
    sub sum { my $s = 0; $s += $_ for unpack "n*", $_[0] . (length($_[0]) % 2 ? "\0" : ""); $s = ($s & 65535) + ($s >> 16) while $s >> 16; ~$s & 65535 }
    sub ip { my ($from, $to, $payload, $df) = @_; my $h = pack "CCnnnCCna4a4", 69, 0, 20 + length $payload, 7, $df, 64, 17, 0, pack("C4", split /\./, $from), pack("C4", split /\./, $to);
        substr($h, 10, 2) = pack "n", sum($h); $h . $payload }
    sub udp { my ($from, $to, $sport, $dport, $payload, $checked) = @_; my $u = pack("nnnn", $sport, $dport, 8 + length $payload, 0) . $payload;
        substr($u, 6, 2) = pack "n", sum(pack("C4C4xCn", split(/\./, $from), split(/\./, $to), 17, length $u) . $u) if $checked; $u }
    my $payload = "\0" x 8 . "\xff" x 8 . join "", map { chr($_ & 255) } 1 .. $size - 50 - 42 - 16; # begins with room for a stamp
    my $inner = mac($inner_to) . mac("020000004201") . pack("n", 0x800) . ip("10.42.0.1", "10.42.0.2", udp("10.42.0.1", "10.42.0.2", 4000, 8080, $payload, 1), 0x4000);
    binmode STDOUT; print mac($outer_to), mac("020000000001"), pack("n", 0x800), ip("192.0.2.1", "192.0.2.2", udp("", "", 50000, 4789, pack("NN", 0x08000000, 42 << 8) . $inner, 0), 0)'

make_frames() {
    local size
    for size in $SIZES; do perl -e "$frame" "$size" "$(mac_of dut a0)" 02:00:00:00:42:02 >"$tmp/$size"; done
}

graph() { # fastpath, class, more parameters, how it runs
    cat >"$tmp/graph.lua" <<LUA
local c = config.new()
config.app(c, "tunnel", "$2", { ifname = "a0" })
config.app(c, "nat", VxlanNat, { ingress = "a0", egress = "b0", fastpath = "$1", vnis = "42", allow = "10.42.0.0/24",
    rules = { { proto = "udp", port = "8080", to = "172.30.82.95:8081" } } })
config.app(c, "egress", "$2", { ifname = "b0" $3 })
config.chain(c, "tunnel", "nat", "egress")
engine.configure(c)
LUA
    ip netns exec "$id-dut" taskset -c 1 "$VANGUARD" run --no-report ${4+"$4"} "$tmp/graph.lua" >"$tmp/log" 2>&1 &
    program=$!
    sleep 1
    kill -0 "$program" || { cat "$tmp/log" >&2; return 1; }
}

kernel() {
    ip -n "$id-dut" link add vx0 address 02:00:00:00:42:02 type vxlan id 42 local 192.0.2.2 dstport 4789 nolearning
    ip -n "$id-dut" link set vx0 up
    ip -n "$id-dut" addr add 10.42.0.2/24 dev vx0
    n dut sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.vx0.rp_filter=0
    n dut nft add table ip nat
    n dut nft add chain ip nat pre '{ type nat hook prerouting priority -100; }'
    n dut nft add rule ip nat pre udp dport 8080 dnat to 172.30.82.95:8081
}

start_row() {
    case $1 in
    fast) graph xdp XdpSocket ', mode = "tx"' && grep -q "fast path: native" "$tmp/log" ;;
    xdp_socket) graph off XdpSocket ', mode = "tx"' ;;
    raw_socket) graph off RawSocket '' ;;
    xdp_socket_busy) graph off XdpSocket ', mode = "tx"' --busy ;;
    raw_socket_busy) graph off RawSocket '' --busy ;;
    kernel) kernel ;;
    esac
}
stop_row() {
    [ -z "$program" ] || { kill "$program" && wait "$program"; } 2>/dev/null || true
    program=
    if ip -n "$id-dut" link show vx0 >/dev/null 2>&1; then
        ip -n "$id-dut" link del vx0
        n dut nft delete table ip nat
        n dut sysctl -qw net.ipv4.ip_forward=0
    fi
}

counted() { n b ethtool -S eth0 | awk '/rx_queue_.*xdp_packets/ { sum += $2 } END { print sum + 0 }'; }
cpu_of() { case $1 in fast | kernel) echo 1 ;; *) echo 0 ;; esac; }

# Adds a line "kpps lost-percent" to the file of this row and size.
measure() { # row, size
    local before sent
    n a taskset -c "$(cpu_of "$1")" "$BENCH/live" blast eth0 "$2" 0.1 "$tmp/$2" >/dev/null
    sleep 0.2
    before=$(counted)
    sent=$(n a taskset -c "$(cpu_of "$1")" "$BENCH/live" blast eth0 "$2" "$SECONDS_EACH" "$tmp/$2" | grep -oE '[0-9]+' | head -1)
    sleep 0.2
    awk -v n=$(($(counted) - before)) -v sent="$sent" -v s="$SECONDS_EACH" \
        'BEGIN { printf "%.0f %.4f\n", n / s / 1000, 100 * (1 - n / sent) }' >>"$tmp/$1.$2.rate"
}


# The time that frames take, in a line "sent arrived p50 p99 p99.9 max", ns.
stamps() { # row, size, frames a second
    n b "$BENCH/live" sink eth0
    taskset -c "$(cpu_of "$1")" "$BENCH/stamps" "$id-a" eth0 "$id-b" eth0 "$tmp/$2" 50 "$3" "$SECONDS_EACH"
}

# Nanoseconds that the thread has run.
ran() { awk '{ print $1 }' "/proc/$1/schedstat"; }

# 85,000 frames a second, so many together; all but the source is the thread's. A line "percent-of-a-processor
# lost-percent p50 p99" for each.
measure_thread() {
    local thread before together
    start_row fast
    n dut sh -c 'echo 1 >/sys/class/net/a0/threaded'
    thread=$(pgrep -x "napi/a0-[0-9]*" | head -1)
    taskset -pc 1 "$thread" >/dev/null
    chrt -f -p 1 "$thread" # or another one keeps it from its ring of 256 for milliseconds
    for together in $TOGETHER; do
        before=$(ran "$thread")
        taskset -c 0 "$BENCH/stamps" "$id-a" eth0 "$id-b" eth0 "$tmp/850" 50 85000 "$SECONDS_THREAD" "$together" >"$tmp/thread"
        awk -v ns=$(($(ran "$thread") - before)) '{ printf "%.1f %.4f %d %d\n", 100 * ns / ($2 / 85000 * 1e9), 100 * (1 - $2 / $1), $3, $4 }' \
            "$tmp/thread" >"$tmp/thread.$together"
    done
    n dut sh -c 'echo 0 >/sys/class/net/a0/threaded'
    stop_row
}

build_network
make_frames
for _ in $(seq "$ROUNDS"); do
    for row in $ROWS; do
        start_row "$row"
        for size in $SIZES; do measure "$row" "$size"; done
        stop_row
    done
done
# Programs that do not sleep as well: the others wait for several frames together.
TIMED=$(for row in $ROWS; do echo "$row"; done; for row in $ROWS; do case $row in *_socket) echo "${row}_busy" ;; esac; done)
for _ in $(seq "$ROUNDS"); do
    for row in $TIMED; do
        start_row "$row"
        for size in $SIZES; do stamps "$row" "$size" $(($(median "$tmp/${row%_busy}.$size.rate" 1) * 500)) >>"$tmp/$row.$size.took"; done
        stop_row
    done
done
measure_thread
printf 'kpps out of a tunnel and on, by veth (and lost); medians of %s\n%-14s' "$ROUNDS" ""
for size in $SIZES; do printf ' %22s' "$size bytes"; done
echo
json='{'
for row in $ROWS; do
    printf '%-14s' "$row"
    json+="${first:-}\"$row\": {"
    inner=
    for size in $SIZES; do
        kpps=$(median "$tmp/$row.$size.rate" 1) lost=$(median "$tmp/$row.$size.rate" 2)
        printf ' %10s %11s' "$kpps" "($lost %)"
        json+="$inner\"$size\": {\"kpps\": $kpps, \"lost_percent\": $lost}"
        inner=', '
    done
    echo
    json+='}'
    first=', '
done
printf '\nmicroseconds from wire to wire at half of that rate: p50, p99, max\n'
json+=', "times": {'
first=
for row in $TIMED; do
    printf '%-16s' "$row"
    json+="${first:-}\"$row\": {"
    inner=
    for size in $SIZES; do
        json+="$inner\"$size\": {\"p50_ns\": $(median "$tmp/$row.$size.took" 3), \"p99_ns\": $(median "$tmp/$row.$size.took" 4), "
        json+="\"max_ns\": $(median "$tmp/$row.$size.took" 6)}"
        inner=', '
        awk -v a="$(median "$tmp/$row.$size.took" 3)" -v b="$(median "$tmp/$row.$size.took" 4)" -v c="$(median "$tmp/$row.$size.took" 6)" \
            'BEGIN { printf " %22s", sprintf("%.1f %.1f %.0f", a / 1000, b / 1000, c / 1000) }'
    done
    echo
    json+='}'
    first=', '
done
json+='}'
printf '\n85,000 frames of 850 bytes a second by the fast path in a thread of its own: %% of a processor, %% lost, p50 and p99 in us\n'
json+=', "thread": {'
inner=
for together in $TOGETHER; do
    read -r cpu lost p50 p99 <"$tmp/thread.$together"
    printf '%-14s %10s %11s %10s %11s\n' "$together together" "$cpu" "($lost)" "$((p50 / 1000))" "$((p99 / 1000))"
    json+="$inner\"$together\": {\"processor_percent\": $cpu, \"lost_percent\": $lost, \"p50_ns\": $p50, \"p99_ns\": $p99}"
    inner=', '
done
echo "$json}}" >"$BUILD/vxlan_wires.json"
