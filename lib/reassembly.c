/* reassembly: fragments of IPv4 and IPv6 become packets again.
 *
 *   oldest <-> datagram <-> ... <-> newest     in order of their first piece, so of their end
 *                 |
 *               piece -> piece -> ...          in order of their place; no two overlap
 *
 * Datagrams are values of a table. One that is broken has no pieces, and takes none. As no two
 * pieces overlap, a packet is whole when there are as many bytes as its end says.
 */
#include "lib/reassembly.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/checksum.h"
#include "lib/frame.h"
#include "lib/table.h"

#define HEADER4  20
#define HEADER6  40
#define FRAGMENT 44 /* IPv6 extension header, of 8 bytes */
#define MORE4    0x2000
#define DF4      0xc000 /* and the bit that must be 0 */
#define CE       3

struct key {
    uint8_t src[16], dst[16];
    uint32_t id;
    uint8_t family, protocol, unused[2];
};

struct piece {
    struct piece *next;
    uint32_t from, size;   /* bytes of the packet's payload */
    uint32_t header, cost; /* the first one brings the header along, in front of them */
    uint8_t bytes[];
};

struct datagram {
    struct datagram *older, *newer;
    struct piece *pieces;
    uint64_t since;
    uint32_t count, bytes; /* of pieces; of their payload */
    uint32_t last_end;     /* of the piece farthest behind */
    uint32_t end;          /* of the packet; 0: not known */
    bool broken, congested;
};

struct reassembly {
    struct reassembly_limits limits;
    struct table *table;
    struct datagram *oldest, *newest;
    struct reassembly_counters counters;
    uint8_t *whole;
};

/* What a piece says of itself. */
struct fragment {
    struct key key;
    const uint8_t *ip, *payload;
    uint32_t header; /* bytes in front of the payload, without the fragment header */
    uint32_t from, size;
    uint32_t next;    /* IPv6: the byte that announces the fragment header ... */
    uint8_t protocol; /* ... and what it is without one */
    bool more, congested;
};

/* --- what it says -------------------------------------------------------------------- */

static bool parse4(struct fragment *f, uint32_t there)
{
    const uint8_t *ip = f->ip;
    f->header = (ip[0] & 15) * 4u;
    uint32_t total = there < HEADER4 ? 0 : frame_u16(ip + 2);
    if (f->header < HEADER4 || total < f->header || total > there ||
        checksum_fold(checksum_sum(ip, f->header, 0)))
        return false;
    uint16_t place = frame_u16(ip + 6);
    memcpy(f->key.src, ip + 12, 4);
    memcpy(f->key.dst, ip + 16, 4);
    f->key.id = frame_u16(ip + 4);
    f->key.protocol = ip[9];
    f->payload = ip + f->header;
    f->size = total - f->header;
    f->from = (place & 0x1fff) * 8u;
    f->more = place & MORE4;
    f->congested = (ip[1] & CE) == CE;
    return true;
}

static void parse_fragment_header(struct fragment *f, const uint8_t *header)
{
    uint16_t place = frame_u16(header + 2);
    f->protocol = header[0];
    f->from = place & 0xfff8;
    f->more = place & 1;
    f->key.id = frame_u32(header + 4);
}

static bool parse6(struct fragment *f, uint32_t there)
{
    const uint8_t *ip = f->ip;
    uint32_t at = HEADER6, total = there < HEADER6 ? 0 : HEADER6 + frame_u16(ip + 4);
    if (total < HEADER6 || total > there)
        return false;
    memcpy(f->key.src, ip + 8, 16);
    memcpy(f->key.dst, ip + 24, 16);
    f->congested = (ip[1] >> 4 & CE) == CE;
    f->next = 6;
    while (ip[f->next] == 0 || ip[f->next] == 43 || ip[f->next] == 60) {
        if (at + 8 > total)
            return false;
        f->next = at;
        at += (ip[at + 1] + 1u) * 8;
    }
    bool fragment = ip[f->next] == FRAGMENT;
    if (at + (fragment ? 8 : 0) > total)
        return false;
    f->protocol = ip[f->next];
    if (fragment)
        parse_fragment_header(f, ip + at);
    f->header = at;
    f->payload = ip + at + (fragment ? 8 : 0);
    f->size = (uint32_t)(ip + total - f->payload);
    return true;
}

/* False for what is no piece of anything. */
static bool parse(struct fragment *f, const uint8_t *ip, uint32_t there)
{
    *f = (struct fragment){ .ip = ip };
    if (!there)
        return false;
    f->key.family = ip[0] >> 4;
    if (f->key.family == 4 ? !parse4(f, there) : f->key.family != 6 || !parse6(f, there))
        return false;
    return f->more ? f->size && f->size % 8 == 0 : f->size || !f->from;
}

/* Would its length field have to say too much? */
static bool is_too_long(const struct reassembly *r, uint8_t family, uint32_t header,
                        uint32_t payload)
{
    return header + payload - (family == 6 ? HEADER6 : 0) > r->limits.length;
}

/* --- what is held -------------------------------------------------------------------- */

