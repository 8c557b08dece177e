/* random: keys, thresholds and the normal distribution.
 *
 * The quantile is a quotient of two polynomials in each of three ranges of p, fitted for
 * this file (least squares of the relative error, 40-digit arithmetic, Chebyshev nodes):
 *
 *     |p - 1/2| <= 0.425     (p - 1/2) * centre((p - 1/2)^2)    error 2.0e-12
 *     beyond                 tail(s), s = sqrt(-2 log p)        error 1.9e-12
 *     s > 8.5                far(s)                             error 2.8e-12
 *
 * The upper half mirrors the lower one.
 */
#include "lib/random.h"

#include <math.h>

#define NORMAL_CENTRE 0.425
#define NORMAL_FAR    8.5
#define NORMAL_DEGREE 5

/* Numerator over denominator, lowest power first. */
struct quotient {
    double p[NORMAL_DEGREE + 1];
    double q[NORMAL_DEGREE + 1];
};

static const struct quotient centre = {
    { 2.5066282746327175, -27.382403794238247, 107.93701563807086, -182.07966716621553,
      116.77443912506139, -14.703810808765956 },
    { 1.0, -11.97119616276975, 53.2939386242463, -107.13046336890855, 92.10283280614861,
      -23.852347484133087 },
};

static const struct quotient tail = {
    { -3.1944224485643047, -8.48534495018654, 1.885808452115393, 4.91549538438942,
      1.240074089164783, 0.07269420779055749 },
    { 1.0, 5.623636795914895, 5.254419366893986, 1.242241033316839, 0.0726640634400988,
      3.0295385968489683e-07 },
};

static const struct quotient far = {
    { -2.436724355634832, -0.3290496792485715, 1.4848148115149642, 0.4483022647905309,
      0.028962068516189675, 0.00037100698259938256 },
    { 1.0, 1.612455796215312, 0.4506390044146295, 0.028963983085481385,
      0.000371003729582578, 0.0 },
};

static uint64_t mix(uint64_t z)
{
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

/* One full mix per byte, and one for the end: ("ab", "c") is not ("a", "bc"). */
static uint64_t absorb(uint64_t state, const char *text)
{
    for (; *text; text++)
        state = mix(state + RANDOM_GAMMA + (uint8_t)*text);
    return mix(state + RANDOM_GAMMA + 256);
}

struct random_key random_key(uint64_t seed, const char *name, const char *purpose)
{
    uint64_t a = mix(seed + RANDOM_GAMMA);
    uint64_t b = mix(a + RANDOM_GAMMA);

    return (struct random_key){
        .a = absorb(absorb(a, name), purpose),
        .b = absorb(absorb(b, name), purpose),
    };
}

struct random_threshold random_threshold(double p)
{
    if (!(p > 0))
        return (struct random_threshold){ 0, false };
    if (p >= 1)
        return (struct random_threshold){ UINT64_MAX, true };
    return (struct random_threshold){ (uint64_t)(p * 0x1p64), false };
}

double normal_cdf(double x)
{
    return 0.5 * erfc(-x * 0.70710678118654752440); /* sqrt(1/2) */
}

static double divide(const struct quotient *f, double t)
{
    double p = f->p[NORMAL_DEGREE], q = f->q[NORMAL_DEGREE];
    for (int i = NORMAL_DEGREE - 1; i >= 0; i--) {
        p = p * t + f->p[i];
        q = q * t + f->q[i];
    }
    return p / q;
}

double normal_quantile(double p)
{
    if (isnan(p))
        return p;
    if (p <= 0)
        return -INFINITY;
    if (p >= 1)
        return INFINITY;
    double off = p - 0.5;
    if (fabs(off) <= NORMAL_CENTRE)
        return off * divide(&centre, off * off);
    double s = sqrt(-2 * log(off < 0 ? p : 1 - p));
    double x = divide(s > NORMAL_FAR ? &far : &tail, s);
    return off < 0 ? -x : x;
}

/* The half keeps p off 0 and 1 and makes the draws symmetric. */
double random_normal(const struct random_key *key, uint64_t index)
{
    return normal_quantile(((double)(random_draw(key, index) >> 12) + 0.5) * 0x1p-52);
}
