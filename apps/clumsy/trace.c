/* trace: a link that changes in time as somebody recorded or described it. */
#include "apps/clumsy/trace.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_S  1000000000ull
#define TIME_MOST 1e18 /* ns: 31 years */
#define TINY      1e-6 /* ns: what floating point adds to whole numbers */

void trace_free(struct trace *trace)
{
    free(trace->rows);
    free(trace->opportunities);
    memset(trace, 0, sizeof(*trace));
}

/* --- opportunities -------------------------------------------------------------------- */

static uint64_t opportunity(const struct trace *trace)
{
    return trace->round * trace->length + trace->opportunities[trace->at];
}

/* False behind the last one of a trace that does not begin again. */
static bool next_opportunity(struct trace *trace)
{
    trace->left = trace->bytes;
    if (++trace->at < trace->count)
        return true;
    trace->at = trace->wrap ? 0 : trace->count;
    trace->round++;
    return trace->wrap;
}

/* To the first one that is not before time; what was left of those before is lost. */
static bool seek(struct trace *trace, uint64_t time)
{
    if (!trace->begun) {
        trace->begun = true;
        trace->left = trace->bytes;
    }
    if (trace->at < trace->count && opportunity(trace) >= time)
        return true;
    uint64_t round =
        time / trace->length; /* the last opportunity of one begins the next */
    if (trace->wrap && round > trace->round + 1) { /* over a long silence */
        trace->round = round - 1;
        trace->at = 0;
        trace->left = trace->bytes;
    }
    while (trace->at < trace->count && opportunity(trace) < time)
        if (!next_opportunity(trace))
            return false;
    return trace->at < trace->count;
}

static uint64_t use_opportunities(struct trace *trace, uint64_t time, uint64_t bytes)
{
    if (!seek(trace, time))
        return UINT64_MAX;
    while (!trace->left || bytes > trace->left) {
        bytes -= trace->left;
        if (!next_opportunity(trace))
            return UINT64_MAX;
    }
    trace->left -= bytes;
    return opportunity(trace);
}

/* --- rows ----------------------------------------------------------------------------- */

/* The row that holds at a time within the trace. */
static size_t find_row(const struct trace *trace, uint64_t time)
{
    size_t low = 0, high = trace->count;
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (trace->rows[middle].time <= time)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static uint64_t within(const struct trace *trace, uint64_t time)
{
    return trace->wrap && trace->length ? time % trace->length : time;
}

static double between(double from, double to, double part)
{
    return from + part * (to - from);
}

void trace_values(const struct trace *trace, uint64_t time, struct trace_values *values)
{
    time = within(trace, time);
    size_t i = find_row(trace, time);
    *values = trace->rows[i].values;
    if (!trace->linear || i + 1 >= trace->count || time < trace->rows[i].time)
        return;
    const struct trace_row *row = &trace->rows[i], *next = row + 1;
    double part = (double)(time - row->time) / (double)(next->time - row->time);
    const struct trace_values *to = &next->values;
    values->rate = (uint64_t)between((double)values->rate, (double)to->rate, part);
    values->owd = (uint64_t)between((double)values->owd, (double)to->owd, part);
    values->jitter = (uint64_t)between((double)values->jitter, (double)to->jitter, part);
    values->loss = between(values->loss, to->loss, part);
}

uint64_t trace_most_jitter(const struct trace *trace)
{
    uint64_t most = 0;
    for (size_t i = 0; trace->rows && i < trace->count; i++)
        if (trace->rows[i].values.jitter > most)
            most = trace->rows[i].values.jitter;
    return most;
}

/* How long a row lasts from a time in it on; UINT64_MAX: the last one, for ever. */
static uint64_t lasts(const struct trace *trace, size_t row, uint64_t time)
{
    if (row + 1 < trace->count)
        return trace->rows[row + 1].time - time;
    return trace->wrap && trace->length > time ? trace->length - time : UINT64_MAX;
}

/* Time that the bits take at a rate that changes from a to b (bit/s) over `whole` ns and goes
 * on to; more than whole: they do not fit. With x the part of whole that passes,
 * bits = whole (a x + (b - a) x^2 / 2). */
static double solve(double a, double b, double whole, double bits)
{
    double half = (b - a) / 2, goal = bits * (double)NS_PER_S / whole;
    if (half == 0)
        return a > 0 ? goal / a * whole : 2 * whole;
    double root = a * a + 4 * half * goal;
    if (root < 0)
        return 2 * whole;
    return 2 * goal / (a + sqrt(root)) * whole;
}

/* A departure after `takes` ns, rounded up; what that costs is made up for by the next one, so
 * that a link that is never idle is exact after any number of packets. */
static uint64_t depart(struct trace *trace, uint64_t time, double takes, double rate)
{
    double up = ceil(takes - TINY);
    trace->departed = time + (uint64_t)up;
    trace->ahead = fmax(up - takes, 0) * rate / (double)NS_PER_S;
    return trace->departed;
}

/* Bits that all rows send. */
static double bits_of_round(const struct trace *trace)
{
    double bits = 0;
    for (size_t i = 0; i + 1 < trace->count; i++) {
        const struct trace_row *row = &trace->rows[i], *next = row + 1;
        double a = (double)row->values.rate;
        double b = trace->linear ? (double)next->values.rate : a;
        bits += (a + b) / 2 * (double)(next->time - row->time) / (double)NS_PER_S;
    }
    return bits;
}

/* Passes whole rounds at once, all but the last two, when a packet takes many; false when it
 * takes longer than time can tell. */
static bool skip_rounds(const struct trace *trace, uint64_t *time, double *bits)
{
    double round = bits_of_round(trace);
    if (round <= 0 || *bits < 4 * round)
        return true;
    double rounds = floor(*bits / round) - 2;
    if ((double)*time + rounds * (double)trace->length > TIME_MOST)
        return false;
    *bits -= rounds * round;
    *time += (uint64_t)rounds * trace->length;
    return true;
}

/* Sends bits from a time on, row by row. */
static uint64_t use_rows(struct trace *trace, uint64_t time, uint64_t bytes)
{
    double bits = (double)bytes * 8 - (time == trace->departed ? trace->ahead : 0);
    uint64_t steps = 0;
    uint64_t silent = 0; /* rows in a row that send nothing */
    while (silent <= trace->count) {
        uint64_t at = within(trace, time);
        size_t i = find_row(trace, at);
        uint64_t whole = lasts(trace, i, at);
        struct trace_values from, to;
        trace_values(trace, time, &from);
        to = trace->linear && i + 1 < trace->count ? trace->rows[i + 1].values : from;
        double a = (double)from.rate, b = (double)to.rate;
        if (whole == UINT64_MAX)
            return a > 0 ? depart(trace, time, bits * (double)NS_PER_S / a, a)
                         : UINT64_MAX;
        double takes = solve(a, b, (double)whole, bits);
        if (takes <= (double)whole)
            return depart(trace, time, takes, a + (b - a) * takes / (double)whole);
        double sent = (a + b) / 2 * (double)whole / (double)NS_PER_S;
        silent = sent > 0 ? 0 : silent + 1;
        bits -= sent;
        time += whole;
        if (trace->wrap && ++steps == 2 * trace->count &&
            !skip_rounds(trace, &time, &bits))
            return UINT64_MAX;
    }
    return UINT64_MAX;
}

uint64_t trace_depart(struct trace *trace, uint64_t time, uint64_t bytes)
{
    return trace->opportunities ? use_opportunities(trace, time, bytes)
                                : use_rows(trace, time, bytes);
}
