/* fuzz/allowlist: any bytes as an allowlist file. What is taken has entries; what is not has a
 * message of one line that names the file.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/vxlan_nat/allowlist.h"
#include "selftest/fuzz/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "allowlist: %s\n", what);
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct allowlist_options options = { .max = 65536 };
    struct allowlist list = { 0 };
    struct error err = { 0 };
    const char *path = fuzz_file(".json", data, size);
    if (!allowlist_read(&list, path, &options, &err)) {
        require(list.set && list.added && list.added <= list.entries, "no entries");
        require(allowlist_count(&list) == list.added, "other entries than were added");
    } else {
        require(!strncmp(err.text, path, strlen(path)), "no file in the message");
        require(!strpbrk(err.text, "\r\n"), "a message of several lines");
    }
    allowlist_clear(&list);
    return 0;
}
