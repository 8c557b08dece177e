/* judge.bpf: what becomes of a dissected frame.
 *
 *   sentinel_judge   its verdict, and the reason
 *
 *     dissected --> blocked? --> operators, lists --> malformed? --> destination --> source
 *                      |               |                 |               |             |
 *                      v               v                 v               v             v
 *                     drop       pass or drop        limit, drop     limit, drop   limit, block
 *
 * Compiled twice. Whoever includes this has defined what dissect.bpf.h asks for and
 * how the tables are reached (the XDP program's are maps and need no c):
 *
 *   TABLE_ENTRY(c, key)                 what is known of a source, or NULL
 *   TABLE_ADD_ENTRY(c, key, value)      0, or an error: full
 *   TABLE_DESTINATION(c, key)           who is protected, or NULL
 *   TABLE_FIND(c, suspects|verified, key)   value or NULL
 *   TABLE_INSERT(c, name, key, value)   0, or an error: there already, full
 *   TABLE_PREFIX(c, key)                the rule of the longest prefix, or NULL
 *   TABLE_COUNTS(c, index)              struct sentinel_destination_counts of this CPU
 *   TABLE_SKETCH(c, row)                SKETCH_COLUMNS words of this CPU
 *   TABLE_HANDSHAKES(c, cell)           a word of this cell
 *   TABLE_STATE(c)                      struct sentinel_state
 *   TABLE_EVENT(c)                      room for an event or NULL; then TABLE_SUBMIT(c, event)
 *   TABLE_CONNECTED(c, frame)           is there a connection that the host knows of?
 *   TABLE_ANSWERS(c, frame)             can this SYN be answered with a cookie?
 *
 * Invariants: `blocks` holds no source that a rule allows (who adds such a rule takes the block
 * out), so it can be asked first, and a blocked frame costs one look-up. Nothing a source sends
 * can make an entry but in `suspects` and `verified`, which forget, and in `blocks`, at a
 * limited rate.
 *
 * Limits are generic cell rate algorithms, ITU-T I.371: one word, the theoretical arrival time.
 */
#pragma once
#include "apps/flow_sentinel/dissect.bpf.h"

#define SKETCH_ROWS    4
#define SKETCH_COLUMNS 8192      /* 32 KiB: what a per-CPU value can be */
#define SKETCH_EPOCH   30        /* a bit more than a second: 2^30 ns */
#define SKETCH_SEED    36        /* and 69 s with the same places */
#define HANDSHAKES     (1 << 16) /* 256 KiB: more would be out of the cache, and slow */
#define HANDSHAKE_TIME 22        /* units of 4 ms, in 16 bits: all of 274 s */
#define HANDSHAKE_MAX  750       /* 3 s */
#define SECOND         1000000000ull

/* Returns whether so many units at `now` are within the limit; *arrival is the state. When
 * another CPU is quicker they are taken for conforming after three tries. */
sentinel_inline int judge_conforms_to(__u64 period, __u64 burst, __u64 *arrival,
                                      __u64 now, __u32 units)
{
    __u64 cost = period * units >> 10;
    for (int i = 0; i < 3; i++) {
        __u64 was = *arrival, from = was > now ? was : now;
        if (from > now + burst)
            return 0;
        if (__sync_val_compare_and_swap(arrival, was, from + cost) == was)
            return 1;
    }
    return 1;
}

sentinel_inline int judge_conforms(const volatile struct sentinel_limit *limit,
                                   __u64 *arrival, __u64 now, __u32 units)
{
    return judge_conforms_to(limit->period, limit->burst, arrival, now, units);
}

sentinel_inline int judge_decide(struct sentinel_context *c, struct sentinel_frame *f,
                                 __u8 reason)
{
    f->reason = reason;
    f->verdict = CONTEXT_POLICY(c)->dry_run ? VERDICT_WOULD_DROP : VERDICT_DROP;
    return 1;
}

/* --- news ----------------------------------------------------------------------------- */

