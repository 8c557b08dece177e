/* busy_poll: have a socket look at its device's queue, rather than wait for interrupts.
 *
 *   struct busy_poll_conf   how, as an app's parameters say
 *   busy_poll_params        the rows of it, for PARAM_TABLE
 *   busy_poll_set           makes a socket do so
 *
 * For sockets bound to an interface: AF_PACKET, AF_XDP. Sources: socket(7),
 * Documentation/networking/napi.rst.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"
#include "lib/param.h"

struct busy_poll_conf {
    int64_t usecs; /* 0: none */
    bool prefer;
    int64_t budget;
};

extern const struct param busy_poll_params[];

/* With usecs 0 nothing is done. Returns 0, or -EPERM (it then polls as far as it may) with a
 * text that names the option and the capability, or another -errno. */
int busy_poll_set(int fd, const struct busy_poll_conf *conf, struct error *err);
