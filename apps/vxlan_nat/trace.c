/* trace: what became of some packets, step by step, for a person. */
#include "apps/vxlan_nat/trace.h"

#include <stdlib.h>

struct vxlan_trace *vxlan_trace_new(uint32_t packets, uint64_t now)
{
    struct vxlan_trace *trace =
        calloc(1, sizeof(*trace) + packets * sizeof(struct vxlan_trace_record));
    if (trace) {
        trace->wanted = packets;
        trace->asked = now;
    }
    return trace;
}

void vxlan_trace_free(struct vxlan_trace *trace)
{
    free(trace);
}

void vxlan_trace_note_begin(struct vxlan_trace *trace)
{
    trace->current = trace->count;
}

static struct vxlan_trace_record *find(struct vxlan_trace *trace, const struct packet *p)
{
    for (uint32_t i = trace->current; i < trace->count; i++)
        if (trace->records[i].packet == p)
            return &trace->records[i];
    return NULL;
}

void vxlan_trace_note_frame(struct vxlan_trace *trace, const struct packet *p,
                            uint32_t length, uint64_t time, const struct vxlan_frame *f)
{
    if (!vxlan_trace_is_done(trace))
        trace->records[trace->count++] = (struct vxlan_trace_record){
            .packet = p, .time = time, .length = length, .f = *f
        };
}

void vxlan_trace_note_flow(struct vxlan_trace *trace, const struct packet *p,
                           const struct vxlan_flow *flow)
{
    struct vxlan_trace_record *record = find(trace, p);
    if (!record)
        return;
    record->flow = *flow;
    record->decided = true;
    record->first = !flow->packets;
}

void vxlan_trace_note_refused(struct vxlan_trace *trace, const struct packet *p,
                              uint8_t reason)
{
    struct vxlan_trace_record *record = find(trace, p);
    if (!record)
        return;
    record->reason = reason;
    record->packet = NULL; /* it is free, and may be another's */
}
