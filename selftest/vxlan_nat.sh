#!/usr/bin/env bash
# VxlanNat between a real kernel vxlan device and a real host:  selftest/vxlan_nat.sh [SCENARIO...]
# shellcheck disable=SC2016 # programs of others in single quotes
#
#     src: vx0 (kernel vxlan) s0 ---- a0  dut: XdpSocket -> VxlanNat -> RawSocket  b0 ---- d0  dst: a host
#
# Traffic goes only between these three namespaces. IPERF: so many MiB each way by iperf3 as well, in
# scenario route.
set -euo pipefail
cd "$(dirname "$0")/.."
BUILD=${BUILD:-build}
VANGUARD=$PWD/$BUILD/vanguard
SUITE="datagrams fragments ipv6 route fast neighbour program lists rungs answers interface mistakes document"

id=vx$$
tmp=$(mktemp -d)
pid=
capture=
tries=200
# shellcheck source=selftest/scenario.sh
. selftest/scenario.sh
trap 'clean_up' EXIT
take_down() { drop_namespaces src dut dst; }
clean_up() {
    [ -z "$pid" ] || kill "$pid" 2>/dev/null || true
    [ -z "$capture" ] || kill "$capture" 2>/dev/null || true
    take_down
    rm -rf "$tmp"
}
fail() {
    say "FAILED: $*"
    if [ -n "$pid" ]; then
        kill "$pid" || true # its report
        wait "$pid" || true
        pid=
    fi
    sed 's/^/    /' "$tmp"/*.log 2>/dev/null | tail -20 >&2
    exit 1
}

put_up() {
    for ns in src dut dst; do
        ip netns add "$id-$ns"
        n "$ns" sysctl -qw net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.default.router_solicitations=0
        ip -n "$id-$ns" link set lo up
    done
    ip -n "$id-src" link add s0 type veth peer name a0 netns "$id-dut"
    ip -n "$id-dst" link add d0 mtu 1500 type veth peer name b0 netns "$id-dut"
    for end in src:s0 dut:a0 dut:b0 dst:d0; do ip -n "$id-${end%:*}" link set "${end#*:}" up; done
    ip -n "$id-src" addr add 192.0.2.1/24 dev s0
    ip -n "$id-dut" addr add 192.0.2.2/24 dev a0
    ip -n "$id-dut" addr add 172.30.82.1/24 dev b0
    ip -n "$id-dut" addr add 2001:db8:30::1/64 dev b0 nodad
    ip -n "$id-dst" addr add 172.30.82.95/24 dev d0
    ip -n "$id-dst" addr add 2001:db8:30::95/64 dev d0 nodad
    # what waits for an answer of ARP, a second or more, would come when nobody thinks of it
    ip -n "$id-src" neigh add 192.0.2.2 lladdr "$(n dut cat /sys/class/net/a0/address)" dev s0
    ip -n "$id-src" link add vx0 type vxlan id 42 remote 192.0.2.2 local 192.0.2.1 dstport 4789 dev s0
    ip -n "$id-src" link set vx0 up
    ip -n "$id-src" addr add 10.42.0.1/24 dev vx0
    ip -n "$id-src" addr add 2001:db8:42::1/64 dev vx0 nodad
    ip -n "$id-src" neigh add 10.42.0.2 lladdr 02:00:00:00:42:02 dev vx0
    ip -n "$id-src" neigh add 2001:db8:42::2 lladdr 02:00:00:00:42:02 dev vx0
    # an inner checksum that is left to hardware is none that could be kept in step
    n src ethtool -K vx0 tx off >/dev/null
    n src ethtool -K s0 tx off >/dev/null
    # in dst no reverse path leads to who sends
    n dst sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.d0.rp_filter=0
    ip -n "$id-dst" route add default dev d0
    for host in 172.30.82.95 2001:db8:30::95; do # only three packets wait for a MAC
        n dut ping -c 1 -W 5 -q "$host" >/dev/null
    done
}
start() { # parameters of VxlanNat; what else is linked
    cat >"$tmp/graph.lua" <<LUA
local c = config.new()
config.app(c, "tunnel", XdpSocket, { ifname = "a0", match = "udp dst port 4789" })
config.app(c, "nat", VxlanNat, { ingress = "a0", egress = "b0", vnis = "42", $1 })
config.app(c, "egress", RawSocket, { ifname = "b0" })
config.chain(c, "tunnel", "nat", "egress")
${2:-}
engine.configure(c)
engine.main {}
LUA
    forget run.log tcpdump.log
    ip netns exec "$id-dut" "$VANGUARD" run --name "$id" "$tmp/graph.lua" >"$tmp/run.log" 2>&1 &
    pid=$!
    wait_for "the graph to run" "$VANGUARD" ctl "$id" get nat.mtu
    ip netns exec "$id-dut" tcpdump -i a0 -Q out --immediate-mode -U -w "$tmp/back.pcap" udp or icmp or host 2001:db8:30::95 >"$tmp/tcpdump.log" 2>&1 &
    capture=$!
    wait_for "tcpdump" grep -q "listening on" "$tmp/tcpdump.log"
}
# The capture ends first: to what still comes when nobody takes it the kernel says that the port is closed.
stop_quietly() {
    kill "$capture"
    wait "$capture" 2>/dev/null || true
    capture=
    kill "$pid"
    local status=0
    wait "$pid" || status=$?
    pid=
    [ "$status" -eq 0 ] || fail "it did not end well: $status"
}
stop() {
    stop_quietly
    equal "packets that went back where they came from" "$(tcpdump -n -r "$tmp/back.pcap" 2>/dev/null | wc -l)" 0
}

# Datagrams of all sizes from $1: how many, their smallest and the step; the receiver prints a digest of
# them, by their numbers: the first one of a flow may be overtaken by those that the fast path knows.
send='use Socket qw(:all); use Digest::SHA; my ($host, $port, $count, $size, $step) = @ARGV;
    use IO::Socket::IP; my @from = $ENV{FROM} ? (LocalPort => $ENV{FROM}) : ();
    my $s = IO::Socket::IP->new(PeerHost => $host, PeerPort => $port, Proto => "udp", @from) or die $!;
    for my $i (0 .. $count - 1) { my $d = pack("N", $i) . join "", map { chr(($i * 7 + $_) & 255) } 1 .. $size + $step * $i;
        send $s, $d, 0 or die $!; select undef, undef, undef, 0.0005 }'
receive='use IO::Socket::IP; use Digest::SHA; my ($host, $port, $count) = @ARGV; $SIG{ALRM} = sub { die "timeout\n" }; alarm 20;
    my $s = IO::Socket::IP->new(LocalHost => $host, LocalPort => $port, Proto => "udp") or die $!; setsockopt $s, 1, 33, 16 << 20 or die $!; $| = 1; print "ready\n";
    my @all; for (1 .. $count) { recv $s, my $x, 65536, 0; push @all, $x } my $d = Digest::SHA->new(1); $d->add($_) for sort @all; print $d->hexdigest, "\n";'
digest='use Digest::SHA; my ($count, $size, $step) = @ARGV; my $d = Digest::SHA->new(1);
    for my $i (0 .. $count - 1) { $d->add(pack("N", $i) . join "", map { chr(($i * 7 + $_) & 255) } 1 .. $size + $step * $i) } print $d->hexdigest, "\n"'

transfer() { # to, port, where it is received, port there, count, size, step; who sends, who receives
    forget received
    n "${9-dst}" perl -e "$receive" "$3" "$4" "$5" >"$tmp/received" 2>"$tmp/receive.log" &
    local receiver=$!
    wait_for "the receiver" grep -q ready "$tmp/received"
    n "${8-src}" perl -e "$send" "$1" "$2" "$5" "$6" "$7"
    wait "$receiver" || fail "not everything came"
    equal "digest of $5 datagrams" "$(tail -1 "$tmp/received")" "$(perl -e "$digest" "$5" "$6" "$7")"
}

test_datagrams() {
    start 'allow = "10.42.0.0/24", rules = { { proto = "udp", port = "8080", to = "172.30.82.95:8081" } }'
    transfer 10.42.0.2 8080 172.30.82.95 8081 300 0 4
    equal "wrong checksums" "$(n dst awk '/^Udp:/ { n++; if (n == 1) for (i = 1; i <= NF; i++) if ($i == "InCsumErrors") at = i; if (n == 2) print $at }' /proc/net/snmp)" 0
    stop
    # the control: who is not allowed
    start 'allow = "10.43.0.0/24", rules = { { to = "172.30.82.95" } }'
    forget seen.log
    n dst tcpdump -i d0 -U --immediate-mode -w "$tmp/seen.pcap" src 10.42.0.1 >/dev/null 2>"$tmp/seen.log" &
    local seen=$!
    wait_for "tcpdump in dst" grep -q "listening on" "$tmp/seen.log"
    if n src ping -c 1 -W 1 -q 10.42.0.2 >/dev/null; then fail "an answer in one way"; fi
    wait_for "a drop" counts drop_not_allowed 1
    kill "$seen"
    wait "$seen" || true
    equal "packets that went on" "$(tcpdump -n -r "$tmp/seen.pcap" 2>/dev/null | wc -l)" 0
    stop
}

# Packets that the sender's host cuts, and such as do not fit the next link.
test_fragments() {
    ip -n "$id-src" link set s0 mtu 3000
    ip -n "$id-dut" link set a0 mtu 3000
    ip -n "$id-src" link set vx0 mtu 1400
    start 'allow = "10.42.0.0/24", rules = { { proto = "udp", port = "8080", to = "172.30.82.95:8081" } }'
    transfer 10.42.0.2 8080 172.30.82.95 8081 60 1000 60
    stop
    ip -n "$id-src" link set vx0 mtu 1700
    start 'allow = "10.42.0.0/24", mtu = 1500, rules = { { proto = "udp", port = "8080", to = "172.30.82.95:8081" } }'
    transfer 10.42.0.2 8080 172.30.82.95 8081 60 1000 10
    stop
}

# A file each way through a tunnel; the offloads of the sender's devices are on, then off.
served='use IO::Socket::IP; use Digest::SHA; my ($host, $port, $bytes) = @ARGV; $SIG{ALRM} = sub { die "timeout\n" }; alarm 100;
    my $s = IO::Socket::IP->new(LocalHost => $host, LocalPort => $port, Listen => 1, ReuseAddr => 1) or die $!; $| = 1; print "ready\n";
    my $c = $s->accept; my ($d, $left, $x) = (Digest::SHA->new(256), $bytes);
    while ($left && sysread $c, $x, 65536) { $d->add($x); $left -= length $x } print $d->hexdigest, "\n";
    my $block = join "", map { chr(($_ * 11) & 255) } 1 .. 65536; for (1 .. $bytes / 65536) { print $c $block } close $c'
asked='use IO::Socket::IP; use Digest::SHA; my ($host, $port, $bytes) = @ARGV; $SIG{ALRM} = sub { die "timeout\n" }; alarm 100;
    my $c = IO::Socket::IP->new(PeerHost => $host, PeerPort => $port) or die $!; my ($d, $x) = Digest::SHA->new(256);
    my $block = join "", map { chr(($_ * 7) & 255) } 1 .. 65536; for (1 .. $bytes / 65536) { print $c $block } $c->flush; $c->shutdown(1);
    while (sysread $c, $x, 65536) { $d->add($x) } print $d->hexdigest, "\n"'
block='use Digest::SHA; my ($factor, $bytes) = @ARGV; my $d = Digest::SHA->new(256);
    my $block = join "", map { chr(($_ * $factor) & 255) } 1 .. 65536; $d->add($block) for 1 .. $bytes / 65536; print $d->hexdigest, "\n"'
wrong_sums() { n "$1" awk '/^Tcp:/ { n++; if (n == 1) for (i = 1; i <= NF; i++) if ($i == "InCsumErrors") at = i; if (n == 2) print $at }' /proc/net/snmp; }

test_route() {
    local bytes=$((100 << 20)) offloads server
    ip -n "$id-dst" route add 10.42.0.0/24 via 172.30.82.1
    ip -n "$id-src" link set vx0 mtu 1450
    start 'mode = "route", allow = "10.42.0.0/24", mtu = 1500, rules = { { proto = "tcp", port = "8080", to = "172.30.82.95:8081" } }' \
        'config.link(c, "egress.output -> nat.back") config.link(c, "nat.back -> tunnel.input")'
    for offloads in on off; do
        n src ethtool -K vx0 tx $offloads >/dev/null
        n src ethtool -K s0 tx $offloads >/dev/null
        forget served
        n dst perl -e "$served" 172.30.82.95 8081 "$bytes" >"$tmp/served" 2>"$tmp/served.log" &
        server=$!
        wait_for "the server" grep -q ready "$tmp/served"
        n src perl -e "$asked" 10.42.0.2 8080 "$bytes" >"$tmp/asked" 2>"$tmp/asked.log" || fail "the client: $(cat "$tmp/asked.log")"
        wait "$server" || fail "the server"
        equal "digest at the server, offloads $offloads" "$(tail -1 "$tmp/served")" "$(perl -e "$block" 7 "$bytes")"
        equal "digest at the client" "$(tail -1 "$tmp/asked")" "$(perl -e "$block" 11 "$bytes")"
        [ -z "${IPERF-}" ] || by_iperf $((IPERF << 20))
    done
    equal "wrong checksums at the server" "$(wrong_sums dst)" 0
    equal "wrong checksums at the client" "$(wrong_sums src)" 0
    n src ping -c 3 -i 0.2 -W 2 -q 10.42.0.2 >"$tmp/ping" 2>&1 && fail "no rule is for ping"
    stop_quietly
}

by_iperf() { # bytes
    local way server
    for way in "" --reverse; do
        forget iperf3.log
        n dst timeout 300 iperf3 -s -1 -B 172.30.82.95 -p 8081 --forceflush >"$tmp/iperf3.log" 2>&1 &
        server=$!
        wait_for "iperf3" grep -q listening "$tmp/iperf3.log"
        # shellcheck disable=SC2086 # none, or one
        n src timeout 300 iperf3 -c 10.42.0.2 -p 8080 -n "$1" --json $way >"$tmp/iperf3.json" || fail "iperf3: $(cat "$tmp/iperf3.json")"
        wait "$server" || fail "the server of iperf3"
        between "bytes by iperf3 ${way:-forth}" "$(measured bytes)" "$1" $(($1 + (1 << 20)))
        say "$(measured bits_per_second) bit/s, $(measured retransmits) retransmits"
    done
}
measured() { # of what was sent
    tr -d '\n\t ' <"$tmp/iperf3.json" | sed -nE 's/.*"sum_sent":\{([^}]*)\}.*/\1/p' | tr ',' '\n' | sed -n "s/\"$1\"://p"
}