sentinel_stage int judge_tell(struct sentinel_context *c, struct sentinel_frame *f,
                              __u32 kind, __u32 limit, __u64 ttl)
{
    struct sentinel_state *state = TABLE_STATE(c);
    if (!f)
        return 0;
    if (!judge_conforms(&CONTEXT_POLICY(c)->events, &state->events, f->now, 1)) {
        __sync_fetch_and_add(&state->events_limited, 1);
        return 0;
    }
    struct sentinel_event *event = TABLE_EVENT(c);
    if (!event) {
        __sync_fetch_and_add(&state->events_lost, 1);
        return 0;
    }
    __builtin_memset(event, 0, sizeof(*event));
    event->time = f->now;
    __builtin_memcpy(event->src, f->source, sizeof(event->src));
    __builtin_memcpy(event->dst, f->dst, sizeof(event->dst));
    event->ttl = ttl;
    event->sport = f->sport;
    event->dport = f->dport;
    event->kind = (__u8)kind;
    event->detection = (__u8)limit;
    event->verified = f->verified;
    event->protocol = f->protocol;
    event->dry_run =
        CONTEXT_POLICY(c)->dry_run || CONTEXT_POLICY(c)->limits[limit & 7].dry_run;
    TABLE_SUBMIT(c, event);
    return 0;
}

/* --- what is known of a source ------------------------------------------------------- */

sentinel_inline __u32 judge_units(const struct sentinel_frame *f, __u8 limit)
{
    return limit == LIMIT_BPS ? f->bytes : f->packets;
}

/* A block that ends goes on, longer, when its source did not stop in the hold_down before. */
sentinel_stage int judge_extends(struct sentinel_context *c, struct sentinel_frame *f,
                                 struct sentinel_entry *block)
{
    const volatile struct sentinel_policy *p = CONTEXT_POLICY(c);
    if (!f || !block)
        return 0;
    __u64 hold = p->hold[block->limit & 7], ttl = block->ttl * p->ttl_backoff;
    if (!hold || f->now - block->expires >= p->hold_down ||
        (block->count < hold && block->previous < hold))
        return 0;
    block->ttl = ttl < p->ttl_max ? ttl : p->ttl_max;
    block->expires = f->now + block->ttl;
    judge_tell(c, f, EVENT_EXTEND, block->limit, block->ttl);
    return 1;
}

sentinel_inline void judge_count_block(struct sentinel_context *c,
                                       struct sentinel_frame *f,
                                       struct sentinel_entry *block)
{
    __u64 hold_down = CONTEXT_POLICY(c)->hold_down;
    if (f->now - block->bucket >= hold_down) {
        block->previous = f->now - block->bucket < 2 * hold_down ? block->count : 0;
        block->count = 0;
        block->bucket = f->now;
    }
    block->count += judge_units(f, block->limit);
}

/* Returns whether that decides. */
sentinel_inline int judge_entry(struct sentinel_context *c, struct sentinel_frame *f,
                                struct sentinel_entry *entry, __u8 banned)
{
    if (!entry)
        return 0;
    __u8 kind = entry->kind;
    if (entry->expires && f->now >= entry->expires &&
        (kind != KIND_BLOCKED || !judge_extends(c, f, entry)))
        return 0;
    entry->packets += f->packets;
    entry->bytes += f->bytes;
    entry->last = f->now;
    if (kind == KIND_ALLOWED) {
        f->reason = REASON_ALLOWED;
        f->verified = entry->automatic;
        return 1;
    }
    if (kind == KIND_BLOCKED)
        judge_count_block(c, f, entry);
    return judge_decide(c, f,
                        kind == KIND_BLOCKED ? REASON_BLOCKED
                        : kind == KIND_OWN   ? REASON_MARTIAN
                                             : banned);
}

sentinel_inline int judge_prefixes(struct sentinel_context *c, struct sentinel_frame *f)
{
    struct sentinel_prefix prefix = { .bits = 128 };
    __builtin_memcpy(prefix.address, f->src, sizeof(prefix.address));
    return judge_entry(c, f, TABLE_PREFIX(c, &prefix), REASON_LISTED);
}

/* Of an IPv6 source the upper bits of its address: somebody has all the others. */
sentinel_inline void judge_key(struct sentinel_context *c, struct sentinel_frame *f)
{
    for (int i = 0; i < 4; i++)
        f->source[i] = f->src[i] & CONTEXT_POLICY(c)->source_mask[i];
}

