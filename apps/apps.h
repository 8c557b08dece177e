/* apps: the table of all app classes.
 *
 *   apps_find       a class by its name
 *   apps_all        all of them, ended by NULL
 *   apps_add        one more, made at run time or loaded from a shared object
 *   apps_put        an app into a graph, everything given as text
 *
 * To add an app to the program: write apps/NAME.c with `const struct app_class
 * NAME_class`, and add one line to the list in apps.c.
 */
#pragma once
#include "engine/graph.h"

const struct app_class *apps_find(const char *name);
const struct app_class *const *apps_all(void);

/* The class is not copied. -EEXIST when the name is taken. */
int apps_add(const struct app_class *class, struct error *err);

/* Adds an app of the class of that name; its parameters follow as name, text, name, text,
 * ..., NULL, each text as people write it: "50ms", "1%", "true". ERROR_CONFIG as from
 * graph_add_app; -ENOENT for a class that is not there, with the nearest one. */
int apps_put(struct graph *graph, struct error *err, const char *name, const char *class,
             ...) __attribute__((sentinel));