counter() { app_counter nat "$1"; }
counts() { [ "$(counter "$1")" = "$2" ]; }

# One flow: from when the fast path knows it, which takes a moment, each packet is its.
fast_transfer() { # count, size, step, what prints a counter
    local before
    wait_for "the fast path to know the flow" takes_over "$4"
    before=$("$4" fast_packets)
    FROM=9000 transfer 10.42.0.2 8080 172.30.82.95 8081 "$1" "$2" "$3"
    wait_for "all of them by the fast path" same $((before + $1)) "$4" fast_packets
    say "by the fast path: $1 of $1"
}
takes_over() { # what prints a counter
    local before
    before=$("$1" fast_packets)
    FROM=9000 datagrams 1 8080
    [ "$("$1" fast_packets)" -gt "$before" ]
}

# Packets of known flows do not come to the app, and are the same.
test_fast() {
    n dst ethtool -K d0 gro on
    start 'allow = "10.42.0.0/24", fastpath = "xdp", rules = { { proto = "udp", port = "8080", to = "172.30.82.95:8081" } }'
    wait_for "the fast path" grep -q "fast path: native" "$tmp/run.log"
    fast_transfer 300 0 4 counter
    equal "wrong checksums" "$(n dst awk '/^Udp:/ { n++; if (n == 1) for (i = 1; i <= NF; i++) if ($i == "InCsumErrors") at = i; if (n == 2) print $at }' /proc/net/snmp)" 0
    stop
    equal "programs that stay" "$(ip -n "$id-dut" -o link show a0 | grep -c xdp)" 0
}

