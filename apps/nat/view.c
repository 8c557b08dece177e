/* view: what a network address translator (NAT) sees in a frame, and writes into it. */
#include "apps/nat/view.h"

#include <string.h>

#include "lib/checksum.h"

#define ICMP_HEADER   8
#define TCP_SUM       16
#define UDP_SUM       6
#define ICMP_SUM      2
#define ICMP_ID       4
#define TCP_FLAGS     13
#define ECHO_REPLY    0 /* ICMP: RFC 792 */
#define ECHO_REQUEST  8
#define ECHO_REQUEST6 128 /* ICMPv6: RFC 4443 */
#define ECHO_REPLY6   129
#define ERROR6_LAST   4
#define QUERY6_FIRST  130 /* multicast listeners, neighbours: to 137, and 143 */
#define REDIRECT6     137
#define LISTENER6     143

/* --- what it is ---------------------------------------------------------------------- */

static bool is_local4(const uint8_t *addresses)
{
    static const uint8_t nobody[4];
    return addresses[4] >= 224 || !memcmp(addresses, nobody, 4);
}

static bool is_local6(const uint8_t *addresses)
{
    static const uint8_t nobody[16];
    const uint8_t *to = addresses + 16;
    bool link_local = (addresses[0] == 0xfe && (addresses[1] & 0xc0) == 0x80) ||
                      (to[0] == 0xfe && (to[1] & 0xc0) == 0x80);
    return link_local || to[0] == 0xff || !memcmp(addresses, nobody, 16);
}

static bool is_local(const struct frame *frame)
{
    const uint8_t *addresses = frame->data + frame_addresses(frame);
    return frame->data[0] & 1 ||
           (frame->family == 4 ? is_local4(addresses) : is_local6(addresses));
}

static bool is_echo(const struct frame *frame, uint8_t type)
{
    return frame->family == 4 ? type == ECHO_REPLY || type == ECHO_REQUEST
                              : type == ECHO_REQUEST6 || type == ECHO_REPLY6;
}

/* Destination unreachable, source quench, time exceeded, parameter problem; of IPv6 all that
 * there may ever be in the range of those known. */
static bool is_error(const struct frame *frame, uint8_t type)
{
    return frame->family == 4 ? type == 3 || type == 4 || type == 11 || type == 12
                              : type > 0 && type <= ERROR6_LAST;
}

static bool is_neighbours(const struct frame *frame, uint8_t type)
{
    return frame->family == 6 &&
           ((type >= QUERY6_FIRST && type <= REDIRECT6) || type == LISTENER6);
}

static bool is_icmp(const struct frame *frame)
{
    return frame->protocol == (frame->family == 4 ? FRAME_ICMP : FRAME_ICMPV6);
}

/* --- where things are ---------------------------------------------------------------- */

/* A packet's own addresses and ports, or those of a quoted one, of which the beginning of a
 * transport header is enough. False when there are none. */
static bool find_flow(struct nat_view *view, const struct frame *frame)
{
    uint32_t sum = 0, l4 = frame->l4;
    bool icmp = is_icmp(frame);
    if (!l4 || l4 + ICMP_HEADER > frame->end)
        return false;
    if (icmp && is_echo(frame, frame->data[l4]))
        sum = ICMP_SUM;
    else if (frame->protocol == FRAME_TCP)
        sum = TCP_SUM;
    else if (frame->protocol == FRAME_UDP)
        sum = UDP_SUM;
    else
        return false;
    view->family = frame->family;
    view->protocol = frame->protocol;
    view->addresses = frame_addresses(frame);
    view->ip_sum = frame->family == 4 ? frame->l3 + 10 : 0;
    view->l4_sum = l4 + sum + 2 <= frame->end ? l4 + sum : 0;
    view->pseudo = frame->family == 6 || !icmp;
    view->ports[VIEW_SOURCE] = l4 + (icmp ? ICMP_ID : 0);
    view->ports[VIEW_DESTINATION] = l4 + (icmp ? ICMP_ID : 2);
    return true;
}

static enum view_kind parse_icmp(struct nat_view *view, const struct frame *frame)
{
    struct frame quoted;
    uint8_t type = frame->data[frame->l4];
    if (is_neighbours(frame, type))
        return VIEW_LOCAL;
    if (is_echo(frame, type)) {
        view->request = type == ECHO_REQUEST || type == ECHO_REQUEST6;
        return find_flow(view, frame) ? VIEW_FLOW : VIEW_BROKEN;
    }
    if (!is_error(frame, type) || frame->fragment)
        return VIEW_OTHER;
    view->quoted = frame->l4 + ICMP_HEADER;
    view->icmp_sum = frame->l4 + ICMP_SUM;
    frame_parse_ip(&quoted, frame->data, frame->end, view->quoted);
    return quoted.family == frame->family && find_flow(view, &quoted) ? VIEW_ERROR
                                                                      : VIEW_OTHER;
}

