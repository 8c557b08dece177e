#!/usr/bin/env bash
# vanguard lab as its users meet it: by root, and by a user without any privilege.
#
# usage: selftest/lab.sh [SCENARIO...]
#
# Run by root each scenario runs twice, the second time as uid 65534 without capabilities; run by
# anybody else once, as it is. Exit code: 0 passed, 1 failed.
# shellcheck disable=SC2016 # it is COMMAND's shell that expands
set -euo pipefail
cd "$(dirname "$0")/.."
BUILD=${BUILD:-build}
SUITE="basics exit_codes signals kill9 server star scenario answers live nat cross uplink"

tmp=$(mktemp -d)
chmod 755 "$tmp"
cp "$BUILD/vanguard" "$tmp/vanguard" # the other user may not see this folder
trap 'rm -rf "$tmp"' EXIT
# A sanitizer's report is a failure of its own; leaks are the business of build/selftest.
export ASAN_OPTIONS=detect_leaks=0:exitcode=99
user=()
nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set=-all --no-new-privs)
scenario=setup
asleep=77${$}
tries=200
# shellcheck source=selftest/scenario.sh
. selftest/scenario.sh

say() { printf '\033[1m[%s%s]\033[0m %s\n' "$scenario" "${user[*]:+, no privilege}" "$*" >&2; }
fail() {
    say "FAILED: $*"
    [ -s "$tmp/err" ] && sed 's/^/    /' "$tmp/err" | tail -25 >&2
    [ -s "$tmp/out" ] && sed 's/^/    stdout: /' "$tmp/out" | tail -25 >&2
    exit 1
}
lab() { (cd "$tmp" && "${user[@]}" ./vanguard lab "$@") >"$tmp/out" 2>"$tmp/err"; } # arguments
code() { # expected exit code, arguments of vanguard lab
    local want=$1 got=0
    shift
    lab "$@" || got=$?
    [ "$got" -eq "$want" ] || fail "lab $*: exit code $got, not $want"
}
# A shell lets what it starts in the background ignore SIGINT and SIGQUIT, and so do those who started us.
begin() { # arguments: in the background; sets $pid, which is vanguard's
    forget out err
    (cd "$tmp" && exec env --default-signal "${user[@]}" ./vanguard lab "$@") >"$tmp/out" 2>"$tmp/err" &
    pid=$!
}
# Signals to it go to COMMAND, which may speak before that: it catches SIGUSR1, the tenth.
attends() { (($(sed -n 's/^SigCgt:[[:space:]]*/0x/p' "/proc/$pid/status") & 1 << 9)); }
smallest_rtt() { sed -n 's,^rtt [^=]*= \([0-9.]*\)/.*,\1,p' "$tmp/out"; }

# --- scenarios --------------------------------------------------------------------------

test_basics() {
    code 0 --preset 3g -- ping -c 10 -i 0.05 b
    between "smallest round trip in 3g, ms" "$(smallest_rtt)" 138 400
    code 0 --delay 30ms --ba owd=10ms -- ping -4 -c 10 -i 0.05 b
    between "smallest round trip by IPv4, ms" "$(smallest_rtt)" 40 59 # 60: both ways alike
    code 1 --ab loss=100% -- ping -c 2 -i 0.2 -W 1 b
    grep -q "dropped loss 2, held 0" "$tmp/err" || fail "the losses are not in the report"
    code 0 --hosts client,server --seed 5 -- sh -c 'getent hosts server; echo $VANGUARD_SERVER_IPV4 $VANGUARD_SEED; id -u; pwd'
    diff "$tmp/out" - <<WORDS || fail "not what COMMAND should see"
fd77::2         server
10.77.0.2 5
$("${user[@]}" id -u)
$tmp
WORDS
    code 0 --server 'sleep 9' -- sh -c 'ls /proc/self/fd | wc -l'
    local descriptors
    descriptors=$(cat "$tmp/out")
    ("${user[@]}" ls /proc/self/fd) >"$tmp/out"
    [ "$descriptors" -eq "$(wc -l <"$tmp/out")" ] || fail "COMMAND has $descriptors descriptors"
    code 0 -- perl -MSocket -e 'socket(R, AF_INET, SOCK_RAW, 1) || die "no raw socket: $!";
        socket(T, AF_INET, SOCK_STREAM, 0) && bind(T, sockaddr_in(80, INADDR_ANY)) || die "not port 80: $!"'
    code 0 --as-root -- id -u
    [ "$(cat "$tmp/out")" = 0 ] || fail "--as-root is not root"
}

