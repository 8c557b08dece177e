/* sessions: which flows there are, and for how long. */
#include "apps/vxlan_nat/sessions.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#define NEIGHBOURHOOD 16 /* buckets */

/* Of both directions, in vxlan_flow.tcp of that from the tunnel. */
enum { SYN = 1, SYN_BACK = 2, FIN = 4, RST = 8, OPEN = 16 };

/* --- how long ----------------------------------------------------------------------------- */

static uint8_t protocol_of(const struct vxlan_key *key)
{
    return (uint8_t)(key->network >> 24);
}

static uint32_t time_of(const struct sessions *s, const struct vxlan_key *key,
                        const struct vxlan_flow *flow)
{
    const struct session_timers *t = &s->timers;
    if (flow->reason)
        return t->refused;
    if (!(flow->flags & FLOW_STATEFUL))
        return t->stateless;
    switch (protocol_of(key)) {
    case VXLAN_TCP:
        return flow->tcp & RST    ? t->tcp_reset
               : flow->transitory ? t->tcp_transitory
                                  : t->tcp_established;
    case VXLAN_UDP:
        return flow->flags & FLOW_ANSWERED ? t->udp_answered : t->udp_unanswered;
    case VXLAN_ICMP:
    case VXLAN_ICMPV6:
        return t->icmp;
    default:
        return t->other;
    }
}

/* What writes `used` may be ahead of this processor's clock. */
static uint32_t idle(const struct sessions *s, const struct vxlan_flow *flow)
{
    int32_t since = (int32_t)(s->state->now - flow->used);
    return since > 0 ? (uint32_t)since : 0;
}

struct vxlan_key session_answer_key(const struct vxlan_key *key,
                                    const struct vxlan_flow *flow)
{
    struct vxlan_key answer = { .network = key->network & 0xff000000,
                                .identity = (uint32_t)ntohs(flow->to.dport) << 16 |
                                            ntohs(flow->to.sport) };
    memcpy(answer.src, flow->to.dst, 16);
    memcpy(answer.dst, flow->to.src, 16);
    return answer;
}

static struct vxlan_key key_answered(const struct vxlan_key *answer_key,
                                     const struct vxlan_flow *answer)
{
    struct vxlan_key key = session_answer_key(answer_key, answer);
    key.network |= answer->vni;
    return key;
}

/* NULL where nothing comes back, or what does belongs to a session that began when this one was
 * over. */
static struct vxlan_flow *answer_of(const struct sessions *s, const struct vxlan_key *key,
                                    const struct vxlan_flow *flow,
                                    struct vxlan_key *answer_key)
{
    struct vxlan_flow *answer = NULL;
    *answer_key = session_answer_key(key, flow);
    if (flow->flags & FLOW_STATEFUL)
        answer = shared_table_find(s->answers, answer_key);
    if (!answer)
        return NULL;
    struct vxlan_key answered = key_answered(answer_key, answer);
    return memcmp(&answered, key, sizeof(answered)) ? NULL : answer;
}

uint32_t sessions_left(struct sessions *s, const struct vxlan_key *key,
                       const struct vxlan_flow *flow)
{
    uint32_t time = time_of(s, key, flow), since = idle(s, flow);
    struct vxlan_key answer_key;
    if (since < time)
        return time - since;
    const struct vxlan_flow *answer = answer_of(s, key, flow, &answer_key);
    since = answer ? idle(s, answer) : since;
    return since < time ? time - since : 0;
}

/* --- finding ------------------------------------------------------------------------------- */

/* With what the compiler can count on. */
static inline struct shared_view view_of(const struct shared_table *table)
{
    struct shared_view view = table->view;
    view.words = VXLAN_KEY_WORDS;
    view.stride = sizeof(struct vxlan_key) + sizeof(struct vxlan_flow);
    return view;
}

uint64_t sessions_hash(const struct sessions *s, const struct vxlan_key *key)
{
    return shared_prefetch(view_of(s->flows), (const uint32_t *)key);
}

void sessions_expect(const struct sessions *s, uint64_t hash)
{
    shared_prefetch_slot(view_of(s->flows), hash);
}

struct vxlan_flow *sessions_find_hashed(struct sessions *s, const struct vxlan_key *key,
                                        uint64_t hash)
{
    struct vxlan_flow *flow =
        shared_find_hashed(view_of(s->flows), (const uint32_t *)key, hash);
    return flow && sessions_left(s, key, flow) ? flow : NULL;
}

struct vxlan_flow *sessions_find(struct sessions *s, const struct vxlan_key *key)
{
    return sessions_find_hashed(s, key, sessions_hash(s, key));
}

struct vxlan_flow *sessions_answered(struct sessions *s,
                                     const struct vxlan_key *answer_key,
                                     struct vxlan_key *key, struct vxlan_flow **answer)
{
    *answer = shared_table_find(s->answers, answer_key);
    if (!*answer)
        return NULL;
    *key = key_answered(answer_key, *answer);
    return sessions_find(s, key);
}

struct vxlan_flow *sessions_answer(struct sessions *s, const struct vxlan_key *key)
{
    struct vxlan_key other;
    struct vxlan_flow *answer;
    return sessions_answered(s, key, &other, &answer) ? answer : NULL;
}