static uint32_t drop_pieces(struct reassembly *r, struct datagram *d)
{
    uint32_t count = d->count;
    for (struct piece *piece = d->pieces, *next; piece; piece = next) {
        next = piece->next;
        r->counters.bytes -= piece->cost;
        free(piece);
    }
    d->pieces = NULL;
    d->count = d->bytes = 0;
    r->counters.held -= count;
    return count;
}

static void forget(struct reassembly *r, struct datagram *d)
{
    struct key key;
    *(d->older ? &d->older->newer : &r->oldest) = d->newer;
    *(d->newer ? &d->newer->older : &r->newest) = d->older;
    memcpy(&key, table_key(r->table, d), sizeof(key));
    table_remove(r->table, &key);
}

/* Returns how many pieces that were. */
static uint32_t drop(struct reassembly *r, struct datagram *d, enum reassembly_drop why)
{
    uint32_t count = drop_pieces(r, d);
    r->counters.drops[why] += count;
    forget(r, d);
    return count;
}

/* It stays, so that what still comes of it is known. */
static void break_datagram(struct reassembly *r, struct datagram *d,
                           enum reassembly_drop why)
{
    r->counters.drops[why] += drop_pieces(r, d) + 1;
    r->counters.broken++;
    d->broken = true;
}

uint32_t reassembly_expire(struct reassembly *r, uint64_t now)
{
    uint32_t count = 0;
    while (r->oldest && now >= r->oldest->since &&
           now - r->oldest->since >= r->limits.time)
        count += drop(r, r->oldest, REASSEMBLY_TIMEOUT);
    return count;
}

static struct datagram *find_or_make(struct reassembly *r, const struct key *key,
                                     uint64_t now)
{
    struct datagram *d = table_find(r->table, key);
    if (d)
        return d;
    if (table_count(r->table) == r->limits.datagrams)
        drop(r, r->oldest, REASSEMBLY_GAVE_WAY);
    d = table_insert(r->table, key);
    if (!d)
        return NULL;
    d->since = now;
    d->older = r->newest;
    *(r->newest ? &r->newest->newer : &r->oldest) = d;
    r->newest = d;
    return d;
}

/* Others give way, never d itself. */
static bool make_room(struct reassembly *r, const struct datagram *d, uint64_t cost)
{
    if (cost > r->limits.bytes)
        return false;
    while (r->counters.bytes + cost > r->limits.bytes) {
        struct datagram *victim = r->oldest == d ? d->newer : r->oldest;
        if (!victim)
            return false;
        drop(r, victim, REASSEMBLY_GAVE_WAY);
    }
    return true;
}

static struct piece *make_piece(const struct fragment *f)
{
    uint32_t header = f->from ? 0 : f->header;
    uint32_t cost = (uint32_t)sizeof(struct piece) + header + f->size;
    struct piece *piece = malloc(cost);
    if (!piece)
        return NULL;
    *piece = (struct piece){
        .from = f->from, .size = f->size, .header = header, .cost = cost
    };
    memcpy(piece->bytes, f->ip, header);
    if (header && f->key.family == 6)
        piece->bytes[f->next] = f->protocol;
    memcpy(piece->bytes + header, f->payload, f->size);
    return piece;
}

/* --- what it adds -------------------------------------------------------------------- */

static bool ends_differ(const struct datagram *d, const struct fragment *f)
{
    uint32_t end = f->from + f->size;
    if (f->more)
        return d->end && end >= d->end;
    return d->end ? end != d->end : d->last_end >= end;
}

static bool is_same(const struct piece *piece, const struct fragment *f)
{
    return piece->from == f->from && piece->size == f->size &&
           !memcmp(piece->bytes + piece->header, f->payload, f->size);
}

