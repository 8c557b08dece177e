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

/* Its bottleneck may point to what the owner had: a trace, a schedule of outages. */
static void hand_over(struct gate *gate)
{
    uint16_t heir = gate->count;
    while (!gate->members[--heir])
        ;
    gate->members[heir]->inherit(gate->members[heir]->user);
}

void gate_leave(struct gate *gate, uint16_t number)
{
    if (gate->queue)
        queue_purge(gate->queue, number);
    gate->members[number] = NULL;
    if (--gate->users) {
        if (gate->owner == number)
            hand_over(gate);
        return;
    }
    pthread_mutex_lock(&lock);
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

static void tell_members(const struct gate *gate)
{
    for (uint16_t i = 0; i < gate->count; i++)
        if (gate->members[i])
            gate->members[i]->changed(gate->members[i]->user);
}

static bool configure_queue(struct gate *gate, const struct clumsy_conf *conf,
                            uint64_t seed, const char *name)
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
    gate->limit = clumsy_queue_limit(conf);
    gate->rate = conf->rate.rate;
    queue_configure(gate->queue, &conf->queue, &gate->limit, gate->rate, seed,
                    gate->name ? gate->name : name);
    return true;
}

bool gate_configure(struct gate *gate, uint16_t number, const struct clumsy_conf *conf,
                    uint64_t seed, const char *name)
{
    bool before = gate->queue;
    gate->owner = number;
    bool done = configure_queue(gate, conf, seed, name);
    if (before != (gate->queue != NULL))
        tell_members(gate);
    return done;
}

void gate_describe(struct gate *gate, const struct limit *limit, uint64_t rate)
{
    if (rate == gate->rate && !memcmp(limit, &gate->limit, sizeof(*limit)))
        return;
    gate->rate = rate;
    gate->limit = *limit;
    queue_describe(gate->queue, limit, rate);
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
