#!/usr/bin/env bash
# Frames between two veth pairs through one forwarding process on a CPU of its own, ours beside
# others, all in one run:
#
#     blast (a, CPU 0) -- eth0 == m1 [ forwarder, CPU 1 ] m2 == eth0 -- sink (b)
#
# The source makes frames in the kernel (live.c) and outruns every forwarder, the sink is an XDP
# program that drops and counts. Per CPU-second is by the forwarder's own time, where it is a
# process. Rounds go A B C ... A B C ..., medians are shown. Figures: $BUILD/wires.json.
#
#     wires.sh [ROUNDS] [SECONDS]
set -euo pipefail
cd "$(dirname "$0")/../.."
BUILD=${BUILD:-build}
BENCH=$PWD/$BUILD/bench
VANGUARD=$PWD/$BUILD/vanguard
ROUNDS=${1:-5}
SECONDS_EACH=${2:-2}
ROWS=${ROWS:-"direct redirect bridge testpmd_af_packet testpmd_af_xdp minimal_packet minimal_xdp raw_socket xdp_socket"}

id=vgw$$
tmp=$(mktemp -d)
forwarder=

cleanup() {
    set +e
    stop_forwarder
    for ns in a m b; do ip netns del "$id-$ns" 2>/dev/null; done
    rm -rf "$tmp"
}
# shellcheck source=selftest/bench/lab.sh
. selftest/bench/lab.sh
trap cleanup EXIT
trap 'exit 130' INT TERM


connect() { # from, its interface, to, its interface
    ip -n "$id-$1" link add "$2" type veth peer name "$4" netns "$id-$3"
    ip -n "$id-$1" link set "$2" up
    ip -n "$id-$3" link set "$4" up
}

build_network() {
    local ns
    for ns in a m b; do
        ip netns add "$id-$ns"
        n "$ns" sysctl -qw net.ipv6.conf.default.disable_ipv6=1
    done
    connect a eth0 m m1
    connect b eth0 m m2
    connect a direct b direct
    # Frames from live.c and from a redirect need NAPI where they arrive.
    for ns in a b; do
        n "$ns" "$BENCH/live" sink eth0
        n "$ns" "$BENCH/live" sink direct
    done
    n m ethtool -K m1 gro on
    n m ethtool -K m2 gro on
}

counted() { # namespace, interface: frames that its sink got
    n "$1" ethtool -S "$2" | awk '/xdp_packets/ { n += $2 } END { print n + 0 }'
}

graph() { # class
    cat >"$tmp/$1.lua" <<LUA
local c = config.new()
config.app(c, "if1", "$1", { ifname = "m1", promisc = true })
config.app(c, "if2", "$1", { ifname = "m2", promisc = true })
config.link(c, "if1 -> if2")
config.link(c, "if2 -> if1")
engine.configure(c)
LUA
}

run_on_cpu_1() {
    ip netns exec "$id-m" taskset -c 1 "$@" >"$tmp/forwarder.log" 2>&1 <"$tmp/nothing" &
    forwarder=$!
}

testpmd() { # driver
    run_on_cpu_1 stdbuf -oL dpdk-testpmd --lcores "0@1,1@1" --no-huge -m 256 --no-pci --no-telemetry --no-shconf --file-prefix "$id-$1" --log-level=1 \
        --vdev "net_$1"0,iface=m1 --vdev "net_$1"1,iface=m2 -- --auto-start --forward-mode=io \
        --total-num-mbufs=32768 --no-lsc-interrupt
    timeout 20 sh -c "until grep -q 'Press enter' '$tmp/forwarder.log'; do sleep 0.1; done"
}

start_forwarder() { # row
    forwarder=
    case $1 in
    direct) ;;
    redirect)
        n m "$BENCH/live" redirect m1 m2
        n m "$BENCH/live" redirect m2 m1
        ;;
    bridge)
        ip -n "$id-m" link add br0 type bridge
        ip -n "$id-m" link set br0 up
        for i in m1 m2; do ip -n "$id-m" link set "$i" master br0; done
        ;;
    testpmd_*) testpmd "${1#testpmd_}" ;;
    minimal_packet) run_on_cpu_1 "$BENCH/forward" m1 m2 ;;
    minimal_xdp) run_on_cpu_1 "$BENCH/forward_xdp" m1 m2 ;;
    raw_socket) run_on_cpu_1 "$VANGUARD" run --no-report "$tmp/RawSocket.lua" ;;
    xdp_socket) run_on_cpu_1 "$VANGUARD" run --no-report "$tmp/XdpSocket.lua" ;;
    esac
    sleep 1
    [ -z "$forwarder" ] || kill -0 "$forwarder" || { cat "$tmp/forwarder.log" >&2; return 1; }
}

