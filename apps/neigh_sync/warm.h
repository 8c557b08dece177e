/* warm: what comes before the first neighbour: a cold start, or SONiC's warm restart.
 *
 *   warm_open    begin
 *   warm_serve   one step further, if it is time
 *   warm_due     when warm_serve must be called even if nothing came
 *   warm_close
 *
 *     ask        is it warm?  STATE_DB WARM_RESTART_ENABLE_TABLE|system, |swss
 *      |  \
 *      |   cold: restore_count 0 ------------------------------------------------> listen
 *     read       restore_count + 1, state "initialized"; what nobody consumed goes;
 *      |         the rows of NEIGH_TABLE are what Redis has, until the kernel says otherwise
 *     await      state "restored"; NEIGH_RESTORE_TABLE|Flags restored = true, or it has failed
 *      |
 *     collect    listen, but tell Redis nothing until the timer is over AND the kernel has told
 *      |         of everything there is
 *     reconcile  tell what differs; when that is done, state "reconciled"
 *
 * So a neighbour that is as it was is not written. Should Redis go away, the step begins anew.
 */
#pragma once
#include "apps/neigh_sync/database_config.h"
#include "apps/neigh_sync/decide.h"
#include "apps/neigh_sync/writer.h"

enum warm_step {
    WARM_ASK,
    WARM_READ,
    WARM_AWAIT,
    WARM_COLLECT,
    WARM_RECONCILE,
    WARM_OVER,
    WARM_FAILED, /* nobody restored the kernel's neighbours */
};

struct warm {
    /* of the caller */
    struct app *app;
    struct writer *writer; /* its connection is APPL_DB's */
    struct redis *config;  /* CONFIG_DB's */
    const struct decide_mode *mode;
    uint64_t patience; /* ns to wait for the flag */
    char config_separator, state_separator;

    struct redis *state;
    enum warm_step step;
    bool warm;          /* it is one */
    bool listen;        /* the kernel may be listened to */
    bool again;         /* the connection was lost: the step begins anew */
    bool asked;         /* the step's questions are sent */
    uint32_t questions; /* without an answer */
    uint64_t now, next; /* next: when the flag is looked at again */
    uint64_t timer, deadline;
    uint64_t restore_count, seconds;
    bool counted;               /* restore_count is written */
    struct mirror_row **unread; /* rows whose fields are still to be read */
    size_t unread_count, unread_next;
};

int warm_open(struct warm *warm, const struct redis_place *place, uint64_t timeout);
void warm_close(struct warm *warm);

/* complete: the kernel has told of everything. */
void warm_serve(struct warm *warm, uint64_t now, bool complete);
uint64_t warm_due(const struct warm *warm);

/* For people: "cold", "restored" ... */
const char *warm_text(const struct warm *warm);
