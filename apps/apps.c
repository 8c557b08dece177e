/* apps: the table of all app classes. */
#include "apps/apps.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define APPS(APP)                                                                        \
    APP(clumsy)                                                                          \
    APP(join)                                                                            \
    APP(match)                                                                           \
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
