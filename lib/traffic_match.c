/* traffic_match: from text to alternatives of conjunctions, by recursive descent. */
#include "lib/traffic_match.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/prefix.h"

#define WORD_SIZE 64
#define DEPTH_MAX 32 /* nested parentheses and nots */

struct parser {
    const char *text, *at;
    char word[WORD_SIZE]; /* the present one, "" at the end */
    unsigned depth;
    struct error *err;
};

static int fail(struct parser *parser, const char *wanted)
{
    if (!*parser->word)
        return error_set(parser->err, ERROR_CONFIG, EINVAL,
                         "\"%s\": %s missing at the end", parser->text, wanted);
    return error_set(parser->err, ERROR_CONFIG, EINVAL, "\"%s\": \"%s\" is no %s",
                     parser->text, parser->word, wanted);
}

static int too_many(struct parser *parser)
{
    return error_set(parser->err, ERROR_CONFIG, E2BIG,
                     "\"%s\": too many alternatives (%d terms at most)", parser->text,
                     TRAFFIC_PRIMITIVES);
}

static void next_word(struct parser *parser)
{
    parser->at += strspn(parser->at, " \t\n");
    size_t length = strcspn(parser->at, " \t\n()");
    if (!length && *parser->at)
        length = 1;
    size_t kept = length < WORD_SIZE ? length : WORD_SIZE - 1;
    memcpy(parser->word, parser->at, kept);
    parser->word[kept] = 0;
    parser->at += length;
}

static bool take(struct parser *parser, const char *word)
{
    if (strcmp(parser->word, word))
        return false;
    next_word(parser);
    return true;
}

/* --- values ------------------------------------------------------------------------- */

/* Digits only; stops where they do. */
static bool read_number(const char **at, unsigned long most, unsigned long *value)
{
    char *end;
    if (**at < '0' || **at > '9')
        return false;
    errno = 0;
    *value = strtoul(*at, &end, strncmp(*at, "0x", 2) ? 10 : 16);
    *at = end;
    return !errno && *value <= most;
}

static int parse_number(struct parser *parser, unsigned long most, const char *wanted,
                        __u16 *out)
{
    const char *at = parser->word;
    unsigned long value;
    if (!read_number(&at, most, &value) || *at)
        return fail(parser, wanted);
    *out = (__u16)value;
    next_word(parser);
    return 0;
}

static int parse_range(struct parser *parser, struct traffic_primitive *p)
{
    const char *at = parser->word;
    unsigned long low, high;
    if (!read_number(&at, 65535, &low) || *at++ != '-' ||
        !read_number(&at, 65535, &high) || *at || high < low)
        return fail(parser, "range of ports (N-N)");
    p->low = (__u16)low;
    p->high = (__u16)high;
    next_word(parser);
    return 0;
}

static void set_mask(struct traffic_primitive *p, unsigned bits)
{
    __u8 *mask = (__u8 *)p->mask;
    for (unsigned i = 0; i < bits; i++)
        mask[i / 8] |= (__u8)(0x80 >> i % 8);
}

/* An address, or a prefix where one is wanted. */
static int parse_address(struct parser *parser, struct traffic_primitive *p, bool net)
{
    const char *wanted = net ? "network (ADDRESS/BITS)" : "address";
    struct prefix prefix;
    if ((!net && strchr(parser->word, '/')) || prefix_parse(&prefix, parser->word))
        return fail(parser, wanted);
    __u16 ethertype = prefix.family == AF_INET6 ? 0x86dd : 0x0800;
    if (p->ethertype != TRAFFIC_ANY && p->ethertype != ethertype)
        return fail(parser, p->ethertype == 0x0800 ? "IPv4 address" : "IPv6 address");
    p->ethertype = ethertype;
    memcpy(p->address, prefix.address, sizeof(prefix.address));
    set_mask(p, prefix.bits);
    next_word(parser);
    return 0;
}

/* --- one primitive ------------------------------------------------------------------ */

static const struct protocol {
    const char *word;
    __u16 ethertype, protocol;
} protocols[] = {
    { "ip", 0x0800, TRAFFIC_ANY },  { "ip6", 0x86dd, TRAFFIC_ANY },
    { "arp", 0x0806, TRAFFIC_ANY }, { "tcp", TRAFFIC_ANY, 6 },
    { "udp", TRAFFIC_ANY, 17 },     { "sctp", TRAFFIC_ANY, 132 },
    { "icmp", 0x0800, 1 },          { "icmp6", 0x86dd, 58 },
};

static bool parse_protocol(struct parser *parser, struct traffic_primitive *p)
{
    for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++)
        if (take(parser, protocols[i].word)) {
            p->ethertype = protocols[i].ethertype;
            p->protocol = protocols[i].protocol;
            return true;
        }
    return false;
}

static bool may_have_ports(const struct traffic_primitive *p)
{
    return p->ethertype != 0x0806 && (p->protocol == TRAFFIC_ANY || p->protocol == 6 ||
                                      p->protocol == 17 || p->protocol == 132);
}

/* host, net, port, portrange behind an optional direction. 1 when there was none of them. */
static int parse_end(struct parser *parser, struct traffic_primitive *p)
{
    __u8 ends = TRAFFIC_SRC | TRAFFIC_DST;
    bool directed = true;
    if (take(parser, "src"))
        ends = TRAFFIC_SRC;
    else if (take(parser, "dst"))
        ends = TRAFFIC_DST;
    else
        directed = false;
    bool ports = !strcmp(parser->word, "port") || !strcmp(parser->word, "portrange");
    if (ports && !may_have_ports(p))
        return fail(parser, "thing that this protocol has");
    if (ports)
        p->port_ends = ends;
    else
        p->address_ends = ends;
    if (take(parser, "host"))
        return parse_address(parser, p, false);
    if (take(parser, "net"))
        return parse_address(parser, p, true);
    if (take(parser, "portrange"))
        return parse_range(parser, p);
    if (take(parser, "port")) {
        int error = parse_number(parser, 65535, "port", &p->low);
        p->high = p->low;
        return error;
    }
    p->address_ends = 0;
    return directed ? fail(parser, "host, net, port or portrange") : 1;
}

