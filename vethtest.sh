#!/usr/bin/env bash
# vethtest: Vanguard between real network namespaces.
#
#   ┌── a ─────────┐      ┌── m ──────────────────────┐      ┌── b ─────────┐
#   │              │ veth │                           │ veth │              │
#   │         eth0 ├──────┤ m1     vanguard        m2 ├──────┤ eth0         │
#   │ 192.0.2.1    │      │  (no addresses, no route) │      │    192.0.2.2 │
#   │ 2001:db8::1  │      │                           │      │  2001:db8::2 │
#   └──────────────┘      └───────────────────────────┘      └──────────────┘
#
# usage: vethtest.sh [SCENARIO...]      vethtest.sh --list
#
# Without a scenario it runs those that `make check` runs: all but demo and throughput. Needs
# root. Every interface keeps its default offloads. Exit code: 0 passed, 1 failed, 43 cannot run here.
# S1 to S20 are those of selftest/synthetic.sh, which need no root.
set -euo pipefail
cd "$(dirname "$0")"
BUILD=${BUILD:-build}
VANGUARD=$PWD/$BUILD/vanguard
SUITE="connectivity gso examples impaired reload interface_life kill9 cleanup tap programs tune xdp_bridge xdp_match xdp_kill9"
EXTRA="throughput demo"

id=vg$$
tmp=$(mktemp -d)
pids=()
scenario=setup
tries=200
# shellcheck source=selftest/scenario.sh
. selftest/scenario.sh

# --- how it talks --------------------------------------------------------------------

fail() {
    say "FAILED: $*"
    for log in "$tmp"/*.log; do
        [ -s "$log" ] && sed "s,^,    $(basename "$log"): ," "$log" | tail -25 >&2
    done
    exit 1
}
n() { # namespace, command...: runs it there, and says so
    local ns=$1
    shift
    printf '\033[2m[%s] %s: %s\033[0m\n' "$scenario" "$ns" "$*" >&2
    ip netns exec "$id-$ns" "$@"
}
quiet() { # the same without a trace
    local ns=$1
    shift
    ip netns exec "$id-$ns" "$@"
}

# --- what it builds and takes down ----------------------------------------------------

cleanup() {
    set +e
    for pid in "${pids[@]}"; do
        kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null
    done
    drop_namespaces a m b
    rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

connect() { # a|b, m's interface: one veth pair, from scratch
    local host=1
    [ "$1" = b ] && host=2
    ip -n "$id-$1" link add eth0 type veth peer name "$2" netns "$id-m"
    ip -n "$id-$1" addr add "192.0.2.$host/24" dev eth0
    ip -n "$id-$1" addr add "2001:db8::$host/64" dev eth0 nodad
    ip -n "$id-$1" link set eth0 up
    ip -n "$id-m" link set "$2" up
}

build_network() {
    for ns in a m b; do
        ip netns del "$id-$ns" 2>/dev/null || true
        ip netns add "$id-$ns"
        ip -n "$id-$ns" link set lo up
        quiet "$ns" sysctl -qw net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.default.accept_ra=0
    done
    quiet m sysctl -qw net.ipv6.conf.default.disable_ipv6=1
    connect a m1
    connect b m2
}

reachable() { quiet a ping -c 1 -W 0.3 -q 192.0.2.2; }
echo_replies() { kernel_count a IcmpInEchoReps Icmp6InEchoReplies; }
answered() { # count, arguments of ping: not one is lost; ping itself gives the last one two round trips
    local goal=$(($(echo_replies) + $1))
    n a ping -c "$@" -q >"$tmp/ping.out" || true
    wait_for "$1 answers" more "$goal" echo_replies
}

start() { # log name, command...: vanguard in namespace m; sets $pid
    local log=$1
    shift
    printf '\033[2m[%s] m: vanguard %s\033[0m\n' "$scenario" "$*" >&2
    ip netns exec "$id-m" "$VANGUARD" "$@" >"$tmp/$log.out" 2>"$tmp/$log.log" &
    pid=$!
    pids+=("$pid")
}

stop() { # pid: by SIGTERM, and it must say it ended well
    kill "$1"
    local status=0
    wait "$1" || status=$?
    [ "$status" -eq 0 ] || fail "vanguard ended with exit code $status"
}

alive() { kill -0 "$1" 2>/dev/null || fail "vanguard is gone"; }

graph() { # file, Clumsy's parameters or nothing: two interfaces, perhaps something in between
    cat >"$1" <<LUA
local c = config.new()
config.app(c, "if1", RawSocket, { ifname = "m1"${options:+, $options} })
config.app(c, "if2", RawSocket, { ifname = "m2"${options:+, $options} })
LUA
    if [ -n "${2-}" ]; then
        cat >>"$1" <<LUA
config.app(c, "forward", Clumsy, $2)
config.app(c, "reverse", Clumsy, $2)
config.chain(c, "if1", "forward", "if2")
config.chain(c, "if2", "reverse", "if1")
LUA
    else
        cat >>"$1" <<LUA
config.link(c, "if1.output -> if2.input")
config.link(c, "if2.output -> if1.input")
LUA
    fi
    echo "engine.configure(c)" >>"$1"
}

serve_iperf() {
    quiet b iperf3 -s -1 -D --logfile "$tmp/iperf-server.log"
    wait_for "iperf3's server" sh -c "ip netns exec $id-b ss -Hltn 'sport = :5201' | grep -q ."
}

iperf_sum() { # sum_sent|sum_received, key: out of the last report
    sed -n "/\"$1\"/,/}/s/.*\"$2\":[[:space:]]*\([0-9.e+-]*\).*/\1/p" "$tmp/iperf.json"
}
iperf_received() { iperf_sum sum_received "$1"; }

