#!/usr/bin/env bash
# VxlanNat against scapy, a kernel that does the same, and faults:  selftest/vxlan_oracle.sh [SCENARIO...]
#
#     src: s0 ------ a0  dut: XdpSocket -> VxlanNat -> RawSocket  b0 ------ d0  dst
#          s1 ------ k0  kern: a vxlan device, nft                m0 ------ e0  far
#
# Both ways have the same MACs and addresses. ORACLE_FRAMES (10000), LISTS (0) and SOAK (5, in seconds) say
# how much; WAIT=1: until pieces are forgotten, too. Traffic goes only between these namespaces.
set -euo pipefail
cd "$(dirname "$0")/.."
BUILD=${BUILD:-build}
VANGUARD=$PWD/$BUILD/vanguard
export PYTHONDONTWRITEBYTECODE=1
SUITE="frames table twin mtu errors pieces lists full egress soak"

id=vo$$
tmp=$(mktemp -d)
pid=
others=()
tries=400
# shellcheck source=selftest/scenario.sh
. selftest/scenario.sh
trap 'clean_up' EXIT
take_down() { drop_namespaces src dut dst kern far; }
stop_others() {
    [ ${#others[@]} -eq 0 ] || kill "${others[@]}" 2>/dev/null || true
    wait "${others[@]}" 2>/dev/null || true
    others=()
}
clean_up() {
    [ -z "$pid" ] || kill "$pid" 2>/dev/null || true
    stop_others
    take_down
    rm -rf "$tmp"
}
fail() {
    say "FAILED: $*"
    sed 's/^/    /' "$tmp"/*.log 2>/dev/null | cut -c 1-400 | tail -20 >&2
    exit 1
}
oracle() { # its program, arguments...
    local program=$1
    shift
    /usr/bin/python3 "selftest/oracle/$program.py" "$@"
}
ctl() { "$VANGUARD" ctl "$id" "$@"; }
counter() { app_counter nat "$1"; }
counts() { [ "$(counter "$1")" = "$2" ]; }

# The ingress has no address, so that nobody but VxlanNat could send there.
put_up() {
    for ns in src dut dst kern far; do
        ip netns add "$id-$ns"
        n "$ns" sysctl -qw net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.default.router_solicitations=0
        ip -n "$id-$ns" link set lo up
    done
    pair src s0 02:00:00:00:00:01 dut a0 02:00:00:00:00:02
    pair src s1 02:00:00:00:00:01 kern k0 02:00:00:00:00:02
    pair dut b0 02:00:00:00:00:b0 dst d0 02:00:00:00:00:d0
    pair kern m0 02:00:00:00:00:b0 far e0 02:00:00:00:00:d0
    for end in dut:b0 dst:d0 kern:m0 far:e0; do ip -n "$id-${end%:*}" link set "${end#*:}" mtu 1500; done
    for ns in dut kern; do
        local egress=b0
        [ $ns = dut ] || egress=m0
        n "$ns" sysctl -qw net.ipv6.conf.$egress.disable_ipv6=0
        ip -n "$id-$ns" addr add 172.30.82.1/24 dev $egress
        ip -n "$id-$ns" addr add 2001:db8:30::1/64 dev $egress nodad
        ip -n "$id-$ns" neigh add 172.30.82.95 lladdr 02:00:00:00:00:d0 dev $egress
        ip -n "$id-$ns" neigh add 2001:db8:30::95 lladdr 02:00:00:00:00:d0 dev $egress
    done
}
pair() { # namespace, interface, MAC, twice
    ip -n "$id-$1" link add "$2" mtu 1600 address "$3" type veth peer name "$5" mtu 1600 address "$6" netns "$id-$4"
    for end in "$1 $2" "$4 $5"; do
        # shellcheck disable=SC2086 # two words
        set -- $end
        n "$1" sysctl -qw "net.ipv6.conf.$2.disable_ipv6=1"
        ip -n "$id-$1" link set "$2" up
    done
}
start() { # parameters of VxlanNat; what else is linked
    cat >"$tmp/graph.lua" <<LUA
local c = config.new()
config.app(c, "tunnel", ${input:-XdpSocket}, { ifname = "a0" })
config.app(c, "nat", VxlanNat, { ingress = "a0", egress = "b0", vnis = "42", $1 })
config.app(c, "egress", RawSocket, { ifname = "b0" })
config.chain(c, "tunnel", "nat", "egress")
${2:-}
engine.configure(c)
engine.main {}
LUA
    forget run.log
    ip netns exec "$id-dut" "$VANGUARD" run --name "$id" "$tmp/graph.lua" >"$tmp/run.log" 2>&1 &
    pid=$!
    wait_for "the graph to run" "$VANGUARD" ctl "$id" get nat.mtu
}
start_program() { # its --fastpath, parameters
    echo "return { vnis = '42', $2 }" >"$tmp/rules.lua"
    forget run.log
    ip netns exec "$id-dut" "$VANGUARD" vxlan-nat a0 b0 --name "$id" -c "$tmp/rules.lua" --fastpath "$1" >"$tmp/run.log" 2>&1 &
    pid=$!
    wait_for "the program to run" "$VANGUARD" ctl "$id" get nat.mtu
}
watch() { # namespace, interface, filter: what comes in there is in INTERFACE.pcap
    forget "$2.log"
    ip netns exec "$id-$1" tcpdump -i "$2" -Q in -U -w "$tmp/$2.pcap" "$3" >"$tmp/$2.log" 2>&1 &
    others+=($!)
    wait_for "tcpdump" grep -q "listening on" "$tmp/$2.log"
}
seen() { tcpdump -n -r "$tmp/$1.pcap" 2>/dev/null | wc -l; }
stop() {
    kill "$pid"
    local status=0
    wait "$pid" || status=$?
    pid=
    [ "$status" -eq 0 ] || fail "it did not end well: $status"
    stop_others
}

# Datagrams of all sizes, as scapy says that they come out: each byte, and each counter.
test_frames() {
    local count=${ORACLE_FRAMES:-10000} way order bytes
    oracle frames make "$tmp/frames" "$count"
    n dst ethtool -K d0 gro on
    for way in off xdp; do
        start "allow = '10.42.0.0/24', fastpath = '$way', df = 'keep', rules = { { proto = 'udp', port = '8080', to = '172.30.82.95:8081' } }"
        order=
        [ $way = off ] || order=any
        [ $way = off ] || wait_for "the fast path" grep -q "fast path: native" "$tmp/run.log"
        watch src s0 ""
        # shellcheck disable=SC2086 # none, or one
        oracle frames through "$tmp/frames" "$id-src" "$id-dst" $order >"$tmp/through" || fail "not as it must be, fast path $way"
        read -r came bytes <"$tmp/through"
        equal "frames that are right, fast path $way" "$came" "$count"
        for name in total_packets vxlan_packets inner_packets nat_applied forwarded redirected; do
            wait_for "$name" counts $name "$count"
        done
        wait_for bytes_processed counts bytes_processed "$bytes"
        equal "df_cleared, errors" "$(counter df_cleared) $(counter errors)" "0 0"
        [ $way = off ] || between "frames by the fast path" "$(counter fast_packets)" $((count - 2000)) "$count"
        stop
        equal "frames that went back where they came from" "$(seen s0)" 0
    done
}

put_up_vxlan() { # family, device, our address, the other's
    n kern sysctl -qw net.ipv6.conf.k0.disable_ipv6=0
    ip -n "$id-kern" addr add "$3" dev k0 nodad 2>/dev/null || ip -n "$id-kern" addr add "$3" dev k0
    ip -n "$id-kern" neigh add "$4" lladdr 02:00:00:00:00:01 dev k0
    ip -n "$id-kern" link add "$2" address 02:00:00:00:42:02 type vxlan id 42 remote "$4" local "${3%/*}" dstport 4789 dev k0
    n kern sysctl -qw "net.ipv6.conf.$2.accept_dad=0"
    ip -n "$id-kern" link set "$2" up
}

# What a device of the kernel accepts and VxlanNat does not, or the other way round, is so on purpose.
test_table() {
    put_up_vxlan 4 vx 192.0.2.2/24 192.0.2.1
    put_up_vxlan 6 vx6 2001:db8:2::2/64 2001:db8:2::1
    start 'fastpath = "off", allow = "10.42.0.0/24", rules = { { proto = "udp", port = "8080", to = "172.30.82.95:8081" } }'
    oracle table "$id" "$id-src" "$id-kern" "$id-dst" >"$tmp/table.log" || fail "the table"
    while read -r line; do say "$line"; done <"$tmp/table.log"
    stop
}

route='mode = "route", fastpath = "off", df = "keep", clamp_mss = false, allow = "10.42.0.0/24 2001:db8:42::/64",
    rules = { { port = "8080", to = "172.30.82.95:8081" }, { port = "8080", to = "[2001:db8:30::95]:8081" },
              { to = "172.30.82.95" }, { to = "2001:db8:30::95" } }'
answers='config.link(c, "egress.output -> nat.back") config.link(c, "nat.back -> tunnel.input")'

# A kernel that does the same: the device vx, translation by nft, routing.
test_twin() {
    put_up_vxlan 4 vx 192.0.2.2/24 192.0.2.1
    ip -n "$id-kern" addr add 10.42.0.2/24 dev vx
    ip -n "$id-kern" addr add 2001:db8:42::2/64 dev vx nodad
    ip -n "$id-kern" neigh add 10.42.0.1 lladdr 02:00:00:00:42:01 dev vx
    ip -n "$id-kern" neigh add 2001:db8:42::1 lladdr 02:00:00:00:42:01 dev vx
    n kern sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.all.rp_filter=0 \
        net.ipv4.conf.vx.rp_filter=0 net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0
    n kern nft -f - <<NFT
table inet twin {
    chain before {
        type nat hook prerouting priority dstnat
        ip daddr 10.42.0.2 udp dport 8080 dnat ip to 172.30.82.95:8081
        ip daddr 10.42.0.2 tcp dport 8080 dnat ip to 172.30.82.95:8081
        ip daddr 10.42.0.2 icmp type echo-request dnat ip to 172.30.82.95
        ip6 daddr 2001:db8:42::2 udp dport 8080 dnat ip6 to [2001:db8:30::95]:8081
        ip6 daddr 2001:db8:42::2 tcp dport 8080 dnat ip6 to [2001:db8:30::95]:8081
        ip6 daddr 2001:db8:42::2 icmpv6 type echo-request dnat ip6 to 2001:db8:30::95
    }
}
NFT
    n kern sysctl -qw net.netfilter.nf_conntrack_tcp_be_liberal=1
    start "$route" "$answers"
    oracle twin "$id-src" "$id-dst" "$id-far" >"$tmp/twin.log" 2>&1 || fail "not what the kernel does"
    while read -r line; do say "$line"; done <"$tmp/twin.log"
    stop
}

# The host behind VxlanNat.
put_up_server() {
    n dst sysctl -qw net.ipv6.conf.d0.disable_ipv6=0
    ip -n "$id-dst" addr add 172.30.82.95/24 dev d0
    ip -n "$id-dst" addr add 2001:db8:30::95/64 dev d0 nodad
    ip -n "$id-dst" route add 10.42.0.0/24 via 172.30.82.1
    ip -n "$id-dst" route add 2001:db8:42::/64 via 2001:db8:30::1
}
# And one in the tunnel.
put_up_client() {
    local offload
    ip -n "$id-src" addr add 192.0.2.1/24 dev s0
    ip -n "$id-src" neigh add 192.0.2.2 lladdr 02:00:00:00:00:02 dev s0
    ip -n "$id-src" link add vx0 address 02:00:00:00:42:01 type vxlan id 42 remote 192.0.2.2 local 192.0.2.1 dstport 4789 dev s0
    ip -n "$id-src" link set vx0 up
    ip -n "$id-src" addr add 10.42.0.1/24 dev vx0
    ip -n "$id-src" addr add 2001:db8:42::1/64 dev vx0 nodad
    ip -n "$id-src" neigh add 10.42.0.2 lladdr 02:00:00:00:42:02 dev vx0
    ip -n "$id-src" neigh add 2001:db8:42::2 lladdr 02:00:00:00:42:02 dev vx0
    for offload in vx0 s0; do n src ethtool -K $offload tx off >/dev/null; done
}

# Packets that are too long behind it: the client's kernel learns how long they may be.
test_mtu() {
    put_up_server
    put_up_client
    ip -n "$id-dut" link set b0 mtu 1300
    ip -n "$id-dst" link set d0 mtu 1300
    start "$route" "$answers"
    n src ping -c 1 -W 5 -M "do" -s 1272 -q 10.42.0.2 >"$tmp/ping.log" || fail "what fits does not come through"
    if n src ping -c 1 -W 5 -M "do" -s 1273 -q 10.42.0.2 >"$tmp/ping.log" 2>&1; then fail "what does not fit came through"; fi
    equal "MTU that the kernel learned" "$(n src ip route get 10.42.0.2 | sed -n 's/.* mtu \([0-9]*\).*/\1/p')" 1300
    n src ip route flush cache
    n src tracepath -n -m 4 10.42.0.2 >"$tmp/tracepath.log" || true
    equal "MTU by tracepath" "$(sed -n 's/.*Resume: pmtu \([0-9]*\).*/\1/p' "$tmp/tracepath.log")" 1300
    n src ping -6 -c 1 -W 5 -M "do" -s 1300 -q 2001:db8:42::2 >"$tmp/ping.log" 2>&1 || true
    equal "MTU of IPv6" "$(n src ip -6 route get 2001:db8:42::2 | sed -n 's/.* mtu \([0-9]*\).*/\1/p')" 1300
    # and the other way: what the tunnel's interface takes, less 50
    ip -n "$id-dut" link set b0 mtu 1600
    ip -n "$id-dst" link set d0 mtu 1600
    forget answer.log
    n dst /usr/bin/python3 selftest/oracle/asks.py answer 172.30.82.95 8081 1551 >"$tmp/answer.log" 2>&1 &
    others+=($!)
    wait_for "who answers" grep -q ready "$tmp/answer.log"
    n src /usr/bin/python3 selftest/oracle/asks.py ask 10.42.0.2 8080 >"$tmp/ask.log"
    wait_for "who answers to learn" grep -q MTU "$tmp/answer.log"
    equal "who answers learns" "$(tail -1 "$tmp/answer.log")" "MTU 1550"
    stop
}

# Who asks for what is not there hears it of his own packet; ping needs no ports.
test_errors() {
    put_up_server
    put_up_client
    start "$route" "$answers"
    n src /usr/bin/python3 selftest/oracle/asks.py ask 10.42.0.2 8080 >"$tmp/asks.log" 2>&1 || fail "no error in the queue"
    equal "a connected socket" "$(sed -n 1p "$tmp/asks.log")" ECONNREFUSED
    equal "IP_RECVERR" "$(sed -n 2p "$tmp/asks.log")" "ECONNREFUSED about 10.42.0.2 8080 by 10.42.0.2 with anybody?"
    n src /usr/bin/python3 selftest/oracle/asks.py ask 2001:db8:42::2 8080 >"$tmp/asks.log" 2>&1 || fail "no error of IPv6 in the queue"
    equal "IPV6_RECVERR" "$(sed -n 2p "$tmp/asks.log")" "ECONNREFUSED about 2001:db8:42::2 8080 by 2001:db8:42::2 with anybody?"
    n src ping -c 5 -i 0.2 -W 5 -q 10.42.0.2 >"$tmp/ping.log" || fail "ping"
    n src ping -6 -c 5 -i 0.2 -W 5 -q 2001:db8:42::2 >"$tmp/ping.log" || fail "ping of IPv6"
    n src ping -c 1 -W 5 -q -s 4000 10.42.0.2 >"$tmp/ping.log" || fail "ping in fragments"
    stop
}

# Packets in three pieces, of a kernel: inner ones, which follow their first one; outer ones, which become
# packets again.
test_pieces() {
    local way
    put_up_server
    put_up_client
    n dst ethtool -K d0 gro on
    oracle pieces cut "$tmp/pieces" "$id-src" >"$tmp/cut.log" || fail "what the kernel cut"
    say "$(cat "$tmp/cut.log")"
    ip -n "$id-src" link del vx0 # nor says it anything of its own
    for way in off xdp; do
        start "fastpath = '$way', allow = '10.42.0.0/24', rules = { { proto = 'udp', port = '8080', to = '172.30.82.95:8081' }, { to = '172.30.82.95' } }"
        replayed inner
        stop
    done
    for input in XdpSocket RawSocket; do
        start "allow = '10.42.0.0/24', rules = { { proto = 'udp', port = '8080', to = '172.30.82.95:8081' } }"
        replayed outer
        stop
    done
    unset input
}
replayed() { # inner or outer
    # shellcheck disable=SC2086 # none, or one
    oracle pieces "$1" "$tmp/pieces" "$id" "$pid" "$id-src" "$id-dst" ${WAIT:+wait} >"$tmp/replayed.log" 2>&1 || fail "$1 pieces"
    while read -r line; do say "$line"; done <"$tmp/replayed.log"
}

# Who may pass changes under way.
test_lists() {
    local way
    n dst ethtool -K d0 gro on
    oracle lists make "$tmp/list.json"
    for way in off auto; do
        start_program "$way" 'allow_file = "'"$tmp"'/list.json", rules = { [8080] = "172.30.82.95:8081", { port = "8080", to = "[2001:db8:30::95]:8081" } }'
        oracle lists "$VANGUARD" "$id" "$id-src" "$id-dst" "$tmp/list.json" "${LISTS:-0}" >"$tmp/lists.log" 2>&1 || fail "a wrong verdict, or none, fast path $way"
        say "$(cat "$tmp/lists.log")"
        [ $way = off ] || more 1000 counter fast_packets || fail "nothing by the fast path"
        stop
    done
}

load() { # frames a second, seconds, one damaged of so many
    forget load.log
    /usr/bin/python3 selftest/oracle/load.py "$id-src" "$@" >"$tmp/load.log" 2>&1 &
    sender=$!
    others+=("$sender")
    wait_for "the sender" grep -q ready "$tmp/load.log"
}
rises() { # counter, or what else prints a number: by 50
    local what=("$@")
    [ $# -gt 1 ] || declare -F "$1" >/dev/null || what=(counter "$1")
    wait_for "$* to rise" more $(($("${what[@]}") + 50)) "${what[@]}"
}
books() { oracle books "$id" "$pid" "$1" >"$tmp/books.log" 2>&1 || fail "the books do not add up: $(cat "$tmp/books.log")"; }
since() { echo $(((${EPOCHREALTIME/./} - $1) / 1000)); }

# What interfaces dropped between two programs.
lost_at() { # namespace, interface, rx or tx
    ip -n "$id-$1" -s -j link show "$2" | sed -n "s/.*\"$3\":{[^}]*\"dropped\":\([0-9]*\).*/\1/p"
}
sum() { awk 'BEGIN { for (i = 1; i < ARGC; i++) n += ARGV[i]; print n }' "$@"; }

# An independent count of what comes to the other host; and nobody answers.
count_arrivals() {
    n dst nft -f - <<NFT
table netdev count {
    chain in {
        type filter hook ingress device d0 priority 0
        meta protocol ip counter drop
    }
}
NFT
}
arrived() { n dst nft list ruleset | sed -n 's/.*counter packets \([0-9]*\).*/\1/p'; }
came_in() {
    sum "$(counter total_packets)" "$(app_counter tunnel drop_rx_dropped)" "$(app_counter tunnel drop_rx_ring_full)" "$(lost_at src s0 tx)"
}
went_out() { # or was dropped behind VxlanNat, by whom says so
    sum "$(arrived)" "$(app_counter egress drop_tx_failed)" "$(app_counter egress drop_link_down)" "$(refused_by_link)" \
        "$(lost_at dut b0 tx)" "$(lost_at dst d0 rx)"
}
refused_by_link() {
    "$VANGUARD" top --once --json --interval 10ms "$id" | tr '{' '\n' |
        sed -n 's/.*"drops":\([0-9]*\),.*"name":"nat.output -> egress.input".*/\1/p'
}

# Ends the traffic. Each frame that was sent came in, and each that went out came to the other host, but for
# those that interfaces and links say they dropped.
account_for_all() { # what went_out when nothing had been sent
    local sent
    kill "$sender"
    wait "$sender" || fail "the sender"
    read -r sent _ < <(tail -1 "$tmp/load.log")
    wait_for "all frames to have come in" same "$sent" came_in
    wait_for "all frames to have gone out" all_out "$1"
    books 0
    equal "frames that came in, or were dropped by the interface" "$(came_in)" "$sent"
    equal "frames that came to the other host, or were refused" "$(($(went_out) - $1))" "$(counter redirected)"
}
all_out() { [ $(($(went_out) - $1)) -eq "$(counter redirected)" ]; }

# A queue that is full: it refuses frames, then it has nobody take them; the fast path goes around it.
test_full() {
    local way refused before
    put_up_server
    n dst ethtool -K d0 gro on
    count_arrivals
    for way in off xdp; do
        start "fastpath = '$way', allow = '10.42.0.0/24', rules = { { to = '172.30.82.95' } }"
        [ $way = off ] || wait_for "the fast path" grep -q "fast path: native" "$tmp/run.log"
        before=$(went_out)
        watch src s0 "udp port 4789"
        load 20000 600 0
        rises arrived
        for refused in "20000 app_counter egress drop_tx_failed" "20000000 refused_by_link"; do
            queue "${refused%% *}" 1mbit
            if [ $way = off ]; then
                # shellcheck disable=SC2086 # a command
                rises ${refused#* }
            else
                rises arrived
            fi
            books 0
            queue 20000000 10gbit
            rises arrived
            wait_for "the queue to be empty" queue_is_empty
        done
        ip netns exec "$id-dut" tc qdisc del dev b0 root
        rises arrived
        account_for_all "$before"
        stop
        equal "tunnel frames that went back where they came from" "$(seen s0)" 0
    done
}
queue() { # bytes that it holds, how fast it is emptied
    n dut tc qdisc replace dev b0 root tbf rate "$2" burst 20000 limit "$1"
}
queue_is_empty() { n dut tc -s qdisc show dev b0 | grep -q 'backlog 0b'; }

# Whatever fails: nothing leaves where tunnels come in, everything is accounted for, and it goes on
# within a second of what was missing.
test_egress() {
    local way began began_waiting looking
    put_up_server
    n dst ethtool -K d0 gro on
    n dst sysctl -qw net.ipv4.icmp_ratelimit=0
    for way in off xdp; do
        start "fastpath = '$way', allow = '10.42.0.0/24', rules = { { to = '172.30.82.95' } }"
        watch src s0 "udp port 4789"
        load 20000 600 100
        rises redirected
        [ $way = off ] || wait_for "the fast path" more 50 counter fast_packets
        ip -n "$id-dut" link set b0 down
        rises drop_tx_down
        books 0
        began=${EPOCHREALTIME/./} began_waiting=$(waited)
        rises total_packets # how long it takes to see that
        looking=$(since "$began")
        began=${EPOCHREALTIME/./}
        ip -n "$id-dut" link set b0 up
        rises redirected
        since "$began" >"$tmp/recovery"
        if [ "$(cat "$tmp/recovery")" -gt 1000 ] && starved "$began_waiting" "$began"; then
            say "it went on after $(cat "$tmp/recovery") ms"
        else
            between "it went on after ms" "$(cat "$tmp/recovery")" 0 $((1000 + looking))
        fi
        # nobody answers
        ip -n "$id-dst" link set d0 arp off
        ip -n "$id-dut" neigh flush dev b0
        rises drop_neigh
        ip -n "$id-dst" link set d0 arp on
        rises redirected
        if [ $way = xdp ]; then # the other end takes nothing that is redirected
            n dst ethtool -K d0 gro off
            wait_for "the app to take over" grep -q "no fast path: frames cannot be redirected" "$tmp/run.log"
            rises received
            n dst ethtool -K d0 gro on
            rises fast_packets
        fi
        # another list
        ctl set nat.allow=10.43.0.0/24 >/dev/null
        rises drop_not_allowed
        ctl set nat.allow=10.42.0.0/24 >/dev/null
        rises redirected
        # another instance
        ctl set nat.sessions=1000 >/dev/null
        rises redirected
        books 0
        kill -9 "$pid"
        wait "$pid" 2>/dev/null || true
        sleep 0.3
        start "fastpath = '$way', allow = '10.42.0.0/24', rules = { { to = '172.30.82.95' } }"
        rises redirected
        kill "$sender"
        wait "$sender" || fail "the sender"
        books 0
        say "sent, and damaged: $(tail -1 "$tmp/load.log"), fast path $way: $(counter fast_packets)"
        stop
        equal "tunnel frames that went back where they came from" "$(seen s0)" 0
    done
}
received() { n dst cat /sys/class/net/d0/statistics/rx_packets; }

# Traffic with damage in it, while rules, lists and neighbours change, or would: SOAK seconds.
test_soak() {
    local seconds=${SOAK:-5} round before books in_front behind
    put_up_server
    n dst ethtool -K d0 gro on
    n dst sysctl -qw net.ipv4.conf.d0.arp_notify=1
    count_arrivals
    echo 10.42.0.0/24 >"$tmp/list"
    start "allow_file = '$tmp/list', rules = { { proto = 'udp', port = '8080', to = '172.30.82.95:8081' }, { to = '172.30.82.95' } }"
    wait_for "the fast path" grep -q "fast path: native" "$tmp/run.log"
    before=$(went_out)
    watch src s0 "udp port 4789"
    tally src s0 outbound
    tally dst d0 "inbound and ip"
    load 30000 $((seconds + 600)) 100
    oracle books "$id" "$pid" "$seconds" >"$tmp/books.log" 2>&1 &
    books=$!
    for ((round = 1; round <= (seconds + 4) / 5; round++)); do
        # what is wrong changes nothing
        echo 10.42.0.0/33 >"$tmp/list"
        if ctl call nat reload >"$tmp/reload.log" 2>&1; then fail "a wrong list was taken"; fi
        rises redirected
        printf '%s\n' 10.42.0.0/24 "10.43.$((round % 256)).0/24" >"$tmp/list"
        ctl call nat reload >"$tmp/reload.log" 2>&1 || fail "reload"
        oracle program "$id" nat.rules "[{\"port\": \"8080\", \"to\": \"172.30.82.95:$((8081 + round % 2))\"}, {\"to\": \"172.30.82.95\"}]"
        ip -n "$id-dut" neigh flush dev b0
        ip -n "$id-dst" link set d0 address "02:00:00:00:00:0$((round % 10))"
        rises redirected
        [ $((round * 5)) -ge "$seconds" ] || sleep 5
    done
    wait "$books" || fail "the books do not add up: $(cat "$tmp/books.log")"
    say "$(cat "$tmp/books.log")"
    account_for_all "$before"
    "$VANGUARD" vxlan-nat stats --seed --name "$id" >"$tmp/seed"
    in_front=$(($(came_in) - $(counter total_packets)))
    behind=$(($(went_out) - before - $(arrived)))
    say "by the fast path: $(counter fast_packets), errors: $(counter errors), $((round - 1)) reloads"
    stop
    equal "tunnel frames that went back where they came from" "$(seen s0)" 0
    equal "TOTAL_PACKETS, and what is lost in front of it" "$(($(seeded 0) + in_front))" "$(tallied s0)"
    equal "REDIRECTED, less what is lost behind it" "$(($(seeded 6) - behind))" "$(tallied d0)"
}
tally() { # namespace, interface, filter: tcpdump counts
    forget "tally.$2"
    ip netns exec "$id-$1" tcpdump -i "$2" -s 64 -B 32768 -w /dev/null "$3" >"$tmp/tally.$2" 2>&1 &
    others+=($!)
    wait_for "tcpdump" grep -q "listening on" "$tmp/tally.$2"
}
seeded() { awk -v key="$1" '$1 == key { print $3 }' "$tmp/seed"; }
tallied() { sed -n 's/ packets received by filter//p' "$tmp/tally.$1"; }

run_scenarios "$@"