reaches_dst() { # a datagram for which nobody waits there
    local before
    before=$(kernel_count dst UdpNoPorts)
    datagrams 1 8080
    sleep 0.02
    [ "$(kernel_count dst UdpNoPorts)" -gt "$before" ]
}

# The first packet waits until its next hop is known; who gets another MAC gets the next packet by it.
test_neighbour() {
    n dst ethtool -K d0 gro on
    ip -n "$id-dut" neigh flush dev b0
    start 'allow = "10.42.0.0/24", rules = { { proto = "udp", port = "8080", to = "172.30.82.95:8081" } }'
    transfer 10.42.0.2 8080 172.30.82.95 8081 3 100 0
    sleep 1.1 # a neighbour is not believed to move twice in a second
    n dst sysctl -qw net.ipv4.conf.d0.arp_notify=1
    ip -n "$id-dst" link set d0 address 02:00:00:00:95:95
    wait_for "the new MAC" sh -c "ip -n $id-dut neigh show 172.30.82.95 | grep -q 02:00:00:00:95:95"
    wait_for "the next packet by it" reaches_dst
    transfer 10.42.0.2 8080 172.30.82.95 8081 20 100 0
    # nobody answers: what waits is dropped, and counted
    ip -n "$id-dst" link set d0 arp off
    ip -n "$id-dut" neigh flush dev b0
    ip -n "$id-dst" addr del 172.30.82.95/24 dev d0
    n src perl -e "$send" 10.42.0.2 8080 5 10 0
    wait_for "drops for want of a neighbour" counts drop_neigh 5
    # nor is there a way out
    ip -n "$id-dst" link set d0 down
    n src perl -e "$send" 10.42.0.2 8080 5 10 0
    wait_for "drops for an interface that is down" counts drop_tx_down 5
    stop
}

