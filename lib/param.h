/* param: parameters declared once, as rows of data.
 *
 *   PARAM_DURATION(...) and the like   one row: member, default, range, one sentence
 *   param_parse    a configuration value into the struct that the rows describe
 *   param_equal    are two such structs the same configuration?
 *   param_same_text    ... two strings of them?
 *   param_format   one parameter as text
 *   param_set      change one, by its path
 *   param_find     the row and the struct of one, by its path
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
 * A name of another tool can be taken as a synonym, and one that means different things to
 * different people be refused with an explanation.
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
    PARAM_TYPE_SYNONYM,   /* no member: another name of the row that doc names */
    PARAM_TYPE_REFUSED,   /* no member: a name that is explained instead of taken */
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
#define PARAM_SYNONYM(NAME, OF)                                                          \
    {                                                                                    \
        .name = NAME, .type = PARAM_TYPE_SYNONYM, .initial = "", .doc = OF               \
    }
#define PARAM_REFUSED(NAME, WHY)                                                         \
    {                                                                                    \
        .name = NAME, .type = PARAM_TYPE_REFUSED, .initial = "", .doc = WHY              \
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

/* The row that a path such as "loss.p" names, and in *conf the struct that it is a member of
 * (the whole struct at first). A path to a table names its row. NULL with a message
 * (ERROR_CONFIG) when there is none. */
const struct param *param_find(const struct param *rows, const char *path, void **conf,
                               struct error *err);

/* Sets the parameter at a path in conf, which param_parse filled: a table's other parameters
 * go back to their defaults. On error conf is as it was but for that parameter. */
int param_set(const struct param *rows, const char *path, const struct value *value,
              void *conf, struct error *err);

void param_copy(const struct param *rows, const void *from, void *to, size_t size);
bool param_equal(const struct param *rows, const void *a, const void *b);
void param_free(const struct param *rows, void *conf);

/* Two members of PARAM_TYPE_STRING, of which either may be NULL. */
bool param_same_text(const char *a, const char *b);

/* Is it what it would be had nobody said anything? A required one: is it 0? */
bool param_is_initial(const struct param *row, const void *conf);

/* The present value of one parameter as the parser would read it; of a table what is not its
 * default. Returns text. */
const char *param_format(const struct param *row, const void *conf, char *text,
                         size_t size);

/* Does the row stand for a member, and not for a name? */
static inline bool param_is_member(const struct param *row)
{
    return row->type != PARAM_TYPE_SYNONYM && row->type != PARAM_TYPE_REFUSED;
}

/* "duration", "percent", ...: the type's name in the reference. */
const char *param_type_name(enum param_type type);
