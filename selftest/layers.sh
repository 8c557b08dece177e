#!/bin/sh
# The layering rule: an include only ever points down.
#
#     programs > config > apps > engine > lib
#
# Lua is seen in config/ alone, and no app includes another app's files.
set -u
cd "$(dirname "$0")/.." || exit 1
status=0

forbid() { # folder, pattern, why
    if grep -rnE "^[[:space:]]*#[[:space:]]*include[[:space:]]+[\"<]($2)" "$1" --include='*.[ch]'; then
        echo "layers: $1/ $3" >&2
        status=1
    fi
}

forbid lib 'engine/|apps/|config/|programs/|selftest/' 'includes upward'
forbid engine 'apps/|config/|programs/|selftest/' 'includes upward'
forbid apps 'config/|programs/|selftest/' 'includes upward'
forbid config 'programs/|selftest/' 'includes upward'
forbid programs 'selftest/' 'includes upward'
for folder in lib engine apps programs; do
    forbid "$folder" 'lua[.]h|lauxlib[.]h|lualib[.]h' 'includes Lua, which lives in config/'
done

# apps/NAME.c and apps/NAME/*.c may include apps/apps.h and their own folder, no other app.
for file in apps/*.[ch] apps/*/*.[ch]; do
    [ -e "$file" ] || continue
    own=$(echo "$file" | sed 's,apps/\([a-z0-9_]*\).*,\1,')
    if grep -nE '^[[:space:]]*#[[:space:]]*include[[:space:]]+"apps/' "$file" | grep -vE "\"apps/(apps[.]h|${own}[/.])"; then
        echo "layers: $file includes another app" >&2
        status=1
    fi
done
[ "$status" -eq 0 ] && echo "layers: clean"
exit $status