test_ipv6() {
    start 'allow = "2001:db8:42::/64", rules = { { port = "8080", to = "[2001:db8:30::95]:8081" } }'
    transfer 2001:db8:42::2 8080 2001:db8:30::95 8081 200 0 6
    stop
}

# --- vanguard vxlan-nat ------------------------------------------------------------------

vx() { # a command of the program, to the one that runs
    "$VANGUARD" vxlan-nat "$@" --name "$id"
}
code() { # expected exit code, command...; what it says goes to $tmp/answer
    local want=$1 got=0
    shift
    "$@" >"$tmp/answer" 2>&1 || got=$?
    [ "$got" -eq "$want" ] || fail "$*: exit code $got, not $want: $(cat "$tmp/answer")"
}
said() { # what the last command must have said
    grep -q -- "$1" "$tmp/answer" || fail "\"$1\" is not in: $(cat "$tmp/answer")"
}
run() { # arguments of the program
    forget out program.log tcpdump.log
    ip netns exec "$id-dut" "$VANGUARD" vxlan-nat a0 b0 --name "$id" --interval 100ms --json "$@" >"$tmp/out" 2>"$tmp/program.log" &
    pid=$!
    wait_for "the program" grep -q '"type":"start"' "$tmp/out"
    ip netns exec "$id-dut" tcpdump -i a0 -Q out --immediate-mode -U -w "$tmp/back.pcap" udp or icmp or host 2001:db8:30::95 >"$tmp/tcpdump.log" 2>&1 &
    capture=$!
    wait_for "tcpdump" grep -q "listening on" "$tmp/tcpdump.log"
}
all_of() { # a counter, up to now
    vx stats --json | sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p"
}
vx_sent() { n src cat /sys/class/net/vx0/statistics/tx_packets; }
not_counted() { echo $(($(vx_sent) - $(all_of vxlan_packets))); }
nothing_under_way() { # sets $earlier: frames of before
    earlier=$(not_counted)
    sleep 0.3
    [ "$earlier" = "$(not_counted)" ]
}
all_counted() { # but those of before; sets $sent
    vx stats --seed >"$tmp/seed"
    sent=$(($(vx_sent) - $1))
    [ "$(awk '$1 == 1 { print $3 }' "$tmp/seed")" = "$sent" ]
}
above() { [ "$(all_of "$1")" -ge "$2" ]; }
datagrams() { # how many, from the n-th address, to port: sent, and nobody waits
    n src perl -e "$send" 10.42.0.2 "$2" "$1" 40 0
}
config() { # more of it
    cat >"$tmp/rules.lua" <<LUA
return { vnis = "42", rules = { [8080] = "172.30.82.95:8081" }, $1 }
LUA
}

