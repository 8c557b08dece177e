/* embedded: the Lua files that travel inside the binary (made by embed.sh).
 *
 *   embedded_files   every file by its path in the source tree, ended by a null path
 */
#pragma once
#include <stddef.h>

struct embedded_file {
    const char *path;
    const char *text;
    size_t length;
};

extern const struct embedded_file embedded_files[];
