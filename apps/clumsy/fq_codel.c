/* fq_codel: whose turn it is among flows. */
#include "apps/clumsy/fq_codel.h"

#include <stdlib.h>
#include <string.h>

static void list_append(struct fq *fq, struct fq_list *list, uint32_t flow)
{
    fq->flows[flow].next = FLOWS_NONE;
    if (list->head == FLOWS_NONE)
        list->head = flow;
    else
        fq->flows[list->tail].next = flow;
    list->tail = flow;
}

static uint32_t list_take(struct fq *fq, struct fq_list *list)
{
    uint32_t flow = list->head;
    list->head = fq->flows[flow].next;
    return flow;
}

bool fq_resize(struct fq *fq, uint32_t count)
{
    struct fq_flow *flows = calloc(count, sizeof(*flows));
    if (!flows)
        return false;
    free(fq->flows);
    fq->flows = flows;
    fq->count = count;
    fq->fresh.head = fq->served.head = FLOWS_NONE;
    return true;
}

bool fq_init(struct fq *fq)
{
    memset(fq, 0, sizeof(*fq));
    return fq_resize(fq, 1);
}

void fq_free(struct fq *fq)
{
    free(fq->flows);
    fq->flows = NULL;
}

void fq_wake(struct fq *fq, uint32_t flow)
{
    if (fq->flows[flow].listed)
        return;
    fq->flows[flow].listed = true;
    fq->flows[flow].credit = fq->quantum;
    list_append(fq, &fq->fresh, flow);
}

static void idle(struct fq *fq, uint32_t flow)
{
    codel_empty(&fq->flows[flow].codel);
    fq->flows[flow].listed = false;
}

void fq_rest(struct fq *fq)
{
    while (fq->fresh.head != FLOWS_NONE)
        idle(fq, list_take(fq, &fq->fresh));
    while (fq->served.head != FLOWS_NONE)
        idle(fq, list_take(fq, &fq->served));
}

uint32_t fq_next(struct fq *fq, const struct queue_flows *flows)
{
    for (;;) {
        bool is_fresh = fq->fresh.head != FLOWS_NONE;
        struct fq_list *list = is_fresh ? &fq->fresh : &fq->served;
        struct fq_flow *flow = &fq->flows[list->head];
        bool empty = !flows->fifos[list->head].packets;
        if (flow->credit > 0 && !empty)
            return list->head;
        uint32_t taken = list_take(fq, list);
        if (flow->credit <= 0)
            flow->credit += fq->quantum;
        else if (!is_fresh) {
            idle(fq, taken);
            continue;
        }
        list_append(fq, &fq->served, taken);
    }
}
