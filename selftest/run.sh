#!/usr/bin/env bash
# Runs everything that `make check` promises: the libcheck suites, and beside them, because they mostly
# wait, namespace scenarios, libvanguard in host programs and a moment of every fuzzer; then what floods,
# with nothing beside it: a full backlog of the kernel loses other tests' frames too. Prints libcheck's summary, then once more what
# failed, and a closing line.
#
# A suite has a process of its own: under sanitizers each test costs what was ever allocated in front of it.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
BUILD=${BUILD:-build}
export BUILD
passed=0
failed=0
tmp=$(mktemp -d)
log=$tmp/log
suites=$tmp/suites
queue=$tmp/queue
trap 'kill "$worker" 2>/dev/null; rm -rf "$tmp"' EXIT

scenario=suites
# shellcheck source=selftest/scenario.sh
. selftest/scenario.sh
waited_before=$(waited)
began=${EPOCHREALTIME/./}

# libcheck's limits are for a test that has a processor to itself.
export CK_TIMEOUT_MULTIPLIER=5

suites() { "$BUILD/selftest" --list | grep "$@"; }
flooding='^raw_socket\|^xdp_socket'
suites -v "$flooding" >"$queue"

next_suite() { # which worker
    flock "$queue.lock" sed -i -e "1w $queue.$1" -e 1d "$queue"
    read -r suite <"$queue.$1"
}
run_suites() { # which worker
    local suite start status output
    while next_suite "$1"; do
        output=$tmp/suites.$suite start=$SECONDS status=0
        "$BUILD/selftest" "$suite" >"$output" 2>&1 || status=$?
        if [ "$status" -eq 0 ]; then
            echo "ok      $suite: $(tail -1 "$output") ($((SECONDS - start)) s)"
        else
            echo "FAILED  $suite (exit code $status)"
            sed 's/^/        /' "$output"
            echo "$suite: exit code $status" >>"$output"
        fi
    done
}
run_suites 1 &
worker=$!

# What failed, to be told at the end, and how to run it again: a script's words, or a case of the suites.
declare -A again=()
fail() { # name, why
    failed=$((failed + 1))
    echo "FAILED  $1: $2" | tee -a "$tmp/failures"
}

run() { # name, command...; exit code 43: it cannot run here, which CI does not allow
    local name=$1 start=$SECONDS status=0
    shift
    "$@" >"$log" 2>&1 || status=$?
    if [ "$status" -eq 0 ]; then
        passed=$((passed + 1))
        echo "ok      $name ($((SECONDS - start)) s)"
    elif [ "$status" -eq 43 ] && [ -z "${CI-}" ]; then
        echo "SKIPPED $name: $(tail -1 "$log")"
    else
        fail "$name" "exit code $status: $(grep FAILED "$log" | tail -1)"
        sed 's/^/        /' "$log" | tail -60
        again[$name]=$*
    fi
}

# What failed while programs waited for a processor for a tenth of the time or more proves nothing yet, if
# it is not much: it is run again, alone, and that is said.
run_again() {
    local name count
    if [ "${#again[@]}" -eq 0 ] || [ "${#again[@]}" -gt 3 ] || ! starved "$waited_before" "$began"; then
        return
    fi
    for name in "${!again[@]}"; do
        # shellcheck disable=SC2086 # its words
        env ${again[$name]} >"$log" 2>&1 || continue
        echo "AGAIN   $name failed while the machine was short of processors, and passed alone"
        count=$(grep -cF "FAILED  $name: " "$tmp/failures")
        passed=$((passed + count))
        failed=$((failed - count))
        grep -vF "FAILED  $name: " "$tmp/failures" >"$tmp/failures.new"
        mv "$tmp/failures.new" "$tmp/failures"
    done
}

if [ "$(id -u)" -eq 0 ]; then
    read -ra scenarios <<<"$(./vethtest.sh --list | sed 's/ throughput.*//')"
    for scenario in "${scenarios[@]}"; do
        run "vethtest $scenario" ./vethtest.sh "$scenario"
    done
    for script in vxlan_nat vxlan_oracle neighsync; do
        read -ra scenarios <<<"$("selftest/$script.sh" --list)"
        for scenario in "${scenarios[@]}"; do
            run "$script $scenario" "selftest/$script.sh" "$scenario"
        done
    done
elif [ -n "${CI-}" ]; then
    fail "vethtest, vxlan_nat, vxlan_oracle, neighsync, sentinel" "CI must run as root, nothing may be skipped there"
else
    echo "SKIPPED vethtest, vxlan_nat, vxlan_oracle, neighsync, sentinel: needs root to make network namespaces"
fi

run embedding selftest/embedding.sh
run lab selftest/lab.sh
run walkthrough selftest/walkthrough.sh
run simulate selftest/simulate.sh
run verify selftest/verify.sh
run replay selftest/replay.sh

for fuzzer in build/fuzz/*; do # which are sanitized anyway
    if [ "$BUILD" != build ] || [ -d "$fuzzer" ] || [ ! -x "$fuzzer" ]; then continue; fi
    run "fuzz $(basename "$fuzzer")" "$fuzzer" -runs=20000 -max_total_time=10 -verbosity=0
done

run_suites 2
wait "$worker"
suites "$flooding" >"$queue"
run_suites 1

# What every suite said of itself, together.
cat "$tmp"/suites.* >"$suites"
read -r checks failures errors < <(sed -nE 's/^[0-9]+%: Checks: ([0-9]+), Failures: ([0-9]+), Errors: ([0-9]+)$/\1 \2 \3/p' "$suites" |
    awk '{ c += $1; f += $2; e += $3 } END { print c + 0, f + 0, e + 0 }')
passed=$((passed + checks - failures - errors))
while IFS=: read -r name where; do
    fail "$name" "$where"
    again[$name]="CK_RUN_CASE=$name $BUILD/selftest"
done < <(sed -nE 's/^([^ ]+:[0-9]+):[FE]:([^:]+):([^:]+):[0-9]+: (.*)/\2:\3 (\1) \4/p' "$suites")
for output in "$tmp"/suites.*; do # leaks are told of at the very end
    if grep -q ': exit code [0-9]*$' "$output" && ! grep -qE '^[0-9]+ passed, [1-9][0-9]* failed$' "$output"; then
        fail "$(tail -1 "$output")" "though no test failed"
    fi
done

if [ "$(id -u)" -eq 0 ]; then
    read -ra scenarios <<<"$(selftest/sentinel.sh --list)"
    for scenario in "${scenarios[@]}"; do
        run "sentinel $scenario" selftest/sentinel.sh "$scenario"
    done
fi

if [ -n "${CI-}" ] && grep -q SKIPPED "$suites"; then
    fail "the suites" "tests were skipped, which CI does not allow"
fi
run_again
echo "$((checks ? 100 * (checks - failures - errors) / checks : 0))%: Checks: $checks, Failures: $failures, Errors: $errors"
cat "$tmp/failures" 2>/dev/null
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
