/* param: parameters declared once, as rows of data. */
#include "lib/param.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/nearest.h"

/* Room for any scalar member, so that bounds can be parsed by the parser of values. */
union scalar {
    bool boolean;
    int64_t integer;
    double number;
    uint64_t quantity;
    int choice;
    struct limit limit;
};

static int parse_table(const struct param *rows, const struct value *args, char *conf,
                       struct error *err);

static void *member(const struct param *row, const void *conf)
{
    return (char *)conf + row->offset;
}

static int parse_enum(const struct param *row, const char *text, int *out)
{
    for (int i = 0; row->choices[i]; i++)
        if (!strcmp(row->choices[i], text)) {
            *out = i;
            return 0;
        }
    return -EINVAL;
}

static int parse_bool(const char *text, bool *out)
{
    if (strcmp(text, "true") && strcmp(text, "false"))
        return -EINVAL;
    *out = *text == 't';
    return 0;
}

static int parse_string(const char *text, char **out)
{
    free(*out);
    *out = *text ? strdup(text) : NULL;
    return 0;
}

/* Text to a scalar member; no bounds yet. */
static int parse_scalar(const struct param *row, const char *text, void *out)
{
    switch (row->type) {
    case PARAM_TYPE_BOOL:
        return parse_bool(text, out);
    case PARAM_TYPE_INTEGER:
        return units_parse_integer(text, out);
    case PARAM_TYPE_NUMBER:
        return units_parse_number(text, out);
    case PARAM_TYPE_DURATION:
        return units_parse_duration(text, out);
    case PARAM_TYPE_PERCENT:
        return units_parse_percent(text, out);
    case PARAM_TYPE_RATE:
        return units_parse_rate(text, out);
    case PARAM_TYPE_SIZE:
        return units_parse_size(text, out);
    case PARAM_TYPE_LIMIT:
        return units_parse_limit(text, out);
    case PARAM_TYPE_SET:
        return units_parse_set(text, out);
    case PARAM_TYPE_STRING:
    case PARAM_TYPE_INTERFACE:
        return parse_string(text, out);
    case PARAM_TYPE_ENUM:
        return parse_enum(row, text, out);
    case PARAM_TYPE_TABLE:
    case PARAM_TYPE_VALUE:
    case PARAM_TYPE_SYNONYM:
    case PARAM_TYPE_REFUSED:
        break;
    }
    return -EINVAL;
}

static double as_number(enum param_type type, const union scalar *scalar)
{
    if (type == PARAM_TYPE_NUMBER || type == PARAM_TYPE_PERCENT)
        return scalar->number;
    if (type == PARAM_TYPE_INTEGER)
        return (double)scalar->integer;
    return (double)scalar->quantity;
}

static bool within_bounds(const struct param *row, const void *value)
{
    if (!row->minimum)
        return true;
    union scalar low = { 0 }, high = { 0 }, is = { 0 };
    parse_scalar(row, row->minimum, &low);
    parse_scalar(row, row->maximum, &high);
    memcpy(&is, value, sizeof(uint64_t));
    double number = as_number(row->type, &is);
    return number >= as_number(row->type, &low) && number <= as_number(row->type, &high);
}

static int reject(const struct param *row, const char *given, struct error *err)
{
    if (row->type == PARAM_TYPE_ENUM) {
        char list[256] = "";
        for (int i = 0; row->choices[i]; i++)
            snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s\"%s\"",
                     i ? ", " : "", row->choices[i]);
        return error_set(err, ERROR_CONFIG, EINVAL, "%s: \"%s\" is not one of %s",
                         row->name, given, list);
    }
    const char *type = param_type_name(row->type);
    return error_set(err, ERROR_CONFIG, EINVAL, "%s: \"%s\" is not %s %s%s", row->name,
                     given, *type == 'i' ? "an" : "a", type,
                     row->type == PARAM_TYPE_DURATION  ? " (such as \"50ms\")"
                     : row->type == PARAM_TYPE_PERCENT ? " (such as \"1.5%\")"
                     : row->type == PARAM_TYPE_RATE    ? " (such as \"10mbit\")"
                     : row->type == PARAM_TYPE_SIZE    ? " (such as \"64KB\")"
                     : row->type == PARAM_TYPE_LIMIT
                         ? " (such as \"100ms\", \"64KB\" or \"100p\")"
                     : row->type == PARAM_TYPE_SET ? " (such as \"0-3,8\" or \"all\")"
                                                   : "");
}