static uint32_t max(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

/* The packet's, as far as it is known: that of its first piece, which may be longer than those of
 * the others. */
static uint32_t header_of(const struct datagram *d, const struct fragment *f)
{
    return f->from && d->pieces && !d->pieces->from ? d->pieces->header : f->header;
}

/* The link behind which it belongs, or NULL and the reason why it does not. */
static struct piece **find_place(const struct reassembly *r, struct datagram *d,
                                 const struct fragment *f, enum reassembly_drop *why)
{
    uint32_t end = f->from + f->size;
    struct piece **link = &d->pieces;
    *why = REASSEMBLY_END;
    if (ends_differ(d, f))
        return NULL;
    while (*link && (*link)->from + (*link)->size <= f->from)
        link = &(*link)->next;
    if (*link && (*link)->from < end) {
        *why = is_same(*link, f) ? REASSEMBLY_DUPLICATE : REASSEMBLY_OVERLAP;
        return NULL;
    }
    *why = REASSEMBLY_TOO_LONG;
    if (is_too_long(r, f->key.family, header_of(d, f), max(end, d->last_end)))
        return NULL;
    *why = REASSEMBLY_TOO_MANY;
    return d->count < r->limits.pieces ? link : NULL;
}

static bool take(struct reassembly *r, struct datagram *d, struct piece **link,
                 const struct fragment *f)
{
    struct piece *piece = NULL;
    uint32_t end = f->from + f->size;
    if (make_room(r, d, sizeof(*piece) + (f->from ? 0 : f->header) + f->size))
        piece = make_piece(f);
    if (!piece) {
        r->counters.drops[REASSEMBLY_NO_ROOM]++;
        return false;
    }
    piece->next = *link;
    *link = piece;
    d->count++;
    d->bytes += f->size;
    d->last_end = max(d->last_end, end);
    d->end = f->more ? d->end : end;
    d->congested |= f->congested;
    r->counters.held++;
    r->counters.bytes += piece->cost;
    return true;
}

/* --- whole --------------------------------------------------------------------------- */

static void finish4(uint8_t *ip, uint32_t length, bool congested)
{
    uint32_t header = (ip[0] & 15) * 4u;
    ip[1] |= congested ? CE : 0;
    frame_put16(ip + 2, length);
    frame_put16(ip + 6, frame_u16(ip + 6) & DF4);
    memset(ip + 10, 0, 2);
    uint16_t checksum = checksum_fold(checksum_sum(ip, header, 0));
    memcpy(ip + 10, &checksum, 2);
}

static void finish6(uint8_t *ip, uint32_t length, bool congested)
{
    ip[1] |= congested ? CE << 4 : 0;
    frame_put16(ip + 4, length - HEADER6);
}

static uint8_t *put_together(struct reassembly *r, struct datagram *d, uint8_t family,
                             uint32_t *length)
{
    uint32_t at = 0;
    for (const struct piece *piece = d->pieces; piece; piece = piece->next) {
        memcpy(r->whole + at, piece->bytes, piece->header + piece->size);
        at += piece->header + piece->size;
    }
    bool congested = d->congested;
    r->counters.completed += drop_pieces(r, d);
    r->counters.datagrams++;
    forget(r, d);
    if (family == 4)
        finish4(r->whole, at, congested);
    else
        finish6(r->whole, at, congested);
    *length = at;
    return r->whole;
}

/* What is no fragment, or the only one, has nothing to do with others (RFC 6946). */
static uint8_t *pass(struct reassembly *r, const struct fragment *f, uint32_t *length)
{
    if (is_too_long(r, f->key.family, f->header, f->size)) {
        r->counters.drops[REASSEMBLY_TOO_LONG]++;
        return NULL;
    }
    memcpy(r->whole, f->ip, f->header);
    memcpy(r->whole + f->header, f->payload, f->size);
    *length = f->header + f->size;
    if (f->key.family == 6) {
        r->whole[f->next] = f->protocol;
        finish6(r->whole, *length, false);
    }
    r->counters.completed++;
    r->counters.datagrams++;
    return r->whole;
}

/* A piece of a packet that is not broken; true when it is whole with it. */
static bool add(struct reassembly *r, struct datagram *d, const struct fragment *f)
{
    enum reassembly_drop why;
    struct piece **link = find_place(r, d, f, &why);
    if (link)
        return take(r, d, link, f) && d->bytes == d->end;
    if (why == REASSEMBLY_DUPLICATE)
        r->counters.drops[why]++;
    else
        break_datagram(r, d, why);
    return false;
}

uint8_t *reassembly_add(struct reassembly *r, const uint8_t *ip, uint32_t there,
                        uint64_t now, uint32_t *length)
{
    struct fragment f;
    r->counters.pieces++;
    reassembly_expire(r, now);
    if (!parse(&f, ip, there)) {
        r->counters.drops[REASSEMBLY_DAMAGED]++;
        return NULL;
    }
    if (!f.from && !f.more)
        return pass(r, &f, length);
    struct datagram *d = find_or_make(r, &f.key, now);
    if (!d || d->broken) {
        r->counters.drops[d ? REASSEMBLY_BROKEN : REASSEMBLY_NO_ROOM]++;
        return NULL;
    }
    return add(r, d, &f) ? put_together(r, d, f.key.family, length) : NULL;
}

/* --- the table ----------------------------------------------------------------------- */

struct reassembly *reassembly_new(const struct reassembly_limits *limits,
                                  const struct siphash_key *seed)
{
    struct reassembly *r = calloc(1, sizeof(*r));
    if (!r)
        return NULL;
    r->limits = *limits;
    if (limits->pieces && limits->length && limits->length <= REASSEMBLY_LENGTH_MAX &&
        limits->bytes && limits->time && limits->datagrams) {
        r->whole = malloc(HEADER6 + limits->length);
        r->table = table_new(sizeof(struct key), sizeof(struct datagram),
                             limits->datagrams, seed, TABLE_REFUSE);
    }
    if (!r->table || !r->whole) {
        reassembly_free(r);
        return NULL;
    }
    return r;
}

void reassembly_free(struct reassembly *r)
{
    if (!r)
        return;
    while (r->oldest)
        drop(r, r->oldest, REASSEMBLY_TIMEOUT);
    table_free(r->table);
    free(r->whole);
    free(r);
}

const struct reassembly_counters *reassembly_counters(const struct reassembly *r)
{
    return &r->counters;
}
