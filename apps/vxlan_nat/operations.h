/* operations: what people ask a running VxlanNat for; the parts of it.
 *
 * Each fills the answer, or returns an error. What may be long comes in pages: `from` is 0 at first
 * and then the `next` of the answer before, which is not there behind the last one.
 */
#pragma once
#include "engine/engine.h"
#include "lib/value.h"

#define OPERATION_ROWS 1000 /* of a page */

#define OPERATION(NAME)                                                                  \
    int NAME(struct app *app, const struct value *args, struct value *answer,            \
             struct error *err)

/* operations.c */
void operation_add_use(struct value *row, const void *use);

/* operate_allow.c */
OPERATION(allow_load);
OPERATION(allow_list);
OPERATION(allow_clear);
OPERATION(allow_add);
OPERATION(allow_del);
OPERATION(allow_find);
OPERATION(allow_diff);
OPERATION(allow_stats);

/* operate_sessions.c */
OPERATION(sessions_list);
OPERATION(sessions_flush);
OPERATION(trace_start);
OPERATION(trace_read);