# What COMMAND ended with, and what goes wrong before.
test_exit_codes() {
    code 0 -- true
    code 9 -- sh -c 'exit 9'
    code 139 -- sh -c 'kill -SEGV $$'
    code 127 -- no-such-program
    grep -q '^vanguard lab: no-such-program: not found$' "$tmp/err" || fail "no word about the program"
    code 126 -- /etc/passwd
    code 124 -d 200ms -- sleep 10
    code 2 --no-such-option -- true
    code 2
    code 2 --preset no-such -- true
    code 3 --ab loss=150% -- true
    code 3 --hosts a,lo -- true
    local before=("${user[@]}") # a user namespace with room for no other
    user+=(unshare -Ur sh -c 'echo 0 >/proc/sys/user/max_user_namespaces; exec "$@"' sh)
    code 7 --unprivileged -- true
    grep -q 'sysctl user.max_user_namespaces=10000' "$tmp/err" || fail "no cure is named"
    user=("${before[@]}")
    code 0 --quiet -- sh -c 'echo out; echo err >&2'
    [ "$(cat "$tmp/out" "$tmp/err")" = $'out\nerr' ] || fail "stdout and stderr are not COMMAND's alone"
}

# What others send to vanguard is COMMAND's to answer.
test_signals() {
    for signal in TERM INT HUP QUIT USR1 USR2; do
        begin --quiet -- sh -c "trap 'echo got $signal; exit 7' $signal; echo ready; while :; do sleep 0.05; done"
        wait_for "COMMAND" grep -q ready "$tmp/out"
        wait_for "who attends to it" attends
        kill -s "$signal" "$pid"
        local status=0
        wait "$pid" || status=$?
        [ "$status" -eq 7 ] || fail "SIG$signal: exit code $status, not 7"
        grep -q "got $signal" "$tmp/out" || fail "SIG$signal did not reach COMMAND"
    done
    begin --quiet -- sh -c "echo ready; exec sleep $asleep"
    wait_for "COMMAND" grep -q ready "$tmp/out"
    wait_for "who attends to it" attends
    kill "$pid"
    local status=0
    wait "$pid" || status=$?
    [ "$status" -eq 143 ] || fail "a COMMAND that SIGTERM ends: exit code $status, not 143"
    begin --quiet --server "sleep $asleep" --wait 77 -- true
    wait_for "a server" pgrep -f "^sleep $asleep"
    kill "$pid"
    status=0
    wait "$pid" || status=$?
    [ "$status" -eq 143 ] || fail "SIGTERM before COMMAND: exit code $status, not 143"
}

networks() { # the network namespaces of all processes that we may look at
    for link in /proc/[0-9]*/ns/net; do readlink "$link" 2>/dev/null || true; done | sort -u
}
host_state() { # what must be as before
    ip -o link 2>/dev/null | sed 's/^[0-9]*: //' || true
    grep -v ' /run/netns' /proc/self/mounts # others' names of theirs; a lab has none
}
is_host_state() { [ "$(host_state)" = "$1" ]; }
nothing_left() {
    ! pgrep -f "sleep $asleep" >/dev/null || return 1
    ! networks | grep -qxFf "$tmp/networks"
}

# Processes that left COMMAND's group and session, a server, the networks: all gone with vanguard.
test_kill9() {
    local before
    before=$(host_state)
    begin --quiet --server "a=sleep $asleep" -- sh -c "
        readlink /proc/self/ns/net
        setsid sh -c 'setsid sleep $asleep & sleep $asleep' &
        echo ready; exec sleep $asleep"
    wait_for "COMMAND" grep -q ready "$tmp/out"
    wait_for "the server, COMMAND and two others" sh -c "[ \$(pgrep -xfc 'sleep $asleep') -eq 4 ]"
    grep net "$tmp/out" >"$tmp/networks"
    readlink "/proc/$pid/ns/net" >>"$tmp/networks"
    networks | grep -qxFf "$tmp/networks" || fail "no network of its own"
    kill -9 "$pid"
    wait "$pid" 2>/dev/null || true
    wait_for "the end of everything" nothing_left
    wait_for "the interfaces and mounts of before, and no others" is_host_state "$before" # somebody else's may come and go
    code 0 --clean
    grep -q "^removed lab" "$tmp/out" || fail "--clean removes nothing"
    code 0 --clean
    grep -q "^nothing to remove" "$tmp/out" || fail "--clean again"
}

