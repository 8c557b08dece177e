/* random: counter-based random draws, H(seed, name, purpose, index).
 *
 *   random_key           the key of one stream: who draws, and for what
 *   random_draw          draw number index of a stream: 64 uniform bits
 *   random_unit          the same as a double in [0, 1)
 *   random_threshold     a probability made ready for random_chance
 *   random_chance        true with that probability
 *   random_normal        a draw of the standard normal distribution
 *   normal_cdf           its distribution function
 *   normal_quantile      the inverse of that
 *
 * There is no state. A draw depends on its key and index alone, so that what happens to
 * packet 17 depends neither on how the graph is cut over cores nor on how many draws
 * somebody else made, and a run repeats from its seed. Streams of different seeds, names
 * or purposes are independent for every statistical end; none of this is fit for secrets.
 *
 * The finalizer is that of splitmix64 (Steele, Lea, Flood: "Fast splittable pseudorandom
 * number generators", 2014) with D. Stafford's constants; 64-bit multiplications only, so
 * the numbers are the same on every machine. For one key it is a bijection of the index.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* 2^64 divided by the golden ratio: spreads small counters over all bits. */
#define RANDOM_GAMMA 0x9e3779b97f4a7c15

struct random_key {
    uint64_t a; /* where on the circle of 2^64 counters the stream starts */
    uint64_t b; /* goes in halfway: streams that meet on the circle still differ */
};

/* A probability p in 64 bits cannot also hold 1, which gets a flag. */
struct random_threshold {
    uint64_t below; /* p * 2^64, rounded down */
    bool always;    /* p is 1 */
};

/* name and purpose are any strings ("wan", "loss"); both may be "". For configure time:
 * costs a few nanoseconds per character. */
struct random_key random_key(uint64_t seed, const char *name, const char *purpose);

/* p <= 0 and not-a-number never happen, p >= 1 always does. A p below 2^-64 is 0. */
struct random_threshold random_threshold(double p);

/* Mean 0, standard deviation 1, made of 52 random bits: reaches to about +-8.2. */
double random_normal(const struct random_key *key, uint64_t index);

/* The probability that a standard normal variable is below x. */
double normal_cdf(double x);

/* The x with normal_cdf(x) == p to a relative error of 1e-11 wherever p can express it,
 * down to the smallest double. p <= 0 gives -INFINITY, p >= 1 INFINITY, NAN itself. */
double normal_quantile(double p);

static inline uint64_t random_draw(const struct random_key *key, uint64_t index)
{
    uint64_t z = key->a + index * RANDOM_GAMMA;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9 + key->b;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static inline double random_unit(const struct random_key *key, uint64_t index)
{
    return (double)(random_draw(key, index) >> 11) * 0x1p-53;
}

static inline bool random_chance(const struct random_key *key, uint64_t index,
                                 struct random_threshold threshold)
{
    return random_draw(key, index) < threshold.below || threshold.always;
}
