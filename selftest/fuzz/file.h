/* file: an input of a fuzzer as a file, for parsers that read one.
 *
 *   fuzz_file   writes it; the path stays valid
 */
#pragma once
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char fuzz_path[64];

static inline void fuzz_forget(void)
{
    unlink(fuzz_path);
}

static inline const char *fuzz_file(const char *suffix, const uint8_t *data, size_t size)
{
    if (!*fuzz_path)
        atexit(fuzz_forget);
    else
        fuzz_forget();
    snprintf(fuzz_path, sizeof(fuzz_path), "/tmp/vanguard-fuzz-%d%s", getpid(), suffix);
    int fd = open(fuzz_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    close(fd);
    return fuzz_path;
}