/* Of somebody who has many sources. Who is in a list has been asked for. */
sentinel_stage int judge_networks(struct sentinel_context *c, struct sentinel_frame *f)
{
    if (!f)
        return 0;
    __u64 present = TABLE_STATE(c)->networks;
    for (int i = 0; i < SENTINEL_NETWORKS; i++) {
        if (!(present >> i & 1))
            continue;
        sentinel_network_key(f->src, SENTINEL_NETWORK_BITS(i), f->source);
        struct sentinel_entry *entry = TABLE_ENTRY(c, f->source);
        if (entry && entry->kind == KIND_BLOCKED &&
            judge_entry(c, f, entry, REASON_BANNED))
            return 1;
    }
    judge_key(c, f);
    return 0;
}

/* What people say, and what is our own, is a single address: that of the network itself too. */
sentinel_inline int judge_entries6(struct sentinel_context *c, struct sentinel_frame *f)
{
    judge_key(c, f);
    if (judge_entry(c, f, TABLE_ENTRY(c, f->src), REASON_BANNED))
        return 1;
    struct sentinel_entry *entry = TABLE_ENTRY(c, f->source);
    return (entry && entry->kind == KIND_BLOCKED &&
            judge_entry(c, f, entry, REASON_BANNED)) ||
           judge_prefixes(c, f) || (TABLE_STATE(c)->networks && judge_networks(c, f));
}

sentinel_inline int judge_entries(struct sentinel_context *c, struct sentinel_frame *f)
{
    f->source[2] = f->src[2]; /* of IPv4 all that is not 0 */
    f->source[3] = f->src[3];
    if (f->family == 6)
        return judge_entries6(c, f);
    return judge_entry(c, f, TABLE_ENTRY(c, f->source), REASON_BANNED) ||
           judge_prefixes(c, f);
}

/* A new one for a source that was blocked not long ago is longer. */
sentinel_inline void judge_block_again(struct sentinel_context *c,
                                       struct sentinel_frame *f,
                                       struct sentinel_entry *block, __u8 limit)
{
    const volatile struct sentinel_policy *p = CONTEXT_POLICY(c);
    __u64 ttl = p->ttl;
    if (f->now - block->expires < p->repeat_window)
        ttl = block->ttl * p->ttl_backoff;
    block->ttl = ttl < p->ttl_max ? ttl : p->ttl_max;
    block->limit = limit;
    block->count = block->previous = 0;
    block->bucket = f->now;
    block->expires = f->now + block->ttl;
    judge_tell(c, f, EVENT_BLOCK, limit, block->ttl);
}

sentinel_stage int judge_insert(struct sentinel_context *c, struct sentinel_frame *f,
                                __u32 limit)
{
    struct sentinel_state *state = TABLE_STATE(c);
    if (!f)
        return -1;
    struct sentinel_entry block = { .expires = f->now + CONTEXT_POLICY(c)->ttl,
                                    .packets = f->packets,
                                    .bytes = f->bytes,
                                    .last = f->now,
                                    .created = f->now,
                                    .ttl = CONTEXT_POLICY(c)->ttl,
                                    .bucket = f->now,
                                    .count = judge_units(f, (__u8)limit),
                                    .kind = KIND_BLOCKED,
                                    .limit = (__u8)limit };
    if (__sync_fetch_and_add(&state->blocks, 1) < CONTEXT_POLICY(c)->max_blocks &&
        !TABLE_ADD_ENTRY(c, f->source, &block))
        return 0;
    __sync_fetch_and_add(&state->blocks, -1);
    return -1;
}

/* The block's first packet is the one that was too much. Another CPU may be quicker: what it
 * began is neither begun again nor in want of room. */
sentinel_stage int judge_block(struct sentinel_context *c, struct sentinel_frame *f,
                               __u32 limit)
{
    struct sentinel_state *state = TABLE_STATE(c);
    if (!f)
        return 0;
    struct sentinel_entry *old = TABLE_ENTRY(c, f->source);
    if (old) {
        if (old->kind == KIND_BLOCKED && f->now >= old->expires)
            judge_block_again(c, f, old, (__u8)limit);
        return 0;
    }
    if (!judge_conforms(&CONTEXT_POLICY(c)->insertions, &state->insertions, f->now, 1)) {
        if (!(__sync_fetch_and_add(&state->insert_braked, 1) & 1023))
            judge_tell(c, f, EVENT_PRESSURE, limit, 0);
        return 0;
    }
    if (judge_insert(c, f, limit)) {
        if (TABLE_ENTRY(c, f->source))
            return 0;
        __sync_fetch_and_add(&state->insert_failed, 1);
        judge_tell(c, f, EVENT_FULL, limit, 0);
        return 0;
    }
    __sync_fetch_and_add(&state->inserted, 1);
    judge_tell(c, f, EVENT_BLOCK, limit, CONTEXT_POLICY(c)->ttl);
    return 0;
}

