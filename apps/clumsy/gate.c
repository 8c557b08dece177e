/* gate: the bottleneck that one or several Clumsies go through, with its queue. */
#include "apps/clumsy/gate.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct gate *gates; /* those with a name */

static struct gate *find(const void *scope, const char *name)
{
    for (struct gate *gate = gates; gate; gate = gate->next)
        if (gate->scope == scope && !strcmp(gate->name, name))
            return gate;
    return NULL;
}

static struct gate *make(const void *scope, const char *name)
{
    struct gate *gate = calloc(1, sizeof(*gate));
    if (!gate || !name)
        return gate;
    gate->scope = scope;
    gate->name = strdup(name);
    if (!gate->name) {
        free(gate);
        return NULL;
    }
    gate->next = gates;
    gates = gate;
    return gate;
}

static void unlist(struct gate *gate)
{
    for (struct gate **at = &gates; *at; at = &(*at)->next)
        if (*at == gate) {
            *at = gate->next;
            return;
        }
}

static void release(struct gate *gate)
{
    unlist(gate);
    queue_free(gate->queue);
    bottleneck_free(&gate->bottleneck);
    free(gate->members);
    free(gate->name);
    free(gate);
}

/* Numbers are not used again: packets of one who has left may still wait in the queue. */
static bool add_member(struct gate *gate, const struct gate_member *member,
                       uint16_t *number)
{
    const struct gate_member **members =
        gate->count < UINT16_MAX
            ? realloc(gate->members, (gate->count + 1u) * sizeof(*members))
            : NULL;
    if (!members)
        return false;
    gate->members = members;
    members[gate->count] = member;
    *number = gate->count++;
    gate->users++;
    return true;
}

struct gate *gate_join(const void *scope, const char *name,
                       const struct gate_member *member, uint16_t *number)
{
    pthread_mutex_lock(&lock);
    struct gate *gate = name ? find(scope, name) : NULL;
    if (!gate)
        gate = make(scope, name);
    if (gate && !add_member(gate, member, number)) {
        if (!gate->users)
            release(gate);
        gate = NULL;
    }
    pthread_mutex_unlock(&lock);
    return gate;
}

void gate_leave(struct gate *gate, uint16_t number)
{
    if (gate->queue)
        queue_purge(gate->queue, number);
    pthread_mutex_lock(&lock);
    gate->members[number] = NULL;
    if (!--gate->users)
        release(gate);
    pthread_mutex_unlock(&lock);
}

static void dropped(void *user, const struct queue_packet *packet,
                    enum queue_reason reason)
{
    const struct gate *gate = user;
    const struct gate_member *member = gate->members[packet->owner];
    if (member)
        member->dropped(member->user, packet, reason);
}

bool gate_configure(struct gate *gate, const struct clumsy_conf *conf, uint64_t seed,
                    const char *name)
{
    bool wanted = clumsy_has_queue(conf);
    if (!wanted && gate->queue) {
        queue_free(gate->queue);
        gate->queue = NULL;
    }
    if (!wanted)
        return true;
    if (!gate->queue)
        gate->queue = queue_new(dropped, gate);
    if (!gate->queue)
        return false;
    struct limit limit = clumsy_queue_limit(conf);
    queue_configure(gate->queue, &conf->queue, &limit, conf->rate.rate, seed,
                    gate->name ? gate->name : name);
    return true;
}

/* The link is free at a time: the next one is sent, and is there for its owner when it has
 * left. */
static void send_one(struct gate *gate, uint64_t now)
{
    struct queue_packet packet;
    if (!queue_pop(gate->queue, now, &packet))
        return;
    uint64_t departure = bottleneck_serve(&gate->bottleneck, now, packet.length);
    const struct gate_member *member = gate->members[packet.owner];
    if (!member)
        return;
    if (departure == UINT64_MAX)
        member->dropped(member->user, &packet, QUEUE_FULL);
    else
        member->passed(member->user, &packet, departure);
}

void gate_advance(struct gate *gate, uint64_t until)
{
    while (gate_next(gate) <= until && gate_next(gate) != GATE_NEVER)
        send_one(gate, gate->bottleneck.departed);
}

void gate_push(struct gate *gate, uint16_t number, uint64_t now,
               struct queue_packet *packet)
{
    packet->owner = number;
    queue_push(gate->queue, now, packet);
    if (gate->bottleneck.departed <= now)
        send_one(gate, now);
}
