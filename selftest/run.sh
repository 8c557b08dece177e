#!/usr/bin/env bash
# Runs everything that `make check` promises: the libcheck suites, and beside them, because they mostly
# wait, namespace scenarios, libvanguard in host programs and a moment of every fuzzer; then what floods:
# a full backlog of the kernel loses other tests' frames too. Prints libcheck's summary, then once more what
# failed, and a closing line.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
BUILD=${BUILD:-build}
export BUILD
passed=0
failed=0
tmp=$(mktemp -d)
log=$tmp/log
suites=$tmp/suites
trap 'kill "$suites_pid" 2>/dev/null; rm -rf "$tmp"' EXIT

scenario=suites
# shellcheck source=selftest/scenario.sh
. selftest/scenario.sh
waited_before=$(waited)
began=${EPOCHREALTIME/./}

# libcheck's limits are for a test that has a processor to itself.
export CK_TIMEOUT_MULTIPLIER=5
"$BUILD/selftest" >"$suites" 2>&1 &
suites_pid=$!

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

suites_status=0
wait "$suites_pid" || suites_status=$?
cat "$suites"
counts=$(sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' "$suites")
read -r suite_passed suite_failed <<<"${counts:-0 1}"
passed=$((passed + suite_passed))
failed=$((failed + suite_failed))
if [ "$suites_status" -ne 0 ] && [ "$suite_failed" -eq 0 ]; then # leaks are told of at the very end
    fail "the suites" "exit code $suites_status"
fi
while IFS=: read -r name where; do
    echo "FAILED  $name: $where" >>"$tmp/failures"
    again[$name]="CK_RUN_CASE=$name $BUILD/selftest"
done < <(sed -nE 's/^([^ ]+:[0-9]+):[FE]:([^:]+):([^:]+):[0-9]+: (.*)/\2:\3 (\1) \4/p' "$suites")

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
cat "$tmp/failures" 2>/dev/null
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
