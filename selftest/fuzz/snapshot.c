/* fuzz/snapshot: any bytes as a snapshot of FlowSentinel.
 *
 * What is taken is the same when it is written and read again. What is not has a message of one
 * line that names the file.
 */
#include <stdbool.h>
#include <string.h>

#include "apps/flow_sentinel/snapshot.h"
#include "selftest/fuzz/file.h"

#define MOST 500

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "snapshot: %s\n", what);
        abort();
    }
}

/* Fractions of a millisecond are rounded up. */
static bool same_time(uint64_t read, uint64_t again)
{
    return again >= read && again - read < 1000000;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *path = fuzz_file(".snapshot", data, size);
    struct snapshot first, second;
    struct error err = { 0 };
    if (snapshot_read(path, MOST, &first, &err)) {
        require(!first.count && strstr(err.text, path) && !strchr(err.text, '\n'),
                "the message");
        return 0;
    }
    require(first.count <= MOST, "too many");
    require(!snapshot_write(path, &first, &err) &&
                !snapshot_read(path, MOST, &second, &err),
            "not read again");
    require(second.count == first.count, "another number");
    for (size_t i = 0; i < first.count; i++) {
        const struct snapshot_row *a = &first.rows[i], *b = &second.rows[i];
        require(a->prefix.family == b->prefix.family &&
                    a->prefix.bits == b->prefix.bits &&
                    !memcmp(a->prefix.address, b->prefix.address,
                            sizeof(a->prefix.address)) &&
                    a->kind == b->kind && a->limit == b->limit && a->force == b->force &&
                    same_time(a->remaining, b->remaining) && same_time(a->ttl, b->ttl),
                "another row");
    }
    snapshot_clear(&first);
    snapshot_clear(&second);
    return 0;
}
