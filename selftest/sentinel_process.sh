#!/usr/bin/env bash
# Scenarios of sentinel.sh, which reads this, about its process: how it ends, what outlives it, what it
# reads and when, what it says of itself.
# shellcheck disable=SC2016,SC2034,SC2086,SC2154 # as there; names that are set in the one are used in the other

# Whichever way it ends, no program stays.
test_cleanup() {
    local signal
    for signal in TERM INT KILL; do
        start d0
        attached || fail "no program while it runs" # the control
        trace "kill -$signal"
        kill -s "$signal" "$pid"
        local status=0
        wait "$pid" 2>/dev/null || status=$?
        equal "exit code after SIG$signal" "$status" "$([ "$signal" = KILL ] && echo 137 || echo 0)"
        wait_for "d0 without a program" no_program
    done
    start d0 --report # takes the name of the one that was killed
    flood $flooder 10 --icmp
    stop
    tail -1 "$tmp/out" >"$tmp/report"
    equal "the report" "$(value "$tmp/report" type interfaces.1.received.packets interfaces.1.passed.packets | xargs)" "report 10 10"
}

# The interface goes, as with its driver, and comes back: so does the program, and with all it knew.
test_comes_back() {
    ip -n "$id-dut" link add e0 type veth peer name e1
    ip -n "$id-dut" link set e0 up
    start e0
    code 0 ban 198.51.100.1
    ip -n "$id-dut" link del e0
    wait_for "the event" event detached
    sleep 1.2
    equal "events" "$(grep -c '"event":"detached"' "$tmp/out")" 1
    ip -n "$id-dut" link add e0 type veth peer name e1
    wait_for "the event" event attached
    quiet dut ip link show e0 | grep -q prog/xdp || fail "no program on e0"
    code 0 why 198.51.100.1
    grep -q banned "$tmp/answer" || fail "the ban is forgotten"
    stop
    ip -n "$id-dut" link del e0
}

# A bpffs that outlives who starts in it: everything in one mount namespace, that of $holder.
hold_mounts() {
    ip netns exec "$id-dut" unshare -m sleep 300 &
    holder=$!
    wait_for "a mount namespace" sh -c "[ \$(readlink /proc/$holder/ns/mnt) != \$(readlink /proc/self/ns/mnt) ] && grep -q sleep /proc/$holder/comm"
    enter=(nsenter -t "$holder" -m -n)
    "${enter[@]}" mount -t bpf bpf /sys/fs/bpf
}
drop_mounts() {
    kill "$holder"
    wait "$holder" 2>/dev/null || true
    enter=(ip netns exec "$id-dut")
}
killed() { # the sentinel, and nothing is told to it
    kill -9 "$pid"
    wait "$pid" 2>/dev/null || true
}
mode() { value "$tmp/out" mode 2>/dev/null || sed -n 's/.*"mode":"\([^"]*\)".*/\1/p' "$tmp/out" | head -1; }

# kill -9, and who is blocked stays blocked: without a daemon, and while the next one starts.
test_pinned() {
    hold_mounts
    start d0 --pin "${FEW_SYNS[@]}"
    flood $flooder 1000 -S -p 81
    wait_for "the block" event block
    killed
    attached || fail "the program went with its process"
    mark
    quiet gen timeout 30 hping3 -I eth0 -a $flooder -c 1000 -i u1 -q --udp $host >/dev/null 2>&1 || true
    equal "frames of the blocked source that passed without a daemon" "$(up_now)" 0
    quiet gen timeout 60 hping3 -I eth0 -a $flooder -i u500 -q --udp $host >/dev/null 2>&1 &
    local flooding=$!
    start d0 --pin "${FEW_SYNS[@]}"
    equal "how it began again" "$(mode)" "taken over"
    answers 192.0.2.1 || fail "an honest source gets no answer"
    equal "frames that passed meanwhile" "$(up_now)" 1
    code 0 list --kind blocked --json
    equal "who is blocked" "$(value "$tmp/answer" 1.address)" $flooder
    kill $flooding
    wait $flooding 2>/dev/null || true
    "$VANGUARD" ctl "$id" call d0 detach >/dev/null || fail "detach was refused"
    stop
    no_program || fail "a program is left"
    # the control: without --pin the program is gone with its process
    start d0 "${FEW_SYNS[@]}"
    killed
    wait_for "the program to go" no_program
    drop_mounts
}

