/* fuzz capture_compare: two captures of any bytes. The input is a list of packets: side, time
 * and length in a byte each, then bytes. Whatever comes, counts agree with each other. */
#include <stdint.h>
#include <stdlib.h>

#include "lib/capture_compare.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void check(const struct compare *compare)
{
    struct compare_figures f;
    uint64_t ns;
    compare_figures(compare, &f);
    uint32_t before = compare->list[COMPARE_BEFORE].count;
    uint32_t after = compare->list[COMPARE_AFTER].count;
    require(f.sent <= before && f.received == after && f.last_sent == f.sent);
    require(f.lost <= f.sent && f.duplicated <= f.sent && f.runs <= f.lost);
    require(f.foreign <= after && f.corrupted + f.truncated + f.foreign <= after);
    require(f.reordered + f.foreign <= after && f.extent <= after);
    for (uint32_t i = 0; i < before; i++)
        if (compare_delay(compare, i, &ns))
            require(ns < 1000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct compare compare = { .slots = 0 };
    uint64_t time[2] = { 0, 0 };
    while (size >= 3) {
        enum compare_side side = data[0] & 1 ? COMPARE_AFTER : COMPARE_BEFORE;
        uint32_t length = data[2] < size - 3 ? data[2] : (uint32_t)(size - 3);
        time[side] = time[side] + data[1] < 999 ? time[side] + data[1] : 999;
        require(!compare_add(&compare, side, time[side], data + 3, length));
        data += 3 + length;
        size -= 3 + length;
    }
    require(!compare_match(&compare));
    check(&compare);
    compare_free(&compare);
    return 0;
}
