#!/usr/bin/env bash
# Runs everything that `make check` promises: the libcheck suites, and beside them, because they mostly
# wait, namespace scenarios, libvanguard in host programs and a moment of every fuzzer; then what floods:
# a full backlog of the kernel loses other tests' frames too. Prints what failed, libcheck's summary, and a
# closing line.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
BUILD=${BUILD:-build}
export BUILD
passed=0
failed=0
log=$(mktemp)
suites=$(mktemp)
trap 'kill "$suites_pid" 2>/dev/null; rm -f "$log" "$suites"' EXIT

scenario=suites
# shellcheck source=selftest/scenario.sh
. selftest/scenario.sh
waited_before=$(waited)
began=${EPOCHREALTIME/./}

# libcheck's limits are for a test that has a processor to itself.
export CK_TIMEOUT_MULTIPLIER=5
"$BUILD/selftest" >"$suites" 2>&1 &
suites_pid=$!

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
        failed=$((failed + 1))
        echo "FAILED  $name (exit code $status)"
        sed 's/^/        /' "$log" | tail -60
    fi
}

# A few cases that failed while programs waited for a processor for a tenth of the time or more prove
# nothing yet: they are run again, alone, and that is said.
run_again() {
    local cases name
    cases=$(sed -nE 's/^[^ ]+:[0-9]+:[FE]:([^:]+):[^:]+:[0-9]+: .*/\1/p' "$suites" | sort -u)
    if [ -z "$cases" ] || [ "$(wc -w <<<"$cases")" -gt 3 ] || ! starved "$waited_before" "$began"; then
        return
    fi
    for name in $cases; do
        CK_RUN_CASE=$name "$BUILD/selftest" >"$log" 2>&1 || return
        echo "AGAIN   $name failed while the machine was short of processors, and passed alone"
    done
    suite_passed=$((suite_passed + suite_failed))
    suite_failed=0
}

if [ "$(id -u)" -eq 0 ]; then
    read -ra scenarios <<<"$(./vethtest.sh --list | sed 's/ throughput.*//')"
    for scenario in "${scenarios[@]}"; do
        run "vethtest $scenario" ./vethtest.sh "$scenario"
    done
    run vxlan_nat selftest/vxlan_nat.sh
    run vxlan_oracle selftest/vxlan_oracle.sh
    read -ra scenarios <<<"$(selftest/neighsync.sh --list)"
    for scenario in "${scenarios[@]}"; do
        run "neighsync $scenario" selftest/neighsync.sh "$scenario"
    done
elif [ -n "${CI-}" ]; then
    failed=$((failed + 1))
    echo "FAILED  vethtest, vxlan_nat, vxlan_oracle, neighsync, sentinel: CI must run as root, nothing may be skipped there"
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
if [ "$suites_status" -ne 0 ] && [ "$suite_failed" -eq 0 ]; then # leaks are told of at the very end
    suite_failed=1
    echo "FAILED  the suites (exit code $suites_status)"
fi
[ "$suite_failed" -eq 0 ] || run_again

if [ "$(id -u)" -eq 0 ]; then
    read -ra scenarios <<<"$(selftest/sentinel.sh --list)"
    for scenario in "${scenarios[@]}"; do
        run "sentinel $scenario" selftest/sentinel.sh "$scenario"
    done
fi

if [ -n "${CI-}" ] && grep -q SKIPPED "$suites"; then
    suite_failed=$((suite_failed + 1))
    echo "FAILED  tests were skipped, which CI does not allow"
fi
echo "$((passed + suite_passed)) passed, $((failed + suite_failed)) failed"
[ $((failed + suite_failed)) -eq 0 ]