static int parse_primitive(struct parser *parser, struct traffic_primitive *p)
{
    *p = (struct traffic_primitive){ .ethertype = TRAFFIC_ANY,
                                     .protocol = TRAFFIC_ANY,
                                     .vlan = TRAFFIC_ANY };
    p->last = 1;
    if (take(parser, "vlan")) {
        p->vlan = TRAFFIC_TAGGED;
        return *parser->word >= '0' && *parser->word <= '9'
                   ? parse_number(parser, 4095, "VLAN", &p->vlan)
                   : 0;
    }
    if (take(parser, "ether"))
        return take(parser, "proto")
                   ? parse_number(parser, TRAFFIC_TAGGED, "Ethernet type", &p->ethertype)
                   : fail(parser, "proto");
    bool named = parse_protocol(parser, p);
    if (named && p->protocol == TRAFFIC_ANY && take(parser, "proto"))
        return parse_number(parser, 255, "IP protocol", &p->protocol);
    int error = parse_end(parser, p);
    return error <= 0 ? error : named ? 0 : fail(parser, "primitive");
}

/* --- expressions -------------------------------------------------------------------- */

static int append(struct parser *parser, struct traffic_match *to,
                  const struct traffic_primitive *p, unsigned n)
{
    if (to->count + n > TRAFFIC_PRIMITIVES)
        return too_many(parser);
    memcpy(&to->primitives[to->count], p, n * sizeof(*p));
    to->count += n;
    return 0;
}

/* Primitives from i to the end of their conjunction. */
static unsigned conjunction(const struct traffic_match *match, unsigned i)
{
    unsigned n = 1;
    while (!match->primitives[i + n - 1].last)
        n++;
    return n;
}

/* (a or b) and (c or d) = ac or ad or bc or bd */
static int both(struct parser *parser, struct traffic_match *a,
                const struct traffic_match *b)
{
    struct traffic_match product = { 0 };
    int error = 0;
    for (unsigned i = 0; i < a->count && !error; i += conjunction(a, i))
        for (unsigned j = 0; j < b->count && !error; j += conjunction(b, j)) {
            error = append(parser, &product, &a->primitives[i], conjunction(a, i));
            if (error)
                break;
            product.primitives[product.count - 1].last = 0;
            error = append(parser, &product, &b->primitives[j], conjunction(b, j));
        }
    *a = product;
    return error;
}

/* not (ab or c) = (not a or not b) and not c */
static int negate(struct parser *parser, struct traffic_match *match)
{
    struct traffic_match result = { 0 };
    int error = 0;
    for (unsigned i = 0, n; i < match->count && !error; i += n) {
        struct traffic_match flipped = { 0 };
        n = conjunction(match, i);
        for (unsigned j = 0; j < n; j++) {
            struct traffic_primitive p = match->primitives[i + j];
            p.negated = !p.negated;
            p.last = 1;
            append(parser, &flipped, &p, 1);
        }
        if (i)
            error = both(parser, &result, &flipped);
        else
            result = flipped;
    }
    *match = result;
    return error;
}

static int parse_expression(struct parser *parser, struct traffic_match *match);

static int parse_group(struct parser *parser, struct traffic_match *match)
{
    int error = parse_expression(parser, match);
    if (!error && !take(parser, ")"))
        error = fail(parser, "closing parenthesis");
    return error;
}

static int parse_factor(struct parser *parser, struct traffic_match *match)
{
    int error;
    if (++parser->depth > DEPTH_MAX)
        return too_many(parser);
    match->count = 0;
    if (take(parser, "not") || take(parser, "!")) {
        error = parse_factor(parser, match);
        if (!error)
            error = negate(parser, match);
    } else if (take(parser, "(")) {
        error = parse_group(parser, match);
    } else {
        error = parse_primitive(parser, &match->primitives[0]);
        match->count = 1;
    }
    parser->depth--;
    return error;
}

static int parse_expression(struct parser *parser, struct traffic_match *match)
{
    int error = parse_factor(parser, match);
    while (!error && *parser->word && strcmp(parser->word, ")")) {
        struct traffic_match more;
        bool and = take(parser, "and") || take(parser, "&&");
        if (!and&&!take(parser, "or") && !take(parser, "||"))
            return fail(parser, "\"and\" or \"or\"");
        error = parse_factor(parser, &more);
        if (!error)
            error = and? both(parser, match, &more)
                       : append(parser, match, more.primitives, more.count);
    }
    return error;
}

int traffic_match_parse(struct traffic_match *match, const char *text, struct error *err)
{
    struct parser parser = { .text = text ? text : "", .err = err };
    memset(match, 0, sizeof(*match));
    parser.at = parser.text;
    next_word(&parser);
    if (!*parser.word)
        return 0;
    int error = parse_expression(&parser, match);
    return !error && *parser.word ? fail(&parser, "\"and\" or \"or\"") : error;
}

bool traffic_match_frame(const struct traffic_match *match, const void *frame,
                         size_t length)
{
    struct traffic_key key;
    traffic_parse(&key, frame, (const __u8 *)frame + length);
    return traffic_test(match, &key);
}
