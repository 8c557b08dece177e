/* value: a value from a configuration, free of the language it was written in. */
#include "lib/value.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct value value_string(const char *text)
{
    return (struct value){ VALUE_STRING, .string = strdup(text) };
}

struct value value_integer(int64_t integer)
{
    return (struct value){ VALUE_INTEGER, .integer = integer };
}

struct value value_number(double number)
{
    return (struct value){ VALUE_NUMBER, .number = number };
}

struct value value_bool(bool boolean)
{
    return (struct value){ VALUE_BOOL, .boolean = boolean };
}

struct value value_opaque(uint64_t opaque)
{
    return (struct value){ VALUE_OPAQUE, .opaque = opaque };
}

struct value value_table(void)
{
    return (struct value){ VALUE_TABLE, .table = calloc(1, sizeof(struct value_table)) };
}

void value_table_add(struct value *table, const char *key, struct value value)
{
    struct value_table *t = table->table;
    t->fields = realloc(t->fields, (t->count + 1) * sizeof(*t->fields));
    t->fields[t->count++] = (struct value_field){ key ? strdup(key) : NULL, value };
}

const struct value *value_get(const struct value *table, const char *key)
{
    if (table->kind != VALUE_TABLE)
        return NULL;
    for (size_t i = 0; i < table->table->count; i++)
        if (table->table->fields[i].key && !strcmp(table->table->fields[i].key, key))
            return &table->table->fields[i].value;
    return NULL;
}

struct value value_copy(const struct value *value)
{
    if (value->kind == VALUE_STRING)
        return value_string(value->string);
    if (value->kind != VALUE_TABLE)
        return *value;
    struct value copy = value_table();
    for (size_t i = 0; i < value->table->count; i++)
        value_table_add(&copy, value->table->fields[i].key,
                        value_copy(&value->table->fields[i].value));
    return copy;
}

void value_free(struct value *value)
{
    if (value->kind == VALUE_STRING) {
        free(value->string);
    } else if (value->kind == VALUE_TABLE) {
        for (size_t i = 0; i < value->table->count; i++) {
            free(value->table->fields[i].key);
            value_free(&value->table->fields[i].value);
        }
        free(value->table->fields);
        free(value->table);
    }
    *value = (struct value){ VALUE_NIL };
}

static bool table_equal(const struct value *a, const struct value *b)
{
    if (a->table->count != b->table->count)
        return false;
    size_t item = 0; /* list items are compared by position */
    for (size_t i = 0; i < a->table->count; i++) {
        const struct value_field *field = &a->table->fields[i];
        const struct value *other = NULL;
        if (field->key) {
            other = value_get(b, field->key);
        } else {
            while (item < b->table->count && b->table->fields[item].key)
                item++;
            if (item < b->table->count)
                other = &b->table->fields[item++].value;
        }
        if (!other || !value_equal(&field->value, other))
            return false;
    }
    return true;
}

bool value_equal(const struct value *a, const struct value *b)
{
    if (a->kind != b->kind)
        return false;
    switch (a->kind) {
    case VALUE_NIL:
        return true;
    case VALUE_BOOL:
        return a->boolean == b->boolean;
    case VALUE_INTEGER:
        return a->integer == b->integer;
    case VALUE_NUMBER:
        return a->number == b->number;
    case VALUE_STRING:
        return !strcmp(a->string, b->string);
    case VALUE_TABLE:
        return table_equal(a, b);
    case VALUE_OPAQUE:
        return a->opaque == b->opaque;
    }
    return false;
}

static void format_table(char *text, size_t size, const struct value *value)
{
    char item[64];
    size_t used = 0;
    snprintf(text, size, "{");
    for (size_t i = 0; i < value->table->count && used < size; i++) {
        const struct value_field *field = &value->table->fields[i];
        used = strlen(text);
        value_format(item, sizeof(item), &field->value);
        snprintf(text + used, size - used, "%s%s%s%s", i ? ", " : "",
                 field->key ? field->key : "", field->key ? "=" : "", item);
    }
    used = strlen(text);
    snprintf(text + used, size - used, "}");
}

const char *value_format(char *text, size_t size, const struct value *value)
{
    switch (value->kind) {
    case VALUE_NIL:
        snprintf(text, size, "nil");
        break;
    case VALUE_BOOL:
        snprintf(text, size, "%s", value->boolean ? "true" : "false");
        break;
    case VALUE_INTEGER:
        snprintf(text, size, "%" PRId64, value->integer);
        break;
    case VALUE_NUMBER:
        snprintf(text, size, "%.9g", value->number);
        break;
    case VALUE_STRING:
        snprintf(text, size, "\"%s\"", value->string);
        break;
    case VALUE_TABLE:
        format_table(text, size, value);
        break;
    case VALUE_OPAQUE:
        snprintf(text, size, "(an object)");
        break;
    }
    return text;
}
