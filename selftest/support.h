/* support: what tests that drive real graphs share.
 *
 *   test_engine          an engine on a clock that only the test moves
 *   test_configure       a graph written as text lines
 *   test_inject          an app to put packets into a graph:   class Inject, output
 *   test_collect         an app that keeps what it gets:       class Collect, input
 *   test_breathe         n breaths
 */
#pragma once
#include <check.h>

#include "engine/engine.h"

/* Virtual time starting at 1 s, the given seed. Fails the test on error. */
struct engine *test_engine(uint64_t seed);

/* A graph with app(name, class, value), link(spec) already added by the caller is
 * configured; fails the test with the error's text when it cannot be. */
void test_configure(struct engine *engine, struct graph *graph);

/* Adds an app whose parameters are given as name, text, name, text, ..., NULL. */
void test_app(struct graph *graph, const char *name, const char *class, ...);
void test_link(struct graph *graph, const char *spec);

void test_breathe(struct engine *engine, unsigned n);

/* Hands packets to the Inject app of that name; they leave it in its next pull. */
void test_inject(struct engine *engine, const char *app, struct packet *p);
void test_inject_bytes(struct engine *engine, const char *app, const void *bytes,
                       uint32_t length);

/* The packets that the Collect app of that name holds, in order; still the app's. */
struct packet **test_collected(struct engine *engine, const char *app, size_t *count);
void test_collect_clear(struct engine *engine, const char *app);

/* One counter of an app by its name. */
uint64_t test_counter(struct engine *engine, const char *app, const char *counter);

/* A table of texts: "proto=tcp port=80 to=192.0.2.1". */
struct value test_table(const char *text);

/* Prints the counters of all apps that are not 0, for a test that is about to fail. */
void test_print_counters(const struct engine *engine);

extern const struct app_class inject_class, collect_class;