/* --- the destination -------------------------------------------------------------------- */

/* Which signature a UDP frame has; -1: none. */
sentinel_inline int judge_signature(const struct sentinel_frame *f)
{
#define SIGNATURE_CASE(PORT, CONDITION)                                                  \
    case PORT:                                                                           \
        return (CONDITION) ? SIGNATURE_##PORT : -1;
    switch (f->sport) {
        SENTINEL_SIGNATURE_ROWS(SIGNATURE_CASE)
    default:
        return -1;
    }
#undef SIGNATURE_CASE
}

sentinel_inline void judge_add(struct sentinel_count *count,
                               const struct sentinel_frame *f)
{
    count->packets += f->packets;
    count->bytes += f->bytes;
}

/* Where it is noted that this connection's first SYN came, and a word that tells it from
 * others in the same cell. */
sentinel_inline __u32 judge_handshake(struct sentinel_context *c,
                                      struct sentinel_frame *f, __u32 *mark)
{
    struct sentinel_state *state = TABLE_STATE(c);
    __u32 both[4] = { f->source[0] ^ f->dst[3], f->source[1], f->source[2] ^ f->dst[2],
                      f->source[3] };
    both[1] ^= (__u32)f->sport << 16 | f->dport;
    __u64 hash = shared_hash(both, 4, state->secret);
    *mark = (__u32)(hash >> 48);
    return (__u32)hash & (HANDSHAKES - 1);
}

/* Is this the first ACK behind a SYN that was seen? Any may be forged: it counts, nothing
 * more. */
sentinel_inline void judge_count_handshake(struct sentinel_context *c,
                                           struct sentinel_frame *f,
                                           struct sentinel_destination_counts *counts)
{
    __u8 class = f->class;
    __u32 mark, time = (__u32)(f->now >> HANDSHAKE_TIME) & 0xffff;
    if (class != CLASS_SYN && class != CLASS_ACK)
        return;
    __u32 *cell = TABLE_HANDSHAKES(c, judge_handshake(c, f, &mark));
    if (!cell)
        return;
    if (class == CLASS_SYN) {
        counts->syn++;
        *cell = mark << 16 | time;
    } else if (*cell >> 16 == mark && *cell &&
               ((time - *cell) & 0xffff) <= HANDSHAKE_MAX) {
        counts->first_ack++;
        *cell = 0;
    }
}

sentinel_inline int judge_count_udp(struct sentinel_context *c, struct sentinel_frame *f,
                                    struct sentinel_destination *to,
                                    struct sentinel_destination_counts *counts)
{
    int signature = judge_signature(f);
    judge_add(&counts->udp, f);
    if (signature < 0 || signature >= SENTINEL_SIGNATURES)
        return 0;
    judge_add(&counts->signatures[signature], f);
    return to && f->now < to->signature_until[signature] &&
           judge_decide(c, f, REASON_AMPLIFICATION);
}

/* What is counted for a destination, and dropped for its sake. Returns whether that decides. */
sentinel_inline int judge_count(struct sentinel_context *c, struct sentinel_frame *f,
                                struct sentinel_destination *to,
                                struct sentinel_destination_counts *counts)
{
    judge_add(&counts->all, f);
    switch (f->class) {
    case CLASS_SYN:
    case CLASS_ACK:
        judge_count_handshake(c, f, counts);
        return 0;
    case CLASS_UDP:
        return judge_count_udp(c, f, to, counts);
    case CLASS_ICMP:
        judge_add(&counts->icmp, f);
        return 0;
    case CLASS_FRAGMENT:
        judge_add(&counts->fragments, f);
        return to && f->now < to->fragments_until &&
               judge_decide(c, f, REASON_FRAG_FLOOD);
    default:
        return 0;
    }
}

