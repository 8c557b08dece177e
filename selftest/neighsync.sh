#!/usr/bin/env bash
# vanguard neighsync between a network namespace and a redis-server of its own.
#
#   ┌── dut ─────────────────────────────────────────────┐
#   │ Ethernet0   neighbours 10.1.x.y      redis-server  │
#   │      └── kernel ── vanguard neighsync ──┘          │
#   └────────────────────────────────────────────────────┘
#
# usage: selftest/neighsync.sh [SCENARIO...]      selftest/neighsync.sh --list
#
# CHURN_NEIGHBOURS (20000) and CHURN_SECONDS (5) say how much comes and goes, for how long. Rows are taken by what orchagent does: EVAL of one pop. Needs root and redis-server. Exit code: 0
# passed, 1 failed, 43 cannot run here.
# shellcheck disable=SC2016 # it is Lua in Redis that is quoted
set -euo pipefail
cd "$(dirname "$0")/.."
BUILD=${BUILD:-build}
VANGUARD=$PWD/$BUILD/vanguard
SUITE="dump once config environment asics churn steady stopped signals service warm"

id=vn$$
tmp=$(mktemp -d)
CHURN_NEIGHBOURS=${CHURN_NEIGHBOURS:-20000}
CHURN_SECONDS=${CHURN_SECONDS:-5}
server=
daemon=
consumer=
scenario=setup
tries=600
# shellcheck source=selftest/scenario.sh
. selftest/scenario.sh
export ASAN_OPTIONS=detect_leaks=0:exitcode=99

