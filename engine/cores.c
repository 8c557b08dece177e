/* cores: which CPUs of the machine the cores of a graph are. */
#include "engine/cores.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/graph.h"

/* What this thread might run on before it was pinned. */
static __thread cpu_set_t allowed_before;
static __thread bool pinned;

static int allowed_cpus(cpu_set_t *allowed, struct error *err)
{
    if (pinned)
        *allowed = allowed_before;
    else if (sched_getaffinity(0, sizeof(*allowed), allowed))
        return error_system(err, ERROR_RUN, "cannot see which CPUs there are");
    return 0;
}

/* "0-3,6": the CPUs of a set, for people. */
static const char *format_cpus(const cpu_set_t *set, char *text, size_t size)
{
    size_t used = 0;
    *text = 0;
    for (int cpu = 0, last; cpu < CPU_SETSIZE && used + 24 < size; cpu = last + 1) {
        last = cpu;
        if (!CPU_ISSET(cpu, set))
            continue;
        while (last + 1 < CPU_SETSIZE && CPU_ISSET(last + 1, set))
            last++;
        used +=
            (size_t)snprintf(text + used, size - used, last > cpu ? "%s%d-%d" : "%s%d",
                             used ? "," : "", cpu, last);
    }
    return text;
}

static int add_cpu(struct cores *cores, long cpu, const cpu_set_t *allowed,
                   const char *list, struct error *err)
{
    char text[200];
    if (cpu >= CPU_SETSIZE || !CPU_ISSET(cpu, allowed))
        return error_set(err, ERROR_CONFIG, EINVAL,
                         "cores \"%.100s\": no CPU %ld here, there are %s", list, cpu,
                         format_cpus(allowed, text, sizeof(text)));
    for (uint32_t i = 0; i < cores->count; i++)
        if (cores->cpu[i] == cpu)
            return error_set(err, ERROR_CONFIG, EINVAL, "cores \"%.100s\": CPU %ld twice",
                             list, cpu);
    if (cores->count == CORES_MAX)
        return error_set(err, ERROR_CONFIG, E2BIG, "cores \"%.100s\": at most %d", list,
                         CORES_MAX);
    cores->cpu[cores->count++] = (int)cpu;
    return 0;
}

/* A number of at most four digits at *at, which moves behind it; -1: there is none. */
static long read_cpu(const char **at)
{
    long cpu = 0;
    const char *start = *at;
    while (**at >= '0' && **at <= '9' && *at - start < 4)
        cpu = cpu * 10 + *(*at)++ - '0';
    return *at > start ? cpu : -1;
}

static int parse(struct cores *cores, const char *list, const cpu_set_t *allowed,
                 struct error *err)
{
    for (const char *at = list;; at++) {
        long first = read_cpu(&at), last = first;
        if (first >= 0 && *at == '-') {
            at++;
            last = read_cpu(&at);
        }
        if (first < 0 || last < first || (*at && *at != ','))
            return error_set(err, ERROR_CONFIG, EINVAL,
                             "cores \"%.100s\": not a list of CPUs (such as \"2,3\" or "
                             "\"2-5\")",
                             list);
        for (long cpu = first; cpu <= last; cpu++) {
            int error = add_cpu(cores, cpu, allowed, list, err);
            if (error)
                return error;
        }
        if (!*at)
            return 0;
    }
}

int cores_find(struct cores *cores, const char *list, struct error *err)
{
    cpu_set_t allowed;
    *cores = (struct cores){ .chosen = list };
    int error = allowed_cpus(&allowed, err);
    if (!error && list)
        return parse(cores, list, &allowed, err);
    for (int cpu = 0; !error && cpu < CPU_SETSIZE && cores->count < CORES_MAX; cpu++)
        if (CPU_ISSET(cpu, &allowed))
            cores->cpu[cores->count++] = cpu;
    return error;
}

int cores_check(const struct cores *cores, const struct graph *graph, struct error *err)
{
    for (uint32_t i = 0; i < graph->napps; i++) {
        const struct graph_app *app = &graph->apps[i];
        if (app->core < cores->count)
            continue;
        error_set(err, ERROR_CONFIG, ENODEV,
                  "app \"%s\" is to run on core %u, but %s %u (counted from 0)",
                  app->name, app->core,
                  cores->chosen ? "the number of cores chosen is"
                                : "the number of cores here is",
                  cores->count);
        if (app->place)
            error_prefix(err, "%s: ", app->place);
        return -ENODEV;
    }
    return 0;
}

void cores_pin(const struct cores *cores, uint32_t core)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cores->cpu[core], &one);
    if (!pinned && sched_getaffinity(0, sizeof(allowed_before), &allowed_before))
        return;
    pinned = !sched_setaffinity(0, sizeof(one), &one);
}

void cores_unpin(void)
{
    if (pinned)
        sched_setaffinity(0, sizeof(allowed_before), &allowed_before);
    pinned = false;
}