# What a program does that nobody looks after any more.
test_fail_modes() {
    local way
    hold_mounts
    for way in autonomous open closed; do
        start d0 --pin --fail-mode $way --set watchdog=200ms --block $flooder/32 --allow 192.0.2.1/32
        killed
        sleep 0.4
        case $way in
        autonomous) wanted="no yes yes" ;;
        open) wanted="yes yes yes" ;;
        closed) wanted="no no yes" ;;
        esac
        equal "$way: answers to who is banned, a stranger, who is allowed" "$(set -- $wanted; for ip in $flooder $other 192.0.2.1; do
            answers "$ip" "$([ "$1" = yes ] && echo 10 || echo 0.3)" && echo yes || echo no
            shift
        done | xargs)" "$wanted"
        start d0 --pin
        "$VANGUARD" ctl "$id" call d0 detach >/dev/null || fail "detach was refused"
        stop
    done
    drop_mounts
}

many_bans='for i = 0, 299 do
    local request = { command = "call", app = "d0", operation = "ban",
                      args = { address = ("198.18.%d.%d"):format(i // 256, i % 256), ttl = 100 + i } }
    assert(json.decode(assert(control.ask(arg[1], json.encode(request)))).ok)
end
os.exit(0)'
# How many there are, and the largest error of what is left of one, in seconds.
check_bans='local list = json.decode(control.ask(arg[1], json.encode { command = "call", app = "d0", operation = "list",
    args = { kind = "banned", limit = 20000 } })).answer
local since, count, least, most = tonumber(arg[2]), 0, 0, 0
local up = io.open("/proc/uptime"):read("n")
for _, row in ipairs(list) do
    local a, b = row.address:match("^198%.18%.(%d+)%.(%d+)$")
    if a then
        local off = row.remaining - (100 + 256 * a + b - (up - since))
        count, least, most = count + 1, math.min(least, off), math.max(most, off)
    end
end
print(count, least, most)
os.exit(0)'
asked() { "$VANGUARD" run "$@" >"$tmp/answer" 2>&1 || fail "$(cat "$tmp/answer")"; }

# Bans and a block, without pins, in another process: by the file alone.
test_snapshot() {
    local began made stopped
    echo "$many_bans" >"$tmp/bans.lua"
    echo "$check_bans" >"$tmp/check.lua"
    hold_mounts
    start d0 --pin --snapshot "$tmp/kept" "${FEW_SYNS[@]}"
    began=$(seconds)
    asked "$tmp/bans.lua" "$id"
    made=$(seconds)
    flood $flooder 1000 -S -p 81
    code 0 ban $other
    asked "$tmp/check.lua" "$id" "$began"
    between "bans before" "$(cut -f1 "$tmp/answer")" 300 300
    stopped=$(seconds)
    stop
    equal "mode of the file" "$(stat -c %a "$tmp/kept")" 600
    attached || fail "the program is not pinned"
    "${enter[@]}" sh -c 'rm -r /sys/fs/bpf/vanguard'
    wait_for "d0 without a program" no_program
    answers $other || fail "no answer without a program" # the control
    start d0 --pin --snapshot "$tmp/kept" "${FEW_SYNS[@]}"
    equal "how it began again" "$(mode)" native
    if answers $other 0.2; then fail "an answer to who was banned"; fi
    if answers $flooder 0.2; then fail "an answer to who was blocked"; fi
    answers 192.0.2.1 || fail "no answer to who is honest"
    asked "$tmp/check.lua" "$id" "$began"
    between "bans restored" "$(cut -f1 "$tmp/answer")" 300 300
    # what is left is as of the file, which was written when it stopped
    between "seconds that one ends too early" "$(cut -f2 "$tmp/answer")" -1 0
    between "seconds that one lasts too long" "$(cut -f3 "$tmp/answer")" 0 \
        "$(echo "$began $made $stopped $(seconds)" | awk '{ print $2 - $1 + $4 - $3 + 1 }')"
    "$VANGUARD" ctl "$id" call d0 detach >/dev/null || fail "detach was refused"
    stop
    start d0 --snapshot none # the control: a start without it
    answers $other || fail "a ban without a snapshot"
    equal "snapshot" "$(figure snapshot.path)" 0
    stop
    drop_mounts
    # the usual place, in the first network namespace of somebody; and in none of his others
    equal "the usual place" "$(unshare -n -m --pid --fork --kill-child --mount-proc bash -c '
        mount -t tmpfs none /var/lib; mount -t tmpfs none /run; mount -t sysfs none /sys
        ip link add e0 type veth peer name e1
        "$1" sentinel e0 -d 100ms --snapshot none; ls /var/lib
        unshare -n sh -c "ip link add e0 type veth peer name e1; $1 sentinel e0 -d 100ms"; ls /var/lib
        "$1" sentinel e0 -d 100ms; cd /var/lib; stat -c "%a %n" vanguard vanguard/*' sh "$VANGUARD" 2>"$tmp/log" | grep -v '"type"' | xargs)" \
        "700 vanguard 600 vanguard/e0.sentinel"
}

row() { # of the health, its level and value
    "$VANGUARD" sentinel status --name "$id" | sed -n "s/^\\(ok\\|warn\\|critical\\) *$1  */\\1 /p"
}
is_measured() { row program_time | grep -q 'ns a frame'; }