json_number() { # file, key, which: the value of the n-th "key": number
    grep -o "\"$2\": *[0-9.e+-]*" "$1" | sed 's/.*: *//' | sed -n "${3:-1}p"
}

# --- scenarios ------------------------------------------------------------------------

# Nothing passes by itself; with two RawSockets everything does, on default offloads.
test_connectivity() {
    build_network
    if quiet a ping -c 1 -W 1 -q 192.0.2.2 >/dev/null; then
        fail "the hosts reach each other without a forwarder"
    fi
    graph "$tmp/bridge.lua"
    start bridge run --no-report "$tmp/bridge.lua"
    wait_for "a ping" reachable
    answered 20 -i 0.01 192.0.2.2
    answered 5 -i 0.01 -s 1472 -M "do" 192.0.2.2
    answered 5 -i 0.01 2001:db8::2
    head -c 20000000 /dev/urandom >"$tmp/data"
    serve_iperf
    n a iperf3 -c 192.0.2.2 -n 20M -F "$tmp/data" -J >"$tmp/iperf.json"
    between "bytes of TCP received" "$(iperf_received bytes)" 10000000 22000000
    serve_iperf
    n a iperf3 -6 -c 2001:db8::2 -u -b 20M -l 1200 -t 1 -J >"$tmp/iperf.json"
    between "bad TCP and UDP checksums in b" "$(kernel_count b TcpInCsumErrors UdpInCsumErrors)" 0 0
    stop "$pid"
}

# Perl, which every Debian has: accepts one connection and prints what comes.
listener="use IO::Socket::INET; \$_ = IO::Socket::INET->new(LocalPort => 9000, Listen => 1) or die \$!;
    \$_ = \$_->accept; while (sysread(\$_, \$b, 1 << 20)) { print \$b }"

# A file of 100 MiB each way at once, then the checksums of the copies and of packets.
copy_both_ways() {
    local ns copies=() sum
    head -c 104857600 /dev/urandom >"$tmp/file"
    sum=$(sha256sum <"$tmp/file")
    for ns in a b; do
        quiet "$ns" timeout 60 perl -e "$listener" >"$tmp/copy.$ns" &
        copies+=($!)
        wait_for "a listener" sh -c "ip netns exec $id-$ns ss -Hltn 'sport = :9000' | grep -q ."
    done
    n a timeout 60 bash -c "cat '$tmp/file' >/dev/tcp/192.0.2.2/9000" &
    copies+=($!)
    n b timeout 60 bash -c "cat '$tmp/file' >/dev/tcp/192.0.2.1/9000" &
    copies+=($!)
    wait "${copies[@]}"
    for ns in a b; do
        [ "$(sha256sum <"$tmp/copy.$ns")" = "$sum" ] || fail "the copy in $ns is not the file"
        between "bad TCP checksums in $ns" "$(kernel_count "$ns" TcpInCsumErrors)" 0 0
    done
    rm "$tmp/file" "$tmp"/copy.*
}

# Super-frames that cross the graph whole.
test_gso() {
    build_network
    local options='offload = "gso"'
    graph "$tmp/gso.lua"
    start gso run --json "$tmp/gso.lua"
    wait_for "a ping" reachable
    copy_both_ways
    stop "$pid"
    between "super-frames" "$(json_number "$tmp/gso.out" rx_gso)" 1000 1000000
    between "packets refused" "$(json_number "$tmp/gso.out" drop_tx_offload)" 0 0
}

