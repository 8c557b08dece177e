/* report: what an engine did, in a few lines for a person.
 *
 *   load_take, load_rate      figures of the load between two moments
 *   report_load               fps, Gbps, packets per breath, bytes per packet, sleep
 *   report_links              packets sent and loss rate of each link
 *   report_apps               what each app has to say
 */
#pragma once
#include <stdio.h>

#include "engine/engine.h"

/* Counters of an engine at one moment. */
struct load {
    uint64_t now, breaths, frees, freebytes, freebits, slept;
};

struct load_rate {
    double seconds;
    double fps;    /* packets freed per second */
    double gbps;   /* on the wire, with preamble, CRC and gap */
    double fpb;    /* packets per breath */
    double bpp;    /* bytes per packet */
    double asleep; /* share of the time slept, 0..1 */
};

/* words: the engine's counters (enum engine_counter), of this process or of another. */
struct load load_take(const uint64_t *words);
struct load_rate load_rate(const struct load *from, const struct load *to);

/* The load since *since, which is set to now. */
void report_load(struct engine *engine, struct load *since, FILE *out);
void report_links(struct engine *engine, FILE *out);
void report_apps(struct engine *engine, FILE *out);
