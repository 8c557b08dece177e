/* arguments: what an operation of an app was told, and what it answers. */
#include "lib/arguments.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/param.h"

static const struct value *find(const struct value *args, const char *name)
{
    return args->kind == VALUE_TABLE ? value_get(args, name) : NULL;
}

int argument_prefix(const struct value *args, const char *name, struct prefix *prefix,
                    struct error *err)
{
    const struct value *given = args->kind == VALUE_TABLE ? value_get(args, name) : args;
    char text[64];
    if (given && given->kind == VALUE_STRING && !prefix_parse(prefix, given->string))
        return 0;
    return error_set(err, ERROR_CONFIG, EINVAL, "%s: %s is not a prefix", name,
                     given ? value_format(text, sizeof(text), given) : "nothing");
}

bool argument_bool(const struct value *args, const char *name)
{
    const struct value *value = find(args, name);
    if (!value)
        return false;
    return value->kind == VALUE_BOOL
               ? value->boolean
               : value->kind == VALUE_STRING && !strcmp(value->string, "true");
}

int argument_integer(const struct value *args, const char *name, int64_t *integer,
                     struct error *err)
{
    const struct value *value = find(args, name);
    char *end = NULL;
    if (!value)
        return 0;
    if (value->kind == VALUE_INTEGER)
        *integer = value->integer;
    else if (value->kind == VALUE_STRING)
        *integer = strtoll(value->string, &end, 10);
    if ((end && (*end || end == value->string)) || *integer < 0 ||
        (value->kind != VALUE_INTEGER && value->kind != VALUE_STRING))
        return error_set(err, ERROR_CONFIG, EINVAL, "%s is no number of entries", name);
    return 0;
}

int argument_choice(const struct value *args, const char *name, const char *const *names,
                    int count, int *choice, struct error *err)
{
    const struct value *value = find(args, name);
    char text[64], all[128] = "";
    if (!value)
        return 0;
    for (int i = 0; i < count; i++) {
        if (value->kind == VALUE_STRING && !strcmp(value->string, names[i])) {
            *choice = i;
            return 0;
        }
        size_t used = strlen(all);
        snprintf(all + used, sizeof(all) - used, "%s%s",
                 !i              ? ""
                 : i < count - 1 ? ", "
                                 : " or ",
                 names[i]);
    }
    return error_set(err, ERROR_CONFIG, EINVAL, "%s: %s is not %s", name,
                     value_format(text, sizeof(text), value), all);
}

int argument_duration(const struct value *args, const char *name, const char *most,
                      uint64_t *ns, struct error *err)
{
    const struct param rows[] = {
        { .name = name,
          .type = PARAM_TYPE_DURATION,
          .offset = 0,
          .initial = "0",
          .minimum = "0",
          .maximum = most,
          .doc = "how long" },
        PARAM_END,
    };
    struct value only = value_table();
    const struct value *given = find(args, name);
    if (given)
        value_table_add(&only, name, value_copy(given));
    int error = given ? param_parse(rows, &only, ns, sizeof(*ns), err) : 0;
    value_free(&only);
    return error;
}

const char *argument_string(const struct value *args, const char *name)
{
    const struct value *value = args->kind == VALUE_TABLE ? value_get(args, name) : args;
    return value && value->kind == VALUE_STRING ? value->string : NULL;
}

void answer_integer(struct value *to, const char *name, uint64_t integer)
{
    value_table_add(to, name, value_integer((int64_t)integer));
}

void answer_string(struct value *to, const char *name, const char *text)
{
    value_table_add(to, name, value_string(text));
}