# The graphs of config/examples, as the README prints them.
test_examples() {
    build_network
    start forwarder run --no-report config/examples/forwarder.lua m1 m2
    wait_for "a ping" reachable
    stop "$pid"
    start odd run config/examples/odd_drop.lua m1 m2
    wait_for "a ping" reachable
    # 14 bytes of Ethernet, 20 of IP, 8 of ICMP: 56 bytes more are even, 57 odd.
    answered 5 -i 0.01 -s 56 192.0.2.2
    if n a ping -c 3 -i 0.01 -W 1 -q -s 57 192.0.2.2 >"$tmp/ping.out"; then
        fail "frames of odd size came through"
    fi
    stop "$pid"
    start lossy run config/examples/lossy.lua m1 m2
    wait_for "a ping" reachable
    n a ping -c 10 -i 0.05 -W 1 -q 192.0.2.2 >"$tmp/ping.out" || true
    between "smallest round trip, ms" "$(sed -n 's,^rtt [^=]*= \([0-9.]*\)/.*,\1,p' "$tmp/ping.out")" 44 80
    stop "$pid"
}

# What Clumsy is asked for is what the hosts see. Bounds are those of the binomial law at 1e-6;
# times have exact lower bounds and generous upper ones.
test_impaired() {
    build_network
    start flaky flaky m1 m2 --delay 20ms --loss 10% --seed 7
    wait_for "a ping" reachable
    n a ping -c 500 -i 0.005 -W 1 -q 192.0.2.2 >"$tmp/ping.out" || true
    between "pings answered of 500" "$(sed -n 's/.* \([0-9]*\) received.*/\1/p' "$tmp/ping.out")" 360 448
    between "smallest round trip, ms" "$(sed -n 's,^rtt [^=]*= \([0-9.]*\)/.*,\1,p' "$tmp/ping.out")" 40 60
    stop "$pid"
    start slow flaky m1 m2 --rate 10mbit --queue 100ms --seed 7
    wait_for "a ping" reachable
    serve_iperf
    n a iperf3 -c 192.0.2.2 -t 4 -J >"$tmp/iperf.json"
    between "goodput of TCP through 10 Mbit/s" "$(iperf_received bits_per_second)" 5e6 9.8e6
    stop "$pid"
}

runs_with() { # Clumsy's parameters, or nothing
    local path value
    for path in owd rate; do
        value=$(sed -n "s/.*$path = \"\([^\"]*\)\".*/\1/p" <<<"$1")
        [ -z "$value" ] || [ "$("$VANGUARD" ctl "$id" get "forward.$path")" = "forward.$path=$value" ] || return 1
    done
    [ -n "$1" ] || ! "$VANGUARD" ctl "$id" get forward.owd
}

# A new graph under traffic: an app comes into the middle of a link, changes, goes again.
test_reload() {
    build_network
    graph "$tmp/reload.lua"
    start reload run --json --name "$id" "$tmp/reload.lua"
    wait_for "a ping" reachable
    local goal=$(($(echo_replies) + 990)) parameters
    quiet a ping -c 1000 -i 0.003 -q 192.0.2.2 >"$tmp/ping.out" &
    local ping=$!
    for parameters in '{ owd = "5ms" }' '{ owd = "1ms" }' '{ owd = "1ms", rate = "100mbit" }' ''; do
        sleep 0.3 # of traffic
        graph "$tmp/reload.lua" "$parameters"
        say "reload with ${parameters:-nothing in between}"
        kill -HUP "$pid"
        wait_for "the graph" runs_with "$parameters"
    done
    echo "config.app(config.new(), 'x', RawSocket, { ifnam = 'm1' })" >"$tmp/reload.lua"
    say "reload with a mistake: the graph that runs stays"
    kill -HUP "$pid"
    wait_for "word of the mistake" grep -q 'reload.lua:1: app "x" (RawSocket): no parameter "ifnam"' "$tmp/reload.log"
    wait "$ping"
    alive "$pid"
    # Clumsy's packets in flight are given up when it goes: nothing else may be missing.
    wait_for "990 answers to 1000 pings" more "$goal" echo_replies
    stop "$pid"
    between "packets dropped with a link" "$(json_number "$tmp/reload.out" drop_unlinked)" 0 0
    between "graphs applied" "$(json_number "$tmp/reload.out" configs)" 5 5
}

# The interface goes down and up, away and comes again; the process lives and goes on by itself.
test_interface_life() {
    build_network
    graph "$tmp/life.lua"
    start life run --no-report "$tmp/life.lua"
    wait_for "a ping" reachable
    quiet a ping -i 0.01 -q 192.0.2.2 >/dev/null &
    pids+=($!)
    n m ip link set m1 down
    wait_for "the news" grep -q "interface m1 went down" "$tmp/life.log"
    n m ip link set m1 up
    wait_for "the news" grep -q "interface m1 is up" "$tmp/life.log"
    wait_for "a ping" reachable
    n m ip link del m1
    wait_for "the news" grep -q "interface m1 is gone" "$tmp/life.log"
    alive "$pid"
    say "m1 and its peer are made again"
    connect a m1
    wait_for "the news" grep -q "interface m1 is back" "$tmp/life.log"
    wait_for "a ping" reachable
    alive "$pid"
    stop "$pid"
}

