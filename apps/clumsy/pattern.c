/* pattern: packets that are dropped by number or by what they are. */
#include "apps/clumsy/pattern.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define STREAMS    4096 /* TCP connections that are remembered */
#define DNS_PORT   53
#define DNS_HEADER 12
#define RANGES_MAX 100000
#define QUIC_LONG  0xc0 /* header form and fixed bit: RFC 9000, 17.2 */
#define QUIC_V2    0x6b3343cf
#define QUIC_LEAST 7 /* first byte, version, two lengths of connection IDs */

/* --- numbers -------------------------------------------------------------------------- */

static bool whole(const struct value *value, uint64_t *number)
{
    if (value->kind != VALUE_INTEGER || value->integer < 1)
        return false;
    *number = (uint64_t)value->integer;
    return true;
}

static size_t items(const struct value *value)
{
    return value->kind == VALUE_TABLE ? value->table->count : 0;
}

static int read_range(const struct value *value, struct pattern_range *range,
                      struct error *err)
{
    if (items(value) != 2 || !whole(&value->table->fields[0].value, &range->from) ||
        !whole(&value->table->fields[1].value, &range->to) || range->from > range->to)
        return error_set(err, ERROR_CONFIG, EINVAL,
                         "drop.range: two numbers from 1, such as { 5, 9 }");
    return 0;
}

static int by_start(const void *a, const void *b)
{
    const struct pattern_range *x = a, *y = b;
    return x->from < y->from ? -1 : x->from > y->from;
}

/* Both list and range as ranges; the caller frees them. */
static int read_numbers(const struct drop_conf *conf, struct pattern_range **ranges,
                        uint32_t *n, struct error *err)
{
    size_t count = items(&conf->list);
    *n = 0;
    *ranges = NULL;
    if (conf->list.kind != VALUE_NIL && (!count || count > RANGES_MAX))
        return error_set(err, ERROR_CONFIG, EINVAL,
                         "drop.list: numbers from 1, such as { 1, 3, 17 }");
    if (!count && conf->range.kind == VALUE_NIL)
        return 0;
    struct pattern_range *all = calloc(count + 1, sizeof(*all));
    if (!all)
        return error_set(err, ERROR_RUN, ENOMEM, "out of memory");
    int error = 0;
    for (size_t i = 0; i < count && !error; i++, ++*n) {
        if (!whole(&conf->list.table->fields[i].value, &all[i].from))
            error = error_set(err, ERROR_CONFIG, EINVAL,
                              "drop.list: item %zu is not a number from 1", i + 1);
        all[i].to = all[i].from;
    }
    if (!error && conf->range.kind != VALUE_NIL)
        error = read_range(&conf->range, &all[(*n)++], err);
    if (error) {
        free(all);
        return error;
    }
    qsort(all, *n, sizeof(*all), by_start);
    *ranges = all;
    return 0;
}

/* Of the ranges that begin by then, any of which may reach that far. */
static bool in_ranges(const struct pattern *pattern, uint64_t number)
{
    uint32_t low = 0, high = pattern->nranges;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (pattern->ranges[middle].to < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low < pattern->nranges && pattern->ranges[low].from <= number;
}

/* So that both ends of the ranges go up. */
static void merge_ranges(struct pattern *pattern)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < pattern->nranges; i++) {
        struct pattern_range *last = n ? &pattern->ranges[n - 1] : NULL;
        const struct pattern_range *next = &pattern->ranges[i];
        if (last && next->from <= last->to)
            last->to = next->to > last->to ? next->to : last->to;
        else
            pattern->ranges[n++] = *next;
    }
    pattern->nranges = n;
}

/* --- configuration ------------------------------------------------------------------------ */

int pattern_verify(const struct drop_conf *conf, struct error *err)
{
    struct pattern_range *ranges;
    uint32_t n;
    int error = read_numbers(conf, &ranges, &n, err);
    free(ranges);
    if (error || !conf->filter)
        return error;
    struct capture_filter filter;
    error = capture_filter_compile(&filter, conf->filter, err);
    if (error) {
        error_prefix(err, "drop.filter: ");
        return error;
    }
    capture_filter_free(&filter);
    return 0;
}

static bool configure_streams(struct pattern *pattern)
{
    if (!pattern->tcp.byte || pattern->initial.entries)
        return true;
    return tally_init(&pattern->initial, STREAMS) &&
           tally_init(&pattern->dropped, STREAMS);
}

