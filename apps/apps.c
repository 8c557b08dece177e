/* apps: the table of all app classes. */
#include "apps/apps.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lib/nearest.h"

#define APPS(APP)                                                                        \
    APP(bridge)                                                                          \
    APP(classify)                                                                        \
    APP(clumsy)                                                                          \
    APP(cross_traffic)                                                                   \
    APP(flow_sentinel)                                                                   \
    APP(join)                                                                            \
    APP(match)                                                                           \
    APP(nat)                                                                             \
    APP(neigh_sync)                                                                      \
    APP(pacer)                                                                           \
    APP(packet_filter)                                                                   \
    APP(pcap_reader)                                                                     \
    APP(pcap_writer)                                                                     \
    APP(rate_limiter)                                                                    \
    APP(raw_socket)                                                                      \
    APP(repeater)                                                                        \
    APP(sink)                                                                            \
    APP(source)                                                                          \
    APP(split)                                                                           \
    APP(tap)                                                                             \
    APP(tee)                                                                             \
    APP(truncate)                                                                        \
    APP(vxlan_nat)                                                                       \
    APP(xdp_socket)

#define DECLARE(NAME) extern const struct app_class NAME##_class;
APPS(DECLARE)

#define POINT(NAME) &NAME##_class,
static const struct app_class *const builtin[] = { APPS(POINT) NULL };

#define BUILTIN (sizeof(builtin) / sizeof(builtin[0]) - 1)

/* All classes: the built-in ones, then those added; empty until one is added. */
static const struct app_class **all;
static size_t count = BUILTIN;

const struct app_class *const *apps_all(void)
{
    return all ? all : builtin;
}

const struct app_class *apps_find(const char *name)
{
    for (const struct app_class *const *class = apps_all(); *class; class ++)
        if (!strcmp((*class)->name, name))
            return *class;
    return NULL;
}

int apps_add(const struct app_class *class, struct error *err)
{
    if (apps_find(class->name))
        return error_set(err, ERROR_CONFIG, EEXIST,
                         "there is an app class \"%s\" already", class->name);
    const struct app_class **more = realloc(all, (count + 2) * sizeof(*all));
    if (!all)
        memcpy(more, builtin, sizeof(builtin));
    all = more;
    all[count++] = class;
    all[count] = NULL;
    return 0;
}

static int no_class(const char *app, const char *name, struct error *err)
{
    const char **names = calloc(count + 1, sizeof(*names));
    for (size_t i = 0; i < count; i++)
        names[i] = apps_all()[i]->name;
    const char *near = nearest(name, names);
    free(names);
    return error_set(
        err, ERROR_CONFIG, ENOENT, "app \"%.80s\": no app class \"%.80s\"%s%s%s", app,
        name, near ? " (did you mean \"" : "", near ? near : "", near ? "\"?)" : "");
}

int apps_put(struct graph *graph, struct error *err, const char *name, const char *class,
             ...)
{
    const struct app_class *found = apps_find(class);
    if (!found)
        return no_class(name, class, err);
    struct value args = value_table();
    const char *key, *text;
    va_list list;
    va_start(list, class);
    while ((key = va_arg(list, const char *)) && (text = va_arg(list, const char *)))
        value_table_add(&args, key, value_string(text));
    va_end(list);
    int error = graph_add_app(graph, name, found, &args, NULL, err);
    value_free(&args);
    return error;
}
