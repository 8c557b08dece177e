/* netem: delays as the kernel's sch_netem draws them. */
#include "apps/clumsy/netem.h"

#include <errno.h>
#include <glob.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "apps/clumsy/jitter.h"

#define SCALE 8192

static const char *table_name(int dist)
{
    return dist == DIST_NORMAL         ? "normal"
           : dist == DIST_PARETO       ? "pareto"
           : dist == DIST_PARETONORMAL ? "paretonormal"
                                       : NULL;
}

/* Where iproute2 was built to look for it: its libraries are in a directory of the
 * architecture, or of all. */
static int find_table(const char *name, char *path, size_t size, struct error *err)
{
    static const char *const places[] = { "/usr/lib/tc/%s.dist", "/usr/lib64/tc/%s.dist",
                                          "/usr/lib/*/tc/%s.dist" };
    const char *own = getenv("TC_LIB_DIR");
    glob_t found;
    if (own) {
        snprintf(path, size, "%s/%s.dist", own, name);
        return 0;
    }
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        char pattern[256];
        snprintf(pattern, sizeof(pattern), places[i], name);
        if (glob(pattern, 0, NULL, &found))
            continue;
        snprintf(path, size, "%s", found.gl_pathv[0]);
        globfree(&found);
        return 0;
    }
    return error_set(err, ERROR_CONFIG, ENOENT,
                     "compat: iproute2's table %s.dist is not there (apt-get install "
                     "iproute2, or set TC_LIB_DIR)",
                     name);
}

/* Values come back divided by SCALE; the file's are whole. */
static int load(struct netem *netem, const char *path, struct error *err)
{
    double *values, *at;
    size_t count;
    int error = distribution_read(path, &values, &at, &count, err);
    if (error)
        return error;
    netem->table = malloc(count * sizeof(*netem->table));
    if (!netem->table)
        error = error_set(err, ERROR_RUN, ENOMEM, "out of memory");
    for (size_t i = 0; netem->table && i < count; i++)
        netem->table[i] = (int32_t)lrint(fmax(fmin(values[i], 4), -4) * SCALE);
    netem->size = (uint32_t)count;
    free(values);
    free(at);
    return error;
}

int netem_configure(struct netem *netem, const struct jitter_conf *conf, uint64_t seed,
                    const char *name, struct error *err)
{
    uint64_t jitter = conf->sd ? conf->sd : conf->half;
    int dist = jitter_dist_of(conf);
    char path[256];
    netem_free(netem);
    netem->key = random_key(seed, name, "jitter");
    netem->rho = (uint64_t)(conf->corr * 0x1p32);
    netem_scale(netem, jitter);
    if (!jitter || dist == DIST_UNIFORM)
        return 0;
    if (dist == DIST_TABLE)
        return load(netem, conf->table, err);
    if (!table_name(dist))
        return error_set(
            err, ERROR_CONFIG, EINVAL,
            "jitter.dist: netem has uniform, normal, pareto, paretonormal and "
            "tables");
    int error = find_table(table_name(dist), path, sizeof(path), err);
    return error ? error : load(netem, path, err);
}

void netem_scale(struct netem *netem, uint64_t jitter)
{
    netem->jitter = jitter < INT32_MAX ? (int64_t)jitter : INT32_MAX;
}

void netem_free(struct netem *netem)
{
    free(netem->table);
    netem->table = NULL;
}

static uint32_t number(struct netem *netem, uint64_t draw)
{
    uint32_t value = (uint32_t)(random_draw(&netem->key, draw) >> 32);
    if (netem->rho) {
        uint64_t rho = netem->rho + 1;
        unsigned __int128 sum = (unsigned __int128)value * ((1ull << 32) - rho) +
                                (unsigned __int128)netem->last * rho;
        value = (uint32_t)(sum >> 32);
    }
    return netem->last = value;
}

int64_t netem_delay(struct netem *netem, uint64_t draw)
{
    int64_t sigma = netem->jitter;
    if (!sigma)
        return 0;
    uint32_t n = number(netem, draw);
    if (!netem->table)
        return (int64_t)(n % (2 * (uint32_t)sigma)) - sigma;
    int64_t t = netem->table[n % netem->size];
    int64_t x = sigma % SCALE * t;
    x += x >= 0 ? SCALE / 2 : -SCALE / 2;
    return x / SCALE + sigma / SCALE * t;
}
