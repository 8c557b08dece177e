/* cores: which CPUs of the machine the cores of a graph are.
 *
 *   cores_find      those this process may run on, or those of a list
 *   cores_check     does a graph name more of them than there are?
 *   cores_pin       this thread runs on one of them only
 *   cores_unpin     ... on all that it ran on before
 *
 * A graph counts its cores from 0. Core n is the n-th CPU that the process may run on
 * (sched_getaffinity), or the n-th of the list that the user gave.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"

#define CORES_MAX 256

struct graph;

struct cores {
    uint32_t count;
    bool chosen; /* by a list: one core alone is pinned, too */
    int cpu[CORES_MAX];
};

/* list is "2,3" or "2-5,8", or NULL. ERROR_CONFIG for a list that is none, that names a
 * CPU twice, or one on which this process may not run. */
int cores_find(struct cores *cores, const char *list, struct error *err);

/* ERROR_CONFIG, naming the place, the app and how many cores there are. */
int cores_check(const struct cores *cores, const struct graph *graph, struct error *err);

void cores_pin(const struct cores *cores, uint32_t core);
void cores_unpin(void);