# What a start may change of the interfaces: offloads, flags but those of the cable.
snapshot() {
    quiet m ethtool -k m1
    quiet m ethtool -k m2
    quiet m ip -o link show | sed 's/.*<\([^>]*\)>.*/\1/; s/NO-CARRIER,//; s/,LOWER_UP//'
}

# kill -9 leaves offloads switched off; the next start and stop leave all as it was before.
test_kill9() {
    build_network
    local options='offload = "off"' before after
    graph "$tmp/off.lua"
    before=$(snapshot)
    start killed run --name "$id" "$tmp/off.lua"
    wait_for "a ping" reachable
    [ "$(snapshot)" != "$before" ] || fail "offload = \"off\" switched nothing"
    quiet a ping -i 0.01 -q 192.0.2.2 >/dev/null &
    pids+=($!)
    say "kill -9 $pid"
    kill -9 "$pid"
    wait "$pid" 2>/dev/null || true
    [ -e "/run/vanguard/$id/undo" ] || fail "no journal of what was changed"
    start again run --name "$id" "$tmp/off.lua"
    wait_for "a ping" reachable
    stop "$pid"
    after=$(snapshot)
    diff <(echo "$before") <(echo "$after") || fail "the interfaces are not as they were"
    # of ours: other programs may run at the same time
    [ -z "$(find /run/vanguard -path "*$id*" 2>/dev/null || true)" ] ||
        fail "files stay in /run/vanguard"
    say "interfaces and /run are as before"
}

# SIGTERM in the middle of traffic: promptly, with a report, nothing left behind.
test_cleanup() {
    build_network
    graph "$tmp/term.lua" '{ owd = "10ms" }'
    start term run --name "$id" "$tmp/term.lua"
    wait_for "a ping" reachable
    quiet a ping -i 0.002 -q 192.0.2.2 >/dev/null &
    pids+=($!)
    sleep 0.3
    stop "$pid"
    grep -q "sent on if1.output -> forward.input" "$tmp/term.out" || fail "no final report"
    [ ! -e "/run/vanguard/$id" ] || fail "/run/vanguard/$id is still there"
    quiet m ip -d link show m1 | grep -q "promiscuity 0" || fail "m1 is still promiscuous"
}

# --- not in the suite: speed, and something to look at ---------------------------------

received_by_b() { # interface
    quiet b cat /proc/net/dev | sed -n "s/^ *${1}: *[0-9]* *\([0-9]*\).*/\1/p"
}
cpu_ticks() { awk '{ print $14 + $15 }' "/proc/$1/stat"; }
median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

# Two seconds of 60-byte frames from a (CPU 0), as many as will go; prints kpps that b received.
blast_rate() { # interface
    local before after
    before=$(received_by_b "$1")
    quiet a taskset -c 0 "$BUILD/bench/blast" "$1" 60 2 >/dev/null
    after=$(received_by_b "$1")
    echo $(((after - before) / 2000))
}

forward_rate() { # log, command...: the same through a forwarder on CPU 1
    local log=$1
    shift
    ip netns exec "$id-m" taskset -c 1 "$@" >"$tmp/$log.out" 2>"$tmp/$log.log" &
    local forwarder=$!
    pids+=("$forwarder")
    sleep 0.5
    blast_rate eth0
    kill "$forwarder"
    wait "$forwarder" 2>/dev/null || true
}

enslave() { # a bridge of the kernel in between
    ip -n "$id-m" link add br0 type bridge
    ip -n "$id-m" link set br0 up
    ip -n "$id-m" link set m1 master br0
    ip -n "$id-m" link set m2 master br0
    wait_for "its ports" sh -c "bridge -n $id-m link show | grep -c 'state forwarding' | grep -qx 2"
}

tcp_rate() { # Gbit/s from a to b
    serve_iperf
    quiet a iperf3 -c 192.0.2.2 -t 2 -J >"$tmp/iperf.json"
    iperf_received bits_per_second | awk '{ print $1 / 1e9 }'
}

bridge_rate() { # the same through the kernel's bridge
    enslave
    blast_rate eth0
    ip -n "$id-m" link del br0
}

