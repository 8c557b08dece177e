/* arguments: what an operation of an app was told, and what it answers.
 *
 *   argument_prefix     a network or an address
 *   argument_bool       absent is false
 *   argument_integer    0 and more
 *   argument_choice     one of several words
 *   argument_duration   "5min", or seconds
 *   argument_string     text, or NULL
 *   answer_integer, answer_string
 *
 * Arguments are a table, or one scalar, which is then the one that must be there. From a command line
 * all of them are text. Messages name the argument and what is allowed; all are ERROR_CONFIG, -EINVAL.
 */
#pragma once
#include "lib/error.h"
#include "lib/prefix.h"
#include "lib/value.h"

/* Must be there, under the name or as the scalar. */
int argument_prefix(const struct value *args, const char *name, struct prefix *prefix,
                    struct error *err);

bool argument_bool(const struct value *args, const char *name);

/* The values stay when none is given. */
int argument_integer(const struct value *args, const char *name, int64_t *integer,
                     struct error *err);
int argument_choice(const struct value *args, const char *name, const char *const *names,
                    int count, int *choice, struct error *err);
int argument_duration(const struct value *args, const char *name, const char *most,
                      uint64_t *ns, struct error *err);

/* The argument's own text; NULL when there is none. */
const char *argument_string(const struct value *args, const char *name);

void answer_integer(struct value *to, const char *name, uint64_t integer);
void answer_string(struct value *to, const char *name, const char *text);