# From the start to the end: what it is told, and that the figures are what was sent.
test_program() {
    config 'allow_file = "'"$tmp"'/list.json"'
    echo '{ "organizations": [ { "name": "ours", "cidrs": ["10.42.0.0/24"] } ] }' >"$tmp/list.json"
    run -c "$tmp/rules.lua"
    local earlier sent # the kernel says a word of its own now and then
    wait_for "a quiet moment" nothing_under_way
    transfer 10.42.0.2 8080 172.30.82.95 8081 200 0 5
    datagrams 30 8099
    wait_for "all that was sent to be counted" all_counted "$earlier"
    equal "counters" "$(wc -l <"$tmp/seed")" 9
    equal "VXLAN, INNER, NAT_APPLIED, FORWARDED, REDIRECTED, ERRORS" \
        "$(awk '$1 ~ /^[123567]$/ { printf "%s ", $3 }' "$tmp/seed")" "$sent $sent 200 200 200 $((sent - 200)) "
    equal "packets without a rule" "$(all_of drop_no_rule)" 30
    code 0 vx status
    said 'allowed *1 entries, 1 organizations'
    code 0 vx allow stats
    said '^ours .* 200 '
    code 0 vx sessions find 10.42.0.1:8080
    said '172.30.82.95:8081'
    code 1 vx sessions find 10.42.0.1:9999
    code 0 vx sessions list --refused
    said no_rule
    code 0 vx rules add port=8099 proto=udp to=172.30.82.95:8100
    transfer 10.42.0.2 8099 172.30.82.95 8100 50 0 5
    code 0 vx rules list
    said 8100
    # the fast path leaves all to the trace, and is as fast again afterwards
    vx trace 3 -d 60 >"$tmp/trace" &
    local tracer=$!
    wait_for "the trace to begin" sh -c "$VANGUARD vxlan-nat status --name $id | grep -q tracing"
    transfer 10.42.0.2 8080 172.30.82.95 8081 20 0 5
    wait "$tracer" || fail "the trace: $(cat "$tmp/trace")"
    equal "packets traced that went on" "$(grep -c ': forwarded' "$tmp/trace")" 3
    grep -q '172.30.82.95:8081' "$tmp/trace" || fail "no destination in: $(cat "$tmp/trace")"
    code 0 vx rules del 2
    code 0 vx sessions flush --rule 2
    said '^1 sessions'
    code 0 vx reload
    stop
    equal "status lines with what came" "$(grep '"type":"status"' "$tmp/out" | grep -c '"forwarded_pps":[1-9]' | awk '{ print ($1 > 0) }')" 1
    equal "XDP programs left behind" "$(ip -n "$id-dut" link show a0 | grep -c xdp)" 0
    [ ! -e "/run/vanguard/$id" ] || fail "its run directory is still there"
}

# Who may pass changes: by hand, by a file that changes, by SIGHUP, never by a file that is wrong.
test_lists() {
    config 'allow_file = "'"$tmp"'/list.json", mtu = 1400'
    echo '{ "flat_ip_list": ["10.42.0.0/24"] }' >"$tmp/list.json"
    run -c "$tmp/rules.lua"
    passes() { transfer 10.42.0.2 8080 172.30.82.95 8081 5 0 5; }
    stays() {
        local before on
        before=$(all_of drop_not_allowed)
        on=$(all_of forwarded)
        datagrams 5 8080
        wait_for "5 packets more to be dropped" above drop_not_allowed $((before + 5))
        equal "packets that went on" "$(all_of forwarded)" "$on"
    }
    passes
    code 0 vx allow find 10.42.0.1
    code 0 vx allow del 10.42.0.0/24
    stays
    code 1 vx allow find 10.42.0.1
    code 1 vx allow del 10.42.0.0/24
    code 0 vx allow add 10.42.0.1
    passes
    code 2 vx allow clear
    code 0 vx allow --clear --yes
    stays
    code 1 vx allow diff "$tmp/list.json"
    said '+ 10.42.0.0/24'
    code 0 vx allow load "$tmp/list.json" --dry-run
    stays
    code 0 vx allow "$tmp/list.json"
    code 0 vx allow diff "$tmp/list.json"
    passes
    code 0 vx allow --display
    said '^10.42.0.0/24'
    code 0 vx allow display --json
    said '"flat_ip_list":\["10.42.0.0/24"\]'

    echo '{ "flat_ip_list": ["10.43.0.0/24"] }' >"$tmp/list.json"
    wait_for "the file to be read" grep -q "read again: 1 entries" "$tmp/program.log"
    stays
    echo '{ "flat_ip_list": ["10.42.0.0/24", "10.42' >"$tmp/list.json"
    wait_for "the file to be refused" grep -q "stays as it was: .*list.json" "$tmp/program.log"
    stays
    equal "problem" "$(all_of problem)" 1
    code 3 vx allow load "$tmp/list.json"
    code 3 vx reload
    echo '{ "flat_ip_list": ["10.42.0.0/24"] }' >"$tmp/list.json"
    kill -HUP "$pid"
    wait_for "the file to be right again" sh -c "! $VANGUARD vxlan-nat status --name $id | grep -q PROBLEM"
    passes

    config 'allow_file = "'"$tmp"'/list.json", mtu = 1401'
    wait_for "the rules to be read" grep -q "rules.lua was read again" "$tmp/program.log"
    equal "mtu" "$("$VANGUARD" ctl "$id" get nat.mtu)" "nat.mtu=1401"
    config 'mtuu = 3'
    wait_for "the rules to be refused" grep -q 'stays as it was: .*rules.lua:1: .*did you mean "mtu"' "$tmp/program.log"
    equal "mtu" "$("$VANGUARD" ctl "$id" get nat.mtu)" "nat.mtu=1401"
    code 0 vx status
    said 'PROBLEM .*mtuu'
    passes
    config 'allow_file = "'"$tmp"'/list.json", mtu = 1402'
    wait_for "the rules to be right again" sh -c "! $VANGUARD vxlan-nat status --name $id | grep -q PROBLEM"
    equal "mtu" "$("$VANGUARD" ctl "$id" get nat.mtu)" "nat.mtu=1402"
    stop
}