/* Known not to be spoofed: from now on, while connections of it are seen. */
sentinel_inline void judge_verify(struct sentinel_context *c, struct sentinel_frame *f)
{
    __u64 *since = TABLE_FIND(c, verified, f->source);
    if (since) {
        f->verified = 1;
        return;
    }
    if (f->class == CLASS_TCP && TABLE_CONNECTED(c, f)) {
        TABLE_INSERT(c, verified, f->source, &f->now);
        f->verified = 1;
    }
}

sentinel_inline int judge_over(struct sentinel_context *c, struct sentinel_frame *f,
                               struct sentinel_limiter *limiter, __u32 units, __u8 reason)
{
    return f->now < limiter->until &&
           !judge_conforms_to(limiter->period, limiter->burst, &limiter->arrival, f->now,
                              units) &&
           judge_decide(c, f, reason);
}

sentinel_inline int judge_syn(struct sentinel_context *c, struct sentinel_frame *f,
                              struct sentinel_destination *to)
{
    if (f->verified)
        return 0;
    if (f->now < to->syn.until && to->mitigation == MITIGATION_COOKIE &&
        TABLE_ANSWERS(c, f)) {
        f->reason = REASON_COOKIE;
        f->verdict = VERDICT_ANSWER;
        return 1;
    }
    return judge_over(c, f, &to->syn, f->packets, REASON_SYN_LIMIT) ||
           judge_over(c, f, &to->syn_hard, f->packets, REASON_SYN_LIMIT);
}

/* While it, or its prefix, gets more than it takes. */
sentinel_stage int judge_flooded(struct sentinel_context *c, struct sentinel_frame *f,
                                 struct sentinel_destination *to)
{
    if (!f || !to || f->verified || f->class == CLASS_ESSENTIAL)
        return 0;
    return judge_over(c, f, &to->packets, f->packets, REASON_DST_LIMIT) ||
           judge_over(c, f, &to->bytes, f->bytes, REASON_DST_LIMIT);
}

sentinel_stage int judge_destination(struct sentinel_context *c, struct sentinel_frame *f)
{
    if (!f)
        return 0;
    struct sentinel_destination *to = TABLE_DESTINATION(c, f->dst);
    struct sentinel_destination_counts *counts =
        TABLE_COUNTS(c, to ? to->index : SENTINEL_TRANSIT);
    if (!counts)
        return 0;
    if (judge_count(c, f, to, counts)) {
        counts->dropped += f->packets;
        return 1;
    }
    if (!to)
        return 0;
    int watched = f->now < to->watch_until, over = 0;
    if (watched)
        judge_verify(c, f);
    if (f->class == CLASS_SYN)
        over = judge_syn(c, f, to);
    else if (f->class == CLASS_UDP)
        over = judge_over(c, f, &to->udp, f->packets, REASON_UDP_LIMIT);
    else if (f->class == CLASS_ICMP)
        over = judge_over(c, f, &to->icmp, f->packets, REASON_ICMP_LIMIT);
    if (watched && !over)
        over = judge_flooded(c, f, to);
    if (over && f->verdict != VERDICT_ANSWER)
        counts->dropped += f->packets;
    return over;
}

/* --- the source -------------------------------------------------------------------------- */

/* The limit that is this frame's own, beside those of bytes and packets; LIMITS: none. */
sentinel_inline __u8 judge_own_limit(const struct sentinel_frame *f)
{
    if (f->malformed)
        return LIMIT_MALFORMED;
    switch (f->class) {
    case CLASS_SYN:
        return LIMIT_SYN;
    case CLASS_UDP:
        return LIMIT_UDP;
    case CLASS_ICMP:
        return LIMIT_ICMP;
    case CLASS_ACK:
    case CLASS_RST:
        return LIMIT_FLAGS;
    default:
        return LIMITS;
    }
}

/* The share of a limit that this frame takes, of the limit where that is most. */
sentinel_inline __u32 judge_weight(struct sentinel_context *c, struct sentinel_frame *f,
                                   __u8 own)
{
    const volatile struct sentinel_policy *p = CONTEXT_POLICY(c);
    __u32 most = p->weight[LIMIT_PPS] * f->packets;
    __u32 bytes = (__u32)((__u64)p->weight[LIMIT_BPS] * f->bytes >> 20);
    __u32 mine = own < LIMITS ? p->weight[own & 7] * f->packets : 0;
    most = bytes > most ? bytes : most;
    return mine > most ? mine : most;
}