int param_parse_text(const struct param *row, const char *text, void *conf,
                     struct error *err)
{
    void *out = member(row, conf);
    int error = parse_scalar(row, text, out);
    if (error && error != -ERANGE)
        return reject(row, text, err);
    if (error || !within_bounds(row, out))
        return error_set(err, ERROR_CONFIG, ERANGE, "%s: %s is not within %s..%s",
                         row->name, text, row->minimum ? row->minimum : "0",
                         row->maximum                  ? row->maximum
                         : row->type == PARAM_TYPE_SET ? "63"
                                                       : "what can be represented");
    return 0;
}

/* As few digits as say which number it is. */
static void format_number(char *text, size_t size, double number)
{
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, size, "%.*g", digits, number);
        if (strtod(text, NULL) == number)
            break;
    }
}

/* A plain number is in the base unit, which is what the same digits as text mean;
 * booleans only fit booleans. */
static int parse_value(const struct param *row, const struct value *value, char *conf,
                       struct error *err)
{
    char text[64];
    bool number = value->kind == VALUE_INTEGER || value->kind == VALUE_NUMBER;
    switch (row->type) {
    case PARAM_TYPE_TABLE: {
        int error = parse_table(row->rows, value, member(row, conf), err);
        if (error) /* of the table as such, or of one of its parameters? */
            error_prefix(err, "%s%s", row->name, error == -ENOENT ? ": " : ".");
        return error ? -EINVAL : 0;
    }
    case PARAM_TYPE_VALUE:
        value_free(member(row, conf));
        *(struct value *)member(row, conf) = value_copy(value);
        return 0;
    case PARAM_TYPE_BOOL:
        if (value->kind == VALUE_BOOL || value->kind == VALUE_STRING)
            break;
        return reject(row, value_format(text, sizeof(text), value), err);
    case PARAM_TYPE_STRING:
    case PARAM_TYPE_INTERFACE:
    case PARAM_TYPE_ENUM:
        if (value->kind == VALUE_STRING)
            break;
        return reject(row, value_format(text, sizeof(text), value), err);
    default:
        if (number && row->type != PARAM_TYPE_LIMIT)
            break;
        if (value->kind != VALUE_STRING)
            return reject(row, value_format(text, sizeof(text), value), err);
    }
    if (value->kind == VALUE_STRING)
        return param_parse_text(row, value->string, conf, err);
    if (value->kind == VALUE_NUMBER)
        format_number(text, sizeof(text), value->number);
    else
        value_format(text, sizeof(text), value);
    return param_parse_text(row, text, conf, err);
}

static const struct param *find(const struct param *rows, const char *name)
{
    for (; rows->name; rows++)
        if (!strcmp(rows->name, name))
            return rows;
    return NULL;
}

/* The row that a field is for: a synonym stands for another. NULL when there is none. */
static const struct param *find_member(const struct param *rows, const char *name)
{
    const struct param *row = find(rows, name);
    return row && row->type == PARAM_TYPE_SYNONYM ? find(rows, row->doc) : row;
}

static int unknown(const struct param *rows, const char *key, struct error *err)
{
    const char *names[64];
    size_t count = 0;
    for (; rows->name && count < 63; rows++)
        if (rows->type != PARAM_TYPE_REFUSED)
            names[count++] = rows->name;
    names[count] = NULL;
    const char *near = nearest(key, names);
    return error_set(err, ERROR_CONFIG, ENOENT, "no parameter \"%s\"%s%s%s", key,
                     near ? " (did you mean \"" : "", near ? near : "",
                     near ? "\"?)" : "");
}

static void set_default(const struct param *row, char *conf)
{
    static const struct value nothing;
    if (row->type == PARAM_TYPE_TABLE)
        parse_table(row->rows, &nothing, member(row, conf), NULL);
    else if (row->initial && row->type != PARAM_TYPE_VALUE && param_is_member(row))
        parse_scalar(row, row->initial, member(row, conf));
}

