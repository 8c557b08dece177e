/* distribution: the laws of a varying delay. */
#include "apps/clumsy/distribution.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/random.h"

#define REACH     8.25 /* z: random_normal goes to 8.2 */
#define STEPS     128  /* of each unit of z */
#define NODES     ((size_t)(2 * REACH * STEPS) + 1)
#define BISECT    40
#define INTEGRATE 48

static const double default_shape[] = {
    [DIST_PARETO] = 3,    [DIST_PARETONORMAL] = 3, [DIST_GAMMA] = 2,
    [DIST_LOGNORMAL] = 1, [DIST_WEIBULL] = 1.5,    [DIST_TABLE] = 0,
};

/* --- laws without a closed form: the share below x, or above it --------------------------- */

/* The regularized incomplete gamma function P(k, x), or 1 - P: a series where x is small, a
 * continued fraction (Lentz) where it is large. Abramowitz and Stegun, 6.5.29 and 6.5.31. */
static double gamma_share(double k, double x, bool above)
{
    if (x <= 0)
        return above;
    double front = exp(k * log(x) - x - lgamma(k));
    if (x < k + 1) {
        double term = 1 / k, sum = term;
        for (int n = 1; n < 500 && term > sum * 1e-16; n++)
            sum += term *= x / (k + n);
        return above ? 1 - front * sum : front * sum;
    }
    double b = x + 1 - k, c = 1e300, d = 1 / b, h = d, change = 0;
    for (int n = 1; n < 500 && fabs(change - 1) > 1e-15; n++) {
        double a = -n * (n - k);
        b += 2;
        d = 1 / (a * d + b);
        c = b + a / c;
        change = c * d;
        h *= change;
    }
    return above ? front * h : 1 - front * h;
}

static double pareto_mean(double a)
{
    return a / (a - 1);
}

static double pareto_sd(double a)
{
    return sqrt(a / (a - 2)) / (a - 1);
}

/* Of 1/4 n + 3/4 p, n normal and p Pareto, both standardized: the mean over n. Beyond `most` p
 * would be below its least value, 1; up to there the integrand is smooth (Simpson's rule). */
static double paretonormal_share(double a, double x, bool above)
{
    double most = 4 * (x - 0.75 * (1 - pareto_mean(a)) / pareto_sd(a)), sum = 0;
    double beyond = above ? normal_cdf(-most) : 0;
    most = fmin(most, REACH);
    double step = (most + REACH) / INTEGRATE;
    for (int i = 0; i <= INTEGRATE && step > 0; i++) {
        double n = i * step - REACH, w = i % INTEGRATE ? i % 2 ? 4 : 2 : 1;
        double y = pareto_mean(a) + pareto_sd(a) * (x - n / 4) / 0.75;
        double over = pow(fmax(y, 1), -a);
        sum += w * exp(-n * n / 2) * (above ? over : 1 - over);
    }
    return beyond + sum * fmax(step, 0) / 3 / sqrt(2 * M_PI);
}

static double share(const struct distribution *d, double x, bool above)
{
    return d->dist == DIST_GAMMA ? gamma_share(d->shape, x, above)
                                 : paretonormal_share(d->shape, x, above);
}

/* The x of a z, which is not below low: the tail that is the smaller one is compared. */
static double solve(const struct distribution *d, double z, double low)
{
    bool above = z > 0;
    double goal = normal_cdf(above ? -z : z), width = 1.0 / STEPS, high = low + width;
    while ((share(d, high, above) > goal) == above && width < 1e12)
        high += width *= 2;
    for (int i = 0; i < BISECT; i++) {
        double middle = (low + high) / 2;
        if ((share(d, middle, above) > goal) == above)
            low = middle;
        else
            high = middle;
    }
    return (low + high) / 2;
}

static int tabulate(struct distribution *d, struct error *err)
{
    d->quantiles = malloc(NODES * sizeof(*d->quantiles));
    if (!d->quantiles)
        return error_set(err, ERROR_RUN, ENOMEM, "out of memory");
    double low = d->dist == DIST_GAMMA ? 0 : -4;
    for (d->count = 0; d->count < NODES; d->count++)
        low = d->quantiles[d->count] = solve(d, -REACH + (double)d->count / STEPS, low);
    if (d->dist == DIST_GAMMA) {
        d->mean = d->shape;
        d->sd = sqrt(d->shape);
    } else {
        d->sd = sqrt(1.0 / 16 + 9.0 / 16);
    }
    return 0;
}

/* Between two of count values, at a place from 0 to count - 1. */
static double interpolate(const double *values, size_t count, double place)
{
    if (place <= 0)
        return values[0];
    if (place >= (double)(count - 1))
        return values[count - 1];
    size_t i = (size_t)place;
    return values[i] + (place - (double)i) * (values[i + 1] - values[i]);
}

