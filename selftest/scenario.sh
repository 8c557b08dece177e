#!/usr/bin/env bash
# What the scripts of scenarios share; they read it, and say first:
#   scenario   its name, for what is said
#   tries      of wait_for, a twentieth of a second each
#   fail       says what it is told, and what else helps, and ends the script
#   tmp, VANGUARD   where walk puts files; the program
#   id         of the namespaces, "$id-name"; and what the program is known by, for app_counter
#   SUITE, put_up, take_down, test_NAME   for run_scenarios
# shellcheck disable=SC2154 # those

say() { printf '\033[1m[%s]\033[0m %s\n' "$scenario" "$*" >&2; }
equal() { # what, value, wanted
    [ "$2" = "$3" ] || fail "$1: '$2', wanted '$3'"
    say "$1: $2"
}
between() { # what, value, least, most
    awk -v v="$2" -v a="$3" -v b="$4" 'BEGIN { exit !(v + 0 >= a && v + 0 <= b && v != "") }' ||
        fail "$1 is '$2', not within $3..$4"
    say "$1: $2 (within $3..$4)"
}
wait_for() { # what, command...: until it succeeds
    local what=$1
    shift
    for _ in $(seq "$tries"); do
        "$@" >/dev/null 2>&1 && return 0
        sleep 0.05
    done
    fail "waited in vain for $what"
}

# What a program in the background says goes to files, and is waited for: not what another one said there
# before.
forget() { # files of $tmp
    local file
    for file in "$@"; do : >"$tmp/$file"; done
}

# Microseconds for which programs waited for a processor, since the machine was started.
waited() { sed -n 's/^some.* total=//p' /proc/pressure/cpu 2>/dev/null || echo 0; }

# Had the programs of a failed test the processors that they needed? Without, what they measure themselves
# is the machine's.
starved() { # what waited and the clock said before, us
    local share
    share=$(awk -v w=$(($(waited) - $1)) -v t=$((${EPOCHREALTIME/./} - $2)) 'BEGIN { printf "%d", 100 * w / t }')
    [ "$share" -ge 10 ] || return 1
    say "programs waited for a processor for $share % of the time"
}

# Everything that a document tells its reader to do: commands stand behind "$ " in plain blocks, files in blocks
# with a language and a name. In namespaces of its own; what comes of it is in $tmp/here.
walk() { # document
    mkdir "$tmp/bin" "$tmp/here"
    ln -s "$VANGUARD" "$tmp/bin/vanguard"
    awk -v here="$tmp/here/" '/^```/ { file = !inside && NF == 2 ? here $2 : ""; inside = !inside; next }
        inside && file { print >file }' "$1"
    awk '/^```/ { inside = !inside; commands = inside && $0 == "```"; next }
        commands && sub(/^\$ /, "")' "$1" >"$tmp/commands"
    [ "$(wc -l <"$tmp/commands")" -gt 25 ] || fail "where are the commands?"
    cat >"$tmp/walk" <<'WALK'
set -eu
mount -t tmpfs none /run
mount -t sysfs none /sys
cd "$1/here"
while read -r command; do
    echo "\$ $command"
    timeout 90 bash -c "$command" </dev/null || { echo "exit code $?: $command"; exit 1; }
done <"$1/commands"
WALK
    PATH=$tmp/bin:$PATH unshare -n -m --pid --fork --kill-child --mount-proc bash "$tmp/walk" "$tmp" >"$tmp/walked" 2>&1 ||
        fail "$1: $(tail -3 "$tmp/walked")"
    say "$(wc -l <"$tmp/commands") commands"
}

n() { # namespace, command...
    local ns=$1
    shift
    ip netns exec "$id-$ns" "$@"
}
drop_namespaces() { # names: with all that still runs there
    local ns
    for ns; do
        ip netns pids "$id-$ns" 2>/dev/null | xargs -r kill 2>/dev/null || true
        ip netns del "$id-$ns" 2>/dev/null || true
    done
}
kernel_count() { # namespace, names of nstat: their sum; nothing where there are none
    ip netns exec "$id-$1" nstat -asz "${@:2}" | awk '!/^#/ { s += $2; n++ } END { if (n) print s }'
}
same() { [ "$("${@:2}")" -eq "$1" ]; } # number, what prints it
more() { [ "$("${@:2}")" -ge "$1" ]; } # ... or a greater one
app_counter() { # app, counter
    "$VANGUARD" ctl "$id" counters "$1" | tr ',:' '\n' | awk -v name="$2" '$1 == name { print $2 }'
}

# Those that are named, or all; each has its own namespaces.
run_scenarios() { # the script's arguments
    if [ "${1-}" = --list ]; then
        echo "$SUITE"
        return
    fi
    # shellcheck disable=SC2086 # one word per scenario
    [ $# -gt 0 ] || set -- $SUITE
    for scenario in "$@"; do
        case " $SUITE " in *" $scenario "*) ;; *) echo "there is no scenario $scenario" >&2; exit 2 ;; esac
        put_up
        "test_$scenario"
        say passed
        take_down
    done
}