# Every level at its bounds; then the figures that levels are of, while frames come.
test_health() {
    n dut "$VANGUARD" run selftest/sentinel_health.lua d0 | grep -q well || fail "levels"
    local mode
    for mode in native generic; do
        start d0 --attach $mode --sample 1 --interval 100ms
        equal "program time before" "$(row program_time)" "ok not known: too few frames"
        ip netns exec "$id-gen" timeout 60 hping3 -I eth0 -a 192.0.2.1 -i u500 -q --udp -p 81 $host >/dev/null 2>&1 &
        local flooding=$!
        wait_for "a second's worth of frames" is_measured
        kill $flooding
        wait $flooding 2>/dev/null || true
        between "ns a frame" "$(figure program_ns)" 20 100000
        between "share of the samples' ring that waited" "$(figure samples_backlog)" 0.000001 0.05
        equal "accounting" "$(row accounting)" "ok equal"
        stop
    done
}

hup() { kill -HUP "$pid"; }
said() { grep -q "$1" "$tmp/log"; }
reloads() { [ "$(grep -c '"type":"reload"' "$tmp/out")" -ge "$1" ]; }
parameter() { "$VANGUARD" ctl "$id" get "d0.$1" | sed 's/.*=//'; }

# SIGHUP reads the policy again, and a list that was written to is read without one.
test_reread() {
    printf 'return { ttl = "2min", src_syn = { pps = 3000 } }\n' >"$tmp/policy.lua"
    echo "$flooder" >"$tmp/list"
    start d0 --config "$tmp/policy.lua" --block-file "$tmp/list" --src-udp 777
    quiet gen timeout 60 hping3 -I eth0 -a $flooder -i u300 -q --udp -p 81 $host >/dev/null 2>&1 &
    local flooding=$! i
    wait_for "the flood to be dropped" dropped_more 0
    for i in $(seq 10); do # lists and policies that all drop it
        printf 'return { ttl = "%dmin", src_syn = { pps = 3000 } }\n' $((2 + i)) >"$tmp/policy.lua"
        printf '%s\n203.0.113.%d\n' $flooder "$i" >"$tmp/list.new"
        mv "$tmp/list.new" "$tmp/list"
        hup
        wait_for "reload $i" reloads "$i"
    done
    equal "packets of the listed source that the host got" "$(up_now)" 0
    between "of those that were dropped" "$(dropped_by listed)" 1 1000000
    equal "the policy, and the option that outweighs it" "$(parameter ttl) $(parameter src_udp.pps)" "720s 777"
    printf 'return {\n   ttl = "none",\n}\n' >"$tmp/policy.lua"
    hup
    wait_for "why not" said "vanguard: reload: $tmp/policy.lua:2: .*ttl"
    equal "the policy after a mistake" "$(parameter ttl)" 720s
    printf 'return { ttl = "3min" }\n' >"$tmp/policy.lua"
    echo 203.0.113.1/33 >"$tmp/list"
    wait_for "why not" said 'the lists stay as they were: .*list:1: "203.0.113.1/33" is not a prefix'
    hup # policy and list go together
    wait_for "why not" said "vanguard: reload: .*203.0.113.1/33"
    equal "the policy with a wrong list" "$(parameter ttl)" 720s
    equal "health of the lists" "$(row lists | cut -d' ' -f1)" warn
    equal "packets of the listed source that the host got" "$(up_now)" 0
    echo 203.0.113.1 >"$tmp/list"
    wait_for "the new list" said "the list files were read again"
    wait_for "packets that pass" came_up # the control
    equal "health of the lists" "$(row lists)" "ok those of their files"
    kill $flooding
    wait $flooding 2>/dev/null || true
    stop
}
came_up() { [ "$(up_now)" -gt 0 ]; }

