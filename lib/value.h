/* value: a value from a configuration, free of the language it was written in.
 *
 *   value_string, value_integer, ...   make one
 *   value_table_add                    append a field to a table
 *   value_get                          a field by its key
 *   value_copy, value_free, value_equal
 *   value_format                       as text, for messages
 *
 * A value owns its strings and tables. An opaque value is a number that only its maker
 * understands (config/ keeps Lua objects that cannot be expressed as data behind it).
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum value_kind {
    VALUE_NIL,
    VALUE_BOOL,
    VALUE_INTEGER,
    VALUE_NUMBER,
    VALUE_STRING,
    VALUE_TABLE,
    VALUE_OPAQUE,
};

struct value {
    enum value_kind kind;
    union {
        bool boolean;
        int64_t integer;
        double number;
        char *string;
        struct value_table *table;
        uint64_t opaque;
    };
};

struct value_field {
    char *key; /* NULL for an item of a list */
    struct value value;
};

struct value_table {
    size_t count;
    struct value_field *fields;
};

struct value value_string(const char *text);
struct value value_integer(int64_t integer);
struct value value_number(double number);
struct value value_bool(bool boolean);
struct value value_opaque(uint64_t opaque);
struct value value_table(void);

/* Appends value (taken over) under a copy of key, or as a list item when key is NULL. */
void value_table_add(struct value *table, const char *key, struct value value);

/* The field called key of a table, or NULL. */
const struct value *value_get(const struct value *table, const char *key);

struct value value_copy(const struct value *value);
void value_free(struct value *value);

/* Tables are equal when their fields are, in any order of keys. */
bool value_equal(const struct value *a, const struct value *b);

/* The value as Lua would write it, cut to size; returns text. */
const char *value_format(char *text, size_t size, const struct value *value);
