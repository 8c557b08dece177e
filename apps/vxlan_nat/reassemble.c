/* reassemble: outer packets that come in fragments. */
#include <errno.h>
#include <string.h>

#include "apps/vxlan_nat/vxlan_nat.h"
#include "lib/reassembly.h"

/* How often those that contradict each other were met, of all drops. */
static uint64_t bad_of(const struct reassembly_counters *c)
{
    return c->drops[REASSEMBLY_DAMAGED] + c->drops[REASSEMBLY_DUPLICATE] +
           c->drops[REASSEMBLY_OVERLAP] + c->drops[REASSEMBLY_END] +
           c->drops[REASSEMBLY_TOO_LONG] + c->drops[REASSEMBLY_TOO_MANY] +
           c->drops[REASSEMBLY_BROKEN];
}

static uint64_t lost_of(const struct reassembly_counters *c)
{
    return c->drops[REASSEMBLY_TIMEOUT] + c->drops[REASSEMBLY_GAVE_WAY] +
           c->drops[REASSEMBLY_NO_ROOM];
}

static void count(struct app *app)
{
    struct vxlan_nat *nat = app->state;
    const struct reassembly_counters *c = reassembly_counters(nat->reassembly);
    uint64_t bad = bad_of(c), lost = lost_of(c);
    app_count(app, FIRST_REASON + VX_OUTER_FRAG_BAD - 1, bad - nat->bad_pieces);
    app_count(app, FIRST_REASON + VX_OUTER_FRAG - 1, lost - nat->lost_pieces);
    app_count(app, ERRORS, bad + lost - nat->bad_pieces - nat->lost_pieces);
    nat->bad_pieces = bad;
    nat->lost_pieces = lost;
    app->counters[OUTER_MERGED] = c->completed - c->datagrams;
}

/* Headers in front of IP are those of the last piece. */
static struct packet *make_whole(const struct packet *last, uint32_t header,
                                 const uint8_t *ip, uint32_t length)
{
    struct packet *p = header + length <= packet_capacity() ? packet_allocate()
                                                            : packet_allocate_large();
    if (!p)
        return NULL;
    memcpy(p->data, last->data, header);
    memcpy(p->data + header, ip, length);
    p->length = header + length;
    p->timestamp = last->timestamp;
    return p;
}

struct packet *vxlan_reassemble(struct app *app, struct packet *p,
                                const struct vxlan_frame *f)
{
    struct vxlan_nat *nat = app->state;
    uint32_t length;
    uint8_t *ip = reassembly_add(nat->reassembly, p->data + f->outer,
                                 p->length - f->outer, engine_now(app->engine), &length);
    struct packet *whole = ip ? make_whole(p, f->outer, ip, length) : NULL;
    count(app);
    packet_free(p);
    if (ip && !whole) {
        app_count(app, DROP_NO_PACKET_OUTER, 1);
        app_count(app, ERRORS, 1);
    }
    return whole;
}

int vxlan_reassemble_start(struct app *app, const struct siphash_key *seed,
                           struct error *err)
{
    struct vxlan_nat *nat = app->state;
    const struct reassembly_limits limits = REASSEMBLY_LIMITS;
    nat->reassembly = reassembly_new(&limits, seed);
    if (!nat->reassembly)
        return error_set(err, ERROR_RUN, ENOMEM, "no memory for fragments");
    return packet_large_reserve(VXLAN_LARGE, err);
}

void vxlan_reassemble_tick(struct app *app)
{
    struct vxlan_nat *nat = app->state;
    reassembly_expire(nat->reassembly, engine_now(app->engine));
    count(app);
}
