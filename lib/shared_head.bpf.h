/* shared_head: the part of a shared table (lib/shared_table.bpf.h) that is no array. */
#pragma once
#include <linux/types.h>

#define SHARED_FILTER 2048 /* words, of 64 bits: 16 KiB */

/* Both sides' part of it; zeros but for the seed at first. */
struct shared_head {
    __u64 free; /* generation << 32 | number of the first free slot */
    __u64 seed; /* secret: who knows it can pick keys that share a bucket */
    __u64 filter
        [SHARED_FILTER]; /* a bit for a bucket; several share one where there are more */
};
