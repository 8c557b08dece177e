/* report: what an engine did, in a few lines for a person.
 *
 *   loads_take                of all cores at this moment
 *   loads_rate, load_rate     figures between two moments, of all cores and of one
 *   report_load               fps, Gbps, packets per breath, bytes per packet, sleep
 *   report_links              packets sent and loss rate of each link
 *   report_apps               what each app has to say
 */
#pragma once
#include <stdio.h>

#include "engine/engine.h"

/* Counters of one core at one moment. */
struct load {
    uint64_t now, breaths, frees, freebytes, freebits, slept, crossed;
};

struct loads {
    uint32_t count; /* of cores */
    struct load core[CORES_MAX];
};

struct load_rate {
    double seconds;
    double fps;     /* packets freed per second */
    double gbps;    /* on the wire, with preamble, CRC and gap */
    double fpb;     /* packets per breath */
    double bpp;     /* bytes per packet */
    double crossed; /* packets handed to other cores per second */
    double asleep;  /* share of the time slept, 0..1; of all cores: their mean */
};

/* While the network runs, other cores are as they were when they counted last. */
void loads_take(struct loads *loads, struct engine *engine);
struct load_rate loads_rate(const struct loads *from, const struct loads *to);
struct load_rate load_rate(const struct loads *from, const struct loads *to,
                           uint32_t core);

/* The load since *since, which is set to now: a line for each core. */
void report_load(struct engine *engine, struct loads *since, FILE *out);

/* Between engine_pause and engine_resume, where there are other cores. */
void report_links(struct engine *engine, FILE *out);
void report_apps(struct engine *engine, FILE *out);
