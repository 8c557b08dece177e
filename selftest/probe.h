/* probe: apps that tell what is done to them, and graphs of them in few words.
 *
 *   probe_setup, probe_teardown   an engine; no packet may be left over
 *   probe_graph                   a graph from words
 *   probe_configure               ... which the engine is to run
 *   probe_happened                what happened to apps since the last call
 *   probe_app, probe_link         by name; they must be there
 *   probe_put, probe_holds        numbered packets on a link
 *
 * What is told: "+a1" a started at level 1, "~a2" it was changed to level 2, "-a" stopped;
 * "!" behind it: it failed.
 *
 * The words of a graph: "a:1" is a Probe named a at level 1, "a=1" a Plain, which cannot
 * change in place; "(a" an Inject, ")a" a Collect; "a.x>b" is a link.
 */
#pragma once
#include "engine/engine.h"

#define UNLUCKY     13 /* a level at which start and reconfigure fail */
#define UNSUPPORTED 99 /* one to which nobody changes in place */

struct probe_conf {
    int64_t level;
};

struct probe {
    uint64_t pushes;
};

extern const struct app_class probe_class;

extern struct engine *probe_engine;
extern uint32_t probe_in_use; /* packets, before the test */

void probe_setup(void);
void probe_teardown(void);

struct graph *probe_graph(const char *text);
void probe_configure(const char *text);
const char *probe_happened(void);

struct app *probe_app(const char *name);
struct link *probe_link(const char *name);

/* Packets with the timestamps first, first + 1 ... */
void probe_put(const char *link, uint64_t first, uint32_t n);
void probe_holds(const char *link, uint64_t first, uint32_t n);
