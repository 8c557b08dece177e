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
    struct prefix_set *set = NULL;
    struct allowlist facts;
    struct error err = { 0 };
    const char *path = fuzz_file(".json", data, size);
    if (!allowlist_read(path, &set, &facts, &err)) {
        require(set && facts.prefixes && facts.prefixes <= facts.entries, "no entries");
    } else {
        require(!strncmp(err.text, path, strlen(path)), "no file in the message");
        require(!strpbrk(err.text, "\r\n"), "a message of several lines");
    }
    prefix_set_free(set);
    return 0;
}
