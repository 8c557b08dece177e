/* loss: which packets are lost, alone, in bursts, at times, or as somebody recorded.
 *
 *   loss_configure    one of the models; the state of a chain outlasts a change
 *   loss_happens      is the packet lost that arrives at a time?
 *   loss_free
 *   loss_read         a recorded trace
 *   loss_state_of     the four-state chain with given figures
 *
 *     event      independent, or correlated with the packet before       event.h
 *     chain      Gilbert-Elliott                  p -> bad -> r
 *     state      four states: 1 gap, 3 burst and lost, 2 burst and not lost, 4 lost alone
 *
 *                     4 <--> 1 <--> 3 <--> 2
 *
 *     onoff      bad and good times, whatever the packet rate is          lib/sojourn.h
 *     trace      what happened to the n-th packet, or at a time
 *
 * In a chain the state before the move decides whether a packet is lost (as in netem), so
 * that a run of losses in the simple Gilbert chain is as long as its stay in the bad state:
 * 1/r packets on average. Salsano, Ludovici, Ordine, Giannuzzi: "Definition of a general and
 * intuitive loss model for packet networks and its implementation in the Netem module", 2012.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "apps/clumsy/event.h"
#include "apps/clumsy/parameters.h"
#include "lib/sojourn.h"

#define LOSS_TRACE_MAX (1u << 26) /* entries: 64 million packets, or a million times */

struct loss_span {
    uint64_t from, to; /* ns since the start */
};

struct loss_trace {
    uint8_t *packets; /* 0 or 1 each, or NULL */
    struct loss_span *spans;
    size_t count;
};

enum loss_model { LOSS_NONE, LOSS_EVENT, LOSS_CHAIN, LOSS_STATE, LOSS_ONOFF, LOSS_TRACE };

struct loss {
    enum loss_model model;
    struct random_key key, moves;
    struct event event;
    struct random_threshold lose[2]; /* chain and onoff, by state: good, bad */
    struct random_threshold move[2]; /* chain: leave that state */
    struct state_conf to;            /* state: probabilities */
    struct sojourn onoff;
    struct loss_trace trace;
    bool wrap;

    bool bad;       /* chain; it starts good */
    uint8_t state;  /* of the four, 0 before the first packet */
    uint64_t count; /* packets seen */
    uint64_t start; /* when the app started */
};

/* loss may be all zeros. start: when the app started, ns. The trace of conf is read; it was
 * verified to be readable, and when that has changed since, nothing is lost by it. */
void loss_configure(struct loss *loss, const struct loss_conf *conf, uint64_t seed,
                    const char *name, bool netem, uint64_t start);
void loss_free(struct loss *loss);

/* Of every model but the plain one. */
bool loss_by_model(struct loss *loss, uint64_t draw, uint64_t arrival);

/* draw: the packet's place in the streams of random numbers. Arrivals do not go back. */
static inline bool loss_happens(struct loss *loss, uint64_t draw, uint64_t arrival)
{
    loss->count++;
    return loss->model == LOSS_EVENT ? event_happens(&loss->event, draw)
                                     : loss_by_model(loss, draw, arrival);
}

/* A file of 0 and 1 (white space and commas between are ignored, # begins a comment), or of
 * lines with two times ("1.5s 2s"), ascending. trace owns what it got: loss_trace_free. */
int loss_read(struct loss_trace *trace, const char *path, struct error *err);
void loss_trace_free(struct loss_trace *trace);

/* The chain for p, burst, density, isolated and good_run; -EINVAL when there is none. */
int loss_state_of(const struct loss_conf *conf, struct state_conf *state,
                  struct error *err);

bool loss_conf_has_gemodel(const struct loss_conf *conf);
bool loss_conf_has_state(const struct loss_conf *conf);
bool loss_conf_has_onoff(const struct loss_conf *conf);

/* Does p stand for a four-state chain? */
bool loss_conf_is_intuitive(const struct loss_conf *conf);
