/* talkers: who sends most, to whom, to which ports, in which flows.
 *
 *   talkers_new, talkers_free
 *   talkers_add       a sampled frame
 *   talkers_top       the heaviest of one dimension
 *
 * Summaries of 1,024 counters (lib/space_saving) for each dimension, by bytes and by packets; what
 * passed and what was dropped are counted apart. Counts are since the start, and of samples: each
 * stands for as many frames as it is one of.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "apps/flow_sentinel/sentinel.bpf.h"
#include "lib/siphash.h"

#define TALKERS 1024

enum talker_dimension {
    TALKER_SOURCE,
    TALKER_DESTINATION,
    TALKER_PORT, /* of the destination, and the protocol */
    TALKER_FLOW,
    TALKER_DIMENSIONS,
};

enum talker_measure { TALKER_BYTES, TALKER_PACKETS, TALKER_MEASURES };

enum talker_part { TALKER_ALL, TALKER_PASSED, TALKER_DROPPED };

/* What a dimension leaves out is 0. */
struct talker_key {
    uint32_t src[4], dst[4];
    uint16_t sport, dport;
    uint8_t protocol;
    uint8_t dropped; /* in a summary; of talkers_top 0 */
    uint8_t unused[2];
};

struct talker {
    struct talker_key key;
    uint64_t count,
        error; /* the true count is at most `count`, and at least count - error */
};

struct talkers;

/* NULL when memory is out. */
struct talkers *talkers_new(const struct siphash_key *seed);
void talkers_free(struct talkers *talkers);

/* rate: one frame in so many is a sample. Without addresses it does not count. */
void talkers_add(struct talkers *talkers, const struct sentinel_frame *frame,
                 uint32_t rate);

/* Writes at most n rows, heaviest first; returns how many. */
uint32_t talkers_top(struct talkers *talkers, enum talker_dimension dimension,
                     enum talker_measure measure, enum talker_part part,
                     struct talker *rows, uint32_t n);
