/* mapping: which outside endpoint stands for which inside one (RFC 4787, 4).
 *
 *   mappings_make, mappings_free
 *   mappings_inside, mappings_outside    the mapping of an endpoint, NULL when there is none
 *   mappings_add       a new one, with a port that no other has
 *   mappings_refresh   it was used now
 *   mappings_expire    forget what was not used for too long
 *   mappings_forget    forget all: a rebind
 *
 *     inside   | family protocol address port | --.
 *                                                  > one mapping, in two hash tables with a key
 *     outside  | family protocol address port | --'  of their own, and in one list by age
 *
 * The mapping is endpoint-independent (RFC 4787, REQ-1): it does not depend on whom the
 * inside talks to. Everything costs the same however many there are, and memory is bounded.
 *
 * What a rebind forgets keeps its place until it would have expired, so that its port is not
 * given to anybody: what still comes for it is dropped, and the new port differs from the old
 * one. It gives way when there is no room or no port otherwise.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "apps/nat/view.h"
#include "lib/random.h"

#define MAPPINGS_MAX (1u << 20)

enum nat_life { LIFE_UDP, LIFE_ICMP, LIFE_TCP, LIFE_TCP_TRANSITORY, LIVES };

struct nat_mapping {
    struct nat_endpoint inside, outside;
    uint8_t mac[6];      /* of the inside host */
    uint8_t life;        /* enum nat_life */
    uint8_t seen;        /* of TCP: the owner's to use, 0 at first */
    uint64_t used;       /* ns */
    uint64_t serial;     /* no other mapping ever has it */
    uint64_t generation; /* of the table then: it counts when that is still the same */
    uint32_t next[2];    /* in the buckets of both tables; places, 0: the end */
    uint32_t older, newer;
};

struct nat_age {
    uint32_t oldest, newest;
};

struct nat_mappings {
    struct nat_mapping *list; /* max + 1; place 0 is nobody's */
    uint32_t *buckets[2];     /* mask + 1 */
    uint32_t max, mask;
    uint32_t fresh;  /* places that were never used begin here */
    uint32_t unused; /* ... and those that were: a list through next[0] */
    struct nat_age ages[LIVES];
    uint64_t generation, serial, draws, key;
    struct random_key random;
    uint16_t low, high; /* ports that are given, both included */
    uint64_t count;     /* of those that are not forgotten */
};

enum nat_refusal { NAT_NO_ROOM = 1, NAT_NO_PORT };

/* Zeroed before. -ENOMEM. */
int mappings_make(struct nat_mappings *mappings, uint32_t max, uint16_t low,
                  uint16_t high, uint64_t seed, const char *name);
void mappings_free(struct nat_mappings *mappings);

struct nat_mapping *mappings_inside(struct nat_mappings *mappings,
                                    const struct nat_endpoint *inside);
struct nat_mapping *mappings_outside(struct nat_mappings *mappings,
                                     const struct nat_endpoint *outside);

/* inside has no mapping. outside: all but the port. NULL, and why in *refusal. */
struct nat_mapping *mappings_add(struct nat_mappings *mappings,
                                 const struct nat_endpoint *inside,
                                 struct nat_endpoint outside, enum nat_life life,
                                 uint64_t now, enum nat_refusal *refusal);

/* now never goes back. */
void mappings_refresh(struct nat_mappings *mappings, struct nat_mapping *mapping,
                      enum nat_life life, uint64_t now);

/* timeouts: ns by enum nat_life. Returns how many have expired (not those forgotten before). */
uint64_t mappings_expire(struct nat_mappings *mappings, const uint64_t timeouts[LIVES],
                         uint64_t now);

/* Returns how many there were. */
uint64_t mappings_forget(struct nat_mappings *mappings);
