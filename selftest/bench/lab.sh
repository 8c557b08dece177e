#!/usr/bin/env bash
# What the scripts that measure between namespaces share; they read it, and say first:
#   id     of the namespaces, "$id-name"
# shellcheck disable=SC2154 # that

n() { # namespace, command...
    local ns=$1
    shift
    ip netns exec "$id-$ns" "$@"
}
mac_of() { n "$1" cat "/sys/class/net/$2/address"; } # namespace, interface

median() { # file, column
    [ -s "$1" ] || { echo -; return; }
    awk -v c="$2" '{ print $c }' "$1" | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}