/* A count-min sketch of shares, halved every second: of a source that sends steadily it holds
 * one to two seconds' worth. A cell is the number of the second (8 bits) and a sum (24), so
 * nobody needs to clear it. Returns whether the source is worth a look. */
sentinel_inline int judge_sketch(struct sentinel_context *c, struct sentinel_frame *f,
                                 __u8 own)
{
    struct sentinel_state *state = TABLE_STATE(c);
    __u64 hash = shared_hash(f->source, 4, state->secret + (f->now >> SKETCH_SEED));
    __u32 weight = judge_weight(c, f, own), least = 0xffffff;
    __u32 epoch = (__u32)(f->now >> SKETCH_EPOCH) & 255;
    weight = weight < 0xffffff ? weight : 0xffffff;
    for (__u32 row = 0; row < SKETCH_ROWS; row++) {
        __u32 *cells = TABLE_SKETCH(c, row);
        if (!cells)
            return 0;
        __u32 *cell = &cells[hash >> (row * 13) & (SKETCH_COLUMNS - 1)];
        __u32 age = (epoch - (*cell >> 24)) & 255;
        __u32 sum = (age < 24 ? (*cell & 0xffffff) >> age : 0) + weight;
        sum = sum < 0xffffff ? sum : 0xffffff;
        *cell = epoch << 24 | sum;
        least = sum < least ? sum : least;
    }
    return least >= CONTEXT_POLICY(c)->promote;
}

/* Registers of 64: the place of the lowest bit that is set in the rest of a hash. */
sentinel_inline void judge_scan(struct sentinel_frame *f,
                                struct sentinel_suspect *suspect)
{
    __u32 where[4] = { f->dst[0] ^ f->dport, f->dst[1], f->dst[2], f->dst[3] };
    __u64 hash = shared_hash(where, 4, 0x2545f4914f6cdd1dull);
    if (!suspect->scan || f->now - suspect->scan > 10 * SECOND) {
        __builtin_memset(suspect->registers, 0, sizeof(suspect->registers));
        suspect->scan = f->now;
    }
    __u8 rank = 1;
    for (__u64 rest = hash >> 6; rank < 32 && !(rest & 1); rest >>= 1)
        rank++;
    __u8 *at = &suspect->registers[hash & (SENTINEL_REGISTERS - 1)];
    if (*at < rank)
        *at = rank;
}

/* A new suspect has sent the packets that made it one, or its burst would be longer than it is. */
sentinel_inline struct sentinel_suspect *
judge_suspect(struct sentinel_context *c, struct sentinel_frame *f, __u32 own)
{
    static const struct sentinel_suspect fresh;
    struct sentinel_suspect *suspect = TABLE_FIND(c, suspects, f->source);
    if (suspect)
        return suspect;
    TABLE_INSERT(c, suspects, f->source, &fresh);
    suspect = TABLE_FIND(c, suspects, f->source);
    if (!suspect)
        return NULL;
    suspect->first = f->now;
    /* of LIMITS, which is none, there is a place that nobody looks at */
    suspect->arrival[own & 7] = f->now + CONTEXT_POLICY(c)->limits[own & 7].sent;
    return suspect;
}

/* What is done about a source above a limit. Returns whether the frame is dropped. */
sentinel_inline int judge_exceeded(struct sentinel_context *c, struct sentinel_frame *f,
                                   struct sentinel_suspect *suspect, __u8 limit)
{
    const volatile struct sentinel_limit *l = &CONTEXT_POLICY(c)->limits[limit & 7];
    if (!f->verified && f->protocol == PROTOCOL_TCP && f->class != CLASS_SYN &&
        TABLE_CONNECTED(c, f)) {
        suspect->verified = f->now;
        f->verified = 1;
    }
    if (f->now - suspect->said > SECOND) {
        suspect->said = f->now;
        judge_tell(c, f, EVENT_LIMIT, limit, 0);
    }
    __u8 answer = f->verified ? l->verified : l->spoofable;
    if (answer == ANSWER_ALERT)
        return 0;
    judge_decide(c, f, (__u8)(REASON_SRC_SYN + limit));
    if (l->dry_run)
        f->verdict = VERDICT_WOULD_DROP;
    else if (answer == ANSWER_BLOCK && !CONTEXT_POLICY(c)->dry_run)
        judge_block(c, f, limit);
    __sync_fetch_and_add(&suspect->dropped, f->packets);
    return 1;
}