test_server() {
    code 0 --rate 20mbit --server 'iperf3 -s' -- iperf3 -c b -t 2 -J
    between "goodput through 20 Mbit/s" "$(sed -n '/sum_received/,/}/s/.*"bits_per_second":[[:space:]]*\([0-9.e+]*\).*/\1/p' "$tmp/out")" 10e6 19.5e6
    code 1 --server 'echo wrong >&2; exit 3' -- true
    grep -q "b: wrong" "$tmp/err" || fail "the server's words are not shown"
    code 127 --server no-such-server -- true
    code 0 --wait 7777 --server "b=sh -c 'sleep 0.3; exec perl -MIO::Socket::INET -e \"IO::Socket::INET->new(LocalPort => 7777, Listen => 1)->accept\"'" \
        -- perl -MIO::Socket::INET -e 'exit !IO::Socket::INET->new("10.77.0.2:7777")'
}

# Three hosts around a switch; one direction between two of them is cut.
test_star() {
    code 0 --hosts a,b,c --delay 5ms --on c_down:owd=50ms -- sh -c 'ping -c 10 -i 0.05 b | grep ^rtt; ping -c 10 -i 0.05 c'
    between "smallest round trip to b, ms" "$(smallest_rtt | head -1)" 20 64 # 65: c's delay is b's, too
    between "smallest round trip to c, ms" "$(smallest_rtt | tail -1)" 65 109 # 110: up as down
    code 1 --hosts a,b,c --partition 'b>c' --in c --server 'b=ping -c 5 -i 0.1 c' -- ping -c 2 -i 0.2 -W 1 b
    grep -Eq "switch: flooded .*dropped .*partition [1-9]" "$tmp/err" || fail "the partition is not in the report"
    code 0 --hosts a,b,c --partition 'b>c' --in c -- ping -c 2 -i 0.2 a
    cat >"$tmp/ring.lua" <<LUA
return { hosts = { "x", "y" }, graph = function (c, ports)
   config.app(c, "slow", Clumsy, { owd = "30ms" })
   config.chain(c, ports.x, "slow", ports.y)
   config.chain(c, ports.y, ports.x)
end }
LUA
    code 0 --topology ring.lua -- ping -c 10 -i 0.05 y
    between "smallest round trip of a topology, ms" "$(smallest_rtt)" 30 59 # 60: both ways
    grep -q "slow: received" "$tmp/err" || fail "the Clumsy of a topology is not in the report"
    code 3 --topology no-such.lua -- true
    code 2 --topology ring.lua --loss 100% -- true # which would be lost on it
    code 2 --topology ring.lua --on slow:loss=1% -- true
    echo 'return { hosts = { "x", {} }, graph = print }' >"$tmp/strange.lua"
    code 3 --topology strange.lua -- true
    code 2 --wait 80 -- true
}

word() { # file, the text of a file in $tmp
    cat >"$tmp/$1"
    chmod 644 "$tmp/$1"
}

