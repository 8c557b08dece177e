#!/usr/bin/env bash
# Runs everything that `make check` promises. Three at a time, because they mostly wait: the libcheck suites;
# namespace scenarios; and what people and programs' authors do, with a moment of every fuzzer. Who is done
# helps with the suites. Then what floods, with nothing beside it: a full backlog of the kernel loses other
# tests' frames too. Prints libcheck's summary, then once more what failed, and a closing line.
#
# A suite has a process of its own: under sanitizers each test costs what was ever allocated in front of it.
# FUZZ_SECONDS (3): of each fuzzer at most.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
BUILD=${BUILD:-build}
export BUILD
tmp=$(mktemp -d)
suites=$tmp/suites
queue=$tmp/queue
: >"$tmp/passed"
: >"$tmp/failures"
: >"$tmp/again" # how to run again what failed: name, then words
workers=()
# Who is told to end alone tells who runs for it, which cleans up after itself.
end() {
    local children
    children=$(pgrep -d ' ' -P "$(IFS=,; echo "$$${workers[*]:+,${workers[*]}}")")
    # shellcheck disable=SC2086 # numbers
    kill $children 2>/dev/null
    rm -rf "$tmp"
}
trap end EXIT

scenario=suites
# shellcheck source=selftest/scenario.sh
. selftest/scenario.sh
waited_before=$(waited)
began=${EPOCHREALTIME/./}

# What is a question of how many is asked without sanitizers, which make each the slower.
case $BUILD in *sanitize*) export ORACLE_FRAMES=${ORACLE_FRAMES:-3000} SENTINEL_SOAK=${SENTINEL_SOAK:-5} ;; esac

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

fail() { # name, why
    echo "FAILED  $1: $2" | tee -a "$tmp/failures"
}

run() { # name, command...; exit code 43: it cannot run here, which CI does not allow
    local name=$1 log start=$SECONDS status=0
    shift
    log=$(mktemp -p "$tmp")
    "$@" >"$log" 2>&1 || status=$?
    if [ "$status" -eq 0 ]; then
        echo "$name" >>"$tmp/passed"
        echo "ok      $name ($((SECONDS - start)) s)"
    elif [ "$status" -eq 43 ] && [ -z "${CI-}" ]; then
        echo "SKIPPED $name: $(tail -1 "$log")"
    else
        fail "$name" "exit code $status: $(grep FAILED "$log" | tail -1)"
        sed 's/^/        /' "$log" | tail -60
        printf '%s\t%s\n' "$name" "$*" >>"$tmp/again"
    fi
}

# What failed while programs waited for a processor for a tenth of the time or more proves nothing yet, if
# it is not much: it is run again, alone, and that is said.
run_again() {
    local name words count
    count=$(wc -l <"$tmp/again")
    if [ "$count" -eq 0 ] || [ "$count" -gt 3 ] || ! starved "$waited_before" "$began"; then
        return
    fi
    while IFS=$'\t' read -r name words <&3; do
        # shellcheck disable=SC2086 # its words
        env $words >"$tmp/log" 2>&1 || continue
        echo "AGAIN   $name failed while the machine was short of processors, and passed alone"
        grep -F "FAILED  $name: " "$tmp/failures" >>"$tmp/passed"
        grep -vF "FAILED  $name: " "$tmp/failures" >"$tmp/failures.new"
        mv "$tmp/failures.new" "$tmp/failures"
    done 3<"$tmp/again"
}

# --- three at a time -----------------------------------------------------------------

# Those of sentinel.sh that send a frame now and then; the others flood.
calm=" ban_unban_allow interfaces mistakes cleanup comes_back fail_modes document "

