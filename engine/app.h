/* app: one node of the graph, and the table that describes its class.
 *
 *   struct app_class    what an author of an app writes: one constant table
 *   struct app          one instance, owned by the engine
 *   app_count           add to one of the app's counters
 *   app_log             a line for a person
 *   app_poll, app_unpoll, app_wake_at    what wakes a sleeping engine for this app
 *
 * Methods never block, and any of them may be missing (NULL costs nothing):
 *
 *   start        acquire what the app needs; on error the text says why
 *   stop         release it all, also after a start that failed half-way: the only clean-up
 *                path. Packets that the app holds are freed here.
 *   pull         bring packets into the graph from outside: once per breath, before any push
 *   push         move packets from the input links onward: once per breath, in topological
 *                order, whether or not there is input
 *   tick         about every millisecond while the engine is awake: housekeeping
 *   reconfigure  change to other parameters in place. Return 0, or -EOPNOTSUPP to be
 *                replaced by a new instance (which is what happens without this method).
 *   report       append a few words to a report for people
 *   call         do one of the class's operations: what people ask a running app for that is
 *                no parameter, such as showing or changing a table
 *
 * Ports are declared in the class and resolved to slots when the graph is built. A port
 * slot is NULL when nothing is linked to it. A class whose only port row of a direction
 * is named "*" takes any number of ports with any names; they fill the slots sorted by
 * name.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "engine/link.h"
#include "engine/timer.h"
#include "lib/error.h"
#include "lib/param.h"

struct app;
struct engine;

enum port_direction { PORT_INPUT, PORT_OUTPUT };

struct port {
    const char *name; /* NULL ends the list */
    enum port_direction direction;
    const char *doc;
};

struct counter_row {
    const char *name; /* NULL ends the list; drop reasons start with "drop_" */
    const char *doc;
};

/* What `call` understands. */
struct operation_row {
    const char *name; /* NULL ends the list */
    const char *doc;
};

#define APP_HISTOGRAMS 4

struct app_class {
    const char *name;
    const char *doc;          /* one line */
    const struct port *ports; /* NULL: it moves no packets */
    const struct param *params;
    size_t conf_size; /* of the struct that params describe */
    const struct counter_row *counters;
    const struct counter_row *histograms; /* at most APP_HISTOGRAMS */
    size_t state_size; /* of the instance's own data, zeroed before start */
    int (*start)(struct app *app, struct error *err);
    void (*stop)(struct app *app);
    void (*pull)(struct app *app);
    void (*push)(struct app *app);
    void (*tick)(struct app *app);
    int (*reconfigure)(struct app *app, const void *conf, struct error *err);
    void (*report)(struct app *app, FILE *out);
    /* Between breaths. operation: a row's number; args: a table, a scalar or nil. The answer,
     * nil at first, is the caller's to free, whatever is returned. */
    int (*call)(struct app *app, uint32_t operation, const struct value *args,
                struct value *answer, struct error *err);
    const struct operation_row *operations;
    /* Are these parameters possible together? Asked while planning; the error is
     * ERROR_CONFIG. */
    int (*verify)(const void *conf, struct error *err);
    void *user; /* of whoever made the class at run time */
};

struct app {
    const struct app_class *class;
    const char *name;
    struct engine *engine;
    struct link *
        *inputs; /* by slot: the declared ports in their order, or all there are */
    struct link **outputs;
    uint32_t ninputs, noutputs;
    uint64_t *counters; /* in shared memory, in the order of the class; histograms too */
    struct histogram *histograms[APP_HISTOGRAMS];
    void *conf;
    void *state;
    uint64_t *time;    /* in shared memory: this app's share of the measured breaths */
    struct timer wake; /* app_wake_at */
    bool started;      /* start was called, so stop must be */
};

/* The link at a declared port's slot (its place among the ports of that direction). */
static inline struct link *app_input(const struct app *app, uint32_t slot)
{
    return slot < app->ninputs ? app->inputs[slot] : NULL;
}

static inline struct link *app_output(const struct app *app, uint32_t slot)
{
    return slot < app->noutputs ? app->outputs[slot] : NULL;
}

static inline void app_count(struct app *app, uint32_t counter, uint64_t n)
{
    app->counters[counter] += n;
}

/* Frees a packet under the counter that names the reason. */
static inline void app_drop(struct app *app, uint32_t counter, struct packet *p)
{
    app->counters[counter]++;
    packet_free(p);
}

/* Transmits on an output that may not be linked: then the packet is freed. */
static inline void app_transmit(struct link *output, struct packet *p)
{
    if (likely(output))
        link_transmit(output, p);
    else
        packet_free(p);
}

/* Tells a person: the line comes with the app's name in front. For what happens once in a
 * while, never for packets. */
void app_log(struct app *app, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* While asleep the engine waits for these poll(2) events of fd too; again with other
 * events replaces them. Forgotten when the app stops. */
void app_poll(struct app *app, int fd, short events);
void app_unpoll(struct app *app, int fd);

/* The engine breathes at the given time (ns of engine_now) at the latest; a later call
 * replaces an earlier one. */
void app_wake_at(struct app *app, uint64_t time);
