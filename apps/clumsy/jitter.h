/* jitter: how much longer or shorter than owd a delay is.
 *
 *   jitter_configure   set the distribution; a process goes on where it is
 *   jitter_draw        one packet by itself, or like the one before   modes reorder, clamp
 *   jitter_at          the value of the process at a time             modes process, block
 *   jitter_free
 *
 * Drawing for each packet and then keeping order moves the mean up as packets get denser:
 * the longest delay of many wins. So in-order jitter is a function of time, the same for
 * all packets of a moment. It is the Ornstein-Uhlenbeck process, correlation
 * exp(-t/coherence), sampled on a grid:
 *
 *     z   |      x.                  x  knots: z' = rho z + sqrt(1 - rho^2) e
 *         |    .    `  .             .  between them: a line, divided by its standard
 *         |  x           `x             deviation, so that z is standard normal at
 *         +--+-----+------+--> time     every time and not just at the knots
 *            |<step>|
 *
 * The process itself is too rough to keep order (its paths fall infinitely fast, and
 * holding each packet until the last has left would add sd^2/coherence to the mean), but
 * on a grid a path falls by less than one second per second when the step is wide enough:
 * three standard deviations of the fall within a step are made to equal the step. What is
 * left (one step in 700) the caller's clamp catches. For a coherence below about 4 sd the
 * step grows beyond it: nothing that varies faster keeps both the order and the
 * distribution.
 *
 * In mode block the knots are independent draws, one a period, and the delay itself goes
 * from one to the next in a straight line.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "apps/clumsy/distribution.h"
#include "apps/clumsy/parameters.h"
#include "lib/random.h"

struct jitter {
    struct random_key draws, knots;
    struct distribution law;
    double scale;  /* ns: half or sd, or a second for a table of delays; 0: no jitter */
    double corr;   /* of neighbouring draws */
    double latest; /* z of the last draw */
    bool drawn, block;
    bool running;
    uint64_t step;    /* ns between knots */
    double coherence; /* ns */
    double rho;       /* correlation of neighbouring knots */
    uint64_t from;    /* time of the knot before */
    uint64_t last;    /* latest time asked for */
    double before, after;
    uint64_t innovations; /* drawn so far */
};

/* jitter may be all zeros. A table is read (clumsy_verify has found it readable); one that
 * has gone since means no jitter. */
void jitter_configure(struct jitter *jitter, const struct jitter_conf *conf,
                      uint64_t seed, const char *name);
void jitter_free(struct jitter *jitter);

/* Its distribution: DIST_AUTO resolved. */
int jitter_dist_of(const struct jitter_conf *conf);

/* ns to add to owd. */
double jitter_draw(struct jitter *jitter, uint64_t draw);

/* The same at a time; times before the latest one asked for count as that one. */
double jitter_at(struct jitter *jitter, uint64_t time);