/* The defaults of a profile that is given, before anything else that is. */
static int apply_profile(const struct param *rows, const struct param *row,
                         const struct value *given, char *conf, struct error *err)
{
    int error = parse_value(row, given, conf, err);
    if (error)
        return error;
    const struct param_initial *initial = row->profiles[*(int *)member(row, conf)];
    for (; initial->name; initial++) {
        struct value value = value_string(initial->value);
        parse_value(find(rows, initial->name), &value, conf, NULL);
        value_free(&value);
    }
    return 0;
}

static int apply_profiles(const struct param *rows, const struct value_table *table,
                          char *conf, struct error *err)
{
    int error = 0;
    for (size_t i = 0; i < table->count && !error; i++) {
        const struct value_field *field = &table->fields[i];
        const struct param *row = field->key ? find(rows, field->key) : NULL;
        if (row && row->profiles)
            error = apply_profile(rows, row, &field->value, conf, err);
    }
    return error;
}

static bool has_key(const struct value_table *table, const char *key)
{
    for (size_t i = 0; i < table->count; i++)
        if (table->fields[i].key && !strcmp(table->fields[i].key, key))
            return true;
    return false;
}

/* Under its own name or another. */
static bool is_given(const struct param *rows, const struct value_table *table,
                     const struct param *row)
{
    bool given = has_key(table, row->name);
    for (; rows->name && !given; rows++)
        given = rows->type == PARAM_TYPE_SYNONYM && !strcmp(rows->doc, row->name) &&
                has_key(table, rows->name);
    return given;
}

static int parse_fields(const struct param *rows, const struct value_table *table,
                        char *conf, struct error *err)
{
    int profile_error = apply_profiles(rows, table, conf, err);
    if (profile_error)
        return profile_error;
    for (size_t i = 0; i < table->count; i++) {
        const struct value_field *field = &table->fields[i];
        if (!field->key)
            return error_set(err, ERROR_CONFIG, ENOENT,
                             "parameters are given by name, such as { %s = ... }",
                             rows->name);
        const struct param *row = find_member(rows, field->key);
        if (!row)
            return unknown(rows, field->key, err);
        if (row->type == PARAM_TYPE_REFUSED)
            return error_set(err, ERROR_CONFIG, ENOENT, "no parameter \"%s\": %s",
                             row->name, row->doc);
        if (strcmp(field->key, row->name) && has_key(table, row->name))
            return error_set(err, ERROR_CONFIG, EINVAL,
                             "%s and %s are the same: give one", row->name, field->key);
        int error = parse_value(row, &field->value, conf, err);
        if (error)
            return error;
    }
    for (const struct param *row = rows; row->name; row++)
        if (!row->initial && !is_given(rows, table, row))
            return error_set(err, ERROR_CONFIG, EINVAL, "%s is required (%s)", row->name,
                             row->doc);
    return 0;
}

static int parse_table(const struct param *rows, const struct value *args, char *conf,
                       struct error *err)
{
    static const struct value_table empty;
    for (const struct param *row = rows; row->name; row++)
        set_default(row, conf);
    if (args->kind == VALUE_TABLE)
        return parse_fields(rows, args->table, conf, err);
    if (args->kind == VALUE_NIL)
        return parse_fields(rows, &empty, conf, err);
    int error = parse_value(&rows[0], args, conf, err);
    if (error)
        return error;
    for (const struct param *row = rows + 1; row->name; row++)
        if (!row->initial)
            return error_set(err, ERROR_CONFIG, EINVAL, "%s is required (%s)", row->name,
                             row->doc);
    return 0;
}

int param_parse(const struct param *rows, const struct value *args, void *conf,
                size_t size, struct error *err)
{
    static const struct param none[] = { PARAM_END };
    memset(conf, 0, size);
    if (!rows || !rows->name) {
        if (args->kind == VALUE_NIL || (args->kind == VALUE_TABLE && !args->table->count))
            return 0;
        if (args->kind == VALUE_TABLE && args->table->fields[0].key)
            return unknown(none, args->table->fields[0].key, err);
        return error_set(err, ERROR_CONFIG, EINVAL, "takes no parameters");
    }
    int error = parse_table(rows, args, conf, err);
    if (error) {
        param_free(rows, conf);
        memset(conf, 0, size);
    }
    return error;
}