seen() { tcpdump -nvvr "$tmp/seen.pcap" "$1" 2>/dev/null; }
all_seen() {
    [ "$(seen 'udp dst port 53' | grep -c 'udp sum')" -eq 4 ] &&
        [ "$(seen 'vlan 7 and udp dst port 53' | grep -c 'udp sum')" -eq 9 ] &&
        [ "$(seen 'ether proto 0x88b6' | grep -c 'ethertype Unknown')" -eq 2 ]
}

# vanguard bridge, both kinds; vanguard inject, seen by tcpdump at the far end.
test_programs() {
    build_network
    local how
    for how in "" --xdp; do
        # shellcheck disable=SC2086 # no word or one
        start "bridge$how" bridge $how --capture "$tmp/bridge$how.pcap" m1 m2
        wait_for "a ping" reachable
        answered 10 -i 0.02 192.0.2.2
        serve_iperf
        n a iperf3 -c 192.0.2.2 -t 1 -J >"$tmp/iperf.json"
        between "goodput through bridge $how" "$(iperf_received bits_per_second)" 1e7 1e12
        stop "$pid"
        between "echo requests in its capture" "$(tcpdump -nr "$tmp/bridge$how.pcap" 'icmp[icmptype] == icmp-echo' 2>/dev/null | wc -l)" 10 200
    done
    ip netns exec "$id-a" tcpdump -i eth0 -U -w "$tmp/seen.pcap" --immediate-mode >"$tmp/tcpdump.log" 2>&1 &
    local tcpdump=$!
    pids+=("$tcpdump")
    wait_for "tcpdump" grep -q listening "$tmp/tcpdump.log"
    n m "$VANGUARD" inject m1 --udp 198.51.100.1:1000-198.51.100.2:53 --flows 3 --count 9 --size 101 --vlan 7
    n m "$VANGUARD" inject m1 --udp '[2001:db8::1]:1000-[2001:db8::2]:53' --count 4 --pps 1000 --xdp
    n m "$VANGUARD" inject m1 --hex "02 00 00 00 00 02 02 00 00 00 00 01 88 b6 01 02 03" --count 2 --json >"$tmp/inject.json"
    between "frames in the report" "$(json_number "$tmp/inject.json" tx_packets)" 2 2
    wait_for "the frames" all_seen
    kill "$tcpdump"
    wait "$tcpdump" 2>/dev/null || true
    between "datagrams with a tag and a good checksum" "$(seen 'vlan 7 and udp dst port 53' | grep -c 'udp sum ok')" 9 9
    between "of flow 1002" "$(seen 'vlan 7 and udp src port 1002' | grep -c 'udp sum ok')" 3 3
    between "of IPv6" "$(seen 'ip6 and udp dst port 53' | grep -c 'udp sum ok')" 4 4
    # A capture file is played as it is.
    local frames
    frames=$(tcpdump -nr "$tmp/seen.pcap" 2>/dev/null | grep -c '^[0-9][0-9]:')
    n m "$VANGUARD" inject m1 --pcap "$tmp/seen.pcap" --loop 3 | grep "^$((3 * frames)) frames, " || fail "not all of the file was sent"
    if n m "$VANGUARD" inject m1 --udp 1.2.3.4:5-6 2>"$tmp/inject.err"; then fail "took a wrong address"; fi
    grep -q '"6" is not ADDRESS:PORT' "$tmp/inject.err" || fail "no message about a wrong address"
}

# vanguard tune changes what it says and puts back exactly that; doctor sees it.
test_tune() {
    build_network
    ip -n "$id-m" tuntap add tap0 mode tap
    state() { for i in m1 tap0; do
        quiet m ethtool -k "$i"
        quiet m ethtool -c "$i" 2>/dev/null || true
    done; }
    quiet m ethtool -C tap0 rx-frames 7
    quiet m ethtool -K m1 gro on
    state >"$tmp/before"
    n m "$VANGUARD" tune tap0
    state | cmp - "$tmp/before" || fail "looking changed something"
    n m "$VANGUARD" tune tap0 --apply >"$tmp/tune.out" && fail "a refusal was not told"
    grep -q "rx_usecs.*REFUSED: tap0: rx_usecs: Operation not supported" "$tmp/tune.out" || fail "no word about rx_usecs"
    n m "$VANGUARD" tune m1 --apply
    quiet m ethtool -c tap0 | grep -q "^rx-frames:.*64" || fail "rx-frames of tap0 is not 64"
    quiet m ethtool -k m1 | grep -q "^generic-receive-offload: off" || fail "gro of m1 is not off"
    n m "$VANGUARD" doctor m1 --json | grep -q '"gro":false' || fail "doctor does not see it"
    # Once more, for another goal: what was before the first time is what counts.
    n m "$VANGUARD" tune tap0 --profile latency --apply >/dev/null || true
    quiet m ethtool -c tap0 | grep -q "^rx-frames:.*1$" || fail "rx-frames of tap0 is not 1"
    for i in tap0 m1; do n m "$VANGUARD" tune "$i" --undo; done
    state | diff "$tmp/before" - || fail "not all is as before"
    n m "$VANGUARD" tune m1 --undo | grep -q "nothing was changed" || fail "undone twice"
    # Another interface of that name is none of our business.
    n m "$VANGUARD" tune m1 --apply
    ip -n "$id-m" link del m1
    connect a m1
    quiet m ethtool -k m1 >"$tmp/before"
    n m "$VANGUARD" tune m1 --undo
    quiet m ethtool -k m1 | cmp - "$tmp/before" || fail "undid another interface's settings"
    rm -f /run/vanguard/tune/m1 /run/vanguard/tune/tap0
}

