/* trace_load: traces from files and from the configuration. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "apps/clumsy/trace.h"
#include "lib/array.h"
#include "lib/param.h"

#define COLUMNS_MAX 16
#define NS_PER_MS   1000000u

/* One row as people write it. */
struct row_conf {
    uint64_t time, rate, owd, jitter;
    double loss;
    struct limit limit;
};

static const struct param row_params[] = {
    PARAM_DURATION(struct row_conf, time, NULL, "0s", "10000h", "from the start"),
    PARAM_RATE(struct row_conf, rate, "0bit", "0bit", "1tbit", "of the bottleneck"),
    PARAM_DURATION(struct row_conf, owd, "0s", "0s", "60s", "one-way delay"),
    PARAM_DURATION(struct row_conf, jitter, "0s", "0s", "60s", "half, or sd"),
    PARAM_PERCENT(struct row_conf, loss, "0%", "0%", "100%", "share lost"),
    PARAM_LIMIT(struct row_conf, limit, "0p", "of the queue"),
    PARAM_SYNONYM("delay", "owd"),
    PARAM_END,
};

static const struct {
    const char *name;
    unsigned column;
} columns[] = {
    { "rate", TRACE_RATE },     { "owd", TRACE_OWD },   { "delay", TRACE_OWD },
    { "jitter", TRACE_JITTER }, { "loss", TRACE_LOSS }, { "limit", TRACE_LIMIT },
};

static unsigned column_of(const char *name)
{
    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++)
        if (!strcmp(columns[i].name, name))
            return columns[i].column;
    return 0;
}

/* --- rows --------------------------------------------------------------------------------- */

/* What a row does not say stays as it was. */
static void inherit(struct trace_values *values, const struct trace_values *before,
                    unsigned given)
{
    if (!(given & TRACE_RATE))
        values->rate = before->rate;
    if (!(given & TRACE_OWD))
        values->owd = before->owd;
    if (!(given & TRACE_JITTER))
        values->jitter = before->jitter;
    if (!(given & TRACE_LOSS))
        values->loss = before->loss;
    if (!(given & TRACE_LIMIT))
        values->limit = before->limit;
}

/* fields: a table of the values given. */
static int add_row(struct trace *trace, const struct value *fields, struct error *err)
{
    static const struct trace_values nothing;
    struct row_conf conf;
    int error = param_parse(row_params, fields, &conf, sizeof(conf), err);
    if (error)
        return error;
    const struct trace_row *last = trace->count ? &trace->rows[trace->count - 1] : NULL;
    if (last ? conf.time <= last->time : conf.time != 0)
        return error_set(err, ERROR_CONFIG, EINVAL, "time: begins with 0 and goes up");
    if (trace->count == TRACE_ROWS_MAX)
        return error_set(err, ERROR_CONFIG, EINVAL, "too many rows");
    if (!array_reserve(&trace->rows, trace->count, sizeof(*trace->rows)))
        return error_set(err, ERROR_RUN, ENOMEM, "out of memory");
    last = trace->count ? &trace->rows[trace->count - 1] : NULL;
    unsigned given = 0;
    for (size_t i = 0; fields->kind == VALUE_TABLE && i < fields->table->count; i++)
        given |= column_of(fields->table->fields[i].key);
    struct trace_row *row = &trace->rows[trace->count++];
    *row =
        (struct trace_row){ conf.time,
                            { conf.rate, conf.owd, conf.jitter, conf.loss, conf.limit } };
    inherit(&row->values, last ? &last->values : &nothing, given);
    trace->columns |= given;
    trace->length = conf.time;
    return 0;
}

static int load_rows(struct trace *trace, const struct value *rows, struct error *err)
{
    if (rows->kind != VALUE_TABLE || !rows->table->count)
        return error_set(err, ERROR_CONFIG, EINVAL,
                         "trace.rows: a list such as { { time = 0, rate = \"5mbit\" } }");
    for (size_t i = 0; i < rows->table->count; i++) {
        int error = add_row(trace, &rows->table->fields[i].value, err);
        if (error) {
            error_prefix(err, "trace.rows[%zu].", i + 1);
            return error;
        }
    }
    return 0;
}

/* --- CSV ---------------------------------------------------------------------------------- */

/* Cuts a line at its commas and trims the parts; returns how many there are, COLUMNS_MAX + 1
 * when there are more than that. */
static int split(char *line, char *part[COLUMNS_MAX])
{
    for (int n = 0; n < COLUMNS_MAX; n++) {
        part[n] = line + strspn(line, " \t");
        line += strcspn(line, ",");
        bool last = !*line;
        char *end = line;
        *line++ = 0;
        while (end > part[n] && isspace((unsigned char)end[-1]))
            *--end = 0;
        if (last)
            return n + 1;
    }
    return COLUMNS_MAX + 1;
}