# Nobody reads what the program tells; it decides all the same, and says so when somebody does.
test_paused() {
    local goal dry
    for dry in "" --dry-run; do
        start d0 "${FEW_SYNS[@]}" --sample 1 ${dry:+"$dry"}
        kill -STOP "$pid"
        goal=$(($(sent) + 3000))
        quiet gen timeout 60 hping3 -I eth0 -a $flooder -c 3000 -i u1 -q -S -p 81 $host >/dev/null 2>&1 &
        local flooding=$!
        wait_for "hping3 to send" has_sent "$goal"
        kill $flooding 2>/dev/null || true
        wait $flooding 2>/dev/null || true
        if [ -z "$dry" ]; then
            between "SYNs of 3000 that passed while nobody looked" "$(up_now)" 100 1000
            if answers $flooder 0.2; then fail "an answer to who is blocked"; fi
        else
            wait_for "all of them" sh -c "[ \$(ip netns exec $id-dut awk '\$1 == \"Ip:\" && \$4 + 0 == \$4 { print \$4 }' /proc/net/snmp) -ge $((up_before + 3000)) ]"
        fi
        answers 192.0.2.1 || fail "no answer to who is honest"
        kill -CONT "$pid"
        wait_for "the event" event limit
        wait_for "the frames to be judged" all_judged
        equal "blocks that are told of" "$(grep -c '"event":"block"' "$tmp/out" || true)" "$([ "$dry" ] && echo 0 || echo 1)"
        equal "events lost" "$(figure events_lost)" 0
        equal "samples, and those that found no room" "$(($(figure samples) + $(figure samples_lost)))" "$(figure received.packets)"
        between "share of the samples' ring that waited" "$(figure samples_backlog)" 0.01 1
        stop
    done
}

# The wall clock of one process, as far from the machine's as $tmp/step says: nobody else's moves.
make_wall_clock() {
    echo 0 >"$tmp/step"
    "${CC:-cc}" -shared -fPIC -O1 -o "$tmp/wall_clock.so" -x c - <<'SHIM'
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
static long step(void)
{
    char text[32] = "";
    int fd = open(getenv("WALL_STEP"), O_RDONLY);
    if (fd >= 0) {
        if (read(fd, text, sizeof(text) - 1) < 0)
            text[0] = 0;
        close(fd);
    }
    return atol(text);
}
int clock_gettime(clockid_t id, struct timespec *now)
{
    int error = (int)syscall(SYS_clock_gettime, id, now);
    if (!error && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
        now->tv_sec += step();
    return error;
}
time_t time(time_t *to)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (to)
        *to = now.tv_sec;
    return now.tv_sec;
}
int gettimeofday(struct timeval *now, void *zone)
{
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    now->tv_sec = time.tv_sec;
    now->tv_usec = time.tv_nsec / 1000;
    return 0;
}
SHIM
}
lasted() { # what, when it began
    between "seconds that the $1 lasted" "$(echo "$(seconds) $2" | awk '{ print $1 - $2 }')" 3.97 60
}
log_shows() { grep -q "\"ts\":\"$(date -u -d "$1" +%Y-%m-%dT%H)" "$tmp/out"; }

# An hour forth and two back: what is shown moves, how long a block lasts does not.
test_clock() {
    make_wall_clock
    enter+=(env LD_PRELOAD="$tmp/wall_clock.so" WALL_STEP="$tmp/step" ASAN_OPTIONS="$ASAN_OPTIONS:verify_asan_link_order=0")
    start d0 "${FEW_SYNS[@]}" --ttl 4s --set hold_rate=0 --interval 100ms --snapshot "$tmp/kept" --set snapshot_period=1s
    flood $flooder 1000 -S -p 81
    wait_for "the event" event block
    event block >"$tmp/event"
    local banned
    banned=$(seconds)
    code 0 ban $other --ttl 4s
    if log_shows "+1 hour"; then fail "an hour ahead from the start"; fi # the control
    echo 3600 >"$tmp/step"
    wait_for "the wall clock, an hour ahead, in the log" log_shows "+1 hour"
    if answers $flooder 0.1; then lasted block "$(value "$tmp/event" time)"; fi # and nobody before the end
    if answers $other 0.1; then lasted ban "$banned"; fi
    echo -3600 >"$tmp/step"
    wait_for "the wall clock, an hour behind, in the log" log_shows "-1 hour"
    between "seconds since the snapshot" "$(figure snapshot.age)" 0 10
    wait_for "an answer to who was blocked" answers $flooder 0.05
    lasted block "$(value "$tmp/event" time)"
    wait_for "an answer to who was banned" answers $other 0.05
    lasted ban "$banned"
    stop
    enter=(ip netns exec "$id-dut")
}