# A host at the end of a wire: its stack reaches another one through Tap and RawSocket.
test_tap() {
    build_network
    enslave
    local offload
    for offload in off gso; do
        ip -n "$id-a" addr flush dev eth0
        cat >"$tmp/tap.lua" <<LUA
local c = config.new()
config.app(c, "host", Tap, { ifname = "tap0", address = "192.0.2.1/24", offload = "$offload" })
config.app(c, "wire", RawSocket, { ifname = "eth0", promisc = true, offload = "${offload/off/split}" })
config.link(c, "host -> wire")
config.link(c, "wire -> host")
engine.configure(c)
LUA
        ip netns exec "$id-a" "$VANGUARD" run --json "$tmp/tap.lua" >"$tmp/tap.out" 2>"$tmp/tap.log" &
        pid=$!
        pids+=("$pid")
        wait_for "a ping" reachable
        answered 10 -i 0.02 192.0.2.2
        copy_both_ways
        stop "$pid"
        if ip -n "$id-a" link show tap0 2>/dev/null; then fail "tap0 is left"; fi
        [ "$offload" = off ] || between "super-frames" "$(json_number "$tmp/tap.out" rx_gso)" 100 1000000
    done
    ip -n "$id-m" link del br0
}

xdp_graph() { # file, parameters: a bridge of two XdpSockets
    cat >"$1" <<LUA
local c = config.new()
config.app(c, "if1", "XdpSocket", { ifname = "m1", promisc = true, $2 })
config.app(c, "if2", "XdpSocket", { ifname = "m2", promisc = true, $2 })
config.link(c, "if1 -> if2")
config.link(c, "if2 -> if1")
engine.configure(c)
engine.main{ no_report = true }
LUA
}

no_program() {
    if ip -n "$id-m" -d link show | grep -q prog/xdp; then fail "an XDP program is left"; fi
}

# TCP and UDP with the interfaces' default offloads, natively and generically.
test_xdp_bridge() {
    local attach
    for attach in native generic; do
        build_network
        # A native program keeps super-frames away; behind a generic one the hosts must not send any.
        [ "$attach" = native ] || for ns in a b; do n "$ns" ethtool -K eth0 tso off gso off; done
        xdp_graph "$tmp/xdp.lua" "attach = '$attach'"
        start "xdp-$attach" run "$tmp/xdp.lua"
        wait_for "a ping" reachable
        n a ping -c 20 -i 0.05 -q 192.0.2.2
        n a ping -c 5 -i 0.05 -q 2001:db8::2
        copy_both_ways
        stop "$pid"
        no_program
    done
}

# Named traffic goes through the graph, a TCP session and ping on the same interface do not notice.
test_xdp_match() {
    build_network
    ip -n "$id-m" addr add 192.0.2.9/24 dev m1
    ip -n "$id-m" link add far type veth peer name far2
    for i in far far2; do ip -n "$id-m" link set "$i" up; done
    cat >"$tmp/match.lua" <<LUA
local c = config.new()
config.app(c, "wire", "XdpSocket", { ifname = "m1", match = "udp dst port 4789" })
config.app(c, "out", "XdpSocket", { ifname = "far", mode = "tx" })
config.link(c, "wire -> out")
engine.configure(c)
timer.every("100ms", function ()
   local f = assert(io.open("$tmp/matched", "w"))
   f:write(engine.app("wire").counters.rx_packets, "\n")
   f:close()
end)
engine.main{ no_report = true }
LUA
    # A session that is there before, during and after; so slow that it drives nothing out of a queue.
    quiet m iperf3 -s -1 -B 192.0.2.9 >/dev/null 2>&1 &
    pids+=("$!")
    wait_for "iperf3's server" sh -c "ip netns exec $id-m ss -Hltn 'sport = :5201' | grep -q ."
    quiet a iperf3 -c 192.0.2.9 -t 4 -b 50M -i 0.5 -J >"$tmp/session.json" &
    local session=$!
    pids+=("$session")
    wait_for "the session" sh -c "ip netns exec $id-a ss -Htn state established 'dport = :5201' | grep -q ."
    start match run "$tmp/match.lua"
    wait_for "the program" quiet m bash -c 'ip -d link show m1 | grep -q prog/xdp'
    answered 20 -i 0.05 192.0.2.9
    for port in 4789 4790; do
        quiet a bash -c "for i in \$(seq 100); do echo datagram >/dev/udp/192.0.2.9/$port; done" 2>/dev/null || true
    done
    wait_for "100 datagrams in the graph" grep -qx 100 "$tmp/matched"
    stop "$pid"
    wait "$session" || fail "the TCP session broke"
    no_program
    awk '/"bits_per_second"/ { gsub(",", "", $2); if ($2 + 0 == 0) zero++ } END { exit zero > 0 }' \
        "$tmp/session.json" || fail "the TCP session stalled"
    grep -qx 100 "$tmp/matched" || fail "other datagrams came into the graph"
}

