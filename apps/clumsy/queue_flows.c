/* queue_flows: packets that wait, in a FIFO per flow. */
#include "apps/clumsy/queue_flows.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_SIZE 64
#define NODES_MOST                                                                       \
    (QUEUE_MOST + 1) /* a full queue takes the new one before it drops another */

/* --- the heap ------------------------------------------------------------------------- */

static void heap_put(struct queue_flows *flows, uint32_t position, uint32_t flow)
{
    flows->heap[position] = flow;
    flows->fifos[flow].position = position;
}

static uint64_t bytes_at(const struct queue_flows *flows, uint32_t position)
{
    return flows->fifos[flows->heap[position]].bytes;
}

static void heap_rise(struct queue_flows *flows, uint32_t flow)
{
    uint32_t at = flows->fifos[flow].position;
    while (at && bytes_at(flows, (at - 1) / 2) < flows->fifos[flow].bytes) {
        heap_put(flows, at, flows->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    heap_put(flows, at, flow);
}

static void heap_sink(struct queue_flows *flows, uint32_t flow)
{
    uint32_t at = flows->fifos[flow].position;
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= flows->count)
            break;
        if (child + 1 < flows->count &&
            bytes_at(flows, child + 1) > bytes_at(flows, child))
            child++;
        if (bytes_at(flows, child) <= flows->fifos[flow].bytes)
            break;
        heap_put(flows, at, flows->heap[child]);
        at = child;
    }
    heap_put(flows, at, flow);
}

/* --- nodes ---------------------------------------------------------------------------- */

static bool grow(struct queue_flows *flows)
{
    uint32_t size = flows->size ? 2 * flows->size : FIRST_SIZE;
    if (size > NODES_MOST)
        size = NODES_MOST;
    if (size == flows->size)
        return false;
    struct queue_node *nodes = realloc(flows->nodes, size * sizeof(*nodes));
    if (!nodes)
        return false;
    flows->nodes = nodes;
    uint32_t *places = realloc(flows->places, size * sizeof(*places));
    if (!places)
        return false;
    flows->places = places;
    for (uint32_t i = flows->size; i < size; i++) {
        places[i] = i;
        nodes[i].place = i;
    }
    flows->size = size;
    return true;
}

static void place_put(struct queue_flows *flows, uint32_t place, uint32_t index)
{
    flows->places[place] = index;
    flows->nodes[index].place = place;
}

static void release(struct queue_flows *flows, uint32_t index)
{
    uint32_t last = --flows->packets, place = flows->nodes[index].place;
    place_put(flows, place, flows->places[last]);
    place_put(flows, last, index);
}

/* --- FIFOs ---------------------------------------------------------------------------- */

static uint32_t flow_of(const struct queue_flows *flows,
                        const struct queue_packet *packet)
{
    return flows->count == 1
               ? 0
               : (uint32_t)(random_draw(&flows->key, packet->flow) % flows->count);
}

static void link_last(struct queue_flows *flows, uint32_t index)
{
    struct queue_node *node = &flows->nodes[index];
    node->flow = flow_of(flows, &node->packet);
    struct queue_fifo *fifo = &flows->fifos[node->flow];
    node->next = FLOWS_NONE;
    node->previous = fifo->packets ? fifo->tail : FLOWS_NONE;
    if (fifo->packets)
        flows->nodes[fifo->tail].next = index;
    else
        fifo->head = index;
    fifo->tail = index;
    fifo->packets++;
    fifo->bytes += node->packet.length;
    heap_rise(flows, node->flow);
}

uint32_t flows_append(struct queue_flows *flows, const struct queue_packet *packet)
{
    if (flows->packets == flows->size && !grow(flows))
        return FLOWS_NONE;
    uint32_t index = flows->places[flows->packets++];
    struct queue_node *node = &flows->nodes[index];
    node->packet = *packet;
    node->order = flows->order++;
    flows->bytes += packet->length;
    link_last(flows, index);
    return node->flow;
}

struct queue_node *flows_head(const struct queue_flows *flows, uint32_t flow)
{
    return &flows->nodes[flows->fifos[flow].head];
}

struct queue_node *flows_any(const struct queue_flows *flows, uint64_t draw)
{
    return &flows->nodes[flows->places[draw % flows->packets]];
}

void flows_remove(struct queue_flows *flows, struct queue_node *node)
{
    struct queue_fifo *fifo = &flows->fifos[node->flow];
    if (node->previous == FLOWS_NONE)
        fifo->head = node->next;
    else
        flows->nodes[node->previous].next = node->next;
    if (node->next == FLOWS_NONE)
        fifo->tail = node->previous;
    else
        flows->nodes[node->next].previous = node->previous;
    fifo->packets--;
    fifo->bytes -= node->packet.length;
    flows->bytes -= node->packet.length;
    heap_sink(flows, node->flow);
    release(flows, (uint32_t)(node - flows->nodes));
}

/* --- their number --------------------------------------------------------------------- */

static int by_order(const void *a, const void *b, void *user)
{
    const struct queue_node *nodes = user;
    uint64_t x = nodes[*(const uint32_t *)a].order, y = nodes[*(const uint32_t *)b].order;
    return x < y ? -1 : x > y;
}

static void distribute(struct queue_flows *flows)
{
    qsort_r(flows->places, flows->packets, sizeof(*flows->places), by_order,
            flows->nodes);
    for (uint32_t i = 0; i < flows->packets; i++) {
        flows->nodes[flows->places[i]].place = i;
        link_last(flows, flows->places[i]);
    }
}

bool flows_resize(struct queue_flows *flows, uint32_t count, struct random_key key)
{
    if (count == flows->count && !memcmp(&key, &flows->key, sizeof(key)))
        return true;
    struct queue_fifo *fifos = calloc(count, sizeof(*fifos));
    uint32_t *heap = malloc(count * sizeof(*heap));
    if (!fifos || !heap) {
        free(fifos);
        free(heap);
        return false;
    }
    free(flows->fifos);
    free(flows->heap);
    flows->fifos = fifos;
    flows->heap = heap;
    flows->count = count;
    flows->key = key;
    for (uint32_t i = 0; i < count; i++)
        heap_put(flows, i, i);
    if (flows->packets)
        distribute(flows);
    return true;
}

bool flows_init(struct queue_flows *flows)
{
    memset(flows, 0, sizeof(*flows));
    return flows_resize(flows, 1, flows->key);
}

void flows_free(struct queue_flows *flows)
{
    free(flows->nodes);
    free(flows->places);
    free(flows->fifos);
    free(flows->heap);
    memset(flows, 0, sizeof(*flows));
}