struct vxlan_flow *sessions_next(const struct sessions *s, uint64_t *at,
                                 const struct vxlan_key **key)
{
    struct vxlan_flow *flow = shared_table_next(s->flows, at);
    if (flow)
        *key = shared_table_key(s->flows, flow);
    return flow;
}

/* --- going ---------------------------------------------------------------------------------- */

void sessions_remove(struct sessions *s, const struct vxlan_key *key)
{
    struct vxlan_flow *flow = shared_table_find(s->flows, key);
    if (!flow)
        return;
    struct vxlan_key answer, gone = *key; /* which may lie in the table */
    if (s->ended)
        s->ended(s->user, key, flow);
    if (answer_of(s, key, flow, &answer))
        shared_table_remove(s->answers, &answer);
    s->count -= shared_table_remove(s->flows, &gone);
}

/* What may make way for another: first what is over, then what is refused, then what nobody
 * answered, of each the oldest. */
static uint32_t dispensable(struct sessions *s, const struct vxlan_key *key,
                            const struct vxlan_flow *flow)
{
    uint32_t since = idle(s, flow) < 1u << 28 ? idle(s, flow) : (1u << 28) - 1;
    if (!sessions_left(s, key, flow))
        return 3u << 28 | since;
    if (flow->reason)
        return 2u << 28 | since;
    return flow->flags & FLOW_ANSWERED ? 0 : 1u << 28 | since;
}

/* Where the key's own bucket has none, of one behind it, for it may be slots that are missing. */
static bool make_room(struct sessions *s, const struct vxlan_key *key)
{
    const struct vxlan_key *oldest = NULL;
    const struct vxlan_flow *flow;
    uint32_t most = 0;
    for (uint32_t i = 0; i < NEIGHBOURHOOD * SHARED_WORDS; i++) {
        if (i % SHARED_WORDS == 0 && oldest)
            break;
        if (!(flow = shared_table_near(s->flows, key, i)))
            continue;
        const struct vxlan_key *this = shared_table_key(s->flows, flow);
        uint32_t value = dispensable(s, this, flow);
        if (value > most) {
            most = value;
            oldest = this;
        }
    }
    if (!oldest)
        return false;
    s->displaced += most >> 28 < 3;
    sessions_remove(s, oldest);
    return true;
}

/* --- coming --------------------------------------------------------------------------------- */

static bool put(struct sessions *s, const struct vxlan_key *key,
                const struct vxlan_flow *flow)
{
    sessions_remove(s, key);
    if (shared_table_put(s->flows, key, flow) &&
        (!make_room(s, key) || shared_table_put(s->flows, key, flow)))
        return false;
    s->count++;
    return true;
}

/* False when the answers are those of another session. One that is over is not to go on beside the
 * new one: an XDP program does not ask for the time. */
static bool take_answers(struct sessions *s, const struct vxlan_key *answer_key)
{
    struct vxlan_key other;
    struct vxlan_flow *answer;
    if (sessions_answered(s, answer_key, &other, &answer))
        return false;
    if (answer)
        sessions_remove(s, &other);
    return true;
}

struct vxlan_flow *sessions_add(struct sessions *s, const struct vxlan_key *key,
                                const struct vxlan_flow *flow,
                                const struct vxlan_key *answer_key,
                                const struct vxlan_flow *answer, int *error)
{
    *error = -EEXIST;
    if (answer && !take_answers(s, answer_key))
        return NULL;
    *error = -ENOSPC;
    if (!put(s, key, flow))
        return NULL;
    if (answer && shared_table_put(s->answers, answer_key, answer)) {
        sessions_remove(s, key);
        return NULL;
    }
    return shared_table_find(s->flows, key);
}

/* A connection is open when both said SYN and the first one something more. What was open before we
 * saw it is, when it is answered. */
static void see_tcp(struct vxlan_flow *flow, uint8_t tcp, bool is_answer)
{
    if (tcp & VXLAN_TCP_SYN && !is_answer && !(flow->tcp & OPEN && !flow->transitory))
        flow->tcp = SYN; /* a new one, maybe in place of one that is over */
    else if (!is_answer && !flow->tcp)
        flow->tcp = SYN;
    if (is_answer)
        flow->tcp |= SYN_BACK;
    else if (flow->tcp & SYN_BACK && tcp & VXLAN_TCP_ACK)
        flow->tcp |= OPEN;
    if (tcp & VXLAN_TCP_FIN)
        flow->tcp |= FIN;
    if (tcp & VXLAN_TCP_RST)
        flow->tcp |= RST;
    flow->transitory = !(flow->tcp & OPEN) || flow->tcp & (FIN | RST);
}

void sessions_see(struct sessions *s, const struct vxlan_key *key,
                  struct vxlan_flow *flow, uint8_t tcp, bool is_answer)
{
    if (!(flow->flags & FLOW_STATEFUL))
        return;
    if (is_answer)
        flow->flags |= FLOW_ANSWERED;
    if (protocol_of(key) == VXLAN_TCP)
        see_tcp(flow, tcp, is_answer);
    struct vxlan_key answer_key;
    struct vxlan_flow *answer = answer_of(s, key, flow, &answer_key);
    if (answer) {
        answer->flags = flow->flags;
        answer->transitory = flow->transitory;
    }
}