# Killed under traffic: the kernel answers in between, and the next start works.
test_xdp_kill9() {
    build_network
    ip -n "$id-m" addr add 192.0.2.9/24 dev m1
    # ARP is for the graph, which bridges the two hosts.
    ip -n "$id-a" neigh add 192.0.2.9 dev eth0 lladdr "$(quiet m cat /sys/class/net/m1/address)"
    ip -n "$id-m" neigh add 192.0.2.1 dev m1 lladdr "$(quiet a cat /sys/class/net/eth0/address)"
    xdp_graph "$tmp/xdp.lua" "match = 'not host 192.0.2.9'"
    local round
    for round in $(seq 20); do
        start "xdp$round" run "$tmp/xdp.lua"
        wait_for "a ping" reachable
        quiet a ping -f -c 200 -q 192.0.2.2 >/dev/null &
        pids+=("$!")
        n a ping -c 3 -i 0.05 -q 192.0.2.9
        kill -9 "$pid"
        wait "$pid" 2>/dev/null || true
        no_program
        n a ping -c 3 -i 0.05 -q 192.0.2.9
    done
}

test_throughput() {
    make -s "$BUILD/bench/blast" "$BUILD/bench/forward"
    build_network
    for ns in a m b; do quiet "$ns" sysctl -qw net.ipv6.conf.all.disable_ipv6=1; done
    graph "$tmp/bridge.lua"
    ip -n "$id-a" link add direct type veth peer name direct netns "$id-b"
    ip -n "$id-a" link set direct up
    ip -n "$id-b" link set direct up
    for _ in 1 2 3 4 5; do
        blast_rate direct >>"$tmp/direct"
        bridge_rate >>"$tmp/bridge"
        forward_rate minimal "$BUILD/bench/forward" m1 m2 >>"$tmp/minimal"
        forward_rate ours "$VANGUARD" run --no-report "$tmp/bridge.lua" >>"$tmp/ours"
    done
    local minimal ours
    minimal=$(median <"$tmp/minimal")
    ours=$(median <"$tmp/ours")
    local direct bridge
    direct=$(median <"$tmp/direct")
    bridge=$(median <"$tmp/bridge")

    ip netns exec "$id-m" taskset -c 1 "$VANGUARD" run --no-report --json "$tmp/bridge.lua" \
        >"$tmp/run.out" 2>"$tmp/run.log" &
    pid=$!
    pids+=("$pid")
    wait_for "a ping" reachable
    quiet a ping -c 1000 -i 0.005 192.0.2.2 | sed -n 's/.*time=\([0-9.]*\) ms/\1/p' | sort -n >"$tmp/rtt"
    local p50 p99 idle paced sent before after
    p50=$(awk '{ v[NR] = $1 } END { print 1000 * v[int(NR * 0.50)] }' "$tmp/rtt")
    p99=$(awk '{ v[NR] = $1 } END { print 1000 * v[int(NR * 0.99)] }' "$tmp/rtt")
    before=$(cpu_ticks "$pid")
    sleep 5
    idle=$(awk -v t=$(($(cpu_ticks "$pid") - before)) 'BEGIN { print t / 500 }')
    before=$(cpu_ticks "$pid")
    local frames
    frames=$(received_by_b eth0)
    sent=$(quiet a taskset -c 0 "$BUILD/bench/blast" eth0 60 5 100000)
    sleep 0.2
    paced=$(awk -v t=$(($(cpu_ticks "$pid") - before)) 'BEGIN { print t / 500 }')
    after=$(($(received_by_b eth0) - frames))
    : >"$tmp/tcp"
    : >"$tmp/retransmits"
    for _ in 1 2 3; do
        tcp_rate >>"$tmp/tcp"
        iperf_sum sum_sent retransmits >>"$tmp/retransmits"
    done
    local udp
    serve_iperf
    quiet a iperf3 -c 192.0.2.2 -u -b 0 -l 1400 -t 2 -J >"$tmp/iperf.json"
    udp=$(iperf_received packets | awk -v lost="$(iperf_received lost_packets)" '{ print int(($1 - lost) / 2000) }')
    stop "$pid"
    local options='offload = "gso"'
    graph "$tmp/gso.lua"
    for _ in 1 2 3; do
        enslave
        tcp_rate >>"$tmp/bridge-tcp"
        ip -n "$id-m" link del br0
        start gso run --no-report "$tmp/gso.lua"
        wait_for "a ping" reachable
        tcp_rate >>"$tmp/gso-tcp"
        stop "$pid"
    done
    local tcp retransmits ratio gso bridge_tcp
    gso=$(median <"$tmp/gso-tcp")
    bridge_tcp=$(median <"$tmp/bridge-tcp")
    tcp=$(median <"$tmp/tcp")
    retransmits=$(median <"$tmp/retransmits")
    ratio=$(awk -v a="$ours" -v b="$minimal" 'BEGIN { printf "%.2f", a / b }')
    cat <<TABLE

two RawSockets between veth pairs, one process on one core; medians         goal
  60-byte frames forwarded          $ours kpps
  a minimal V2-in, sendmmsg-out loop $minimal kpps; ratio $ratio                at least 0.90
  kernel bridge; veth without a forwarder  $bridge kpps; $direct kpps
  TCP, default offloads             $tcp Gbit/s                    at least 2.7
  ... with offload = "gso"          $gso Gbit/s    at least half of the kernel bridge: $bridge_tcp
  retransmits in 2 s                $retransmits                              below 250
  UDP of 1400 bytes at the receiver $udp kpps
  ping p50, p99                     $p50 us, $p99 us               below 100, 250
  idle                              $idle of a core                    below 0.01
  at a paced 100 kpps               $paced of a core                   at most 0.35
  lost of these                     $((sent - after)) of $sent                   0
TABLE
    printf '{"forwarded_kpps": %s, "minimal_kpps": %s, "bridge_kpps": %s, "direct_kpps": %s, "tcp_gbit": %s, "retransmits": %s, "udp_kpps": %s, "ping_p50_us": %s, "ping_p99_us": %s, "idle_cores": %s, "paced_cores": %s, "paced_sent": %s, "paced_lost": %s}\n' \
        "$ours" "$minimal" "$bridge" "$direct" "$tcp" "$retransmits" "$udp" "$p50" "$p99" "$idle" "$paced" "$sent" $((sent - after)) \
        >"$BUILD/throughput.json"
}