# Pass, fail and inconclusive; what is wrong in a file; what the files say.
test_scenario() {
    word pass.lua <<'LUA'
network { delay = "20ms", ba = { owd = "30ms" } }
at "400ms" { ab = { loss = "100%" } }
at "800ms" { ab = { loss = "0%" } }
ramp "1s" { ab = { owd = { "20ms", "60ms" } }, over = "200ms", steps = 4 }
partition "1500ms" { "b>a" }
heal "1800ms" {}
flap "2s" { "ab", down = "100ms", up = "50ms", count = 2 }
expect {
   ab = { drop_loss = "5..8", drop_down = "2..6", delay_min = "20ms..21ms", delay_max = "60ms..70ms", seen = ">= 40" },
   ba = { drop_down = "4..7", drop_loss = 0 },
   ["more came than went missing"] = function (m) return m.ab.delivered > m.ab.lost end,
   late_p99 = "< 1s",
}
LUA
    mkdir -p "$tmp/files"
    chmod 777 "$tmp/files"
    code 0 --seed 3 --scenario pass.lua --artifacts files --capture -- sh -c 'ping -4 -i 0.05 -c 50 -W 1 b || true'
    grep -q '^vanguard lab: pass (seed 3); again: vanguard lab --seed 3 --scenario pass.lua' "$tmp/err" || fail "no last word"
    grep -q '<testsuite name="pass.lua" tests="13" failures="0" errors="0"' "$tmp/files/junit.xml" || fail "junit.xml: $(head -2 "$tmp/files/junit.xml")"
    grep -q '"event":"partition"' "$tmp/files/events.ndjson" || fail "no partition among the events"
    grep -q '"outcome":"pass"' "$tmp/files/report.json" || fail "report.json"
    grep -q '<svg' "$tmp/files/report.html" || fail "report.html"
    [ "$(stat -c %s "$tmp/files/ab.before.pcapng")" -gt "$(stat -c %s "$tmp/files/ab.after.pcapng")" ] || fail "captures of ab"
    if grep -qE 'src=|href=|url\(' "$tmp/files/report.html"; then fail "report.html wants something from elsewhere"; fi
    rm -rf "$tmp/files"
    word fail.lua <<'LUA'
expect { ab = { loss = within "50%" } }
LUA
    code 6 --scenario fail.lua -- ping -c 30 -i 0.01 b
    grep -q 'failed: ab.loss is 0%, wanted within chance of 50%' "$tmp/err" || fail "not said what failed"
    code 0 --scenario fail.lua --loss 50% -- sh -c 'ping -c 200 -i 0.002 -W 1 b || true'
    code 6 --scenario fail.lua --loss 10% -- sh -c 'ping -c 200 -i 0.002 -W 1 b || true'
    code 3 --scenario fail.lua --loss 50% -- sh -c 'ping -c 200 -i 0.002 -W 1 b; exit 3'
    word late.lua <<'LUA'
network { owd = "1ms" }
expect { late_p99 = "< 1ns", ab = { seen = "> 1000000" } }
LUA
    code 8 --scenario late.lua -- ping -c 2 -i 0.1 b
    grep -q 'inconclusive: late_p99 is' "$tmp/err" || fail "not said why it is inconclusive"
    word silent.lua <<'LUA'
expect { exit_code = 1 }
LUA
    code 6 --scenario silent.lua -- true
    code 6 --scenario silent.lua -- false
    code 0 --scenario silent.lua --min-packets 0 -- false
    local bad
    while IFS='|' read -r bad want; do
        printf '%s\n' "$bad" | word bad.lua
        code 3 --scenario bad.lua -- true
        grep -qF "$want" "$tmp/err" || fail "$bad: $(cat "$tmp/err")"
    done <<'LINES'
at "1s" { ab = { los = "5%" } }|bad.lua:1: app "ab" (Clumsy): no parameter "los" (did you mean "loss"?)
at "soon" {}|bad.lua:1: "soon" is not a time
partition "1s" { "a>x" }|bad.lua:1: partition: "a>x" is not HOST>HOST
flap "1s" { "ac" }|bad.lua:1: no direction "ac"
ramp "1s" { owd = "5ms" }|bad.lua:1: ramp:
expect { ab = { loss = "little" } }|expect: ab.loss: "little" is no wish
expekt {}|bad.lua:1: no such name "expekt"
at "1s" {{|bad.lua:
LINES
    code 3 --scenario nowhere.lua -- true
    say "pass, fail and inconclusive are told apart, and mistakes named with their line"
}

# What a router and a firewall on the way say: ICMP for packets that are too big, resets.
test_answers() {
    code 1 --set mtu=1400 -- ping -4 -c 1 -W 1 -M 'do' -s 1373 -q b
    code 0 --set mtu=1400 -- ping -4 -c 1 -W 1 -M 'do' -s 1372 -q b
    code 1 --set mtu=1400,mtu.icmp=true -- ping -4 -c 1 -W 1 -M 'do' -s 1472 b
    grep -q 'Frag needed and DF set (mtu = 1400)' "$tmp/out" || fail "no ICMP for IPv4"
    code 1 --set mtu=1400,mtu.icmp=true -- ping -6 -c 1 -W 1 -M 'do' -s 1452 b
    grep -q 'Packet too big: mtu=1400' "$tmp/out" || fail "no ICMPv6"
}

# vanguard ctl while it runs.
test_live() {
    code 0 --name "live$$" --delay 1ms -- sh -c "ping -c 1 b >/dev/null; ./vanguard ctl live$$ set ab.owd=40ms ba.loss=0% &&
        ./vanguard ctl live$$ get ab.owd && ping -c 10 -i 0.05 b && ! ./vanguard ctl live$$ set ab.owd=1year"
    grep -q '^ab.owd: 1ms -> 40ms (packet' "$tmp/out" || fail "the change is not said"
    between "smallest round trip after the change, ms" "$(smallest_rtt)" 41 79 # 80: both ways
    grep -q '"1year" is not a duration' "$tmp/err" || fail "a wrong value is not said"
}

# Behind an address translator: a server sees other ports than the client has, and after a rebind others again;
# TCP breaks when its mapping has gone.
test_nat() {
    word tell_port.pl <<'PERL'
use Socket;
socket(S, AF_INET, SOCK_DGRAM, 0) && bind(S, sockaddr_in(5353, INADDR_ANY)) || die;
while (my $from = recv(S, my $m, 64, 0)) {
    my ($port, $address) = sockaddr_in($from);
    send(S, inet_ntoa($address) . " $port", 0, $from);
}
PERL
    word ask_port.pl <<'PERL'
use Socket;
socket(S, AF_INET, SOCK_DGRAM, 0) && connect(S, sockaddr_in(5353, inet_aton("b"))) || die;
my ($own) = sockaddr_in(getsockname(S));
print "own $own\n";
$| = 1;
for (1 .. 12) {
    my ($ready, $m) = ("", "none");
    vec($ready, fileno(S), 1) = 1;
    send(S, "?", 0);
    recv(S, $m, 64, 0) if select($ready, undef, undef, 3);
    print "$m\n";
    system(@ARGV) if @ARGV && $_ == 6;
}
PERL
    code 0 --name "nat$$" --server 'perl tell_port.pl' --nat a -- perl ask_port.pl ./vanguard ctl "nat$$" set nat_a.generation=1
    local own ports
    own=$(sed -n 's/^own //p' "$tmp/out")
    ports=$(grep '^10.77.0.1 ' "$tmp/out" | uniq -c | awk '{ print $1 }' | xargs)
    [ "$ports" = "6 6" ] || fail "the server saw ports for $ports packets, not 6 and 6"
    if grep -q "^10.77.0.1 $own$" "$tmp/out"; then fail "the server saw the client's own port"; fi
    grep -q "^vanguard lab: nat a: out .* rebinds 1," "$tmp/err" || fail "no word about the rebind"
    code 0 --server 'perl tell_port.pl' --nat a:address=10.77.0.99,address6=fd77::99 -- sh -c 'perl ask_port.pl && ping -c 1 b'
    [ "$(grep -c '^10.77.0.99 ' "$tmp/out")" -eq 12 ] || fail "the server saw another address"
    word echo.pl <<'PERL'
use IO::Socket::INET;
my $s = IO::Socket::INET->new(Listen => 5, LocalPort => 7000, ReuseAddr => 1) || die;
while (my $c = $s->accept) { while (defined(my $l = <$c>)) { print $c $l; $c->flush; } }
PERL
    word talk.pl <<'PERL'
use IO::Socket::INET;
alarm 10;
my $s = IO::Socket::INET->new(PeerAddr => "b:7000") || die;
for (1, 2) {
    print $s "hello\n";
    $s->flush;
    defined(my $l = <$s>) || die "broken in line $_: $!\n";
    select(undef, undef, undef, 1) if $_ == 1;
}
PERL
    code 0 --server 'perl echo.pl' --nat a -- perl talk.pl
    code 104 --server 'perl echo.pl' --nat a:tcp_timeout=500ms,tcp_transitory_timeout=500ms -- perl talk.pl
    grep -q "broken in line 2: Connection reset" "$tmp/err" || fail "TCP did not break as it must"
    code 2 --nat c -- true
    code 3 --nat a:prots=1-2 -- true
    say "ports change with a rebind, and TCP breaks with its mapping"
}

# Others in the bottleneck: what they send comes through it, and no more than fits.
test_cross() {
    code 0 --rate 10mbit --cross 'udp 5mbit' -- ping -c 3 -i 0.3 b
    between "packets of the others, as many as 5 Mbit/s are" "$(sed -n 's/.*cross ab: sent \([0-9]*\), received.*lost 0$/\1/p' "$tmp/err")" 200 20000
    code 0 --ab rate=1mbit --cross 'ab:udp 4mbit' -- sh -c 'ping -c 3 -i 0.3 -W 1 b || true'
    grep -q "cross ab: sent [0-9]*, received [0-9]*, lost [1-9]" "$tmp/err" || fail "four times what fits is not lost"
    if grep -q "cross ba" "$tmp/err"; then fail "others where nobody asked for them"; fi
    word shared.lua <<'LUA'
network { ab = { rate = "4mbit", cross = "udp 3mbit" } }
at "50ms" { ab = { rate = "1mbit" } } -- another rate of the same bottleneck
LUA
    code 0 --scenario shared.lua --min-packets 0 -- sleep 0.6
    grep -q "cross ab: sent [0-9]*, received [0-9]*, lost [1-9]" "$tmp/err" || fail "a new rate left the others behind"
    code 2 --cross tcp -- true
    code 3 --rate 1mbit --cross 'ftp 1mbit' -- true
}

outer() { ip netns exec "$outer" "$@"; }
forwards() { [ "$(outer sysctl -n net.ipv4.ip_forward)" = "$1" ]; }
no_trace() { forwards 0 && ! outer ip -o link | grep -q vglab; }
remove_outer() { for ns in "$outer" "$outer-far"; do ip netns del "$ns" 2>/dev/null || true; done; }

# A way out, between namespaces of our own: the caller's, and one beyond that knows no way to the lab.
test_uplink() {
    if [ "$(id -u)" -ne 0 ] || [ ${#user[@]} -gt 0 ]; then
        code 7 --uplink --unprivileged -- true
        return
    fi
    outer=lab$$
    trap 'remove_outer; rm -rf "$tmp"' EXIT
    ip netns add "$outer"
    ip netns add "$outer-far"
    outer sysctl -qw net.ipv4.ip_forward=0
    ip -n "$outer" link add out type veth peer name eth0 netns "$outer-far"
    ip -n "$outer" addr add 198.51.100.1/24 dev out
    ip -n "$outer-far" addr add 198.51.100.2/24 dev eth0
    ip -n "$outer" link set out up
    ip -n "$outer-far" link set eth0 up
    user=(ip netns exec "$outer")
    code 0 --uplink --delay 20ms -- ping -c 10 -i 0.05 198.51.100.2
    between "smallest round trip through the uplink, ms" "$(smallest_rtt)" 40 79 # 80: twice
    no_trace || fail "the caller's network is not as it was"
    begin --uplink -- sh -c "echo ready; exec sleep $asleep"
    wait_for "COMMAND" grep -q ready "$tmp/out"
    forwards 1 || fail "the caller's network does not forward"
    kill -9 "$pid"
    wait "$pid" 2>/dev/null || true
    code 0 --clean
    grep -q "^removed lab-uplink" "$tmp/out" || fail "--clean did not remove the uplink"
    wait_for "the caller's network as it was" no_trace
    code 0 --uplink --hosts a,b,c -- ping -c 1 198.51.100.2
    no_trace || fail "the caller's network is not as it was, later"
    user=()
    remove_outer
}

# --- main -------------------------------------------------------------------------------

# shellcheck disable=SC2086 # one word per scenario
[ $# -gt 0 ] || set -- $SUITE
for scenario in "$@"; do
    "test_$scenario"
    say passed
done
if [ "$(id -u)" -eq 0 ]; then
    user=("${nobody[@]}")
    for scenario in "$@"; do
        "test_$scenario"
        say passed
    done
fi
