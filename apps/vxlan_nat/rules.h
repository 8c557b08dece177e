/* rules: where to. Which rule a packet of a tunnel meets, and what it makes its destination.
 *
 *   rules_read     from a list of tables; the most specific one decides
 *   rules_find     the destination that a packet gets
 *   rules_clear
 *
 * { vni = 42, proto = "tcp", dst = "198.51.100.0/24", port = "8080", to = "172.30.82.95:8081" }
 *
 * What is not said is any; a nil in place of a rule is none, and those behind it keep their numbers; comment, a text, is for people. to may be a list of destinations, which
 * share the sources (targets.h). port may be a range: "8000-8010" to "192.0.2.1:9000-9010" keeps its
 * order, to "192.0.2.1:9000" is one port then, to "192.0.2.1" stays. A rule without a port is for all
 * that no other one wants. Rules with one port come before ranges, those before the rest; then, with
 * a network (vni) before without, with a protocol before without, longer prefixes before shorter
 * ones, smaller ranges before larger ones, earlier ones before later ones.
 */
#pragma once
#include "apps/vxlan_nat/targets.h"

#define RULES_MAX 4096

struct rule;
struct table;

struct rules {
    struct rule *list;     /* in the order in which they are tried */
    uint32_t count, exact; /* the first so many are of one port ... */
    struct table *ports;   /* ... and are found by network, protocol and port */
    struct targets targets;
    uint8_t kinds; /* of keys that there are: bit 2 * any network + any protocol */
    bool by_port;  /* some rule wants to know ports */
};

/* Fills rules, or leaves them empty with the place in err. */
int rules_read(struct rules *rules, const struct value *value, struct error *err);
void rules_clear(struct rules *rules);

/* The number of the rule, or -1. The packet is known by its ports only where f->ports says so. */
int rules_find(const struct rules *rules, const struct vxlan_frame *f,
               struct rewrite_target *to);
