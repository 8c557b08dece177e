/* sessions: which flows there are, and for how long.
 *
 *   sessions_find       the flow of a packet that came from a tunnel
 *   sessions_hash, sessions_expect, sessions_find_hashed    the same for many
 *   sessions_answer     the flow of a packet that came back
 *   sessions_add        another flow, with the one that answers it
 *   sessions_see        TCP's flags of a packet, and that there are answers
 *   sessions_answered   the flow that such a packet answers
 *   sessions_remove
 *   sessions_next       every flow from tunnels in turn
 *   sessions_left       how long one will still be there
 *
 * A session is a flow from a tunnel and, where answers go back, the flow of those. It lasts as long
 * as packets come, either way; timers by RFC 4787, 5382, 5508. When there is no room a new session
 * takes the place of one that nobody answered, never that of one with answers: packets with forged
 * sources get none.
 */
#pragma once
#include <stdbool.h>

#include "apps/vxlan_nat/flow.bpf.h"
#include "lib/shared_table.h"

/* Tenths of a second without a packet. */
struct session_timers {
    uint32_t tcp_established, tcp_transitory, tcp_reset;
    uint32_t udp_answered, udp_unanswered;
    uint32_t icmp, other;
    uint32_t stateless; /* flows that nothing answers */
    uint32_t refused;   /* flows whose packets are dropped */
};

/* Zeros but for the tables, which are others' to free and may be used by an XDP program at the same
 * time, and the timers. */
struct sessions {
    struct vxlan_state *state; /* its clock */
    struct shared_table *flows, *answers;
    struct session_timers timers;
    uint32_t count;
    uint64_t displaced; /* that made way for others */
    /* a flow from a tunnel that is about to be removed; or NULL */
    void (*ended)(void *user, const struct vxlan_key *key, const struct vxlan_flow *flow);
    void *user;
};

/* Three steps for many keys at once: memory comes while others are looked at. NULL when there is
 * none, or when it is over. */
uint64_t sessions_hash(const struct sessions *s, const struct vxlan_key *key);
void sessions_expect(const struct sessions *s, uint64_t hash);
struct vxlan_flow *sessions_find_hashed(struct sessions *s, const struct vxlan_key *key,
                                        uint64_t hash);

struct vxlan_flow *sessions_find(struct sessions *s, const struct vxlan_key *key);
struct vxlan_flow *sessions_answer(struct sessions *s, const struct vxlan_key *key);

/* answer_key, answer: NULL where nothing comes back. The flow as it lies in the table; NULL when there
 * is no room, -EEXIST in *error, when the answers would be those of another session. */
struct vxlan_flow *sessions_add(struct sessions *s, const struct vxlan_key *key,
                                const struct vxlan_flow *flow,
                                const struct vxlan_key *answer_key,
                                const struct vxlan_flow *answer, int *error);

/* How answers to packets of a flow look. */
struct vxlan_key session_answer_key(const struct vxlan_key *key,
                                    const struct vxlan_flow *flow);

/* The flow from the tunnel that a packet with that key answers, its key and how it is answered; NULL:
 * none. */
struct vxlan_flow *sessions_answered(struct sessions *s,
                                     const struct vxlan_key *answer_key,
                                     struct vxlan_key *key, struct vxlan_flow **answer);

/* flow: that from the tunnel. A packet of it came by, or one that answers it. */
void sessions_see(struct sessions *s, const struct vxlan_key *key,
                  struct vxlan_flow *flow, uint8_t tcp, bool is_answer);

void sessions_remove(struct sessions *s, const struct vxlan_key *key);

/* As shared_table_next. */
struct vxlan_flow *sessions_next(const struct sessions *s, uint64_t *at,
                                 const struct vxlan_key **key);

/* Tenths of a second that are left to it. */
uint32_t sessions_left(struct sessions *s, const struct vxlan_key *key,
                       const struct vxlan_flow *flow);