const struct param *param_find(const struct param *rows, const char *path, void **conf,
                               struct error *err)
{
    char name[64];
    for (;;) {
        size_t length = strcspn(path, ".");
        snprintf(name, sizeof(name), "%.*s", (int)length, path);
        const struct param *row = rows ? find_member(rows, name) : NULL;
        if (!row || !param_is_member(row)) {
            static const struct param none[] = { PARAM_END };
            unknown(rows ? rows : none, name, err);
            return NULL;
        }
        if (!path[length])
            return row;
        if (row->type != PARAM_TYPE_TABLE) {
            error_set(err, ERROR_CONFIG, ENOENT, "%s has no parameters", name);
            return NULL;
        }
        *conf = member(row, *conf);
        rows = row->rows;
        path += length + 1;
    }
}

int param_set(const struct param *rows, const char *path, const struct value *value,
              void *conf, struct error *err)
{
    const struct param *row = param_find(rows, path, &conf, err);
    if (!row)
        return -ENOENT;
    if (row->type == PARAM_TYPE_TABLE)
        param_free(row->rows, member(row, conf));
    int error = parse_value(row, value, conf, err);
    const char *last = strrchr(path, '.');
    if (error && last)
        error_prefix(err, "%.*s", (int)(last + 1 - path), path);
    return error;
}

static size_t scalar_size(enum param_type type)
{
    switch (type) {
    case PARAM_TYPE_BOOL:
        return sizeof(bool);
    case PARAM_TYPE_ENUM:
        return sizeof(int);
    case PARAM_TYPE_LIMIT:
        return sizeof(struct limit);
    default:
        return sizeof(uint64_t);
    }
}

bool param_same_text(const char *a, const char *b)
{
    return a == b || (a && b && !strcmp(a, b));
}

bool param_equal(const struct param *rows, const void *a, const void *b)
{
    for (; rows && rows->name; rows++) {
        const void *left = member(rows, a), *right = member(rows, b);
        bool equal;
        if (!param_is_member(rows))
            equal = true;
        else if (rows->type == PARAM_TYPE_TABLE)
            equal = param_equal(rows->rows, left, right);
        else if (rows->type == PARAM_TYPE_VALUE)
            equal = value_equal(left, right);
        else if (rows->type == PARAM_TYPE_STRING || rows->type == PARAM_TYPE_INTERFACE)
            equal = param_same_text(*(char *const *)left, *(char *const *)right);
        else
            equal = !memcmp(left, right, scalar_size(rows->type));
        if (!equal)
            return false;
    }
    return true;
}

static void copy_owned(const struct param *rows, void *conf)
{
    for (; rows && rows->name; rows++) {
        void *at = member(rows, conf);
        if (rows->type == PARAM_TYPE_TABLE)
            copy_owned(rows->rows, at);
        else if (rows->type == PARAM_TYPE_VALUE)
            *(struct value *)at = value_copy(at);
        else if (rows->type == PARAM_TYPE_STRING || rows->type == PARAM_TYPE_INTERFACE)
            *(char **)at = *(char **)at ? strdup(*(char **)at) : NULL;
    }
}

void param_copy(const struct param *rows, const void *from, void *to, size_t size)
{
    if (size)
        memcpy(to, from, size);
    copy_owned(rows, to);
}

void param_free(const struct param *rows, void *conf)
{
    for (; rows && rows->name; rows++) {
        void *at = member(rows, conf);
        if (rows->type == PARAM_TYPE_TABLE) {
            param_free(rows->rows, at);
        } else if (rows->type == PARAM_TYPE_VALUE) {
            value_free(at);
        } else if (rows->type == PARAM_TYPE_STRING ||
                   rows->type == PARAM_TYPE_INTERFACE) {
            free(*(char **)at);
            *(char **)at = NULL;
        }
    }
}

