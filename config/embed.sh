#!/bin/sh
# Prints a C file that holds the files named as arguments: Lua travels inside the binary.
set -eu
echo '#include "config/embedded.h"'
i=0
for file in "$@"; do
    echo "static const char file_$i[] = {"
    od -An -v -tx1 "$file" | sed 's/ \([0-9a-f][0-9a-f]\)/0x\1,/g'
    echo "0};"
    i=$((i + 1))
done
echo "const struct embedded_file embedded_files[] = {"
i=0
for file in "$@"; do
    echo "    { \"$file\", file_$i, sizeof(file_$i) - 1 },"
    i=$((i + 1))
done
echo "    { 0, 0, 0 },"
echo "};"
