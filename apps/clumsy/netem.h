/* netem: delays as the kernel's sch_netem draws them, for comparison.
 *
 *   netem_configure   the table of a distribution, and the correlation
 *   netem_scale       another jitter
 *   netem_delay       ns to add
 *   netem_free
 *
 * A uniform delay is a 32-bit number modulo twice the jitter; others are a table of 16-bit
 * numbers (in 8192nds of the jitter, cut off at 4) indexed by it modulo its length. The
 * numbers are correlated by the filter of event.h, whose low bits are not correlated at all:
 * delays come out independent. Tables are those of the installed iproute2.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "apps/clumsy/parameters.h"
#include "lib/random.h"

struct netem {
    struct random_key key;
    uint64_t rho;   /* correlation, of 2^32 */
    uint32_t last;  /* number of the filter */
    int64_t jitter; /* ns, at most 2^31 - 1: longer ones are cut, as there */
    int32_t *table; /* NULL: uniform */
    uint32_t size;
};

/* netem may be all zeros. -errno with a message when there is no such table. */
int netem_configure(struct netem *netem, const struct jitter_conf *conf, uint64_t seed,
                    const char *name, struct error *err);
void netem_free(struct netem *netem);

void netem_scale(struct netem *netem, uint64_t jitter);
int64_t netem_delay(struct netem *netem, uint64_t draw);
