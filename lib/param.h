/* param: parameters declared once, as rows of data.
 *
 *   PARAM_DURATION(...) and the like   one row: member, default, range, one sentence
 *   param_parse    a configuration value into the struct that the rows describe
 *   param_equal    are two such structs the same configuration?
 *   param_format   one parameter as text
 *   param_free     what param_parse allocated inside the struct
 *
 * From the rows come parsing, error messages, reference documentation, equality and live
 * changes. A row names a member of a struct; the member's C type must be the one that the
 * row's type wants (checked by the compiler). Defaults and bounds are text in the unit
 * that people use, read by the same parser. A table of rows ends with a row without a
 * name.
 *
 *     struct limiter_conf { uint64_t rate; uint64_t burst; };
 *     static const struct param params[] = {
 *         PARAM_RATE(struct limiter_conf, rate, NULL, "1bit", "1tbit", "bits per
 * second"), PARAM_SIZE(struct limiter_conf, burst, "10kb", "1b", "1gb", "the bucket's
 * depth"), PARAM_END,
 *     };
 *
 * A choice may bring other defaults for rows of the same table (PARAM_PROFILE); what is
 * given by name comes first all the same, in whatever order.
 *
 * A default of NULL makes a parameter required. Where a table is expected and a scalar is
 * given, the scalar is the table's first row: loss = "1%" is loss = { p = "1%" }.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"
#include "lib/units.h"
#include "lib/value.h"

enum param_type {
    PARAM_TYPE_BOOL,      /* bool */
    PARAM_TYPE_INTEGER,   /* int64_t */
    PARAM_TYPE_NUMBER,    /* double */
    PARAM_TYPE_DURATION,  /* uint64_t, ns */
    PARAM_TYPE_PERCENT,   /* double, 0..1 */
    PARAM_TYPE_RATE,      /* uint64_t, bit/s */
    PARAM_TYPE_SIZE,      /* uint64_t, bytes */
    PARAM_TYPE_LIMIT,     /* struct limit */
    PARAM_TYPE_SET,       /* uint64_t, numbers 0..63 as bits */
    PARAM_TYPE_STRING,    /* char *, NULL when the default is "" and none was given */
    PARAM_TYPE_INTERFACE, /* char *, a network interface's name */
    PARAM_TYPE_ENUM,      /* int, index into choices */
    PARAM_TYPE_TABLE,     /* a struct with rows of its own */
    PARAM_TYPE_VALUE,     /* struct value, anything */
};

/* Another default of the row of that name. */
struct param_initial {
    const char *name; /* NULL ends the list */
    const char *value;
};

struct param {
    const char *name;
    enum param_type type;
    size_t offset;
    const char *initial; /* default; NULL: required */
    const char *minimum, *maximum;
    const char *doc;
    const char *const *choices;                  /* PARAM_TYPE_ENUM: ended by NULL */
    const struct param *rows;                    /* PARAM_TYPE_TABLE */
    const struct param_initial *const *profiles; /* of a PARAM_TYPE_ENUM, by choice */
};

#define PARAM_ROW(TYPE, CTYPE, S, M, DEFAULT, MIN, MAX, DOC)                             \
    {                                                                                    \
        .name = #M, .type = TYPE,                                                        \
        .offset = _Generic(((S *)0)->M, CTYPE                                            \
                           : offsetof(S, M)),                                            \
        .initial = DEFAULT, .minimum = MIN, .maximum = MAX, .doc = DOC                   \
    }

#define PARAM_BOOL(S, M, DEFAULT, DOC)                                                   \
    PARAM_ROW(PARAM_TYPE_BOOL, bool, S, M, DEFAULT, NULL, NULL, DOC)
#define PARAM_INTEGER(S, M, DEFAULT, MIN, MAX, DOC)                                      \
    PARAM_ROW(PARAM_TYPE_INTEGER, int64_t, S, M, DEFAULT, MIN, MAX, DOC)
#define PARAM_NUMBER(S, M, DEFAULT, MIN, MAX, DOC)                                       \
    PARAM_ROW(PARAM_TYPE_NUMBER, double, S, M, DEFAULT, MIN, MAX, DOC)