# Each way to its packets: native and generic redirect, AF_XDP.
test_rungs() {
    config 'allow = "10.42.0.0/24"'
    n dst ethtool -K d0 gro on
    run -c "$tmp/rules.lua"
    fast_transfer 100 0 5 all_of
    code 0 vx status
    said 'native redirect'
    stop
    n dst ethtool -K d0 gro off
    run -c "$tmp/rules.lua"
    fast_transfer 100 0 5 all_of
    code 0 vx status
    said 'generic redirect'
    said 'no native redirect: frames cannot be redirected to b0'
    stop
    run -c "$tmp/rules.lua" --fastpath off
    transfer 10.42.0.2 8080 172.30.82.95 8081 100 0 5
    code 0 vx status
    said 'AF_XDP'
    equal "packets that did not leave the kernel" "$(all_of fast_packets)" 0
    stop
    # somebody else's program is there
    ip netns exec "$id-dut" "$VANGUARD" sentinel a0 --name "$id-other" >"$tmp/other" 2>&1 &
    local other=$!
    wait_for "the other program" grep -q '"type":"watch"' "$tmp/other"
    code 3 ip netns exec "$id-dut" "$VANGUARD" vxlan-nat a0 b0 -c "$tmp/rules.lua" --require fast --duration 1ms
    said '--require fast: no native redirect'
    run -c "$tmp/rules.lua"
    transfer 10.42.0.2 8080 172.30.82.95 8081 100 0 5
    code 0 vx status
    said 'AF_PACKET'
    said 'no AF_XDP'
    stop
    kill "$other"
    wait "$other"
}

# Answers find their way back into the tunnel.
test_answers() {
    ip -n "$id-dst" route add 10.42.0.0/24 via 172.30.82.1
    config 'allow = "10.42.0.0/24", mode = "route"'
    run -c "$tmp/rules.lua" --fastpath off
    code 0 vx rules add to=172.30.82.95
    n src ping -c 3 -i 0.2 -W 2 -q 10.42.0.2 >"$tmp/ping" || fail "no answer: $(cat "$tmp/ping")"
    code 0 vx sessions find 10.42.0.1
    said icmp
    wait_for "three answers" above back_forwarded 3
    equal "answers" "$(all_of back_forwarded)" 3
    code 0 vx sessions flush --source 10.42.0.1
    equal "sessions" "$(vx sessions list --json --source 10.42.0.1 | grep -c '"count":0')" 1
    stop_quietly
}

# --- sessions with addresses that the host itself has

echoes='use IO::Socket::IP; my ($host, $port) = @ARGV; $| = 1; alarm 100;
    my $s = IO::Socket::IP->new(LocalHost => $host, LocalPort => $port, Proto => "udp") or die $!; print "ready\n";
    while (my $from = recv $s, my $x, 65536, 0) { send $s, $x, 0, $from }'
hears='use IO::Socket::IP; my ($host, $port, $count, @from) = @ARGV; $SIG{ALRM} = sub { die "timeout\n" }; alarm 20;
    my $s = IO::Socket::IP->new(PeerHost => $host, PeerPort => $port, Proto => "udp", @from) or die $!;
    for (1 .. $count) { send $s, "word $_", 0 or die $!; defined recv $s, my $x, 99, 0 or die $!; $x eq "word $_" or die "$x\n" } print "$count\n"'
talks='use IO::Socket::IP; my ($host, $port) = @ARGV; $SIG{ALRM} = sub { die "timeout\n" }; alarm 60; $| = 1;
    my $c = IO::Socket::IP->new(PeerHost => $host, PeerPort => $port) or die $!;
    for (1, 2) { print $c "word\n"; <$c> eq "word\n" or die "no answer\n"; print "answered $_\n"; <STDIN> }'
repeats='use IO::Socket::IP; my ($host, $port) = @ARGV; $| = 1; alarm 100;
    my $s = IO::Socket::IP->new(LocalHost => $host, LocalPort => $port, Listen => 1, ReuseAddr => 1) or die $!; print "ready\n";
    my $c = $s->accept; while (<$c>) { print $c $_; $c->flush }'