# Frames of a pcapng file by the comment of each: COUNT VERDICT: REASON. Blocks of draft-ietf-opsawg-pcapng.
comments='local $/; open my $f, "<", $ARGV[0] or die; binmode $f; my $all = <$f>; my ($at, %n) = (0);
    while ($at + 12 <= length $all) {
        my ($type, $size) = unpack "VV", substr $all, $at, 8; die "size $size at $at" if $size < 12 || $size % 4;
        if ($type == 6) {
            my $kept = unpack "V", substr $all, $at + 20, 4; my $o = $at + 28 + (($kept + 3) & ~3); my $said = "nothing";
            while ($o + 4 <= $at + $size - 4) {
                my ($code, $length) = unpack "vv", substr $all, $o, 4; last unless $code;
                $said = substr $all, $o + 4, $length if $code == 1; $o += 4 + (($length + 3) & ~3);
            }
            $n{$said}++;
        }
        $at += $size;
    }
    print "$n{$_} $_\n" for sort keys %n;'
tmux_of() { tmux -L "$id" -f /dev/null "$@"; }
shown() { # verdict, class or reason: how many packets of it the screen says came
    tmux_of capture-pane -p | awk -v name="$1" '$1 == name { gsub(",", "", $5); print $5; exit }'
}
settled() { [ "$(shown received)" = "$(figure received.packets)" ] && [ "$(figure samples)" -eq "$(sent_now)" ]; }
ended() { ! tmux_of has-session 2>/dev/null; }

# One flood as a screen, a status, counters and a capture tell it, read by others.
test_outputs() {
    local verdict reason
    mark
    tmux_of new-session -d -x 150 -y 60 "ip netns exec $id-dut $VANGUARD sentinel d0 ${FEW_SYNS[*]} --sample 1 \
        --src-udp 1 --set src_udp.burst=50 --block $other --set capture=$tmp/attack.pcapng --report --name $id 2>$tmp/log"
    wait_for "the program" "$VANGUARD" sentinel status --name "$id"
    flood $flooder 1000 -S -p 81
    flood 192.0.2.1 200 --udp -p 81
    flood $other 100 --icmp
    flood 192.0.2.1 30 -A -p 81
    wait_for "the screen" settled
    equal "what gen sent, on the screen" "$(shown received)" 1330
    equal "samples lost" "$(figure samples_lost)" 0
    "$VANGUARD" run <(echo 'print(json.encode(json.decode(control.ask(arg[1], json.encode { command = "counters", app = "d0" })))) os.exit(0)') \
        "$id" >"$tmp/counters"
    equal "dropped: screen, status, counters" "$(shown dropped) $(figure dropped.packets)" \
        "$(figure dropped.packets) $(($(value "$tmp/counters" apps.d0.packets) - $(value "$tmp/counters" apps.d0.passed)))"
    wait_for "the event on the screen" sh -c "tmux -L $id capture-pane -p | grep -q 'block $flooder by src_syn'"
    for reason in src_syn blocked src_udp listed; do
        equal "$reason: screen, counters" "$(shown $reason) $(value "$tmp/counters" apps.d0.drop_$reason)" "$(dropped_by $reason) $(dropped_by $reason)"
    done
    figure passed.packets reasons.dropped.src_syn.packets reasons.dropped.blocked.packets reasons.dropped.src_udp.packets \
        reasons.dropped.listed.packets | xargs >"$tmp/wanted"
    tmux_of send-keys q
    wait_for "its end" ended
    equal "frames that tcpdump finds" "$(tcpdump -nr "$tmp/attack.pcapng" 2>/dev/null | wc -l)" 1330
    perl -e "$comments" "$tmp/attack.pcapng" >"$tmp/comments"
    equal "frames by the comment of each" "$(for verdict in "pass: none" "drop: src_syn" "drop: blocked" "drop: src_udp" "drop: listed"; do
        awk -v what="$verdict" '{ n = $1; sub(/^[0-9]+ /, "") } $0 == what { print n }' "$tmp/comments"
    done | xargs)" "$(cat "$tmp/wanted")"
    equal "comments that say something else" "$(wc -l <"$tmp/comments")" 5
}