run_scenarios_of() { # script, those that are meant
    local script=$1 scenario
    shift
    [ $# -gt 0 ] || fail "$script" "it names no scenarios"
    for scenario; do run "$(basename "$script" .sh) $scenario" "$script" "$scenario"; done
}
between_namespaces() {
    local script scenarios
    if [ "$(id -u)" -eq 0 ]; then
        read -ra scenarios <<<"$(./vethtest.sh --list | sed 's/ throughput.*//')"
        run_scenarios_of ./vethtest.sh "${scenarios[@]}"
        for script in vxlan_nat vxlan_oracle neighsync; do
            read -ra scenarios <<<"$("selftest/$script.sh" --list)"
            run_scenarios_of "selftest/$script.sh" "${scenarios[@]}"
        done
    elif [ -n "${CI-}" ]; then
        fail "vethtest, vxlan_nat, vxlan_oracle, neighsync, sentinel" "CI must run as root, nothing may be skipped there"
    else
        echo "SKIPPED vethtest, vxlan_nat, vxlan_oracle, neighsync, sentinel: needs root to make network namespaces"
    fi
}
by_hand() {
    local script scenarios fuzzer
    for script in lab embedding walkthrough verify replay simulate; do run $script selftest/$script.sh; done
    if [ "$(id -u)" -eq 0 ]; then
        read -ra scenarios <<<"$calm"
        run_scenarios_of selftest/sentinel.sh "${scenarios[@]}"
    fi
    for fuzzer in build/fuzz/*; do # which are sanitized anyway
        if [ "$BUILD" != build ] || [ -d "$fuzzer" ] || [ ! -x "$fuzzer" ]; then continue; fi
        run "fuzz $(basename "$fuzzer")" "$fuzzer" -runs=20000 -max_total_time="${FUZZ_SECONDS:-3}" -verbosity=0
    done
}

[ -s "$queue" ] || fail "$BUILD/selftest" "it names no suites"
run_suites 1 &
workers+=($!)
{ by_hand; run_suites 2; } &
workers+=($!)
{ between_namespaces; run_suites 3; } &
workers+=($!)
for worker in "${workers[@]}"; do
    wait "$worker" || fail "one of the three" "it did not come to its end"
done
workers=()

# --- what floods, alone --------------------------------------------------------------

suites "$flooding" >"$queue"
run_suites 1
if [ "$(id -u)" -eq 0 ]; then
    scenarios=()
    for scenario in $(selftest/sentinel.sh --list); do
        case $calm in *" $scenario "*) ;; *) scenarios+=("$scenario") ;; esac
    done
    run_scenarios_of selftest/sentinel.sh "${scenarios[@]}"
fi

# --- what came of it -----------------------------------------------------------------

# What every suite said of itself, together.
cat "$tmp"/suites.* >"$suites"
read -r checks failures errors < <(sed -nE 's/^[0-9]+%: Checks: ([0-9]+), Failures: ([0-9]+), Errors: ([0-9]+)$/\1 \2 \3/p' "$suites" |
    awk '{ c += $1; f += $2; e += $3 } END { print c + 0, f + 0, e + 0 }')
while IFS=: read -r name where; do
    fail "$name" "$where"
    printf '%s\tCK_RUN_CASE=%s %s/selftest\n' "$name" "$name" "$BUILD" >>"$tmp/again"
done < <(sed -nE 's/^([^ ]+:[0-9]+):[FE]:([^:]+):([^:]+):[0-9]+: (.*)/\2:\3 (\1) \4/p' "$suites")
for output in "$tmp"/suites.*; do # leaks are told of at the very end
    if grep -q ': exit code [0-9]*$' "$output" && ! grep -qE '^[0-9]+ passed, [1-9][0-9]* failed$' "$output"; then
        fail "$(tail -1 "$output")" "though no test failed"
    fi
done

if [ -n "${CI-}" ] && grep -q SKIPPED "$suites"; then
    fail "the suites" "tests were skipped, which CI does not allow"
fi
run_again
echo "$((checks ? 100 * (checks - failures - errors) / checks : 0))%: Checks: $checks, Failures: $failures, Errors: $errors"
cat "$tmp/failures"
failed=$(wc -l <"$tmp/failures")
echo "$(($(wc -l <"$tmp/passed") + checks - failures - errors)) passed, $failed failed"
[ "$failed" -eq 0 ]
