/* queue_flows: packets that wait, in a FIFO per flow.
 *
 *   flows_init, flows_free
 *   flows_resize    another number of flows; packets move, in order of arrival
 *   flows_append    a packet to the end of its flow
 *   flows_head      the oldest of a flow
 *   flows_remove    any of a flow
 *   flows_any       one of all, by a random number
 *   flows_fattest   the flow with most bytes
 *
 *     places   | 4 1 0 | 2 3 5 |     nodes in use, then free ones
 *     flow 0   4 -> 0                FIFOs of nodes, linked both ways
 *     flow 1   1
 *     heap     0 1                   flows, the one with most bytes on top
 *
 * A node changes its place when others go, never its position in its FIFO: a packet can be
 * picked at random and taken from the middle in constant time. The heap costs the logarithm
 * of the number of flows per packet, nothing when there is but one.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "apps/clumsy/queue.h"

#define FLOWS_NONE UINT32_MAX

struct queue_node {
    struct queue_packet packet;
    uint64_t order; /* of arrival */
    uint32_t next, previous;
    uint32_t place, flow;
};

struct queue_fifo {
    uint64_t bytes;
    uint32_t packets;
    uint32_t head, tail; /* nodes; of no meaning without packets */
    uint32_t position;   /* in the heap */
};

struct queue_flows {
    struct queue_node *nodes;
    uint32_t *places;
    uint32_t packets, size; /* nodes in use, and all */
    uint64_t bytes, order;
    struct queue_fifo *fifos;
    uint32_t *heap;
    uint32_t count; /* of flows */
    struct random_key key;
};

/* One flow. False when memory is out. */
bool flows_init(struct queue_flows *flows);
void flows_free(struct queue_flows *flows);

/* Flows are told apart by their hash under key. False when memory is out: nothing changed. */
bool flows_resize(struct queue_flows *flows, uint32_t count, struct random_key key);

/* The flow it went to, or FLOWS_NONE when there is no room. */
uint32_t flows_append(struct queue_flows *flows, const struct queue_packet *packet);

/* Of a flow that has packets. */
struct queue_node *flows_head(const struct queue_flows *flows, uint32_t flow);

/* A packet that waits, when there is one. */
struct queue_node *flows_any(const struct queue_flows *flows, uint64_t draw);

/* The node's packet is lost. */
void flows_remove(struct queue_flows *flows, struct queue_node *node);

static inline uint32_t flows_fattest(const struct queue_flows *flows)
{
    return flows->heap[0];
}