# A capture of 2,000 frames for the host with this MAC: one source above the limit of UDP, one that must
# be blocked for SYNs, one that is banned, ICMP, a bit of what is malformed, and many others.
mixture='my ($mac) = @ARGV; srand 7; binmode STDOUT; print pack "LSSlLLL", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1;
    for (0 .. 1999) { my $k = $_ % 20;
        my $other = pack "CCCC", 11, map { int rand 256 } 1 .. 3;
        my $src = $k < 7 ? pack("C4", 192, 0, 2, 67) : $k < 9 ? pack("C4", 192, 0, 2, 66) : $k < 11 ? pack("C4", 203, 0, 113, 9) : $other;
        my $proto = $k < 7 || $k == 12 ? 17 : $k == 13 ? 1 : 6;
        my $flags = $k < 9 || $k == 14 ? 2 : $k == 15 ? 0 : 24;
        my $l4 = $proto == 17 ? pack("nnnn", 1024 + $_, 81, 26, 0) . "x" x 18 : $proto == 1 ? pack("CCnnn", 8, 0, 0, 1, $_) . "x" x 18
            : pack("nnNNCCnnn", 1024 + $_, 81, $_, 0, 0x50, $flags, 500, 0, 0) . "x" x 6;
        my $ip = pack("CCnnnCCn", 0x45, 0, 20 + length $l4, 0, 0, 64, $proto, 0) . $src . pack("C4", 192, 0, 2, 2);
        my $sum = 0; $sum += $_ for unpack "n*", $ip; $sum = ($sum & 0xffff) + ($sum >> 16) while $sum >> 16;
        substr($ip, 10, 2) = pack "n", ~$sum & 0xffff;
        my $frame = pack("H12H12n", $mac =~ tr/://dr, "020000000001", 0x800) . $ip . $l4;
        print pack("LLLL", 0, $_, length $frame, length $frame), $frame; }'

resources() { # resident kB, descriptors, maps among them, and ticks of CPU time
    local fds
    fds=$(find "/proc/$pid/fd" -mindepth 1 -printf '%l\n')
    echo "$(awk '/^VmRSS/ { print $2 }' "/proc/$pid/status") $(wc -l <<<"$fds") $(grep -c bpf-map <<<"$fds") $(awk '{ print $14 + $15 }' "/proc/$pid/stat")"
}

# So many seconds (SENTINEL_SOAK; 10) of 200,000 mixed frames a second, after a tenth of that, a minute
# at most: neither memory nor descriptors grow with them, and this process has next to nothing to do.
test_soak() {
    local seconds=${SENTINEL_SOAK:-10} warm first last feeding received
    warm=$(awk -v s="$seconds" 'BEGIN { w = s / 10; print (w < 3 ? 3 : w > 60 ? 60 : w) }')
    perl -e "$mixture" "$(address_of dut d0)" >"$tmp/.mixture.pcap"
    start d0 --block 203.0.113.0/24 --ttl 5s
    ip netns exec "$id-gen" "$VANGUARD" inject eth0 -f "$tmp/.mixture.pcap" --loop 0 --pps 200000 --bypass -q --name "$id-inject" >/dev/null 2>"$tmp/inject" &
    feeding=$!
    sleep "$warm"
    received=$(figure received.packets)
    first=$(resources)
    local began=${EPOCHREALTIME/./}
    sleep "$seconds"
    last=$(resources)
    local lasted=$((${EPOCHREALTIME/./} - began))
    received=$(($(figure received.packets) - received))
    kill $feeding
    wait $feeding 2>/dev/null || true
    say "resident kB, descriptors, maps, ticks: $first, then $last; $((received * 1000 / (lasted / 1000))) frames a second"
    event block >/dev/null || fail "nobody was blocked"
    equal "descriptors and maps" "$(cut -d' ' -f2,3 <<<"$last")" "$(cut -d' ' -f2,3 <<<"$first")"
    case $BUILD in
    *san*) ;; # its memory and its time are the sanitizers'
    *)
        # what Lua's collector lets lie, in all; a byte a frame would be 2 MB in ten seconds
        between "kB more than before" $((${last%% *} - ${first%% *})) -1000000 1024
        between "% of a core" "$(awk -v t=$((${last##* } - ${first##* })) -v us=$lasted -v hz="$(getconf CLK_TCK)" 'BEGIN { print 100 * t / hz / (us / 1e6) }')" 0 5
        ;;
    esac
    between "frames" "$received" 1000 1e12
    stop
}
