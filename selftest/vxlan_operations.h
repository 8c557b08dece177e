/* vxlan_operations: a VxlanNat that is asked for things, and files that it reads.
 *
 *   ask, ask_with_rule, OK, REFUSED   one of its operations
 *   SAYS, figure, row_of, number_in   what it replied
 *   passes                            a packet goes through
 *   write_file, load, advance         what it reads, and time for it
 *   open_file, close_file             fixtures
 */
#pragma once
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "selftest/vxlan_tunnels.h"

static char path[] = "/tmp/vanguard-operations-XXXXXX.json";
static struct value reply;
static char text[1 << 16];
static struct error err;
static long written;

static inline void open_file(void)
{
    setup();
    strcpy(path + sizeof(path) - 12, "XXXXXX.json");
    close(mkstemps(path, 5));
    reply = (struct value){ VALUE_NIL };
    written = 1000;
}

static inline void close_file(void)
{
    value_free(&reply);
    unlink(path);
    teardown();
}

/* --- what is asked -------------------------------------------------------------------- */

/* value_format is for messages, and cuts. */
static inline void print(FILE *out, const struct value *value)
{
    char scalar[256];
    if (value->kind != VALUE_TABLE) {
        fputs(value_format(scalar, sizeof(scalar), value), out);
        return;
    }
    fputc('{', out);
    for (size_t i = 0; i < value->table->count; i++) {
        const struct value_field *field = &value->table->fields[i];
        fprintf(out, "%s%s%s", i ? ", " : "", field->key ? field->key : "",
                field->key ? "=" : "");
        print(out, &field->value);
    }
    fputc('}', out);
}

/* args is freed. The reply is in `reply`, and as text in `text`. */
static inline int ask_value(const char *operation, struct value args)
{
    struct app *app = engine_find_app(engine, "nat");
    uint32_t number = 0;
    value_free(&reply);
    reply = (struct value){ VALUE_NIL };
    err.text[0] = 0;
    while (strcmp(app->class->operations[number].name, operation) != 0)
        number++;
    int error = app->class->call(app, number, &args, &reply, &err);
    value_free(&args);
    FILE *out = fmemopen(text, sizeof(text), "w");
    print(out, &reply);
    fclose(out);
    return error;
}

static inline int ask(const char *operation, const char *arguments)
{
    return ask_value(operation, test_table(arguments));
}

#define OK(OPERATION, ARGUMENTS)                                                         \
    ck_assert_msg(!ask(OPERATION, ARGUMENTS), "%s: %s", OPERATION, err.text)
#define SAYS(WORDS)     ck_assert_msg(strstr(text, WORDS) != NULL, "%s", text)
#define SAYS_NOT(WORDS) ck_assert_msg(!strstr(text, WORDS), "%s", text)
#define REFUSED(OPERATION, ARGUMENTS, WORDS)                                             \
    ck_assert_msg(ask(OPERATION, ARGUMENTS) && strstr(err.text, WORDS), "%s: %s",        \
                  OPERATION, err.text)

static inline int ask_with_rule(const char *operation, const char *number,
                                const char *rule)
{
    struct value args = value_table();
    if (number)
        value_table_add(&args, "number", value_string(number));
    value_table_add(&args, "rule", test_table(rule));
    return ask_value(operation, args);
}

static inline uint64_t figure(const char *name)
{
    const struct value *value = value_get(&reply, name);
    ck_assert_msg(value && value->kind == VALUE_INTEGER, "%s: %s", name, text);
    return (uint64_t)value->integer;
}

/* The row of a list in which a field has that text or number. */
static inline const struct value *row_of(const struct value *rows, const char *name,
                                         const char *like)
{
    char found[64];
    for (size_t i = 0; i < rows->table->count; i++) {
        const struct value *row = &rows->table->fields[i].value;
        const struct value *field = value_get(row, name);
        if (field && field->kind == VALUE_STRING && !strcmp(field->string, like))
            return row;
        if (field && !strcmp(value_format(found, sizeof(found), field), like))
            return row;
    }
    ck_abort_msg("no row with %s = %s in %s", name, like, text);
}

static inline int64_t number_in(const struct value *row, const char *name)
{
    const struct value *value = value_get(row, name);
    ck_assert_ptr_nonnull(value);
    ck_assert_int_eq(value->kind, VALUE_INTEGER);
    return value->integer;
}

/* --- what goes through ------------------------------------------------------------------ */

/* One packet of 10.0.0.`host`; whether it came out. */
static inline bool passes_to(uint8_t host, uint16_t port)
{
    struct made made = { .host = host, .to = port, .payload = 40 };
    size_t before, after;
    test_collected(engine, "out", &before);
    put_in(&usual, inner, frame_make(inner, &made));
    test_collected(engine, "out", &after);
    return after > before;
}

static inline bool passes(uint8_t host)
{
    return passes_to(host, 2000);
}

static inline void write_file(const char *content)
{
    FILE *file = fopen(path, "w");
    written++;
    struct timespec times[2] = { { written, 0 }, { written, 0 } };
    fputs(content, file);
    fclose(file);
    ck_assert_int_eq(utimensat(AT_FDCWD, path, times, 0), 0);
}

#define LIST(ENTRIES) "{\"flat_ip_list\": [" ENTRIES "]}"

static inline void load(const char *more)
{
    char arguments[200];
    snprintf(arguments, sizeof(arguments), "path=%s %s", path, more);
    OK("allow_load", arguments);
}

static inline void advance(double seconds)
{
    for (double t = 0; t < seconds; t += 0.1) {
        engine_set_time(engine, engine_now(engine) + 100000000);
        test_breathe(engine, 2);
    }
}

/* BUILD, with the file. */
#define BUILD_WITH_FILE(SETTINGS, ...)                                                   \
    do {                                                                                 \
        char settings_[200];                                                             \
        snprintf(settings_, sizeof(settings_), "allow_file=%s %s", path, SETTINGS);      \
        BUILD(settings_, __VA_ARGS__);                                                   \
    } while (0)