bool pattern_configure(struct pattern *pattern, const struct drop_conf *conf)
{
    if (pattern->filtered)
        capture_filter_free(&pattern->filter);
    free(pattern->ranges);
    pattern->ranges = NULL;
    pattern->syn = conf->syn;
    pattern->synack = conf->synack;
    pattern->fin = conf->fin;
    pattern->dns_response = conf->dns_response;
    pattern->quic_initial = conf->quic_initial;
    pattern->every = (uint64_t)conf->every;
    pattern->first = (uint64_t)conf->first;
    pattern->tcp = conf->tcp;
    pattern->filtered =
        conf->filter && !capture_filter_compile(&pattern->filter, conf->filter, NULL);
    if (read_numbers(conf, &pattern->ranges, &pattern->nranges, NULL))
        return false;
    merge_ranges(pattern);
    pattern->kinds = conf->syn || conf->synack || conf->fin || conf->dns_response ||
                     conf->quic_initial;
    pattern->numbers = conf->every || conf->first || pattern->nranges;
    pattern->active =
        pattern->kinds || pattern->filtered || pattern->numbers || conf->tcp.byte;
    return configure_streams(pattern);
}

void pattern_free(struct pattern *pattern)
{
    if (pattern->filtered)
        capture_filter_free(&pattern->filter);
    free(pattern->ranges);
    tally_free(&pattern->initial);
    tally_free(&pattern->dropped);
}

/* --- what a packet is --------------------------------------------------------------------- */

static bool is_kind_of_tcp(const struct pattern *pattern, const struct frame *frame)
{
    uint8_t flags = frame_tcp_flags(frame);
    bool syn = flags & TCP_SYN, ack = flags & TCP_ACK;
    return (pattern->syn && syn && !ack) || (pattern->synack && syn && ack) ||
           (pattern->fin && flags & TCP_FIN);
}

static bool is_dns_response(const struct frame *frame)
{
    return frame_source_port(frame) == DNS_PORT &&
           frame_payload_length(frame) >= DNS_HEADER &&
           frame->data[frame->payload + 2] & 0x80;
}

/* Type 0 of version 1, type 1 of version 2 (RFC 9369). */
static bool is_quic_initial(const struct frame *frame)
{
    const uint8_t *at = frame->data + frame->payload;
    if (frame_payload_length(frame) < QUIC_LEAST || (at[0] & QUIC_LONG) != QUIC_LONG)
        return false;
    uint32_t version = frame_u32(at + 1);
    return version && (at[0] >> 4 & 3) == (version == QUIC_V2 ? 1 : 0);
}

static bool is_kind(const struct pattern *pattern, const struct frame *frame)
{
    if (!pattern->kinds)
        return true;
    if (frame_is_tcp(frame))
        return is_kind_of_tcp(pattern, frame);
    return frame_is_udp(frame) && ((pattern->dns_response && is_dns_response(frame)) ||
                                   (pattern->quic_initial && is_quic_initial(frame)));
}

/* Another connection of the same ports begins elsewhere. */
uint64_t pattern_holds_byte(struct tally *initial, const struct frame *frame,
                            uint64_t byte)
{
    uint64_t flow = frame_flow(frame);
    uint32_t sequence = frame_tcp_sequence(frame);
    if (frame_tcp_flags(frame) & TCP_SYN) {
        *tally_at(initial, flow) = sequence + 1;
        return 0;
    }
    const uint32_t *first = tally_find(initial, flow);
    uint32_t at = first ? *first + (uint32_t)(byte - 1) : 0;
    if (!first || at - sequence >= frame_payload_length(frame))
        return 0;
    return (flow ^ ((uint64_t)*first << 32 | at) * 0xbf58476d1ce4e5b9) | 1;
}

static bool drops_segment(struct pattern *pattern, const struct frame *frame)
{
    if (!pattern->tcp.byte || !frame_is_tcp(frame))
        return false;
    uint64_t byte = pattern_holds_byte(&pattern->initial, frame, pattern->tcp.byte);
    if (!byte)
        return false;
    uint32_t *dropped = tally_at(&pattern->dropped, byte);
    if (*dropped > (uint64_t)pattern->tcp.retransmits)
        return false;
    ++*dropped;
    return true;
}

static bool is_named(const struct pattern *pattern, uint64_t number)
{
    return number <= pattern->first || (pattern->every && !(number % pattern->every)) ||
           in_ranges(pattern, number);
}

bool pattern_drops(struct pattern *pattern, const struct frame *frame)
{
    if (drops_segment(pattern, frame))
        return true;
    if (!(pattern->kinds || pattern->filtered || pattern->numbers) ||
        !is_kind(pattern, frame) ||
        (pattern->filtered &&
         !capture_filter_matches(&pattern->filter, frame->data, frame->length)))
        return false;
    pattern->count++;
    return !pattern->numbers || is_named(pattern, pattern->count);
}
