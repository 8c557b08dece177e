#!/usr/bin/env bash
# Runs what doc/synthetic-networks.md prints: its lines that begin with "$ ", each by a shell, and its
# Lua. As nobody where root runs it: the document promises that no root is needed.
# shellcheck disable=SC2016 # the backquotes are Markdown's
set -euo pipefail
cd "$(dirname "$0")/.."
BUILD=${BUILD:-build}
document=$PWD/doc/synthetic-networks.md
export ASAN_OPTIONS=detect_leaks=0:exitcode=99
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/bin" "$work/here"
cp "$BUILD/vanguard" "$work/bin/vanguard"
chmod 755 "$work"
chmod 777 "$work/here"
export PATH=$work/bin:$PATH
user=()
[ "$(id -u)" -ne 0 ] || user=(setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set=-all --no-new-privs)

for file in topology.lua lab.lua scenario.lua flows.lua; do
    sed -n "/^\`\`\`lua $file\$/,/^\`\`\`\$/p" "$document" | sed '1d;$d' >"$work/here/$file"
done
awk '/^```/ { inside = !inside; commands = inside && $0 == "```"; next }
    commands && sub(/^\$ /, "")' "$document" >"$work/commands"
echo 'vanguard run lab.lua' >>"$work/commands"
[ "$(wc -l <"$work/commands")" -gt 15 ] || { echo "walkthrough: where are the commands?" >&2; exit 1; }
cd "$work/here"
while read -r command; do
    echo "\$ $command"
    "${user[@]}" timeout 60 bash -c "$command" </dev/null >"$work/out" 2>&1 || {
        echo "walkthrough: exit code $?" >&2
        sed 's/^/    /' "$work/out" >&2
        exit 1
    }
    # What "|| true" forgives is a lost packet, not a wrong option.
    if grep -E "vanguard help lab|no parameter|^vanguard: app" "$work/out" >&2; then exit 1; fi
done <"$work/commands"
