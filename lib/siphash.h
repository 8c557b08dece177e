/* siphash: a keyed hash, for tables whose keys an attacker picks.
 *
 *   siphash_13   one round per word, three at the end: for tables
 *   siphash_24   two and four, as it was first published
 *
 * Who does not know the key cannot find keys that meet in one bucket. Aumasson, Bernstein:
 * "SipHash: a fast short-input PRF", 2012. Words are read in little-endian order, so that
 * a hash is the same on every machine.
 */
#pragma once
#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* 16 secret bytes, from getrandom(2). */
struct siphash_key {
    uint64_t a, b;
};

struct siphash {
    uint64_t v0, v1, v2, v3;
};

static inline uint64_t siphash_rotate(uint64_t word, unsigned bits)
{
    return word << bits | word >> (64 - bits);
}

static inline void siphash_rounds(struct siphash *s, unsigned rounds)
{
    while (rounds--) {
        s->v0 += s->v1;
        s->v2 += s->v3;
        s->v1 = siphash_rotate(s->v1, 13) ^ s->v0;
        s->v3 = siphash_rotate(s->v3, 16) ^ s->v2;
        s->v0 = siphash_rotate(s->v0, 32) + s->v3;
        s->v2 += s->v1;
        s->v3 = siphash_rotate(s->v3, 21) ^ s->v0;
        s->v1 = siphash_rotate(s->v1, 17) ^ s->v2;
        s->v2 = siphash_rotate(s->v2, 32);
    }
}

static inline void siphash_word(struct siphash *s, uint64_t word, unsigned rounds)
{
    s->v3 ^= word;
    siphash_rounds(s, rounds);
    s->v0 ^= word;
}

static inline uint64_t siphash_of(const struct siphash_key *key, const void *bytes,
                                  size_t length, unsigned rounds, unsigned last_rounds)
{
    struct siphash s = { key->a ^ 0x736f6d6570736575, key->b ^ 0x646f72616e646f6d,
                         key->a ^ 0x6c7967656e657261, key->b ^ 0x7465646279746573 };
    const uint8_t *at = bytes;
    uint64_t word, tail = (uint64_t)length << 56;
    for (; length >= sizeof(word); at += sizeof(word), length -= sizeof(word)) {
        memcpy(&word, at, sizeof(word));
        siphash_word(&s, le64toh(word), rounds);
    }
    for (size_t i = 0; i < length; i++)
        tail |= (uint64_t)at[i] << 8 * i;
    siphash_word(&s, tail, rounds);
    s.v2 ^= 0xff;
    siphash_rounds(&s, last_rounds);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

static inline uint64_t siphash_13(const struct siphash_key *key, const void *bytes,
                                  size_t length)
{
    return siphash_of(key, bytes, length, 1, 3);
}

static inline uint64_t siphash_24(const struct siphash_key *key, const void *bytes,
                                  size_t length)
{
    return siphash_of(key, bytes, length, 2, 4);
}
