#!/usr/bin/env bash
# libvanguard as a program's author meets it: installed into an empty folder, the hosts of
# doc/embedding.md built against it, shared and static, and run; then removed. Needs no root.
set -euo pipefail
cd "$(dirname "$0")/.."
BUILD=${BUILD:-build}
CC=${CC:-gcc}
[ "$CC" != default ] || CC=gcc
work=$(mktemp -d)
host=
trap '[ -z "$host" ] || kill "$host"; rm -rf "$work"' EXIT
unset MAKEFLAGS

flags=(-Wall -Wextra -Werror -Wno-unused-parameter -Wno-missing-field-initializers -O1 -g)
variant=("BUILD=$BUILD")
if [ "$BUILD" = build/sanitize ]; then
    variant=(SANITIZE=1)
    flags+=("-fsanitize=address,undefined")
fi

fail() {
    echo "embedding: $*" >&2
    exit 1
}

vanguard_make() {
    make --no-print-directory -j"$(nproc)" "${variant[@]}" "CC=$CC" "PREFIX=$work/usr" "$@" >"$work/make.log" ||
        { cat "$work/make.log" && fail "make $*"; }
}

# The n-th block of a language in the document.
block() { # language, n
    awk -v start="\`\`\`$1" -v n="$2" '$0 == "```" { in_block = 0 }
        in_block && found == n { print }
        $0 == start { in_block = 1; found++ }' doc/embedding.md
}

expect() { # text, in which file; waits for it
    for _ in $(seq 600); do
        if grep -q "$1" "$2"; then return; fi
        sleep 0.1
    done
    cat "$2" >&2
    fail "no \"$1\""
}

# Says a line to the host and prints what it answers.
ask() {
    echo "$1" >&3
    read -r -t 60 answer <&4 || fail "no answer to $1"
    echo "$answer"
}

breaths() {
    local answer
    answer=$(ask show)
    echo "${answer%% *}"
}

# It has come to rest, and then it takes no breath for a second.
check_idle() {
    local before after=none
    for _ in $(seq 100); do
        before=$after
        after=$(breaths)
        [ "$before" != "$after" ] || break
        sleep 0.2
    done
    sleep 1
    [ "$(breaths)" = "$after" ] || fail "breaths while idle: $(breaths), before $after"
}

# A datagram goes through the host: it wakes for the socket, and 20 ms later for the timer.
check_echo() { # port
    local got
    exec 5<>"/dev/udp/127.0.0.1/$1"
    printf 'over and out' >&5
    got=$(timeout 60 dd bs=2048 count=1 status=none <&5) || fail "no echo"
    exec 5>&-
    [ "$got" = "over and out" ] || fail "echo is \"$got\""
}

check_host() { # program
    local port status=0
    rm -f "$work/in" "$work/out"
    mkfifo "$work/in" "$work/out"
    "$1" <"$work/in" >"$work/out" 2>"$work/err" &
    host=$!
    exec 3>"$work/in" 4<"$work/out"
    read -r -t 60 port <&4 || fail "no port: $(cat "$work/err")"
    check_echo "${port#port }"
    check_idle
    [ "$(ask "loss 150%")" = "as before" ] || fail "150% of loss"
    expect 'host: app "wan" (Clumsy): loss.*150% is not within' "$work/err"
    [ "$(ask "loss 0.001%")" = changed ] || fail "no other graph: $(cat "$work/err")"
    ask show | grep -q ", 1 received, 1 sent" || fail "another graph lost the counters"
    check_echo "${port#port }"
    kill -TERM "$host"
    cat <&4 >"$work/rest"
    wait "$host" || status=$?
    host=
    exec 3>&- 4<&-
    [ "$status" = 0 ] || fail "exit code $status: $(cat "$work/err")"
    grep -q 'listen.output -> wan.input' "$work/rest" || fail "no report"
    grep -q '^bye$' "$work/rest" || fail "no clean end"
}

