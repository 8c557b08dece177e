/* busy_poll: have a socket look at its device's queue, rather than wait for interrupts. */
#include "lib/busy_poll.h"

#include <errno.h>
#include <sys/socket.h>

#include "lib/compat_uapi.h"

const struct param busy_poll_params[] = {
    PARAM_INTEGER(struct busy_poll_conf, usecs, "0", "0", "1000000",
                  "microseconds to look at the device's queue for; 0: no busy polling"),
    PARAM_BOOL(struct busy_poll_conf, prefer, "true",
               "busy polling in place of interrupts, where napi_defer_hard_irqs and "
               "gro_flush_timeout of the interface allow it"),
    PARAM_INTEGER(struct busy_poll_conf, budget, "64", "1", "65535",
                  "frames taken from the device at a time"),
    PARAM_END,
};

int busy_poll_set(int fd, const struct busy_poll_conf *conf, struct error *err)
{
    const struct {
        int option, value;
        const char *name;
    } options[] = {
        { SO_BUSY_POLL, (int)conf->usecs, "usecs" },
        { SO_PREFER_BUSY_POLL, conf->prefer, "prefer" },
        { SO_BUSY_POLL_BUDGET, (int)conf->budget, "budget" },
    };
    if (!conf->usecs)
        return 0;
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        if (!setsockopt(fd, SOL_SOCKET, options[i].option, &options[i].value,
                        sizeof(options[i].value)))
            continue;
        if (errno == EPERM)
            return error_set(err, ERROR_PRIVILEGE, EPERM,
                             "busy_poll.%s needs CAP_NET_ADMIN: it is not set",
                             options[i].name);
        return error_system(err, ERROR_RUN, "busy_poll.%s", options[i].name);
    }
    return 0;
}
