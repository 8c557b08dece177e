/* distribution: the laws of a varying delay, as x = F^-1(Phi(z)) of a normal z.
 *
 *   distribution_configure   one of enum jitter_dist
 *   distribution_at          x for a z
 *   distribution_read        a table from a file             distribution_read.c
 *   distribution_free
 *
 * A normal z that is correlated, in packets or in time, makes an x that is, too, and has the
 * law asked for whatever the correlation is (a Gaussian copula). Laws are standardized: mean
 * 0 and standard deviation 1, but for the uniform one, -1 to 1, and a table whose values are
 * delays as they stand. There is no cut: z reaches to 8.2, and so do the tails.
 *
 *     uniform       erf(z / sqrt 2)
 *     pareto        u^(-1/a), a = 3
 *     paretonormal  1/4 of a normal and 3/4 of a Pareto variable (netem's mixture)
 *     exponential, gamma (k = 2), lognormal (sigma = 1), Weibull (k = 1.5)
 *
 * Those without a closed form are tabulated over z, 128 steps of each unit.
 */
#pragma once
#include <stddef.h>

#include "apps/clumsy/parameters.h"

#define DISTRIBUTION_SAMPLES_MAX (1u << 22)

struct distribution {
    int dist; /* enum jitter_dist, not DIST_AUTO */
    double shape, mean, sd;
    double *quantiles; /* of a table, ascending */
    double *at;        /* and the share below each, or NULL: evenly spaced */
    size_t count;
};

/* distribution may be all zeros or configured before. shape 0: the default. A table is read
 * from path; raw: its values count as they are. -errno with a message. */
int distribution_configure(struct distribution *distribution, int dist, double shape,
                           const char *path, bool raw, struct error *err);
void distribution_free(struct distribution *distribution);

double distribution_at(const struct distribution *distribution, double z);

/* A file of netem's (numbers of 1/8192 standard deviations), one sample a line, or lines of
 * quantile (0..1, ascending) and value; # begins a comment. The arrays become the
 * caller's: free. *at is NULL but in the last case. Samples come back sorted. */
int distribution_read(const char *path, double **values, double **at, size_t *count,
                      struct error *err);
