/* hash: of bytes, for tables and for telling contents apart; not for secrets.
 *
 *   hash_mix      one word more
 *   hash_bytes    bytes more, and how many they are
 */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t hash_mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * 0x9e3779b97f4a7c15;
    return hash ^ hash >> 29;
}

static inline uint64_t hash_bytes(uint64_t hash, const uint8_t *at, size_t length)
{
    uint64_t word;
    for (; length >= sizeof(word); at += sizeof(word), length -= sizeof(word)) {
        memcpy(&word, at, sizeof(word));
        hash = hash_mix(hash, word);
    }
    word = 0;
    memcpy(&word, at, length);
    return hash_mix(hash_mix(hash, word), length);
}