fail() {
    say "FAILED: $*"
    for log in "$tmp"/*.log; do
        [ -s "$log" ] && cut -c1-300 "$log" | sed "s,^,    $(basename "$log"): ," | tail -8 >&2
    done
    exit 1
}
n() { ip netns exec "$id" "$@"; }
redis() { redis-cli -s "$tmp/redis.sock" "$@"; }

# --- what it builds and takes down ------------------------------------------------------

start_redis() {
    ip netns exec "$id" redis-server --port 0 --unixsocket "$tmp/redis.sock" --save '' --appendonly no --dir "$tmp" \
        --notify-keyspace-events AKE >"$tmp/redis.log" 2>&1 &
    server=$!
    wait_for redis redis ping
}
kill_redis() {
    kill -9 "$server"
    wait "$server" 2>/dev/null || true
    server=
}
start_daemon() {
    ip netns exec "$id" "$VANGUARD" neighsync --redis "$tmp/redis.sock" "$@" >>"$tmp/daemon.log" 2>&1 &
    daemon=$!
}
stop_daemon() {
    local status=0
    kill "$daemon"
    wait "$daemon" || status=$?
    daemon=
    equal "exit code" "$status" 0
}
cleanup() {
    set +e
    [ -n "$daemon" ] && kill -CONT "$daemon" && kill -9 "$daemon"
    [ -n "$consumer" ] && kill "$consumer"
    [ -n "$server" ] && kill -9 "$server"
    ip netns del "$id" 2>/dev/null
    rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

begin() {
    [ -n "$daemon" ] && kill -9 "$daemon"
    [ -n "$server" ] && kill_redis
    daemon=
    forget daemon.log
    ip netns del "$id" 2>/dev/null || true
    ip netns add "$id"
    ip -n "$id" link add Ethernet0 type veth peer name peer0
    ip -n "$id" link set Ethernet0 up
    ip -n "$id" link set peer0 up
    start_redis
}

# --- neighbours --------------------------------------------------------------------------

batch() { # verb, first, count, last byte of the MAC address: many neighbours at once
    seq "$2" $(($2 + $3 - 1)) | awk -v verb="$1" -v mac="$4" '{
        printf "neigh %s 10.%d.%d.%d dev Ethernet0%s\n", verb, 1 + int($1 / 65536),
            int($1 / 256) % 256, $1 % 256,
            verb == "del" ? "" : " lladdr 02:00:00:00:00:" mac " nud permanent" }' >"$tmp/batch"
    ip -n "$id" -force -batch "$tmp/batch" >/dev/null 2>&1 || true
}
POP='local keys = redis.call("SPOP", KEYS[1], 1024)
for _, key in ipairs(keys) do
   local row = "NEIGH_TABLE:" .. key
   if redis.call("SREM", KEYS[2], key) == 1 then redis.call("DEL", row) end
   local fields = redis.call("HGETALL", "_" .. row)
   if #fields > 0 then redis.call("HSET", row, unpack(fields)) end
   redis.call("DEL", "_" .. row)
end
return #keys'
consume() { while [ "$(redis eval "$POP" 2 NEIGH_TABLE_KEY_SET NEIGH_TABLE_DEL_SET)" != 0 ]; do :; done; }
table_rows() {
    redis eval 'local all = {}
for _, key in ipairs(redis.call("KEYS", "NEIGH_TABLE:*")) do
   all[#all + 1] = key:sub(13) .. " " .. redis.call("HGET", key, "neigh")
end
return all' 0 | grep . | sort || true
}
kernel_rows() {
    ip -n "$id" neigh show dev Ethernet0 nud permanent | awk '{ print "Ethernet0:" $1 " " $3 }' | sort
}
is_kernel() { # what Redis has is what the kernel has
    consume
    table_rows >"$tmp/table"
    kernel_rows >"$tmp/kernel"
    cmp -s "$tmp/table" "$tmp/kernel"
}
in_step() { # how many rows
    wait_for "the table to be the kernel's" is_kernel
    equal rows "$(grep -c . "$tmp/table" || true)" "$1"
}
memory() { awk '/VmRSS/ { print $2 }' "/proc/$daemon/status"; }
flat() { # kB now, kB at most; AddressSanitizer keeps what is freed
    case $BUILD in *sanitize*) return ;; esac
    [ "$1" -le "$2" ] || fail "memory grows"
}

# --- scenarios ---------------------------------------------------------------------------

dump() {
    begin
    kill_redis
    batch add 0 3 01
    n "$VANGUARD" neighsync --dump >"$tmp/dump"
    equal rows "$(cat "$tmp/dump")" "$(printf 'NEIGH_TABLE:Ethernet0:10.1.0.%d neigh 02:00:00:00:00:01 family IPv4\n' 0 1 2)"
}

once() {
    begin
    batch add 0 2000 01
    n "$VANGUARD" neighsync --once --redis "$tmp/redis.sock" 2>>"$tmp/daemon.log"
    in_step 2000
}

config() {
    begin
    local status
    cat >"$tmp/good.lua" <<END
return {
   redis = { socket = "$tmp/redis.sock" },
   performance = { batch_size = 100 },
   logging = { level = "info", format = "json" },
   deployment = { ipv4_enabled = true, ipv6_enabled = false },
}
END
    equal good "$("$VANGUARD" neighsync --check-config --config "$tmp/good.lua")" ok
    echo 'return { performance = { batch_sise = 100 } }' >"$tmp/unknown.lua"
    "$VANGUARD" neighsync --check-config --config "$tmp/unknown.lua" 2>"$tmp/said"
    grep -q 'did you mean \\"batch_size\\"' "$tmp/said" || fail "no warning: $(cat "$tmp/said")"
    for wrong in 'performance = { batch_size = 0 }' 'redis = { port = "x" }' 'logging = { level = "loud" }' \
        'redis = { host = "nowhere.example" }' 'metrics = { ca_cert = "/no/such/file" }'; do
        echo "return { $wrong }" >"$tmp/wrong.lua"
        status=0
        "$VANGUARD" neighsync --check-config --config "$tmp/wrong.lua" >"$tmp/said" 2>&1 || status=$?
        equal "$wrong" "$status" 3
        equal lines "$(wc -l <"$tmp/said")" 1
    done
    echo '{ "INSTANCES": { "redis": { "unix_socket_path": "'"$tmp"'/redis.sock" } },
            "DATABASES": { "APPL_DB": { "id": 7, "instance": "redis" } } }' >"$tmp/database.json"
    echo "return { redis = { database_config = '$tmp/database.json' } }" >"$tmp/database.lua"
    batch add 0 2 01
    n "$VANGUARD" neighsync --once --config "$tmp/database.lua" 2>>"$tmp/daemon.log"
    equal "in database 7" "$(redis -n 7 scard NEIGH_TABLE_KEY_SET)" 2
    grep -q '"level":"info"' "$tmp/daemon.log" || fail "no JSON"
}

# What is said where: options before the environment, that before the file.
environment() {
    begin
    local wrong status
    batch add 0 2 01
    ip -n "$id" link set lo up
    redis config set port 6390 >/dev/null
    echo "return { redis = { socket = '/nowhere' }, logging = { level = 'error', format = 'text' } }" >"$tmp/env.lua"
    echo "return { redis = { host = 'localhost', port = 6390 } }" >"$tmp/tcp.lua"
    tells() { # what, variables and arguments
        local what=$1
        shift
        redis flushall >/dev/null
        n env "$@" 2>>"$tmp/daemon.log" || fail "$what: exit code $?"
        equal "$what" "$(redis scard NEIGH_TABLE_KEY_SET)" 2
    }
    local once=(timeout 20 "$VANGUARD" neighsync --once)
    tells "the file" NEIGHSYNCD_CONFIG="$tmp/tcp.lua" "${once[@]}"
    tells "host and port, not the file" NEIGHSYNCD_CONFIG="$tmp/env.lua" NEIGHSYNCD_REDIS_HOST=localhost \
        NEIGHSYNCD_REDIS_PORT=6390 "${once[@]}"
    tells "a port alone" NEIGHSYNCD_REDIS_PORT=6390 "${once[@]}"
    # an app's own lines have a level, too
    redis config set notify-keyspace-events '' >/dev/null
    for level in error warn; do
        : >"$tmp/daemon.log"
        tells "level $level" NEIGHSYNCD_LOG_LEVEL=$level NEIGHSYNCD_CONFIG="$tmp/tcp.lua" "${once[@]}"
        equal "lines at level $level" "$(wc -l <"$tmp/daemon.log")" "$([ $level = error ] && echo 0 || echo 1)"
    done
    tells "an option, not the environment" NEIGHSYNCD_REDIS_PORT=1 "${once[@]}" --redis "$tmp/redis.sock"
    tells "--config, not the environment" NEIGHSYNCD_CONFIG=/no/such/file "${once[@]}" --config "$tmp/tcp.lua"
    : >"$tmp/daemon.log"
    tells "the log level of the file" NEIGHSYNCD_CONFIG="$tmp/env.lua" NEIGHSYNCD_REDIS_PORT=6390 "${once[@]}"
    [ ! -s "$tmp/daemon.log" ] || fail "said too much"
    tells "that of the environment" NEIGHSYNCD_CONFIG="$tmp/env.lua" NEIGHSYNCD_REDIS_PORT=6390 \
        NEIGHSYNCD_LOG_LEVEL=info "${once[@]}"
    grep -q cold "$tmp/daemon.log" || fail "said nothing"
    env NEIGHSYNCD_BATCH_SIZE=1000 "$VANGUARD" neighsync --check-config >/dev/null || fail "a batch size of 1000"
    for wrong in NEIGHSYNCD_BATCH_SIZE=x NEIGHSYNCD_BATCH_SIZE=1001 NEIGHSYNCD_BATCH_SIZE=0 NEIGHSYNCD_REDIS_PORT=0 \
        NEIGHSYNCD_LOG_LEVEL=loud NEIGHSYNCD_CONFIG=/no/such/file; do
        status=0
        env "$wrong" "$VANGUARD" neighsync --check-config >"$tmp/said" 2>&1 || status=$?
        equal "$wrong" "$status" 3
    done
}

# One of several has its databases where database_global.json says.
asics() {
    begin
    local status=0
    mkdir "$tmp/sonic-db" "$tmp/redis0"
    echo '{}' >"$tmp/sonic-db/database_config.json"
    echo '{ "INCLUDES": [ { "include": "database_config.json" },
            { "namespace": "asic0", "include": "../redis0/database_config.json" } ] }' >"$tmp/sonic-db/database_global.json"
    echo '{ "INSTANCES": { "redis": { "unix_socket_path": "'"$tmp"'/redis.sock" } } }' >"$tmp/redis0/database_config.json"
    echo "return { redis = { database_config = '$tmp/sonic-db/database_config.json' } }" >"$tmp/asic.lua"
    batch add 0 2 01
    n timeout 20 "$VANGUARD" neighsync --once --config "$tmp/asic.lua" --namespace asic0 2>>"$tmp/daemon.log" ||
        fail "exit code $?"
    in_step 2
    n "$VANGUARD" neighsync --check-config --config "$tmp/asic.lua" --namespace asic7 2>"$tmp/said" || status=$?
    equal "another namespace" "$status" 3
    grep -q asic7 "$tmp/said" || fail "said: $(cat "$tmp/said")"
}

# Many neighbours come, go and change, a buffer for few of them, Redis killed twice.
churn() {
    begin
    local all=$CHURN_NEIGHBOURS part=$((CHURN_NEIGHBOURS / 4)) first before after round
    echo "return { netlink = { socket_buffer_size = 65536 }, performance = { neighbors = $((2 * all)) } }" >"$tmp/small.lua"
    start_daemon --config "$tmp/small.lua"
    batch add 0 "$all" 01
    in_step "$all"
    first=$(memory)
    for round in 1 2; do
        batch del 0 "$part" 01
        kill_redis
        kill -STOP "$daemon" # how fast it is must not matter: now it loses some
        batch replace "$part" "$part" "1$round"
        batch add 0 "$part" 02
        kill -CONT "$daemon"
        start_redis
        batch del $((2 * part)) "$part" 01
        batch add $((2 * part)) "$part" "2$round"
        in_step "$all"
        [ "$round" = 2 ] || before=$(memory)
    done
    batch del 0 "$all" 01
    in_step 0
    after=$(memory)
    say "memory: $first kB, after the first restart of Redis $before kB, in the end $after kB"
    flat "$before" $((first + 4096))
    flat "$after" $((before + 512))
    stop_daemon
    grep -q 'asking for everything' "$tmp/daemon.log" || fail "nothing was lost, so nothing was shown"
    equal "Redis was gone" "$(grep -c 'Redis is gone' "$tmp/daemon.log")" 2
}

# So many a second, at random among 10,000, some of which are there: every run does the same.
random_changes() { # seed
    awk -v seed="$1" 'BEGIN {
        srand(seed)
        for (i = 0; i < 1000; i++) {
            n = int(rand() * 10000)
            ip = "10.1." int(n / 256) "." n % 256 " dev Ethernet0"
            if (rand() < 0.5) print "neigh del " ip
            else print "neigh replace " ip " lladdr 02:00:00:00:00:0" int(rand() * 4) " nud permanent"
        }
    }' >"$tmp/batch"
    ip -n "$id" -force -batch "$tmp/batch" >/dev/null 2>&1 || true
}
microseconds() { echo "${EPOCHREALTIME/[.,]/}"; }
steady() {
    begin
    local begun next before seed=0
    start_daemon
    batch add 0 5000 01
    in_step 5000
    before=$(memory)
    (while :; do consume; sleep 0.02; done) 2>/dev/null &
    consumer=$!
    begun=$(microseconds)
    next=$begun
    while [ "$next" -lt $((begun + CHURN_SECONDS * 1000000)) ]; do
        random_changes $((seed += 1))
        next=$((next + 200000))
        local rest=$((next - $(microseconds)))
        [ "$rest" -le 0 ] || sleep "$(printf '0.%06d' "$rest")"
    done
    say "$((seed * 1000)) changes in $((($(microseconds) - begun) / 1000)) ms"
    kill "$consumer"
    wait "$consumer" 2>/dev/null || true
    consumer=
    wait_for "the table to be the kernel's" is_kernel
    say "memory: $before kB, then $(memory) kB; $(grep -c . "$tmp/table") rows"
    flat "$(memory)" $((before + 2048))
    stop_daemon
}

# It stands still while 32,000 come and 10,000 go.
stopped() {
    begin
    start_daemon
    wait_for "its start" test -s "$tmp/daemon.log"
    kill -STOP "$daemon"
    batch add 0 32000 01
    batch del 0 10000 01
    kill -CONT "$daemon"
    in_step 22000
    stop_daemon
}

signals() {
    begin
    start_daemon
    batch add 0 100 01
    in_step 100
    redis flushall >/dev/null
    kill -HUP "$daemon"
    in_step 100
    kill_redis
    wait_for "word of it" grep -q 'Redis is gone' "$tmp/daemon.log"
    stop_daemon
}

# Restarted warm: what is as it was is not written; without the flag it fails.
warm() {
    begin
    start_daemon
    batch add 0 1000 01
    in_step 1000
    stop_daemon
    redis -n 6 hset 'WARM_RESTART_ENABLE_TABLE|swss' enable true >/dev/null
    redis -n 6 hset 'WARM_RESTART_TABLE|neighsyncd' restore_count 1 >/dev/null
    redis -n 4 hset 'WARM_RESTART|swss' neighsyncd_timer 1 >/dev/null
    start_daemon
    wait_for "the wait" eval '[ "$(redis -n 6 hget "WARM_RESTART_TABLE|neighsyncd" state)" = restored ]'
    stop_daemon
    equal "keys written" "$(redis scard NEIGH_TABLE_KEY_SET)" 0
    local status=0
    echo "return { deployment = { restore_timeout_s = 1 } }" >"$tmp/short.lua"
    n "$VANGUARD" neighsync --redis "$tmp/redis.sock" --config "$tmp/short.lua" 2>>"$tmp/daemon.log" || status=$?
    equal "without the flag" "$status" 1
    batch del 0 10 01
    batch add 2000 5 01
    redis -n 6 hset 'NEIGH_RESTORE_TABLE|Flags' restored true >/dev/null
    start_daemon
    wait_for reconciled eval '[ "$(redis -n 6 hget "WARM_RESTART_TABLE|neighsyncd" state)" = reconciled ]'
    equal "keys written" "$(redis scard NEIGH_TABLE_KEY_SET)" 15
    equal restore_count "$(redis -n 6 hget 'WARM_RESTART_TABLE|neighsyncd' restore_count)" 4
    in_step 995
    stop_daemon
}

heard_all() { # what was said until now: a word of our own comes behind it
    local word=own.$EPOCHREALTIME
    perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Type => SOCK_DGRAM, Peer => $ARGV[0])->send($ARGV[1]) or die' "$tmp/notify" "$word"
    wait_for "our own word" grep -qxF "$word" "$tmp/heard.log"
}

# Who starts it as a service hears that it is ready, how it is, that it lives, and that it ends.
service() {
    begin
    forget heard.log
    perl -MIO::Socket::UNIX -e '$| = 1; my $s = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => $ARGV[0]) or die $!;
        alarm 60; while (defined recv $s, my $m, 1000, 0) { print "$m\n" }' "$tmp/notify" >"$tmp/heard.log" &
    consumer=$!
    wait_for "who hears it" test -S "$tmp/notify"
    NOTIFY_SOCKET=$tmp/notify WATCHDOG_USEC=100000 start_daemon
    wait_for "READY=1" grep -qx READY=1 "$tmp/heard.log"
    equal "the first word" "$(head -1 "$tmp/heard.log")" READY=1
    wait_for "the state" grep -qx "STATUS=cold, complete, healthy" "$tmp/heard.log"
    wait_for "signs of life" sh -c "[ \$(grep -cx WATCHDOG=1 '$tmp/heard.log') -ge 5 ]"
    kill -STOP "$daemon"
    wait_for "it to stand still" grep -q '^State:.T' "/proc/$daemon/status"
    heard_all
    local before
    before=$(grep -cx WATCHDOG=1 "$tmp/heard.log")
    sleep 0.3
    heard_all
    equal "signs of life while it stands still" "$(grep -cx WATCHDOG=1 "$tmp/heard.log")" "$before"
    kill -CONT "$daemon"
    stop_daemon
    wait_for "STOPPING=1" grep -qx STOPPING=1 "$tmp/heard.log"
    kill "$consumer"
    wait "$consumer" || true
    consumer=
}

if [ "${1-}" = --list ]; then
    echo "$SUITE"
    exit 0
fi
if [ "$(id -u)" -ne 0 ] || ! command -v redis-server >/dev/null; then
    echo "neighsync: needs root and redis-server" >&2
    exit 43
fi
[ $# -gt 0 ] || read -ra words <<<"$SUITE"
[ $# -gt 0 ] || set -- "${words[@]}"
for scenario; do
    "$scenario"
    say ok
done
