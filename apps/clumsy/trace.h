/* trace: a link that changes in time as somebody recorded or described it.
 *
 *   trace_load       from a file or from rows of the configuration
 *   trace_free
 *   trace_depart     when do these bytes leave?              opportunities (Mahimahi)
 *   trace_values     rate, delay, ... at a time              rows
 *   trace_most_jitter
 *
 * Two kinds of file. Mahimahi: every line is a whole number of milliseconds, not descending,
 * at which so many bytes (1504 in its code) can be sent; several packets may share one
 * opportunity, a long packet takes several, what is not used is lost. CSV: the first line names
 * columns out of time, rate, owd, jitter, loss, limit; values as everywhere ("5mbit",
 * "20ms", "1%", plain numbers in base units), an empty one meaning unchanged; times ascend
 * from 0. Lines that begin with # and empty ones are skipped.
 *
 * Behind the last line a trace begins again (a Mahimahi trace lasts until its last
 * timestamp, a table of rows until the time of its last row), or goes on as it was.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "apps/clumsy/parameters.h"
#include "lib/units.h"

#define TRACE_ROWS_MAX (1u << 24)

enum trace_interp { TRACE_HOLD, TRACE_LINEAR };

/* Which columns a trace has. */
enum trace_column {
    TRACE_RATE = 1,
    TRACE_OWD = 2,
    TRACE_JITTER = 4,
    TRACE_LOSS = 8,
    TRACE_LIMIT = 16,
};

struct trace_values {
    uint64_t rate;   /* bit/s; 0: nothing passes */
    uint64_t owd;    /* ns */
    uint64_t jitter; /* ns, half or sd, whatever the distribution's is */
    double loss;
    struct limit limit;
};

struct trace_row {
    uint64_t time; /* ns from the start of the trace */
    struct trace_values values;
};

struct trace {
    unsigned columns; /* of rows, enum trace_column; 0: opportunities */
    struct trace_row *rows;
    uint64_t *opportunities; /* ns, ascending */
    size_t count;
    uint64_t length; /* ns until it begins again */
    bool wrap, linear;
    uint32_t bytes; /* of an opportunity */

    /* where it is */
    uint64_t round, at,
        left; /* opportunity `at` of that round, with so many bytes left */
    bool begun;
    uint64_t
        departed; /* rows: the last one left at that time, rounded up; until then ... */
    double ahead; /* ... so many bits of the next one could have been sent */
};

/* trace is filled; conf has one of file and rows. -errno with a message that names file and
 * line. */
int trace_load(struct trace *trace, const struct trace_conf *conf, struct error *err);
void trace_free(struct trace *trace);

/* Both times count from the start of the trace and do not go back from call to call. Returns
 * when the last of the bytes leaves, at or after time; UINT64_MAX: never. */
uint64_t trace_depart(struct trace *trace, uint64_t time, uint64_t bytes);

/* The values at a time; columns that the trace has not are 0. */
void trace_values(const struct trace *trace, uint64_t time, struct trace_values *values);

/* Of all rows: 0 when they do not say. */
uint64_t trace_most_jitter(const struct trace *trace);