struct csv {
    int count; /* of columns; 0 before the header */
    char names[COLUMNS_MAX][16];
};

static int read_header(struct csv *csv, char *const part[], int n, struct error *err)
{
    for (int i = 0; i < n; i++) {
        if (strcmp(part[i], "time") && !column_of(part[i]))
            return error_set(
                err, ERROR_CONFIG, EINVAL,
                "column \"%.30s\" is not one of time, rate, owd, jitter, loss, "
                "limit",
                part[i]);
        snprintf(csv->names[i], sizeof(csv->names[i]), "%s", part[i]);
    }
    csv->count = n;
    return 0;
}

static int read_csv_line(struct trace *trace, struct csv *csv, char *line,
                         struct error *err)
{
    char *part[COLUMNS_MAX];
    int n = split(line, part);
    if (n > COLUMNS_MAX || (csv->count && n != csv->count))
        return error_set(err, ERROR_CONFIG, EINVAL, "%d columns where there are %d", n,
                         csv->count ? csv->count : COLUMNS_MAX);
    if (!csv->count)
        return read_header(csv, part, n, err);
    struct value fields = value_table();
    for (int i = 0; i < n; i++)
        if (*part[i])
            value_table_add(&fields, csv->names[i], value_string(part[i]));
    int error = add_row(trace, &fields, err);
    value_free(&fields);
    return error;
}

/* --- Mahimahi ----------------------------------------------------------------------------- */

static int read_opportunity(struct trace *trace, const char *line, struct error *err)
{
    char *end;
    errno = 0;
    unsigned long long ms = isdigit((unsigned char)*line) ? strtoull(line, &end, 10) : 0;
    if (!isdigit((unsigned char)*line) || *end || errno || ms > UINT32_MAX)
        return error_set(err, ERROR_CONFIG, EINVAL, "not a whole number of milliseconds");
    uint64_t time = ms * NS_PER_MS;
    if (trace->count && time < trace->opportunities[trace->count - 1])
        return error_set(err, ERROR_CONFIG, EINVAL, "times do not go up");
    if (trace->count == TRACE_ROWS_MAX)
        return error_set(err, ERROR_CONFIG, EINVAL, "too many lines");
    if (!array_reserve(&trace->opportunities, trace->count, sizeof(uint64_t)))
        return error_set(err, ERROR_RUN, ENOMEM, "out of memory");
    trace->opportunities[trace->count++] = trace->length = time;
    return 0;
}

/* ------------------------------------------------------------------------------------------ */

static int read_line(struct trace *trace, struct csv *csv, char *line, struct error *err)
{
    size_t length = strcspn(line, "\r\n");
    line[length] = 0;
    while (length && isspace((unsigned char)line[length - 1]))
        line[--length] = 0;
    line += strspn(line, " \t");
    if (!*line || *line == '#')
        return 0;
    if (!csv->count && !trace->count && !isdigit((unsigned char)*line))
        return read_csv_line(trace, csv, line, err);
    return csv->count ? read_csv_line(trace, csv, line, err)
                      : read_opportunity(trace, line, err);
}

static int load_file(struct trace *trace, const char *path, struct error *err)
{
    struct csv csv = { 0 };
    char *line = NULL;
    size_t size = 0, number = 0;
    int error = 0;
    FILE *file = fopen(path, "re");
    if (!file)
        return error_set(err, ERROR_CONFIG, errno, "trace: %s: %s", path,
                         strerror(errno));
    while (!error && getline(&line, &size, file) >= 0) {
        number++;
        error = read_line(trace, &csv, line, err);
    }
    if (error && error != -ENOMEM)
        error_prefix(err, "trace: %s:%zu: ", path, number);
    if (!error && ferror(file))
        error = error_set(err, ERROR_CONFIG, EIO, "trace: %s: cannot be read", path);
    free(line);
    fclose(file);
    return error;
}

int trace_load(struct trace *trace, const struct trace_conf *conf, struct error *err)
{
    memset(trace, 0, sizeof(*trace));
    trace->wrap = conf->after == WRAP_REPEAT;
    trace->linear = conf->interp == TRACE_LINEAR;
    trace->bytes = (uint32_t)conf->bytes;
    int error = conf->file ? load_file(trace, conf->file, err)
                           : load_rows(trace, &conf->rows, err);
    if (!error && (!trace->count || (trace->opportunities && !trace->length)))
        error = error_set(err, ERROR_CONFIG, EINVAL,
                          "trace: %s: nothing is in it, or its last time is 0",
                          conf->file ? conf->file : "rows");
    if (error)
        trace_free(trace);
    return error;
}
