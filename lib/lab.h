/* lab: hosts that are network namespaces, each with a cable to the middle.
 *
 *   lab_new            a sandbox with hosts in it; this process is in the middle
 *   lab_find           a host's number by its name
 *   lab_uplink         a way out, into the caller's network
 *   lab_free
 *
 *      host a                     the middle                     host b
 *      eth0 ---------------- a    (nothing forwards)    b ---------------- eth0
 *      10.77.0.1/16                                           10.77.0.2/16
 *      fd77::1/64                                               fd77::2/64
 *      02:00:00:00:00:01                                 02:00:00:00:00:02
 *
 * Interfaces of the middle have the hosts' names, and neither addresses nor IPv6. Hosts
 * say nothing of their own accord: no duplicate address detection, no router
 * solicitations; ARP and neighbour discovery work as ever. TCP forgets what it learnt of
 * a peer when the connection ends, so that one test is like the next.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/interface.h"
#include "lib/sandbox.h"

#define LAB_HOSTS_MAX SANDBOX_NETWORKS_MAX

struct lab_host {
    char name[INTERFACE_NAME_SIZE];
    char ipv4[16], ipv6[46];
};

struct lab {
    struct sandbox *sandbox;
    struct lab_host hosts[LAB_HOSTS_MAX];
    int count;
    char *hosts_file;
    char *resolv_file; /* with an uplink: /etc/resolv.conf, if it must be another */
    struct lab_uplink *uplink;
};

/* names: NULL-ended; of letters, digits and "-", 15 bytes at most, none twice, not "lo".
 * Errors in them are ERROR_CONFIG. */
int lab_new(struct lab *lab, const char *const *names,
            const struct sandbox_options *options, struct error *err);

/* Its number, or -ENODEV with the nearest name. */
int lab_find(const struct lab *lab, const char *name, struct error *err);

/* The interface LAB_UPLINK of the middle leads to the caller's network, which forwards IPv4
 * for the hosts and lends them its address; it is their default route. Only by real
 * root; one at a time in a network. What changes there is noted in directory, a run
 * directory that is claimed for it (lib/journal.h). */
#define LAB_UPLINK "uplink"
int lab_uplink(struct lab *lab, const char *directory, struct error *err);

/* Kills all that runs in it. Harmless when lab_new failed, or after lab_free. */
void lab_free(struct lab *lab);