check_lua_host() { # program
    "$1" "$work/graph.lua" >"$work/rest" 2>&1 || fail "lua_host: exit code $?: $(cat "$work/rest")"
    grep -Eq '1,?000 .*wan.output -> count.input' "$work/rest" || fail "$(cat "$work/rest")"
    echo 'local c = config.new() config.app(c, "x", { push = function () error("no luck") end }) engine.configure(c)' \
        >"$work/bad.lua"
    if "$1" "$work/bad.lua" >"$work/rest" 2>&1; then fail "an error in Lua went by"; fi
    grep -q "no luck" "$work/rest" || fail "$(cat "$work/rest")"
}

# An app class in a shared object, for the library and for the program.
check_plugin() { # host that runs Lua
    cat >"$work/plugin.c" <<END
#include <vanguard.h>
static void push(struct app *app)
{
    for (struct link *input = app_input(app, 0); !link_empty(input);)
        packet_free(link_receive(input));
    engine_stop(app->engine);
}
const struct app_class vanguard_app_class = {
    .name = "Plug", .doc = "takes packets and stops", .push = push,
    .ports = (const struct port[]){ { "input", PORT_INPUT, "packets" }, { NULL } },
};
END
    # shellcheck disable=SC2046 # words
    "$CC" "${flags[@]}" -shared -fPIC -o "$work/plugin.so" "$work/plugin.c" $(pkg-config --cflags vanguard)
    cat >"$work/plugin.lua" <<END
app.load "$work/plugin.so"
local c = config.new()
config.app(c, "source", Source)
config.app(c, "plug", "Plug")
config.chain(c, "source", "plug")
engine.configure(c)
engine.main()
END
    "$1" "$work/plugin.lua" >"$work/rest" 2>&1 || fail "plugin: $(cat "$work/rest")"
    "$work/usr/bin/vanguard" run "$work/plugin.lua" >"$work/rest" 2>&1 || fail "plugin: $(cat "$work/rest")"
}

# Thread-local data comes late then: more of it than glibc keeps room for.
check_dlopen() {
    cat >"$work/late.c" <<END
#include <dlfcn.h>
#include <vanguard.h>
int main(void)
{
    void *library = dlopen("libvanguard.so.0", RTLD_NOW | RTLD_GLOBAL);
    if (!library)
        return puts(dlerror()), 1;
    struct engine *(*make)(const struct engine_options *, struct error *) = dlsym(library, "engine_new");
    void (*breathe)(struct engine *) = dlsym(library, "engine_breathe");
    void (*end)(struct engine *) = dlsym(library, "engine_free");
    struct engine *engine = make(&(struct engine_options){ 0 }, NULL);
    breathe(engine);
    end(engine);
    return 0;
}
END
    # shellcheck disable=SC2046 # words
    "$CC" "${flags[@]}" -o "$work/late" "$work/late.c" $(pkg-config --cflags vanguard)
    "$work/late" >"$work/rest" 2>&1 || fail "dlopen: $(cat "$work/rest")"
}

vanguard_make install
export PKG_CONFIG_PATH=$work/usr/lib/pkgconfig
export LD_LIBRARY_PATH=$work/usr/lib
block c 1 >"$work/host.c"
block c 2 >"$work/lua_host.c"
block lua 1 >"$work/graph.lua"

# Nothing is exported but what the headers declare.
if nm -D --defined-only "$work/usr/lib/libvanguard.so" | grep -E ' (workers_go|host_poll|vm_pcall|clumsy_class|embedded_files)$'; then
    fail "internal names are exported"
fi

for kind in shared static; do
    how=(--libs)
    [ $kind = shared ] || how=(--variable=static)
    for program in host lua_host; do
        # shellcheck disable=SC2046 # words
        "$CC" "${flags[@]}" -rdynamic -o "$work/$program" "$work/$program.c" $(pkg-config --cflags "vanguard") \
            $(pkg-config "${how[@]}" vanguard)
    done
    needed=$(ldd "$work/host" | grep -c libvanguard.so.0 || true)
    [ $kind-"$needed" = shared-1 ] || [ $kind-"$needed" = static-0 ] || fail "$kind: libvanguard.so.0 $needed times"
    check_host "$work/host"
    check_lua_host "$work/lua_host"
    check_plugin "$work/lua_host"
done

check_dlopen
vanguard_make uninstall
left=$(find "$work/usr" -type f -o -type l)
[ -z "$left" ] || fail "uninstall left $left"
echo "embedding: ok"
