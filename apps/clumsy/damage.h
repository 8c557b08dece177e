/* damage: what happens to the bytes of a packet.
 *
 *   damage_range      the bytes that may be hit
 *   damage_pick       n different bits of a range
 *   damage_corrupt    flips them, or worse, and makes checksums right again if asked
 *   damage_truncate   cuts a frame off
 *   damage_bits       how many bits an error rate hits
 *
 * A checksum that is left wrong keeps the damage from the application: TCP and UDP drop the
 * packet, which is then one more loss. With FIX_ALL it gets through.
 */
#pragma once
#include <stdint.h>

#include "apps/clumsy/parameters.h"
#include "lib/random.h"

struct damage_range {
    uint32_t from, to; /* bytes; empty: from == to */
};

struct damage_range damage_range(const uint8_t *data, uint32_t length, int where);

/* Bits count from the highest of the frame's first byte. All sets of n are equally likely;
 * fewer when the range has fewer. Returns how many. */
uint32_t damage_pick(const struct random_key *key, struct damage_range range, uint32_t n,
                     uint32_t *bits);

/* The bits that an error rate hits in a frame: a binomial draw, CLUMSY_BITS_MAX at most. */
uint32_t damage_bits(double ber, uint32_t length, double u);

/* n bits (at most CLUMSY_BITS_MAX) of data, with draws of key. Returns how many were hit. */
uint32_t damage_corrupt(const struct corrupt_conf *conf, const struct random_key *key,
                        uint8_t *data, uint32_t length, uint32_t n);

/* The frame is length bytes long now. */
void damage_truncate(uint8_t *data, uint32_t length, int fix);