stream() { # who listens, where, port, who asks, where, port: a megabyte each way
    local server bytes=$((1 << 20))
    forget served
    n "$1" timeout 60 perl -e "$served" "$2" "$3" "$bytes" >"$tmp/served" 2>"$tmp/served.log" &
    server=$!
    wait_for "who listens" grep -q ready "$tmp/served"
    n "$4" timeout 60 perl -e "$asked" "$5" "$6" "$bytes" >"$tmp/asked" 2>"$tmp/asked.log" || fail "$4 to $5: $(cat "$tmp/asked.log")"
    wait "$server" || fail "who listens"
    equal "digest in $1 of what came to $2 $3" "$(tail -1 "$tmp/served")" "$(perl -e "$block" 7 "$bytes")"
    equal "digest in $4" "$(tail -1 "$tmp/asked")" "$(perl -e "$block" 11 "$bytes")"
}
echoed() { # who asks, where, port, its own port
    equal "words that came back to $1 from $2" "$(n "$1" perl -e "$hears" "$2" "$3" 50 ${4:+LocalPort "$4"} 2>&1)" 50
}
refusals='tcp[tcpflags] & tcp-rst != 0 or icmp[icmptype] = icmp-unreach or ip6[6] = 6 and ip6[53] & 4 != 0 or icmp6 and ip6[40] = 1'
tables() { n dut nft list tables | grep -c vanguard; }
no_table() { [ "$(tables)" = 0 ]; }
route_by() { # snat
    config 'mode = "route", snat = "'"$1"'", allow = "10.42.0.0/24 2001:db8:42::/64"'
    sed -i 's/"172.30.82.95:8081"/&, { port = "8080", to = "[2001:db8:30::95]:8081" }/' "$tmp/rules.lua"
}

# The kernel of the host refuses nothing of them, and all that is its own goes on.
test_interface() {
    local way before host port
    ip -n "$id-src" link set vx0 mtu 1450
    n dst ethtool -K d0 gro on
    for host in 172.30.82.95 2001:db8:30::95; do
        forget echoes
        n dst perl -e "$echoes" $host 8081 >"$tmp/echoes" 2>"$tmp/echoes.log" &
        wait_for "who echoes" grep -q ready "$tmp/echoes"
    done
    before=$(kernel_count dut TcpOutRsts)
    # a hundredth would be enough to be seen
    n dut sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0
    forget refusals.log
    ip netns exec "$id-dut" tcpdump -i b0 -Q out --immediate-mode -U -w "$tmp/refusals.pcap" "$refusals" >"$tmp/refusals.log" 2>&1 &
    wait_for "tcpdump" grep -q "listening on" "$tmp/refusals.log"
    for way in off xdp; do
        route_by interface
        run -c "$tmp/rules.lua" --fastpath $way
        equal "tables" "$(tables)" 1
        [ $way = xdp ] || own_pieces
        # sessions
        stream dst 172.30.82.95 8081 src 10.42.0.2 8080
        stream dst 2001:db8:30::95 8081 src 2001:db8:42::2 8080
        for port in 1024 32767 61000 65535; do # they are kept
            echoed src 10.42.0.2 8080 $port
            echoed src 2001:db8:42::2 8080 $port
        done
        # what the host asks, and what it serves: at ports that sessions get, too
        stream dst 172.30.82.95 8083 dut 172.30.82.95 8083
        stream dst 2001:db8:30::95 8083 dut 2001:db8:30::95 8083
        echoed dut 172.30.82.95 8081
        echoed dut 172.30.82.95 8081 7001
        echoed dut 2001:db8:30::95 8081 7001
        stream dut 0.0.0.0 7002 dst 172.30.82.1 7002
        stream dut 172.30.82.1 7002 dst 172.30.82.1 7002
        stream dut :: 7002 dst 2001:db8:30::1 7002
        stream dut 0.0.0.0 703 dst 172.30.82.1 7003
        n dut ping -c 3 -i 0.2 -W 5 -q 172.30.82.95 >"$tmp/ping" || fail "the host's ping: $(cat "$tmp/ping")"
        n dut ping -6 -c 3 -i 0.2 -W 5 -q 2001:db8:30::95 >"$tmp/ping" || fail "the host's ping: $(cat "$tmp/ping")"
        [ $way = off ] || between "packets by the fast path" "$(all_of fast_packets)" 50 1000000
        kept_meanwhile
        equal "what the host refused" "$(tcpdump -n -r "$tmp/refusals.pcap" 2>/dev/null)" ""
        equal "resets" "$(kernel_count dut TcpOutRsts)" "$before"
        [ $way = off ] || break
        stop_quietly
        wait_for "the table to be gone" no_table
    done
    kill "$capture"
    wait "$capture" 2>/dev/null || true
    capture=
    kill -9 "$pid"
    wait "$pid" 2>/dev/null || true
    pid=
    wait_for "the table to be gone" no_table
    not_guarded
}

# Datagrams of the host's own, of several fragments; then others translate, for which the kernel puts them
# together in front of everybody.
own_pieces() {
    local host port
    for host in 172.30.82.1 2001:db8:30::1; do
        for port in 7004 7005 7006; do transfer $host $port $host $port 10 4000 500 dst dut; done
    done
    n dut nft -f - <<<'table ip others { chain in { type nat hook prerouting priority dstnat; iifname b0 tcp dport 7003 redirect to :703; }; }'
}

