/* graph: an app network as a passive value. Nothing runs, nothing is opened.
 *
 *   graph_new, graph_free
 *   graph_copy           another one with the same apps and links
 *   graph_add_app        name, class, parameters
 *   graph_add_link       "a.output -> b.input"
 *   graph_set_core       on which core an app runs
 *   graph_set_param      change one parameter
 *   graph_replace_app    two others in the place of one
 *   graph_verify         are all parameters possible together?
 *   graph_check          do all links lead from a port that exists to a port that exists?
 *   link_spec_parse      the text of a link
 *
 * Apps and links keep the order they were added in, and the place ("wan.lua:14") they
 * came from, which error messages name. Applying a graph is engine_configure's work.
 */
#pragma once
#include "engine/app.h"
#include "lib/strmap.h"

#define NAME_SIZE 64 /* longest name of an app or a port, with the final 0 */

struct link_spec {
    char from_app[NAME_SIZE], from_port[NAME_SIZE];
    char to_app[NAME_SIZE], to_port[NAME_SIZE];
};

struct graph_app {
    char *name;
    const struct app_class *class;
    void *conf; /* class->conf_size bytes, as param_parse left them */
    char *place;
    uint32_t core; /* 0 unless graph_set_core says otherwise */
};

struct graph_link {
    char *name; /* canonical: "a.output -> b.input" */
    struct link_spec spec;
    char *place;
};

struct graph {
    struct graph_app *apps;
    struct graph_link *links;
    uint32_t napps, nlinks;
    struct strmap app_index, link_index;
};

struct graph *graph_new(void);
void graph_free(struct graph *graph);
struct graph *graph_copy(const struct graph *graph);

/* Parses args by the class's rows and adds the app. place may be NULL. Errors are
 * ERROR_CONFIG and read `app "wan" (Clumsy): loss: 150% is not within 0%..100%`; -EEXIST
 * for a name taken. */
int graph_add_app(struct graph *graph, const char *name, const struct app_class *class,
                  const struct value *args, const char *place, struct error *err);

/* Adds a link; a missing port is "output" before the arrow and "input" behind it. Whether
 * apps and ports exist is checked by graph_check, so that links may be given before apps.
 */
int graph_add_link(struct graph *graph, const char *spec, const char *place,
                   struct error *err);

/* The app, which is there already, runs on that core (engine/cores.h). -ENOENT with a
 * message; whether the machine has the core is asked when the graph is configured. */
int graph_set_core(struct graph *graph, const char *name, uint32_t core,
                   struct error *err);

/* Cores from 0 up to the highest that an app is on; at least 1. */
uint32_t graph_cores(const struct graph *graph);

/* Changes one parameter of an app, "loss.p" (param_set); what belongs together may be changed
 * one after the other, and is then to be verified. */
int graph_set_param(struct graph *graph, const char *name, const char *path,
                    const struct value *value, struct error *err);

/* The app goes; links that left it leave `source` instead, those that led to it lead to `sink`,
 * at the ports of the same names. NULL: they go too. For a graph that is to run on something
 * else than what it was written for. -ENOENT when there is no such app. */
int graph_replace_app(struct graph *graph, const char *name, const char *source,
                      const char *sink);

/* Every class's verify agrees, as graph_add_app found for each app at first. */
int graph_verify(const struct graph *graph, struct error *err);

/* Every link's apps and ports exist, no port has two links.
 * The error text starts with the place where there is one: `wan.lua:7: link "a.output ->
 * ...": ...`. */
int graph_check(const struct graph *graph, struct error *err);

const struct graph_app *graph_find_app(const struct graph *graph, const char *name);

/* The text of a link to its parts; any bytes may come in. -EINVAL with a message. */
int link_spec_parse(struct link_spec *spec, const char *text, struct error *err);

/* The slot of a declared port, or -1; for classes with a "*" port 0 for any name. */
int port_slot(const struct app_class *class, enum port_direction direction,
              const char *name);

/* Does the class take any number of ports in that direction? */
bool port_any(const struct app_class *class, enum port_direction direction);
