/* trace: what became of some packets, step by step, for a person.
 *
 *   vxlan_trace_new       for so many packets from now on
 *   vxlan_trace_begin     packets are about to be looked at, of which vxlan_trace_... tell
 *   vxlan_trace_frame     what is in one of them
 *   vxlan_trace_flow      what was decided
 *   vxlan_trace_refused   it is dropped
 *   vxlan_trace_free
 *
 * Packets are known by their address between vxlan_trace_begin and the next one. All but
 * vxlan_trace_new may be called with NULL: nothing is traced, and that costs a look at the pointer.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "apps/vxlan_nat/vxlan.bpf.h"

struct packet;

#define TRACE_MOST 1000

struct vxlan_trace_record {
    const struct packet *packet; /* while vxlan_trace_begin has not been called again */
    uint64_t time;               /* ns */
    uint32_t length;
    struct vxlan_frame f;
    struct vxlan_flow flow;
    bool decided, first; /* flow is there; it is the first packet of it */
    uint8_t reason;
};

struct vxlan_trace {
    uint32_t wanted, count, told; /* records: to be made, made, given away */
    uint32_t current;             /* the first one since vxlan_trace_begin */
    uint64_t asked;               /* when somebody last wanted to know, ns */
    struct vxlan_trace_record records[];
};

/* NULL when memory is out. packets: up to TRACE_MOST. */
struct vxlan_trace *vxlan_trace_new(uint32_t packets, uint64_t now);
void vxlan_trace_free(struct vxlan_trace *trace);

void vxlan_trace_note_begin(struct vxlan_trace *trace);
void vxlan_trace_note_frame(struct vxlan_trace *trace, const struct packet *p,
                            uint32_t length, uint64_t time, const struct vxlan_frame *f);
void vxlan_trace_note_flow(struct vxlan_trace *trace, const struct packet *p,
                           const struct vxlan_flow *flow);
void vxlan_trace_note_refused(struct vxlan_trace *trace, const struct packet *p,
                              uint8_t reason);

static inline bool vxlan_trace_is_done(const struct vxlan_trace *trace)
{
    return trace->count == trace->wanted;
}

static inline void vxlan_trace_begin(struct vxlan_trace *trace)
{
    if (__builtin_expect(!!trace, 0))
        vxlan_trace_note_begin(trace);
}

static inline void vxlan_trace_frame(struct vxlan_trace *trace, const struct packet *p,
                                     uint32_t length, uint64_t time,
                                     const struct vxlan_frame *f)
{
    if (__builtin_expect(!!trace, 0))
        vxlan_trace_note_frame(trace, p, length, time, f);
}

static inline void vxlan_trace_flow(struct vxlan_trace *trace, const struct packet *p,
                                    const struct vxlan_flow *flow)
{
    if (__builtin_expect(!!trace, 0))
        vxlan_trace_note_flow(trace, p, flow);
}

static inline void vxlan_trace_refused(struct vxlan_trace *trace, const struct packet *p,
                                       uint8_t reason)
{
    if (__builtin_expect(!!trace, 0))
        vxlan_trace_note_refused(trace, p, reason);
}