/* --- tables ------------------------------------------------------------------------------ */

static double table_quantile(const struct distribution *d, double u)
{
    if (!d->at)
        return interpolate(d->quantiles, d->count, u * (double)(d->count - 1));
    size_t low = 0, high = d->count - 1;
    if (u <= d->at[0] || u >= d->at[high])
        return d->quantiles[u <= d->at[0] ? 0 : high];
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (d->at[middle] <= u)
            low = middle;
        else
            high = middle;
    }
    double part = (u - d->at[low]) / (d->at[high] - d->at[low]);
    return d->quantiles[low] + part * (d->quantiles[high] - d->quantiles[low]);
}

/* Mean and deviation of the law that goes through the quantiles in straight lines. */
static void table_moments(struct distribution *d)
{
    double first = 0, second = 0, from = d->at ? d->at[0] : 0;
    const double *q = d->quantiles, *end = q + d->count - 1;
    first += from * q[0];
    second += from * q[0] * q[0];
    for (size_t i = 0; i + 1 < d->count; i++) {
        double width = d->at ? d->at[i + 1] - d->at[i] : 1.0 / (double)(d->count - 1);
        first += width * (q[i] + q[i + 1]) / 2;
        second += width * (q[i] * q[i] + q[i] * q[i + 1] + q[i + 1] * q[i + 1]) / 3;
    }
    double left = d->at ? 1 - d->at[d->count - 1] : 0;
    first += left * *end;
    second += left * *end * *end;
    d->mean = first;
    d->sd = sqrt(fmax(second - first * first, 0));
}

static int load_table(struct distribution *d, const char *path, bool raw,
                      struct error *err)
{
    int error = distribution_read(path, &d->quantiles, &d->at, &d->count, err);
    if (error)
        return error;
    table_moments(d);
    if (raw) {
        d->mean = 0;
        d->sd = 1;
    } else if (!(d->sd > 0)) {
        return error_set(err, ERROR_CONFIG, EINVAL, "%s: all values are the same", path);
    }
    return 0;
}

/* ------------------------------------------------------------------------------------------ */

/* Mean and deviation of what distribution_at computes before it standardizes. */
static void closed_moments(struct distribution *d)
{
    double k = d->shape;
    if (d->dist == DIST_PARETO) {
        d->mean = pareto_mean(k);
        d->sd = pareto_sd(k);
    } else if (d->dist == DIST_EXPONENTIAL) {
        d->mean = 1;
    } else if (d->dist == DIST_LOGNORMAL) {
        d->mean = exp(k * k / 2);
        d->sd = d->mean * sqrt(expm1(k * k));
    } else if (d->dist == DIST_WEIBULL) {
        d->mean = tgamma(1 + 1 / k);
        d->sd = sqrt(tgamma(1 + 2 / k) - d->mean * d->mean);
    }
}

int distribution_configure(struct distribution *distribution, int dist, double shape,
                           const char *path, bool raw, struct error *err)
{
    bool tabulated = dist == DIST_GAMMA || dist == DIST_PARETONORMAL;
    if (shape <= 0 && dist >= DIST_PARETO)
        shape = default_shape[dist];
    if (tabulated && distribution->dist == dist && distribution->shape == shape)
        return 0;
    distribution_free(distribution);
    distribution->dist = dist;
    distribution->shape = shape;
    distribution->mean = 0;
    distribution->sd = 1;
    closed_moments(distribution);
    if (tabulated)
        return tabulate(distribution, err);
    return dist == DIST_TABLE ? load_table(distribution, path, raw, err) : 0;
}

void distribution_free(struct distribution *distribution)
{
    free(distribution->quantiles);
    free(distribution->at);
    memset(distribution, 0, sizeof(*distribution));
}

/* -log of the share above z. */
static double exponential(double z)
{
    return -log(normal_cdf(-z));
}

double distribution_at(const struct distribution *d, double z)
{
    double x = z;
    switch ((enum jitter_dist)d->dist) {
    case DIST_AUTO:
    case DIST_NORMAL:
        return z;
    case DIST_UNIFORM:
        return erf(z * M_SQRT1_2);
    case DIST_PARETO:
        x = pow(normal_cdf(-z), -1 / d->shape);
        break;
    case DIST_EXPONENTIAL:
        x = exponential(z);
        break;
    case DIST_LOGNORMAL:
        x = exp(d->shape * z);
        break;
    case DIST_WEIBULL:
        x = pow(exponential(z), 1 / d->shape);
        break;
    case DIST_PARETONORMAL:
    case DIST_GAMMA:
        x = interpolate(d->quantiles, d->count, (z + REACH) * STEPS);
        break;
    case DIST_TABLE:
        x = table_quantile(d, normal_cdf(z));
        break;
    }
    return (x - d->mean) / d->sd;
}