#define PARAM_DURATION(S, M, DEFAULT, MIN, MAX, DOC)                                     \
    PARAM_ROW(PARAM_TYPE_DURATION, uint64_t, S, M, DEFAULT, MIN, MAX, DOC)
#define PARAM_PERCENT(S, M, DEFAULT, MIN, MAX, DOC)                                      \
    PARAM_ROW(PARAM_TYPE_PERCENT, double, S, M, DEFAULT, MIN, MAX, DOC)
#define PARAM_RATE(S, M, DEFAULT, MIN, MAX, DOC)                                         \
    PARAM_ROW(PARAM_TYPE_RATE, uint64_t, S, M, DEFAULT, MIN, MAX, DOC)
#define PARAM_SIZE(S, M, DEFAULT, MIN, MAX, DOC)                                         \
    PARAM_ROW(PARAM_TYPE_SIZE, uint64_t, S, M, DEFAULT, MIN, MAX, DOC)
#define PARAM_LIMIT(S, M, DEFAULT, DOC)                                                  \
    PARAM_ROW(PARAM_TYPE_LIMIT, struct limit, S, M, DEFAULT, NULL, NULL, DOC)
#define PARAM_SET(S, M, DEFAULT, DOC)                                                    \
    PARAM_ROW(PARAM_TYPE_SET, uint64_t, S, M, DEFAULT, NULL, NULL, DOC)
#define PARAM_STRING(S, M, DEFAULT, DOC)                                                 \
    PARAM_ROW(PARAM_TYPE_STRING, char *, S, M, DEFAULT, NULL, NULL, DOC)
#define PARAM_INTERFACE(S, M, DEFAULT, DOC)                                              \
    PARAM_ROW(PARAM_TYPE_INTERFACE, char *, S, M, DEFAULT, NULL, NULL, DOC)
#define PARAM_VALUE(S, M, DEFAULT, DOC)                                                  \
    PARAM_ROW(PARAM_TYPE_VALUE, struct value, S, M, DEFAULT, NULL, NULL, DOC)
#define PARAM_ENUM(S, M, DEFAULT, CHOICES, DOC)                                          \
    {                                                                                    \
        .name = #M, .type = PARAM_TYPE_ENUM,                                             \
        .offset = _Generic(((S *)0)->M, int                                              \
                           : offsetof(S, M)),                                            \
        .initial = DEFAULT, .choices = CHOICES, .doc = DOC                               \
    }
#define PARAM_PROFILE(S, M, DEFAULT, CHOICES, PROFILES, DOC)                             \
    {                                                                                    \
        .name = #M, .type = PARAM_TYPE_ENUM,                                             \
        .offset = _Generic(((S *)0)->M, int                                              \
                           : offsetof(S, M)),                                            \
        .initial = DEFAULT, .choices = CHOICES, .profiles = PROFILES, .doc = DOC         \
    }
#define PARAM_TABLE(S, M, ROWS, DOC)                                                     \
    {                                                                                    \
        .name = #M, .type = PARAM_TYPE_TABLE, .offset = offsetof(S, M), .initial = "",   \
        .rows = ROWS, .doc = DOC                                                         \
    }
#define PARAM_END                                                                        \
    {                                                                                    \
        .name = NULL                                                                     \
    }

/* Fills conf (size bytes, zeroed first) from args (a table, nil, or a scalar for the
 * first row). Errors are ERROR_CONFIG and name the parameter, the value and what is
 * allowed; conf is then freed. rows may be NULL: no parameters. */
int param_parse(const struct param *rows, const struct value *args, void *conf,
                size_t size, struct error *err);

/* Parses one value given as text into the member of row (conf is the struct itself). */
int param_parse_text(const struct param *row, const char *text, void *conf,
                     struct error *err);

void param_copy(const struct param *rows, const void *from, void *to, size_t size);
bool param_equal(const struct param *rows, const void *a, const void *b);
void param_free(const struct param *rows, void *conf);

/* The present value of one parameter as the parser would read it; returns text. */
const char *param_format(const struct param *row, const void *conf, char *text,
                         size_t size);

/* "duration", "percent", ...: the type's name in the reference. */
const char *param_type_name(enum param_type type);
