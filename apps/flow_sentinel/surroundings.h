/* surroundings: addresses that no flood may make us block.
 *
 *   surroundings_read   those of this machine, and of those it cannot do without
 *
 * Own: what the interfaces of this network namespace have. Needed: default gateways, the name
 * servers of /etc/resolv.conf, the peers of established SSH sessions (of TCP port 22 here).
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "apps/flow_sentinel/path.h"

#define SURROUNDINGS_MAX 4096 /* more are left out */

struct surrounding {
    struct path_address address;
    uint8_t kind; /* KIND_OWN or KIND_ALLOWED */
};

struct surroundings {
    size_t count;
    struct surrounding *all; /* sorted, none twice; the caller's, free() */
};

/* What cannot be read is not there: the kernel without IPv6 has no table of it. */
void surroundings_read(struct surroundings *surroundings);