# For people: what a lossy, slow network does to ping and TCP.
test_demo() {
    build_network
    echo "The graph, from config/examples/lossy.lua:"
    echo
    "$VANGUARD" graph config/examples/lossy.lua
    start demo run --no-report config/examples/lossy.lua m1 m2
    wait_for "a ping" reachable
    echo
    n a ping -c 20 -i 0.2 192.0.2.2 || true
    echo
    serve_iperf
    n a iperf3 -c 192.0.2.2 -t 5
    stop "$pid"
    echo
    echo "The same two hosts through a plain forwarder, config/examples/forwarder.lua:"
    echo
    start plain run --no-report config/examples/forwarder.lua m1 m2
    wait_for "a ping" reachable
    n a ping -c 5 -i 0.2 192.0.2.2
    echo
    serve_iperf
    n a iperf3 -c 192.0.2.2 -t 3
    stop "$pid"
}

# --- main -----------------------------------------------------------------------------

if [[ "${1-}" == S[0-9]* ]]; then
    exec selftest/synthetic.sh "$@"
fi
if [ "${1-}" = --list ]; then
    echo "$SUITE $EXTRA"
    exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "vethtest: makes network namespaces: run as root (sudo ./vethtest.sh)" >&2
    exit 43
fi
[ -x "$VANGUARD" ] || { echo "vethtest: no $VANGUARD: run make first" >&2; exit 43; }
# shellcheck disable=SC2086 # one word per scenario
[ $# -gt 0 ] || set -- $SUITE
for scenario in "$@"; do
    [[ " $SUITE $EXTRA " == *" $scenario "* ]] || {
        echo "vethtest: no scenario \"$scenario\" (there are: $SUITE $EXTRA)" >&2
        exit 2
    }
    "test_$scenario"
    say "passed"
done
