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
# Rows are taken by what orchagent does: EVAL of one pop. Needs root and redis-server. Exit code: 0
# passed, 1 failed, 43 cannot run here.
# shellcheck disable=SC2016 # it is Lua in Redis that is quoted
set -euo pipefail
cd "$(dirname "$0")/.."
BUILD=${BUILD:-build}
VANGUARD=$PWD/$BUILD/vanguard
SUITE="dump once config churn stopped signals warm"

id=vn$$
tmp=$(mktemp -d)
server=
daemon=
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
    redis-server --port 0 --unixsocket "$tmp/redis.sock" --save '' --appendonly no --dir "$tmp" \
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
    NEIGHSYNCD_BATCH_SIZE=x "$VANGUARD" neighsync --check-config 2>"$tmp/said" && fail "a batch size of x"
    grep -q '"level":"info"' "$tmp/daemon.log" || fail "no JSON"
}

# Neighbours come and go all the time, a buffer for fewer, Redis killed twice.
churn() {
    begin
    echo "return { netlink = { socket_buffer_size = 65536 } }" >"$tmp/small.lua"
    start_daemon --config "$tmp/small.lua"
    batch add 0 20000 01
    in_step 20000
    local before
    for round in 1 2; do
        batch del 0 5000 01
        kill_redis
        kill -STOP "$daemon" # how fast it is must not matter: now it loses some
        batch replace 5000 5000 "1$round"
        batch add 0 5000 02
        kill -CONT "$daemon"
        start_redis
        batch del 10000 3000 01
        batch add 10000 3000 "2$round"
        in_step 20000
        [ "$round" = 2 ] || before=$(memory)
    done
    batch del 0 20000 01
    in_step 0
    local after
    after=$(memory)
    [ "$after" -le $((before + 3072)) ] || fail "memory: $before kB became $after kB"
    say "memory: $before kB, then $after kB"
    stop_daemon
    grep -q 'asking for everything' "$tmp/daemon.log" || fail "nothing was lost, so nothing was shown"
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
    sleep 0.3
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
    equal restore_count "$(redis -n 6 hget 'WARM_RESTART_TABLE|neighsyncd' restore_count)" 3
    in_step 995
    stop_daemon
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
