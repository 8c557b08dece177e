#!/usr/bin/env bash
# vanguard sentinel between real network namespaces, flooded by hping3.
#
#   ┌── gen ────────────────────────┐        ┌── dut ─────────────────────┐
#   │ 192.0.2.1  somebody honest    │  veth  │ d0  192.0.2.2              │
#   │ 192.0.2.66 who floods    eth0 ├────────┤ XDP: vanguard sentinel     │
#   │ 192.0.2.67 another one        │        │                            │
#   │ 198.51.100.1             eth1 ├────────┤ d1  198.51.100.2           │
#   └───────────────────────────────┘        └────────────────────────────┘
#
# usage: selftest/sentinel.sh [SCENARIO...]      selftest/sentinel.sh --list
#
# No frame is sent but those that a scenario sends: no IPv6, neighbours are known. So three counts
# must agree to the frame: what gen's interface sent, what the sentinel judged, what dut's sent up.
# Every scenario has a control, in which what it looks for must be missing. Limits are a burst and next
# to nothing a second, so that the outcome does not depend on how fast hping3 is. Needs root. Exit
# code: 0 passed, 1 failed, 43 cannot run here.
# shellcheck disable=SC2016 # it is awk, perl and other shells that expand
set -euo pipefail
cd "$(dirname "$0")/.."
BUILD=${BUILD:-build}
VANGUARD=$PWD/$BUILD/vanguard
JSON=$PWD/selftest/json_value.lua
SUITE="attach_count_detach ban_unban_allow syn_flood syn_cookies forged_friends dry_run udp_limit icmp_limit destination_limit ttl reload swap_under_flood accounting interfaces mistakes cleanup comes_back pinned fail_modes soak snapshot health reread paused clock outputs document"

id=vs$$
tmp=$(mktemp -d)
scenario=setup
export ASAN_OPTIONS=detect_leaks=0:exitcode=99
flooder=192.0.2.66
other=192.0.2.67
host=192.0.2.2
tries=600
# shellcheck source=selftest/scenario.sh
. selftest/scenario.sh

# --- how it talks --------------------------------------------------------------------