# Other addresses: a session that is open goes on with its own.
kept_meanwhile() {
    local server talker
    n dut nft -a list ruleset >"$tmp/ruleset"
    code 0 vx reload
    n dut nft -a list ruleset | cmp -s - "$tmp/ruleset" || fail "the same addresses again change the table"
    rm -f "$tmp/more"
    mkfifo "$tmp/more"
    forget repeats talks
    n dst perl -e "$repeats" 172.30.82.95 8081 >"$tmp/repeats" 2>"$tmp/repeats.log" &
    server=$!
    wait_for "who repeats" grep -q ready "$tmp/repeats"
    n src perl -e "$talks" 10.42.0.2 8080 <"$tmp/more" >"$tmp/talks" 2>"$tmp/talks.log" &
    talker=$!
    exec 8>"$tmp/more"
    wait_for "an answer" grep -q "answered 1" "$tmp/talks"
    ip -n "$id-dut" addr add 172.30.82.2/24 dev b0
    route_by 172.30.82.2
    code 0 vx reload
    echoed src 10.42.0.2 8080
    stream dst 172.30.82.95 8082 dut 172.30.82.95 8082
    echo >&8
    wait_for "another answer" grep -q "answered 2" "$tmp/talks"
    exec 8>&-
    wait "$talker" || fail "a session with the address of before: $(cat "$tmp/talks.log")"
    wait "$server" || fail "who repeats"
    ip -n "$id-dut" addr del 172.30.82.2/24 dev b0
}

# Who may not have a table says so once, and goes on.
not_guarded() {
    route_by interface
    forget out program.log
    ip netns exec "$id-dut" setpriv --bounding-set -net_admin "$VANGUARD" vxlan-nat a0 b0 --name "$id" --json -c "$tmp/rules.lua" >"$tmp/out" 2>"$tmp/program.log" &
    pid=$!
    wait_for "the program" grep -q '"type":"start"' "$tmp/out"
    code 0 vx reload
    equal "lines about that" "$(grep -c "the kernel may reset sessions with addresses of its own: .*not permitted" "$tmp/program.log")" 1
    kill "$pid"
    wait "$pid" || fail "it did not end well"
    pid=
}

test_mistakes() {
    enter=(ip netns exec "$id-dut" "$VANGUARD" vxlan-nat a0 b0 --duration 1ms)
    config 'allow = "10.42.0.0/33"'
    code 3 "${enter[@]}" -c "$tmp/rules.lua"
    said "rules.lua:1: .*10.42.0.0/33"
    config 'rules = { [80] = "172.30.82.95:x" }'
    code 3 "${enter[@]}" -c "$tmp/rules.lua"
    said 'rules\[80\]'
    config 'rules = { [80] = { } }'
    code 3 "${enter[@]}" -c "$tmp/rules.lua"
    said 'rules are a list, or \[PORT\]'
    echo 'return {' >"$tmp/rules.lua"
    code 3 "${enter[@]}" -c "$tmp/rules.lua"
    said 'rules.lua:2'
    code 3 "${enter[@]}" -c "$tmp/nowhere.lua"
    code 3 "${enter[@]}" --allowlist "$tmp/nowhere.json"
    said 'nowhere.json'
    code 2 "${enter[@]}" --fastpath sometimes
    code 2 "${enter[@]}" --set mtu
    code 1 vx status
    # everything that is wrong, at once
    cat >"$tmp/rules.lua" <<'LUA'
return {
   vnis = "42",
   allow = { "10.0.0.0/8", "10.0.0.300", "::/129" },
   rules = {
      { port = "80", to = "172.30.82.95" },
      { prt = "80", to = "172.30.82.95" },
      [8080] = "172.30.82.95:8081",
      [8081] = "172.30.82.95:80810",
   },
   mtu = 3,
   colour = "red",
}
LUA
    code 3 "$VANGUARD" vxlan-nat check "$tmp/rules.lua"
    equal "errors" "$(wc -l <"$tmp/answer")" 6
    for wrong in ':3: .*10.0.0.300' ':3: .*::/129' 'rules\[2\]: no parameter "prt"' 'rules\[8081\]' ':10: .*mtu' 'no parameter "colour"'; do said "$wrong"; done
    config 'allow = "10.42.0.0/24"'
    code 0 "$VANGUARD" vxlan-nat check "$tmp/rules.lua"
    echo '{ "total_ips": 7, "flat_ip_list": ["10.0.0.1", "10.0.0.256", "10.0.0.1/8"] }' >"$tmp/list.json"
    config 'allow_file = "'"$tmp"'/list.json"'
    code 3 "$VANGUARD" vxlan-nat check "$tmp/rules.lua"
    said 'flat_ip_list\[2\]'
    said 'flat_ip_list\[3\]'
    said 'total_ips is 7, and there are 1'
}

# What doc/vxlan-nat.md tells its reader to do.
test_document() {
    walk doc/vxlan-nat.md
    grep -q "172.30.82.95:8081, from" "$tmp/here/trace.txt" || fail "the trace: $(cat "$tmp/here/trace.txt")"
    grep -q '"type":"start"' "$tmp/here/log.json" || fail "no JSON"
}

run_scenarios "$@"