bool param_is_initial(const struct param *row, const void *conf)
{
    static const struct param end = PARAM_END;
    const void *at = member(row, conf);
    if (!param_is_member(row))
        return true;
    if (row->type == PARAM_TYPE_VALUE)
        return ((const struct value *)at)->kind == VALUE_NIL;
    if (row->type == PARAM_TYPE_TABLE) {
        for (const struct param *inner = row->rows; inner->name; inner++)
            if (!param_is_initial(inner, at))
                return false;
        return true;
    }
    union {
        union scalar scalar;
        char *string;
    } initial = { .scalar = { 0 } };
    struct param rows[] = { *row, end };
    rows[0].offset = 0;
    if (row->initial)
        parse_scalar(row, row->initial, &initial);
    else if (row->type == PARAM_TYPE_STRING || row->type == PARAM_TYPE_INTERFACE)
        return !*(char *const *)at;
    bool same = param_equal(rows, &initial, at);
    param_free(rows, &initial);
    return same;
}

/* What differs from the default; the first parameter alone needs no name. */
static const char *format_table(const struct param *rows, const void *conf, char *text,
                                size_t size)
{
    char item[256];
    size_t set = 0;
    for (const struct param *row = rows; row->name; row++)
        set += !param_is_initial(row, conf);
    if (set == 1 && !param_is_initial(rows, conf))
        return param_format(rows, conf, text, size);
    snprintf(text, size, "{");
    const char *between = " ";
    for (const struct param *row = rows; row->name; row++) {
        size_t used = strlen(text);
        if (param_is_initial(row, conf))
            continue;
        snprintf(text + used, size - used, "%s%s = %s", between, row->name,
                 param_format(row, conf, item, sizeof(item)));
        between = ", ";
    }
    size_t used = strlen(text);
    snprintf(text + used, size - used, "%s}", set ? " " : "");
    return text;
}

const char *param_format(const struct param *row, const void *conf, char *text,
                         size_t size)
{
    const void *at = member(row, conf);
    switch (row->type) {
    case PARAM_TYPE_BOOL:
        snprintf(text, size, "%s", *(const bool *)at ? "true" : "false");
        break;
    case PARAM_TYPE_INTEGER:
        snprintf(text, size, "%" PRId64, *(const int64_t *)at);
        break;
    case PARAM_TYPE_NUMBER:
        snprintf(text, size, "%.9g", *(const double *)at);
        break;
    case PARAM_TYPE_DURATION:
        return units_format_duration(text, size, *(const uint64_t *)at);
    case PARAM_TYPE_PERCENT:
        return units_format_percent(text, size, *(const double *)at);
    case PARAM_TYPE_RATE:
        return units_format_rate(text, size, *(const uint64_t *)at);
    case PARAM_TYPE_SIZE:
        return units_format_size(text, size, *(const uint64_t *)at);
    case PARAM_TYPE_LIMIT:
        return units_format_limit(text, size, at);
    case PARAM_TYPE_SET:
        return units_format_set(text, size, *(const uint64_t *)at);
    case PARAM_TYPE_STRING:
    case PARAM_TYPE_INTERFACE:
        snprintf(text, size, "%s", *(char *const *)at ? *(char *const *)at : "");
        break;
    case PARAM_TYPE_ENUM:
        snprintf(text, size, "%s", row->choices[*(const int *)at]);
        break;
    case PARAM_TYPE_TABLE:
        return format_table(row->rows, at, text, size);
    case PARAM_TYPE_VALUE:
        return value_format(text, size, at);
    case PARAM_TYPE_SYNONYM:
    case PARAM_TYPE_REFUSED:
        *text = 0;
    }
    return text;
}

const char *param_type_name(enum param_type type)
{
    static const char *const names[] = {
        [PARAM_TYPE_BOOL] = "boolean",        [PARAM_TYPE_INTEGER] = "integer",
        [PARAM_TYPE_NUMBER] = "number",       [PARAM_TYPE_DURATION] = "duration",
        [PARAM_TYPE_PERCENT] = "percentage",  [PARAM_TYPE_RATE] = "bit rate",
        [PARAM_TYPE_SIZE] = "byte size",      [PARAM_TYPE_LIMIT] = "queue limit",
        [PARAM_TYPE_SET] = "set of numbers",  [PARAM_TYPE_STRING] = "string",
        [PARAM_TYPE_INTERFACE] = "interface", [PARAM_TYPE_ENUM] = "choice",
        [PARAM_TYPE_TABLE] = "table",         [PARAM_TYPE_VALUE] = "value",
        [PARAM_TYPE_SYNONYM] = "synonym",     [PARAM_TYPE_REFUSED] = "refused",
    };
    return names[type];
}
