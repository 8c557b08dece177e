/* distribution_read: tables of a distribution, as netem's tools write them or as measured. */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/clumsy/distribution.h"
#include "lib/array.h"

#define DIST_SCALE 8192.0 /* of netem's tables: TABLEFACTOR of iproute2's q_netem.c */

enum form { UNKNOWN, SAMPLES, PAIRS, NETEM };

struct reading {
    const char *path;
    size_t line;
    enum form form;
    double *values, *at;
    size_t count;
};

static int refuse(const struct reading *r, const char *why, struct error *err)
{
    return error_set(err, ERROR_CONFIG, EINVAL, "%s:%zu: %s", r->path, r->line, why);
}

static int add(struct reading *r, double at, double value, struct error *err)
{
    if (!isfinite(value) || fabs(value) > 1e6)
        return refuse(r, "not a number within -1e6..1e6", err);
    if (r->form == PAIRS &&
        (!(at >= 0 && at <= 1) ||
         (r->count && (at <= r->at[r->count - 1] || value < r->values[r->count - 1]))))
        return refuse(r, "quantiles are within 0..1 and go up, and so do values", err);
    if (r->count == DISTRIBUTION_SAMPLES_MAX)
        return refuse(r, "too long a table", err);
    if (!array_reserve(&r->values, r->count, sizeof(double)) ||
        (r->form == PAIRS && !array_reserve(&r->at, r->count, sizeof(double))))
        return error_set(err, ERROR_RUN, ENOMEM, "out of memory");
    if (r->form == PAIRS)
        r->at[r->count] = at;
    r->values[r->count++] = value;
    return 0;
}

/* The next number of a line; false at its end, or with *text at what is none. */
static bool next_number(const char **text, double *number)
{
    char *end;
    *text += strspn(*text, " \t,");
    *number = strtod(*text, &end);
    if (end == *text || (*end && !strchr(" \t,", *end)))
        return false;
    *text = end;
    return true;
}

static int add_netem(struct reading *r, const char *text, struct error *err)
{
    double number;
    int error = 0;
    while (!error && next_number(&text, &number))
        error = add(r, 0, number / DIST_SCALE, err);
    return error || !*text ? error : refuse(r, "not a number", err);
}

static int add_line(struct reading *r, char *line, struct error *err)
{
    const char *text = line;
    double number[2];
    line[strcspn(line, "#\r\n")] = 0;
    if (!text[strspn(text, " \t")])
        return 0;
    if (r->form == NETEM)
        return add_netem(r, text, err);
    int n = 0;
    while (n < 2 && next_number(&text, &number[n]))
        n++;
    if (!n || text[strspn(text, " \t,")])
        return refuse(r, "neither one number nor two", err);
    enum form form = n == 1 ? SAMPLES : PAIRS;
    if (r->form != UNKNOWN && r->form != form)
        return refuse(r, "one number a line, or two in all", err);
    r->form = form;
    return n == 1 ? add(r, 0, number[0], err) : add(r, number[0], number[1], err);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static int read_lines(struct reading *r, FILE *file, struct error *err)
{
    char *line = NULL;
    size_t size = 0;
    int error = 0;
    while (!error && getline(&line, &size, file) >= 0) {
        r->line++;
        error = add_line(r, line, err);
    }
    free(line);
    if (!error && ferror(file))
        return error_set(err, ERROR_CONFIG, EIO, "%s: cannot be read", r->path);
    if (!error && r->count < 2)
        return error_set(err, ERROR_CONFIG, EINVAL, "%s: fewer than two values", r->path);
    return error;
}

int distribution_read(const char *path, double **values, double **at, size_t *count,
                      struct error *err)
{
    size_t length = strlen(path);
    struct reading r = { .path = path };
    if (length > 5 && !strcmp(path + length - 5, ".dist"))
        r.form = NETEM;
    FILE *file = fopen(path, "re");
    if (!file)
        return error_set(err, ERROR_CONFIG, errno, "%s: %s", path, strerror(errno));
    int error = read_lines(&r, file, err);
    fclose(file);
    if (error) {
        free(r.values);
        free(r.at);
        return error;
    }
    if (r.form != PAIRS)
        qsort(r.values, r.count, sizeof(*r.values), by_value);
    *values = r.values;
    *at = r.at;
    *count = r.count;
    return 0;
}