stop_forwarder() { # row
    [ -z "$forwarder" ] || { kill "$forwarder" && wait "$forwarder"; } 2>/dev/null || true
    forwarder=
    case ${1-} in
    redirect) for i in m1 m2; do ip -n "$id-m" link set "$i" xdp off; done ;;
    testpmd_af_xdp) sleep 0.5 ;; # until the queues are free
    bridge) ip -n "$id-m" link del br0 ;;
    esac
}

cpu_ticks() { if [ -n "$forwarder" ]; then awk '{ print $14 + $15 }' "/proc/$forwarder/stat"; else echo 0; fi; }

blast() { # namespace, interface, size
    n "$1" taskset -c 0 "$BENCH/live" blast "$2" "$3" "$SECONDS_EACH" >/dev/null
}

# Adds a line "kpps per-CPU-second" to the file of this row, size and direction.
measure() { # row, size, ways
    local interface=eth0 before after ticks
    [ "$1" = direct ] && interface=direct
    before=$(($(counted b "$interface") + $(counted a "$interface")))
    ticks=$(cpu_ticks)
    if [ "$3" = 2 ]; then
        blast b "$interface" "$2" &
        blast a "$interface" "$2"
        wait $!
    else
        blast a "$interface" "$2"
    fi
    sleep 0.1
    after=$(($(counted b "$interface") + $(counted a "$interface")))
    awk -v n=$((after - before)) -v t=$(($(cpu_ticks) - ticks)) -v s="$SECONDS_EACH" \
        'BEGIN { printf "%.0f %.0f\n", n / s / 1000, (t > 0 ? n / (t / 100) / 1000 : 0) }' >>"$tmp/$1.$2.$3"
}

one_way_only() { case $1 in minimal_*) true ;; *) false ;; esac }


table() {
    local row
    echo
    echo "kpps through one forwarder between veth pairs (and per CPU-second of it); medians of $ROUNDS"
    printf '%-20s %17s %17s %17s %17s\n' "" "60 B" "1514 B" "60 B both ways" "1514 B both ways"
    for row in $ROWS; do
        printf '%-20s' "$row"
        for ways in 1 2; do
            for size in 60 1514; do
                printf ' %9s %7s' "$(median "$tmp/$row.$size.$ways" 1)" "($(median "$tmp/$row.$size.$ways" 2))"
            done
        done
        echo
    done
}

json() {
    local row size ways first=
    printf '{'
    for row in $ROWS; do
        printf '%s"%s": {' "$first" "$row"
        first=", "
        local inner=
        for ways in 1 2; do
            for size in 60 1514; do
                [ -s "$tmp/$row.$size.$ways" ] || continue
                printf '%s"%s_bytes_%s_way": {"kpps": %s, "kpps_per_cpu_second": %s}' "$inner" "$size" "$ways" \
                    "$(median "$tmp/$row.$size.$ways" 1)" "$(median "$tmp/$row.$size.$ways" 2)"
                inner=", "
            done
        done
        printf '}'
    done
    printf '}\n'
}

if ! command -v dpdk-testpmd >/dev/null; then
    echo "wires: no dpdk-testpmd (apt-get install dpdk-dev librte-net-af-packet23 librte-net-af-xdp23): left out" >&2
    ROWS=${ROWS/testpmd_af_packet testpmd_af_xdp /}
fi
mkfifo "$tmp/nothing" # testpmd ends with its input
exec 9<>"$tmp/nothing"
graph RawSocket
graph XdpSocket
build_network
for round in $(seq "$ROUNDS"); do
    for row in $ROWS; do
        printf '\rround %d of %d: %-20s' "$round" "$ROUNDS" "$row" >&2
        start_forwarder "$row"
        for size in 60 1514; do
            measure "$row" "$size" 1
            one_way_only "$row" || measure "$row" "$size" 2
        done
        stop_forwarder "$row"
    done
done
printf '\r%60s\r' "" >&2
table
json >"$BUILD/wires.json"
