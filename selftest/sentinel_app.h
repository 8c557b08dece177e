/* sentinel_app: FlowSentinel as an app called "guard", and what can be asked of it.
 *
 *   guard_ask      an operation and its answer, which is the caller's
 *   guard_tell     one whose answer does not matter
 *   guard_refuses  one that must fail, and say so
 *   guard_number   a field of an answer, 0 when it is not there
 *   guard_row      the row of an address in a list
 *   guard_drops    the sum of drop_*
 *   guard_wait     so much later
 *
 * Arguments are name, text, name, text, ..., NULL.
 */
#pragma once
#include "engine/engine.h"
#include "lib/value.h"

struct value guard_ask(struct engine *engine, const char *operation, ...)
    __attribute__((sentinel));
void guard_tell(struct engine *engine, const char *operation, ...)
    __attribute__((sentinel));
void guard_refuses(struct engine *engine, const char *what, const char *operation, ...)
    __attribute__((sentinel));

double guard_number(const struct value *row, const char *name);
const struct value *guard_row(const struct value *list, const char *field,
                              const char *text);
uint64_t guard_drops(struct engine *engine);

/* Breathes before and after. */
void guard_wait(struct engine *engine, uint64_t ns);
