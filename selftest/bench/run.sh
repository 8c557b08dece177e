#!/usr/bin/env bash
# `make bench`: everything that is measured. Tables on stdout, figures in build/bench.json.
set -euo pipefail
cd "$(dirname "$0")/../.."
BUILD=${BUILD:-build}
"$BUILD/vanguard" bench all
"$BUILD/vanguard" bench all --json >"$BUILD/bench-memory.json"
"$BUILD/bench/interlink"
"$BUILD/bench/interlink" --check 1000000000
selftest/bench/instructions.sh || true
selftest/bench/timing.sh
if [ "$(id -u)" -eq 0 ]; then
    ./vethtest.sh throughput
    selftest/bench/wires.sh
    "$BUILD/bench/sentinel" 41 "$BUILD/sentinel.json"
    selftest/bench/protected.sh
    "$BUILD/bench/vxlan_nat" 21 "$BUILD/vxlan_nat.json"
    selftest/bench/vxlan_wires.sh
    "$BUILD/bench/neighsync" || true
    "$BUILD/bench/neighsync" --json >"$BUILD/neighsync.json" || true
else
    echo "bench: the veth and XDP measurements need root" >&2
fi
{
    printf '{"memory": ['
    paste -sd, "$BUILD/bench-memory.json"
    printf '], "throughput": '
    cat "$BUILD/throughput.json" 2>/dev/null || echo null
    printf ', "wires": '
    cat "$BUILD/wires.json" 2>/dev/null || echo null
    printf ', "sentinel": '
    cat "$BUILD/sentinel.json" 2>/dev/null || echo null
    printf ', "protected": '
    cat "$BUILD/protected.json" 2>/dev/null || echo null
    printf ', "vxlan_nat": '
    cat "$BUILD/vxlan_nat.json" 2>/dev/null || echo null
    printf ', "vxlan_wires": '
    cat "$BUILD/vxlan_wires.json" 2>/dev/null || echo null
    printf ', "neighsync": '
    cat "$BUILD/neighsync.json" 2>/dev/null || echo null
    printf '}\n'
} >"$BUILD/bench.json"
echo "figures: $BUILD/bench.json"