fail() {
    say "FAILED: $*"
    for log in "$tmp"/*; do
        [ -s "$log" ] && cut -c1-400 "$log" | sed "s,^,    $(basename "$log"): ," | tail -8 >&2
    done
    exit 1
}
trace() { printf '\033[2m[%s] %s\033[0m\n' "$scenario" "$*" >&2; }
n() { # namespace, command...: runs it there, and says so
    local ns=$1
    shift
    trace "$ns: $*"
    ip netns exec "$id-$ns" "$@"
}
quiet() { # the same without a trace
    local ns=$1
    shift
    ip netns exec "$id-$ns" "$@"
}

# --- what it builds and takes down ----------------------------------------------------

take_down() { drop_namespaces gen dut; }
cleanup() {
    set +e
    take_down
    rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

address_of() { quiet "$1" cat "/sys/class/net/$2/address"; }

know() { # namespace, interface, peer's interface, addresses...: no question is asked
    local ns=$1 interface=$2 address
    local peer=gen
    [ "$ns" = gen ] && peer=dut
    address=$(address_of "$peer" "$3")
    for ip in "${@:4}"; do ip -n "$id-$ns" neigh replace "$ip" dev "$interface" lladdr "$address"; done
}

build_network() {
    take_down
    for ns in gen dut; do
        ip netns add "$id-$ns"
        quiet "$ns" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
        ip -n "$id-$ns" link set lo up
    done
    for i in 0 1; do
        ip -n "$id-gen" link add "eth$i" type veth peer name "d$i" netns "$id-dut"
        ip -n "$id-gen" link set "eth$i" up
        ip -n "$id-dut" link set "d$i" up
    done
    for ip in 192.0.2.1 $flooder $other; do ip -n "$id-gen" addr add "$ip/24" dev eth0; done
    ip -n "$id-gen" addr add 198.51.100.1/24 dev eth1
    ip -n "$id-dut" addr add $host/24 dev d0
    ip -n "$id-dut" addr add 198.51.100.2/24 dev d1
    know gen eth0 d0 $host
    know gen eth1 d1 198.51.100.2
    know dut d0 eth0 192.0.2.1 $flooder $other
    know dut d1 eth1 198.51.100.1
}

enter=(ip netns exec "$id-dut")

start() { # arguments: vanguard sentinel in dut; sets $pid; what it prints goes to $tmp/out
    trace "dut: vanguard sentinel $*"
    forget out
    "${enter[@]}" "$VANGUARD" sentinel "$@" --name "$id" >"$tmp/out" 2>"$tmp/log" &
    pid=$!
    wait_for "the program on its interfaces" grep -q '"type":"watch"' "$tmp/out"
    mark
}

stop() { # by SIGTERM, and it must say it ended well
    kill "$pid"
    local status=0
    wait "$pid" || status=$?
    [ "$status" -eq 0 ] || fail "vanguard ended with exit code $status"
}

code() { # expected exit code, a verb and its arguments; what it says goes to $tmp/answer and refusal
    local want=$1 got=0
    shift
    trace "vanguard sentinel $*"
    "$VANGUARD" sentinel "$@" --name "$id" >"$tmp/answer" 2>"$tmp/refusal" || got=$?
    [ "$got" -eq "$want" ] || fail "sentinel $*: exit code $got, not $want"
}
set_parameters() { # PATH=VALUE...
    trace "vanguard ctl $id set $*"
    "$VANGUARD" ctl "$id" set "$@" >"$tmp/changes" || fail "refused: $*"
}

# --- counts ------------------------------------------------------------------------------

sent() { quiet gen awk '$1 == "eth0:" { print $11 }' /proc/net/dev; }
came() { quiet dut awk '$1 == "d0:" { print $3 }' /proc/net/dev; }
got_up() { quiet dut awk '$1 == "Ip:" && $4 + 0 == $4 { print $4 }' /proc/net/snmp; } # packets that reached the IP stack

mark() { # what is counted from here on
    sent_before=$(sent)
    came_before=$(came)
    up_before=$(got_up)
}
sent_now() { echo $(($(sent) - sent_before)); }
came_now() { echo $(($(came) - came_before)); }
up_now() { echo $(($(got_up) - up_before)); }

figure() { # paths...: of the status, 0 where there is none
    "$VANGUARD" sentinel status --json --name "$id" >"$tmp/status" 2>&1 || fail "no status"
    local paths=()
    for path in "$@"; do paths+=("interfaces.1.$path"); done
    "$VANGUARD" run "$JSON" "$tmp/status" "${paths[@]}" | sed 's/^nil$/0/'
}
dropped_by() { figure "reasons.dropped.$1.packets"; }
would_drop_by() { figure "reasons.would_drop.$1.packets"; }
all_judged() { # and those that passed have come to the host
    local received dropped
    read -r received dropped < <(figure received.packets dropped.packets | xargs)
    [ "$received" -eq "$(sent_now)" ] && [ "$(up_now)" -ge $((received - dropped)) ]
}
value() { # file of JSON, paths...
    "$VANGUARD" run "$JSON" "$@"
}

flood() { # source, how many, hping3's arguments: that many frames, and all of them judged
    local source=$1 count=$2
    shift 2
    trace "gen: hping3 -a $source -c $count $*"
    local goal=$(($(sent) + count)) hping
    ip netns exec "$id-gen" timeout 60 hping3 -I eth0 -a "$source" -c "$count" -i u1 -q "$@" $host >/dev/null 2>&1 &
    hping=$!
    wait_for "hping3 to send" has_sent "$goal"
    kill "$hping" 2>/dev/null || true # it would wait for answers
    wait "$hping" 2>/dev/null || true
    equal "frames more than hping3 should send" $(($(sent) - goal)) 0
    wait_for "the frames to be judged" all_judged
}
has_sent() { [ "$(sent)" -ge "$1" ]; }
answers() { quiet gen ping -I "$1" -c 1 -W "${2-10}" -q $host >/dev/null; } # source address, seconds
attached() { quiet dut ip link show d0 | grep -q prog/xdp; }
no_program() { ! attached; }
event() { grep -m1 "\"event\":\"$1\"" "$tmp/out"; } # the first of that name

NO_LIMITS=(--src-syn 0 --src-udp 0 --src-icmp 0 --src-pps 0 --src-bps 0 --set src_flags.pps=0)
FEW_SYNS=(--src-syn 10 --set src_syn.burst=100)

# --- scenarios ------------------------------------------------------------------------

# Frames of four kinds: counted by three who do not know of each other; afterwards no trace.
test_attach_count_detach() {
    local mode
    for mode in native generic; do
        no_program || fail "somebody's program is on d0"
        start d0 --attach $mode "${NO_LIMITS[@]}"
        attached || fail "no program on d0"
        flood $flooder 2500 -S -p 81
        flood $flooder 2500 -A -p 81
        flood $flooder 2500 --udp -p 81
        flood $flooder 2500 --icmp
        equal "what gen sent" "$(sent_now)" 10000
        equal "what d0 received" "$(came_now)" 10000
        equal "what was judged" "$(figure received.packets)" 10000
        equal "what the host got" "$(up_now)" 10000
        equal "SYNs, UDP, ICMP" "$(figure classes.syn.packets classes.udp.packets classes.icmp.packets | xargs)" "2500 2500 2500"
        equal "mode" "$(figure mode)" $mode
        set_parameters d0.block=$flooder # the control: the same counts, when frames are dropped
        flood $flooder 100 -S -p 81
        equal "what the host got" "$(up_now)" 10000
        equal "what was judged" "$(figure received.packets)" 10100
        stop
        no_program || fail "the program stays on d0"
    done
}

test_ban_unban_allow() {
    start d0
    answers $flooder || fail "no answer before the ban"
    code 0 ban $flooder
    if answers $flooder 0.2; then fail "an answer in spite of the ban"; fi
    answers 192.0.2.1 || fail "the ban meets somebody else"
    code 0 why $flooder
    grep -q "^d0: banned for good" "$tmp/answer" || fail "why does not know: $(cat "$tmp/answer")"
    code 0 list --kind banned --json
    equal "who is banned, and what was dropped" "$(value "$tmp/answer" 1.address 1.packets 2.address | xargs)" "$flooder 1 nil"
    code 0 unban $flooder
    answers $flooder || fail "no answer after the ban"
    code 1 unban $flooder
    code 0 ban 192.0.2.64/28
    if answers $flooder 0.2 || answers $other 0.2; then fail "an answer in spite of the prefix"; fi
    answers 192.0.2.1 || fail "the prefix meets somebody else"
    code 0 list
    grep -q "^192.0.2.64/28 *banned *list" "$tmp/answer" || fail "the prefix is not in the list"
    code 0 allow $other
    answers $other || fail "no answer to who is allowed"
    code 3 ban $other
    grep -q "it is allowed: --force" "$tmp/refusal" || fail "not said why: $(cat "$tmp/refusal")"
    answers $other || fail "a ban that was refused"
    code 0 ban $other --force
    if answers $other 0.2; then fail "an answer in spite of --force"; fi
    stop
    answers $flooder || fail "bans outlive the program"
    start d0 --dry-run # the control
    code 0 ban $flooder
    answers $flooder || fail "a dry run drops"
    equal "what it would have dropped" "$(would_drop_by banned)" 1
    stop
}

# An honest connection that goes on while another source floods.
serve_lines() {
    quiet dut perl -MIO::Socket::INET -e '
        my $s = IO::Socket::INET->new(LocalPort => 80, Listen => 9, ReuseAddr => 1) or die;
        while (my $c = $s->accept) { next if fork; while (<$c>) { print $c "got $_"; $c->flush } exit }' >/dev/null 2>&1 &
    wait_for "the server" sh -c "ip netns exec $id-dut ss -Hltn 'sport = :80' | grep -q ."
}
connection() { # until $tmp/go is there it says one thing, then another
    # shellcheck disable=SC2016
    quiet gen timeout 60 bash -c '
        exec 3<>/dev/tcp/192.0.2.2/80; echo one >&3; read -r line <&3; echo "$line"
        until [ -e "$1" ]; do sleep 0.02; done
        echo two >&3; read -r line <&3; echo "$line"' sh "$tmp/go" >"$tmp/lines" &
    client=$!
    wait_for "a connection" grep -q "got one" "$tmp/lines"
}

test_syn_flood() {
    rm -f "$tmp/go"
    serve_lines
    start d0 "${FEW_SYNS[@]}"
    connection
    flood $flooder 5000 -S -p 81
    between "SYNs of 5000 that passed" "$(($(figure received.packets) - $(figure dropped.packets)))" 100 1000
    between "dropped at the limit, and as blocked" "$(($(dropped_by src_syn) + $(dropped_by blocked)))" 4000 4900
    between "dropped at the limit" "$(dropped_by src_syn)" 1 1
    wait_for "the event" event block
    event block >"$tmp/event"
    equal "the event" "$(value "$tmp/event" type interface detection source destination protocol dport ttl evidence dry_run | xargs)" \
        "event d0 src_syn $flooder $host 6 81 60.0 spoofable false"
    code 0 list --kind blocked --json
    equal "who is blocked" "$(value "$tmp/answer" 1.address 1.detection 2.address | xargs)" "$flooder src_syn nil"
    if answers $flooder 0.2; then fail "a blocked source gets answers"; fi
    answers 192.0.2.1 || fail "an honest source gets none"
    touch "$tmp/go"
    wait "$client" || fail "the honest connection broke"
    equal "the honest connection" "$(xargs <"$tmp/lines")" "got one got two"
    code 0 flush
    answers $flooder || fail "no answer after flush"
    stop
    # the controls: nothing is dropped, and only a dry run tells of it
    start d0 "${FEW_SYNS[@]}" --dry-run
    flood $flooder 1000 -S -p 81
    equal "dropped by a dry run" "$(figure dropped.packets)" 0
    equal "what the host got" "$(up_now)" 1000
    wait_for "the event" event limit
    event limit >"$tmp/event"
    equal "a dry run's event" "$(value "$tmp/event" detection source dry_run | xargs)" "src_syn $flooder true"
    stop
    start d0 "${NO_LIMITS[@]}"
    flood $flooder 1000 -S -p 81
    equal "dropped without a limit" "$(figure dropped.packets)" 0
    stop
    if grep -q '"type":"event"' "$tmp/out"; then fail "an event without a limit"; fi
}

# One connection after the other; each must be greeted. Prints how many were.
honest_client='use IO::Socket::INET; for (1 .. $ARGV[0]) { my $s = IO::Socket::INET->new(PeerAddr => "192.0.2.2:80",
    LocalAddr => "192.0.2.1", Timeout => 1); $n++ if $s && sysread($s, $b, 9) } print $n + 0'
greeter='use IO::Socket::INET; $l = IO::Socket::INET->new(LocalPort => 80, Listen => 16, ReuseAddr => 1) or die $!;
    while ($s = $l->accept) { syswrite($s, "hello"); close $s }'

answered_many() { [ "$(figure answered.packets)" -ge 500 ]; }

# Forged sources, each a SYN: nobody can be blocked, and the backlog is full at once. The program
# answers in the host's place, which meets only those who come back.
test_syn_cookies() {
    local way cookies tries greeted
    ip -n "$id-dut" route replace default via $other # where answers to forged sources go
    quiet gen ethtool -K eth0 tx off >/dev/null
    quiet dut ethtool -K d0 tx off >/dev/null
    # of who connected before the kernel would know, and let him in though the backlog is full
    quiet dut sysctl -qw net.ipv4.tcp_max_syn_backlog=16 net.ipv4.tcp_no_metrics_save=1
    for way in cookie alert; do
        # without cookies of the kernel's own in the control
        cookies=0
        tries=10
        [ $way = alert ] || { cookies=2 tries=200; }
        quiet dut sysctl -qw net.ipv4.tcp_syncookies=$cookies
        ip netns exec "$id-dut" perl -e "$greeter" &
        local server=$!
        start d0 --attach generic "${NO_LIMITS[@]}" --set syn_action=$way --set dst_syn_pps=100 \
            --set dst_syn_hard_pps=0 --set sustain=0 --set anomaly_factor=0
        trace "gen: hping3 --rand-source"
        ip netns exec "$id-gen" timeout 30 hping3 -I eth0 --rand-source -S -p 80 -i u200 -q $host >/dev/null 2>&1 &
        local flooding=$!
        wait_for "the flood to be noticed" grep -q '"state":"mitigate"' "$tmp/out"
        greeted=$(quiet gen perl -e "$honest_client" $tries)
        [ $way = alert ] || wait_for "answers to the flood, beside those to the honest" answered_many
        kill $flooding
        wait $flooding 2>/dev/null || true
        if [ $way = cookie ]; then
            between "honest connections of 200" "$greeted" 198 200
        else
            between "honest connections of 10 without" "$greeted" 0 5
        fi
        code 0 list --json
        equal "who is blocked" "$(value "$tmp/answer" 1.address)" nil
        stop
        kill $server
        wait $server 2>/dev/null || true
    done
}

# Floods in the name of those whom it would hurt most: nobody is blocked, what passes is what
# everybody may send, and the gateway answers all the while. Who is allowed by name is not even limited.
test_forged_friends() {
    local source up passed flooding
    hold_mounts
    echo "nameserver $other" >"$tmp/resolv.conf"
    "${enter[@]}" mount --bind "$tmp/resolv.conf" /etc/resolv.conf
    ip -n "$id-dut" route replace default via 192.0.2.1
    start d0 "${FEW_SYNS[@]}" --allow 198.51.100.0/24 --set dst_syn_pps=1000000 --set dst_syn_hard_pps=0
    trace "gen: hping3 -a 192.0.2.1"
    ip netns exec "$id-gen" timeout 60 hping3 -I eth0 -a 192.0.2.1 -i u1 -q -S -p 81 $host >/dev/null 2>&1 &
    flooding=$!
    wait_for "the flood to be limited" over_limit
    quiet dut ping -c 50 -i 0.02 -q 192.0.2.1 >"$tmp/ping" || true
    wait_for "50 answers of the gateway meanwhile" same 50 kernel_count dut IcmpInEchoReps # ping itself gives the last one two round trips
    kill $flooding
    wait $flooding 2>/dev/null || true
    for source in "$other" "$host" 198.51.100.9 "$flooder"; do
        up=$(up_now)
        flood "$source" 20000 -S -p 81
        passed=$(($(up_now) - up))
        case $source in
        "$host") equal "passed of our own address, and martians" "$passed $(dropped_by martian)" "0 20000" ;;
        198.51.100.9) equal "passed of who is allowed" $passed 20000 ;;
        *) between "passed of $source" $passed 100 1000 ;;
        esac
    done
    code 0 list --kind blocked --json
    equal "who is blocked: the stranger" "$(value "$tmp/answer" 1.address 2.address | xargs)" "$flooder nil"
    stop
    drop_mounts
}
over_limit() { [ "$(dropped_by src_syn)" -gt 1000 ]; }

# What would be dropped passes, until the same parameter says otherwise.
test_dry_run() {
    start d0 --dry-run "${FEW_SYNS[@]}" --block $other --src-udp 1 --set src_udp.burst=10
    flood $flooder 1000 -S -p 81
    flood $other 100 --icmp
    flood 192.0.2.1 100 --udp -p 81
    equal "dropped" "$(figure dropped.packets)" 0
    equal "what the host got" "$(up_now)" 1200
    equal "would drop: in the list" "$(would_drop_by listed)" 100
    between "would drop: UDP" "$(would_drop_by src_udp)" 60 90
    between "would drop: SYNs" "$(($(would_drop_by src_syn) + $(would_drop_by blocked)))" 500 900
    set_parameters d0.dry_run=false
    flood $other 100 --icmp
    equal "dropped: in the list" "$(dropped_by listed)" 100
    equal "what the host got" "$(up_now)" 1200
    stop
}

# A burst of 200, one a second more: what passes of 2000.
limit_of() { # parameter, option of hping3
    start d0 "${NO_LIMITS[@]}" --set "$1.pps=1" --set "$1.burst=200"
    flood $flooder 2000 "$2" -p 81
    between "passed of 2000" "$(up_now)" 200 260
    equal "dropped by $1" "$(dropped_by "$1")" $((2000 - $(up_now)))
    code 0 list
    equal "who is blocked" "$(cat "$tmp/answer")" nobody
    set_parameters "d0.$1.pps=0"
    mark_up=$(up_now)
    flood $flooder 500 "$2" -p 81
    equal "passed of 500 without the limit" "$(($(up_now) - mark_up))" 500
    stop
}
test_udp_limit() { limit_of src_udp --udp; }
test_icmp_limit() { limit_of src_icmp --icmp; }

# All that an address gets: who has a connection, and nobody else, has no part in it.
test_destination_limit() {
    rm -f "$tmp/go"
    serve_lines
    echo "return { groups = { { prefix = '$host', dst_pps = 1, sustain = 0, dst_exit_hold = '60s' } } }" >"$tmp/policy.lua"
    start d0 "${NO_LIMITS[@]}" --config "$tmp/policy.lua"
    connection
    flood $flooder 1000 --udp -p 81
    wait_for "the event" grep -q '"state":"mitigate"' "$tmp/out"
    grep -m1 '"state":"mitigate"' "$tmp/out" >"$tmp/event"
    equal "the event" "$(value "$tmp/event" event detection destination threshold | xargs)" "state dst_pps $host 1"
    before=$(dropped_by dst_limit)
    flood $flooder 1000 --udp -p 81
    between "dropped of 1000" "$(($(dropped_by dst_limit) - before))" 990 1000
    quiet gen timeout 60 hping3 -I eth0 -a $flooder -i u1000 -q --udp -p 81 $host >/dev/null 2>&1 &
    hping=$!
    touch "$tmp/go"
    wait "$client" || fail "the honest connection broke"
    kill "$hping"
    equal "the honest connection" "$(xargs <"$tmp/lines")" "got one got two"
    stop
}

seconds() { cut -d' ' -f1 /proc/uptime; }

# Nothing passes before the block is over, by the clock that the program has; then all does.
test_ttl() {
    start d0 "${FEW_SYNS[@]}" --ttl 2s --set hold_rate=0
    flood $flooder 1000 -S -p 81
    wait_for "the event" event block
    event block >"$tmp/event"
    wait_for "an answer" answers $flooder 0.05
    between "seconds that the block lasted" "$(echo "$(seconds) $(value "$tmp/event" time)" | awk '{ print $1 - $2 }')" 1.97 60
    code 0 list --kind blocked
    equal "who is blocked" "$(cat "$tmp/answer")" nobody
    stop
    # the control: a longer one does not end
    start d0 "${FEW_SYNS[@]}" --ttl 60s --set hold_rate=0
    flood $flooder 1000 -S -p 81
    sleep 2.1
    if answers $flooder 0.2; then fail "an answer before the end"; fi
    stop
}

dropped_more() { [ "$(figure dropped.packets)" -gt "$1" ]; }

# Twenty policies, one after the other, while who is banned and who is listed flood.
test_reload() {
    start d0 --block $flooder
    code 0 ban $other
    for source in $flooder $other; do
        quiet gen timeout 60 hping3 -I eth0 -a "$source" -i u200 -q -S -p 81 $host >/dev/null 2>&1 &
    done
    local i before
    for i in $(seq 20); do
        before=$(figure dropped.packets)
        set_parameters d0.src_udp.pps=$((1000 + i)) d0.src_icmp.burst=$((50 + i)) >/dev/null
        wait_for "the flood to go on" dropped_more "$before"
    done
    equal "packets of theirs that the host got" "$(up_now)" 0
    equal "the last policy" "$("$VANGUARD" ctl "$id" get d0.src_udp.pps)" d0.src_udp.pps=1020
    between "dropped" "$(figure dropped.packets)" 20 10000000
    set_parameters d0.block= # the control
    wait_for "packets that pass" sh -c "[ \$(ip netns exec $id-dut awk '\$1 == \"Ip:\" && \$4 + 0 == \$4 { print \$4 }' /proc/net/snmp) -gt $up_before ]"
    stop
}

prefixes() { # seed, more of them: 100,000 in 11.0.0.0/8, some of them within others
    awk -v s="$1" 'BEGIN { for (i = 0; i < 100000; i++) { x = i * 160 + s
        printf "11.%d.%d.%d/%d\n", x / 65536, x / 256 % 256, x % 256, i % 10 ? 32 : 28 } }'
    shift
    printf '%s\n' "$@"
}
floods() { [ "$(sent)" -gt "$1" ]; }

# Whatever is changed while who is in the list floods, nothing of his passes: lists of 100,000 prefixes,
# policies, kill -9 and the next process.
test_swap_under_flood() {
    local i up flooding
    prefixes 0 $flooder >"$tmp/list.0"
    prefixes 3 192.0.2.64/30 $other >"$tmp/list.1"
    prefixes 5 $other >"$tmp/list.2"
    hold_mounts
    up=$(got_up)
    cp "$tmp/list.0" "$tmp/list"
    start d0 --pin --block-file "$tmp/list"
    ip netns exec "$id-gen" timeout 120 hping3 -I eth0 -a $flooder -i u100 -q --udp -p 81 $host >/dev/null 2>&1 &
    flooding=$!
    for i in 1 0 1 0; do
        wait_for "the flood to go on" floods "$(($(sent) + 100))"
        cp "$tmp/list.$i" "$tmp/list"
        code 0 reload
        set_parameters "d0.src_udp.pps=$((1000 + i))"
    done
    echo "no prefix" >"$tmp/list" # of which nothing is taken
    code 3 reload
    wait_for "the flood to go on" floods "$(($(sent) + 100))"
    cp "$tmp/list.1" "$tmp/list"
    killed
    wait_for "the flood to go on" floods "$(($(sent) + 100))"
    start d0 --pin --block-file "$tmp/list"
    equal "how it began again" "$(mode)" "taken over"
    wait_for "the flood to go on" floods "$(($(sent) + 100))"
    equal "frames of who is in the list that the host got" "$(($(got_up) - up))" 0
    between "frames that were dropped for it" "$(dropped_by listed)" 500 100000000
    cp "$tmp/list.2" "$tmp/list" # the control
    code 0 reload
    wait_for "frames that pass" passed_more "$up"
    kill $flooding
    wait $flooding 2>/dev/null || true
    "$VANGUARD" ctl "$id" call d0 detach >/dev/null || fail "detach was refused"
    stop
    drop_mounts
}
passed_more() { [ "$(got_up)" -gt "$1" ]; }

# Received = passed + dropped by reason, by the counts of others.
test_accounting() {
    local dry reasons
    for dry in "" --dry-run; do
        start d0 ${dry:+"$dry"} "${FEW_SYNS[@]}" --src-udp 1 --set src_udp.burst=50 --src-icmp 1 --set src_icmp.burst=50 --block $other
        flood $flooder 1000 -S -p 81
        flood 192.0.2.1 500 --udp -p 81
        flood 192.0.2.1 500 --icmp
        flood $other 300 -A -p 81
        equal "what was judged" "$(figure received.packets)" 2300
        equal "what gen sent" "$(sent_now)" 2300
        equal "passed or would drop" "$(($(figure passed.packets) + $(figure would_drop.packets)))" "$(up_now)"
        reasons=0
        for reason in src_syn blocked src_udp src_icmp listed; do
            reasons=$((reasons + $(dropped_by "$reason") + $(would_drop_by "$reason")))
        done
        equal "dropped by reason" "$reasons" "$(($(figure dropped.packets) + $(figure would_drop.packets)))"
        [ -n "$dry" ] || equal "dropped" "$(figure dropped.packets)" $((2300 - $(up_now)))
        [ -z "$dry" ] || equal "dropped by a dry run" "$(figure dropped.packets)" 0
        between "dropped by reason" "$reasons" 1500 2300
        stop
    done
}

# Two interfaces, one policy; verbs meet both. The control is the source that is not banned.
test_interfaces() {
    start d0 d1
    code 0 ban 198.51.100.1
    grep -q "on d0, d1" "$tmp/answer" || fail "not on both: $(cat "$tmp/answer")"
    if quiet gen ping -c 1 -W 0.2 -q 198.51.100.2 >/dev/null; then fail "an answer on d1 in spite of the ban"; fi
    answers 192.0.2.1 || fail "no answer on d0"
    code 0 ban 192.0.2.1
    if answers 192.0.2.1 0.2; then fail "an answer on d0 in spite of the ban"; fi
    equal "dropped on each" "$("$VANGUARD" sentinel status --json --name "$id" >"$tmp/status" && value "$tmp/status" \
        interfaces.1.reasons.dropped.banned.packets interfaces.2.reasons.dropped.banned.packets | xargs)" "1 1"
    code 0 list
    equal "lines of the list" "$(wc -l <"$tmp/answer")" 5
    stop
    # what is not a name to `vanguard ctl` is made one, and none twice
    ip -n "$id-dut" link add d.1 type veth peer name d_1
    start d.1 d_1
    code 0 ban 198.51.100.1
    grep -q "on d.1, d_1" "$tmp/answer" || fail "not on both: $(cat "$tmp/answer")"
    equal "their names" "$("$VANGUARD" ctl "$id" get d_1.ifname d_1-2.ifname | xargs)" "d_1.ifname=d.1 d_1-2.ifname=d_1"
    stop
    ip -n "$id-dut" link del d_1
}

refused() { # expected exit code, what it says, arguments
    local want=$1 what=$2 got=0
    shift 2
    quiet dut timeout 20 "$VANGUARD" sentinel "$@" -d 100ms >"$tmp/out" 2>"$tmp/refusal" || got=$?
    [ "$got" -eq "$want" ] || fail "sentinel $*: exit code $got, not $want: $(cat "$tmp/refusal")"
    grep -qF -- "$what" "$tmp/refusal" || fail "sentinel $*: not said that $what: $(cat "$tmp/refusal")"
}

test_mistakes() {
    printf 'return {\n   ttl = "2min",\n   src_syn = { pps = 3000, bust = 100 },\n}\n' >"$tmp/typo.lua"
    printf 'return {\n   ttl = "2min",\n   src_syn = { pps = -1 },\n}\n' >"$tmp/range.lua"
    printf 'return {\n   ttl = "2min"\n   src_syn = 7,\n}\n' >"$tmp/syntax.lua"
    printf 'return { ttl = "2min", src_syn = { pps = 3000, burst = 7 } }\n' >"$tmp/good.lua"
    refused 3 'src_syn: no parameter "bust" (did you mean "burst"?)' d0 -c "$tmp/typo.lua"
    refused 3 "$tmp/range.lua:3: " d0 -c "$tmp/range.lua"
    refused 3 "$tmp/syntax.lua:3: " d0 -c "$tmp/syntax.lua"
    refused 3 no-such.lua d0 -c "$tmp/no-such.lua"
    refused 3 "0.0.0.0/0 is very short" d0 --block 0.0.0.0/0
    refused 3 'no interface "d7"' d7
    refused 2 "--src-syn: -3 is not within" d0 --src-syn -3
    refused 3 "- is no regular file" d0 --block-file -
    refused 2 "which interface?"
    refused 2 "once is enough" d0 d1 d0
    refused 2 "ban PREFIX" ban
    refused 1 "does not run" list --name "$id-none"
    no_program || fail "a program stays after a mistake"
    refused 0 "" d0 -c "$tmp/good.lua" --src-syn 2000
    grep -q "block at 2000 SYN/s.*blocks last 120s" "$tmp/out" || fail "the file and the option: $(cat "$tmp/out")"
    start d0 -c "$tmp/good.lua" --src-syn 2000 --set src_udp.burst=9
    equal "the file, then the options" "$("$VANGUARD" ctl "$id" get d0.src_syn.pps d0.src_syn.burst d0.src_udp.pps d0.src_udp.burst |
        sed 's/.*=//' | xargs)" "2000 7 50000 9"
    code 3 ban 1.2.3.4.5
    code 3 top many
    refused 3 "d0" d0 # which is taken
    attached || fail "the program that was there is gone"
    stop
    equal "cycles for 64 bytes at 1 and 2.5 Gbit/s" "$(for speed in 1G 2.5G; do
        "$VANGUARD" sentinel budget --speed $speed --clock 1.2GHz --frame 64 | awk '$1 == 64 { print $2, $4 }'
    done | xargs)" "1488095 806 3720238 322"
}

# The commands of doc/sentinel.md, one after the other, where `ip netns` and /run are nobody else's.
test_document() {
    walk doc/sentinel.md
    tail -1 "$tmp/here/report.json" >"$tmp/report"
    equal "the report" "$(value "$tmp/report" type interfaces.1.interface)" "$(printf 'report\neth0')"
}

# shellcheck source=selftest/sentinel_process.sh
. selftest/sentinel_process.sh

# --- which ----------------------------------------------------------------------------

if [ "${1-}" = --list ]; then
    echo "$SUITE"
    exit 0
fi
cannot() {
    echo "sentinel.sh: SKIPPED: $*" >&2
    exit 43
}
[ "$(id -u)" -eq 0 ] || cannot "needs root, for network namespaces and XDP"
for tool in hping3 tmux tcpdump; do
    command -v $tool >/dev/null || cannot "needs $tool (make deps)"
done
[ -x "$VANGUARD" ] || cannot "no $VANGUARD: make"
if [ $# -eq 0 ]; then
    read -ra all <<<"$SUITE"
    set -- "${all[@]}"
fi
for scenario in "$@"; do
    declare -F "test_$scenario" >/dev/null || { echo "sentinel.sh: no scenario \"$scenario\" ($SUITE)" >&2; exit 2; }
    build_network
    "test_$scenario"
    say passed
done