static enum view_kind kind_of(struct nat_view *view)
{
    const struct frame *frame = &view->frame;
    bool icmp = is_icmp(frame);
    if (!frame->family)
        return VIEW_NO_IP;
    if (icmp && frame->l4 && frame->l4 + ICMP_HEADER <= frame->end) {
        enum view_kind kind = parse_icmp(view, frame);
        return is_local(frame) ? VIEW_LOCAL : kind;
    }
    if (is_local(frame))
        return VIEW_LOCAL;
    if (!frame->l4 && frame->fragment)
        return VIEW_FRAGMENT;
    if (frame->payload)
        return find_flow(view, frame) ? VIEW_FLOW : VIEW_BROKEN;
    return icmp || frame->protocol == FRAME_TCP || frame->protocol == FRAME_UDP
               ? VIEW_BROKEN
               : VIEW_OTHER;
}

void view_parse(struct nat_view *view, const struct packet *p)
{
    *view = (struct nat_view){ 0 };
    frame_parse(&view->frame, p->data, p->length);
    view->kind = kind_of(view);
    view->flags = frame_is_tcp(&view->frame) ? p->data[view->frame.l4 + TCP_FLAGS] : 0;
    view->partial = view->kind == VIEW_FLOW && p->flags & PACKET_CSUM_PARTIAL &&
                    p->csum_start == view->frame.l4;
}

struct nat_endpoint view_endpoint(const struct nat_view *view, enum view_side side)
{
    const uint8_t *data = view->frame.data;
    struct nat_endpoint endpoint = { .family = view->family, .protocol = view->protocol };
    uint32_t size = view->family == 4 ? 4 : 16;
    memcpy(endpoint.address, data + view->addresses + side * size, size);
    memcpy(&endpoint.port, data + view->ports[side], 2);
    return endpoint;
}

/* --- what is written ----------------------------------------------------------------- */

static uint16_t load16(const uint8_t *at)
{
    uint16_t word;
    memcpy(&word, at, sizeof(word));
    return word;
}

static void update(uint8_t *sum, uint16_t from, uint16_t to)
{
    uint16_t checksum = checksum_update16(load16(sum), from, to);
    memcpy(sum, &checksum, sizeof(checksum));
}

/* What is quoted is also data of the ICMP error. */
static void store(const struct nat_view *view, uint8_t *data, uint32_t at, uint16_t to)
{
    if (view->quoted && at >= view->quoted)
        update(data + view->icmp_sum, load16(data + at), to);
    memcpy(data + at, &to, sizeof(to));
}

static void amend_ip(const struct nat_view *view, uint8_t *data, uint16_t from,
                     uint16_t to)
{
    if (view->ip_sum)
        store(view, data, view->ip_sum,
              checksum_update16(load16(data + view->ip_sum), from, to));
}

/* A UDP checksum of 0 is none, and one that comes out as 0 is written as 0xffff (RFC 768). */
static void amend_l4(const struct nat_view *view, uint8_t *data, uint16_t from,
                     uint16_t to)
{
    if (!view->l4_sum)
        return;
    uint16_t sum = load16(data + view->l4_sum);
    bool udp = view->protocol == FRAME_UDP;
    if (view->partial) { /* the sum itself, not its complement */
        store(view, data, view->l4_sum,
              (uint16_t)~checksum_update16((uint16_t)~sum, from, to));
        return;
    }
    if (udp && !sum)
        return;
    sum = checksum_update16(sum, from, to);
    store(view, data, view->l4_sum, udp && !sum ? 0xffff : sum);
}

static void rewrite_address(const struct nat_view *view, uint8_t *data, uint32_t at,
                            const struct nat_endpoint *end)
{
    uint32_t size = end->family == 4 ? 4 : 16;
    for (uint32_t i = 0; i < size; i += 2) {
        uint16_t from = load16(data + at + i), to = load16(end->address + i);
        amend_ip(view, data, from, to);
        if (view->pseudo)
            amend_l4(view, data, from, to);
        store(view, data, at + i, to);
    }
}

/* Of the packet that carries an error: IPv4's own checksum, or ICMPv6's, covers its addresses. */
static void rewrite_carrier(const struct nat_view *view, uint8_t *data,
                            enum view_side side, const struct nat_endpoint *end)
{
    const struct frame *frame = &view->frame;
    uint32_t size = frame_address_size(frame), at = frame_addresses(frame) + side * size;
    uint32_t sum = frame->family == 4 ? frame->l3 + 10 : view->icmp_sum;
    for (uint32_t i = 0; i < size; i += 2)
        update(data + sum, load16(data + at + i), load16(end->address + i));
    memcpy(data + at, end->address, size);
}

void view_rewrite(const struct nat_view *view, uint8_t *data, enum view_side side,
                  const struct nat_endpoint *to)
{
    uint32_t size = view->family == 4 ? 4 : 16, port = view->ports[side];
    rewrite_address(view, data, view->addresses + side * size, to);
    if (!view->partial)
        amend_l4(view, data, load16(data + port), to->port);
    store(view, data, port, to->port);
    if (view->kind == VIEW_ERROR)
        rewrite_carrier(view, data, side == VIEW_SOURCE ? VIEW_DESTINATION : VIEW_SOURCE,
                        to);
}
