/* snat: other sources for packets, so that answers come here and sessions can be told apart.
 *
 *   snat_read     addresses, or those of an interface
 *   snat_choose   the address and port that a session may have
 *
 * A source keeps its port where that is free and may be taken; else it gets one that follows from who
 * it is, the same one towards every destination as long as that is free there (RFC 4787, 4.1; a port
 * that another source has there it cannot have). Ports that hosts take themselves are left to them:
 * below 1,024, and 32,768 to 60,999 (ip_local_port_range). Who does not know the secret cannot say which
 * ports somebody has (RFC 6056).
 */
#pragma once
#include <stdbool.h>

#include "apps/vxlan_nat/rewrite.h"
#include "lib/error.h"
#include "lib/siphash.h"

#define SNAT_ADDRESSES 64 /* of both families */
#define SNAT_TRIES     32

/* Ports that sessions get. */
#define SNAT_LOW_FIRST  1024
#define SNAT_LOW_LAST   32767
#define SNAT_HIGH_FIRST 61000
#define SNAT_HIGH_LAST  65535

struct snat {
    uint8_t addresses[2][SNAT_ADDRESSES][16]; /* IPv4 (mapped), IPv6 */
    uint32_t count[2];
    bool on;
    struct siphash_key secret; /* set by whoever owns it; stays the same */
};

/* text: NULL or "none", "interface" (egress's addresses of now), or "ADDRESS ADDRESS ...". */
int snat_read(struct snat *snat, const char *text, const char *egress, struct error *err);

/* The source that the session of f may try for the number-th time; false: there are no more tries, or
 * no address of that family. */
bool snat_choose(const struct snat *snat, const struct vxlan_frame *f, uint32_t number,
                 struct rewrite_target *source);
