/* sentinel_app: FlowSentinel as an app called "guard", and what can be asked of it. */
#include "selftest/sentinel_app.h"

#include <stdarg.h>
#include <string.h>

#include "selftest/support.h"

/* arguments: NAME, TEXT, ..., NULL. */
static int call(struct engine *engine, const char *operation, va_list arguments,
                struct value *answer, struct error *err)
{
    struct app *app = engine_find_app(engine, "guard");
    struct value args = value_table();
    uint32_t number = 0;
    for (const char *name; (name = va_arg(arguments, const char *));)
        value_table_add(&args, name, value_string(va_arg(arguments, const char *)));
    while (strcmp(app->class->operations[number].name, operation))
        number++;
    int error = app->class->call(app, number, &args, answer, err);
    value_free(&args);
    return error;
}

static struct value ask(struct engine *engine, const char *operation, va_list arguments)
{
    struct value answer = { VALUE_NIL };
    struct error err = { 0 };
    ck_assert_msg(!call(engine, operation, arguments, &answer, &err), "%s: %s", operation,
                  err.text);
    return answer;
}

struct value guard_ask(struct engine *engine, const char *operation, ...)
{
    va_list list;
    va_start(list, operation);
    struct value answer = ask(engine, operation, list);
    va_end(list);
    return answer;
}

void guard_tell(struct engine *engine, const char *operation, ...)
{
    va_list list;
    va_start(list, operation);
    struct value answer = ask(engine, operation, list);
    va_end(list);
    value_free(&answer);
}

void guard_refuses(struct engine *engine, const char *what, const char *operation, ...)
{
    struct value answer = { VALUE_NIL };
    struct error err = { 0 };
    va_list list;
    va_start(list, operation);
    ck_assert_int_ne(call(engine, operation, list, &answer, &err), 0);
    va_end(list);
    ck_assert_msg(strstr(err.text, what), "%s: %s", operation, err.text);
    value_free(&answer);
}

double guard_number(const struct value *row, const char *name)
{
    const struct value *value = row ? value_get(row, name) : NULL;
    return !value                        ? 0
           : value->kind == VALUE_NUMBER ? value->number
                                         : (double)value->integer;
}

const struct value *guard_row(const struct value *list, const char *field,
                              const char *text)
{
    for (size_t i = 0; i < list->table->count; i++)
        if (!strcmp(value_get(&list->table->fields[i].value, field)->string, text))
            return &list->table->fields[i].value;
    return NULL;
}

uint64_t guard_drops(struct engine *engine)
{
    const struct app *app = engine_find_app(engine, "guard");
    const struct counter_row *row = app->class->counters;
    uint64_t sum = 0;
    for (uint32_t i = 0; row[i].name; i++)
        if (!strncmp(row[i].name, "drop_", 5))
            sum += app->counters[i];
    return sum;
}

void guard_wait(struct engine *engine, uint64_t ns)
{
    test_breathe(engine, 1);
    engine_set_time(engine, engine_now(engine) + ns);
    test_breathe(engine, 1);
}