sentinel_stage int judge_limit(struct sentinel_context *c, struct sentinel_frame *f,
                               struct sentinel_suspect *suspect, __u32 limit)
{
    if (!f || !suspect)
        return 0;
    const volatile struct sentinel_limit *l = &CONTEXT_POLICY(c)->limits[limit & 7];
    return l->period &&
           !judge_conforms(l, &suspect->arrival[limit & 7], f->now,
                           judge_units(f, limit)) &&
           judge_exceeded(c, f, suspect, limit);
}

/* Of a source that sends a good share of a limit. Returns whether that decides. */
sentinel_stage int judge_hot(struct sentinel_context *c, struct sentinel_frame *f,
                             __u32 own)
{
    if (!f)
        return 0;
    struct sentinel_suspect *suspect = judge_suspect(c, f, own);
    if (!suspect)
        return 0;
    suspect->last = f->now;
    __sync_fetch_and_add(&suspect->packets, f->packets);
    __sync_fetch_and_add(&suspect->bytes, f->bytes);
    f->verified |= suspect->verified && f->now - suspect->verified < 600 * SECOND;
    if (f->class == CLASS_SYN)
        judge_scan(f, suspect);
    return (own < LIMITS && judge_limit(c, f, suspect, own)) ||
           judge_limit(c, f, suspect, LIMIT_BPS) || judge_limit(c, f, suspect, LIMIT_PPS);
}

/* Is there somebody to count it for? Not when the header is damaged, and what has no address yet
 * must never be blocked by that name: it is everybody's. */
sentinel_inline int judge_is_known(const struct sentinel_frame *f)
{
    return f->reason != REASON_MARTIAN && f->reason != REASON_IP4_CSUM &&
           (f->source[0] | f->source[1] | f->source[3]);
}

sentinel_inline int judge_source(struct sentinel_context *c, struct sentinel_frame *f)
{
    __u8 own = judge_own_limit(f);
    if (!judge_is_known(f))
        return 0;
    return judge_sketch(c, f, own) && judge_hot(c, f, own);
}

/* --- all of it ---------------------------------------------------------------------------- */

/* The daemon is gone: what now? 0: nothing changes, else enum sentinel_fail_mode. */
sentinel_inline __u8 judge_orphan(struct sentinel_context *c, struct sentinel_frame *f)
{
    struct sentinel_state *state = TABLE_STATE(c);
    if (CONTEXT_POLICY(c)->fail_mode == FAIL_AUTONOMOUS || !state->heartbeat ||
        f->now < state->heartbeat + CONTEXT_POLICY(c)->watchdog)
        return 0;
    return CONTEXT_POLICY(c)->fail_mode;
}

/* A frame that has addresses, which nobody has said anything about. */
sentinel_inline void judge_stranger(struct sentinel_context *c, struct sentinel_frame *f)
{
    sentinel_dissect_ip(c, f);
    if (f->malformed) {
        __u8 wrong = f->reason;
        judge_source(c, f);
        judge_decide(c, f, wrong);
    } else if (!judge_destination(c, f) && f->class != CLASS_ESSENTIAL)
        judge_source(c, f);
}

/* Whom nobody but we allowed, a gateway or a name server, is never blocked. Anybody can forge such
 * an address: it has the limits of a source that is known, as all have. */
sentinel_inline void judge_addresses(struct sentinel_context *c, struct sentinel_frame *f,
                                     __u8 orphan)
{
    if (judge_entries(c, f) && !f->verified)
        return;
    if (orphan && !f->verified)
        judge_decide(c, f, REASON_FAIL_CLOSED);
    else
        judge_stranger(c, f);
}

/* length: of all the frame. vlan: of a tag that is not in its bytes any more, or 0xffff. Fills
 * the frame with what it is; verdict and reason are those of what decided, or what is notable
 * about a frame that passes. */
sentinel_inline void sentinel_judge(struct sentinel_context *c, struct sentinel_frame *f,
                                    __u32 length, __u16 vlan, __u64 now)
{
    sentinel_dissect(c, f, length, vlan);
    f->now = now;
    __u8 orphan = judge_orphan(c, f);
    if (orphan == FAIL_OPEN)
        return;
    if (f->malformed)
        judge_decide(c, f, f->reason);
    else if (f->family)
        judge_addresses(c, f, orphan);
}
