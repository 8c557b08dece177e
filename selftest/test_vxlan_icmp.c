/* VxlanNat's ICMP: errors are read, translated to what they would have been, and made. */
#include "apps/vxlan_nat/icmp.h"
#include "lib/random.h"
#include "selftest/inner_facts.h"
#include "selftest/selftest.h"

#define WHOLE 0xffff

static uint8_t frame[FRAME_MOST], expected[FRAME_MOST], original[FRAME_MOST];

/* An error about a packet. */
struct about {
    bool v6;
    uint8_t type, protocol, options;
    bool later;          /* a fragment that is not the first */
    uint32_t extensions; /* IPv6 headers of 8 bytes in front of its transport header */
    uint32_t quoted;     /* bytes of its transport header and payload, or WHOLE */
};

static void put_address(uint8_t *at, bool v6, const uint8_t *address)
{
    memcpy(at, v6 ? address : address + 12, v6 ? 16 : 4);
}

static void put_both(uint8_t *ip, bool v6, const uint8_t *src, const uint8_t *dst)
{
    put_address(ip + (v6 ? 8 : 12), v6, src);
    put_address(ip + (v6 ? 24 : 16), v6, dst);
    if (!v6) {
        put16(ip + 10, 0);
        put16(ip + 10, ~naive_sum(ip, 4u * (ip[0] & 15), 0));
    }
}

static void fix_transport(uint8_t *bytes, uint32_t length)
{
    struct look look = frame_look(bytes, length);
    uint32_t at = look.protocol == IS_TCP ? 16 : look.protocol == IS_UDP ? 6 : 2;
    put16(bytes + look.l4 + at, 0);
    uint32_t sum = ~transport_sum(bytes, &look) & 0xffff;
    put16(bytes + look.l4 + at, sum || look.protocol != IS_UDP ? sum : 0xffff);
}

/* Hop-by-hop options in front of what there is; the checksum knows nothing of them. */
static uint32_t add_extensions(uint8_t *ip, uint32_t length, uint32_t count)
{
    for (; count; count--, length += 8) {
        memmove(ip + 48, ip + 40, length - 40);
        memcpy(ip + 40, "\0\0\1\4\0\0\0\0", 8);
        ip[40] = ip[6];
        ip[6] = 60;
        put16(ip + 4, get16(ip + 4) + 8);
    }
    return length;
}

/* The packet that it is about, as IP; returns how much of it is quoted. */
static uint32_t make_quoted(uint8_t *ip, const struct about *about,
                            const struct icmp_translation *to)
{
    static uint8_t inner[FRAME_MOST];
    struct made made = { .v6 = about->v6,
                         .protocol = about->protocol,
                         .options = about->options,
                         .payload = 61,
                         .from = to->src.port,
                         .to = to->dst.port };
    uint32_t length = frame_make(inner, &made);
    struct look look = frame_look(inner, length);
    if (look.protocol == IS_ICMP || look.protocol == IS_ICMP6)
        put16(inner + look.l4 + 4, to->src.port);
    if (about->later)
        put16(inner + 14 + 6, 0x2005);
    put_both(inner + 14, about->v6, to->src.address, to->dst.address);
    fix_transport(inner, length);
    memcpy(ip, inner + 14, length - 14);
    length = add_extensions(ip, length - 14, about->extensions);
    uint32_t header = look.l4 - 14 + 8 * about->extensions;
    return length < header + about->quoted ? length : header + about->quoted;
}

static uint32_t make_error(uint8_t *bytes, const struct about *about,
                           const struct icmp_translation *to)
{
    static uint8_t quoted[FRAME_MOST];
    uint32_t size = make_quoted(quoted, about, to);
    struct made made = {
        .v6 = about->v6, .protocol = IS_ICMP, .type = about->type, .payload = size
    };
    uint32_t length = frame_make(bytes, &made);
    struct look look = frame_look(bytes, length);
    memcpy(bytes + look.l4 + 8, quoted, size);
    put_both(bytes + look.l3, about->v6, to->outer_src, to->outer_dst);
    fix_transport(bytes, length);
    ck_assert_ptr_null(frame_problem(bytes, length));
    return length;
}

static void draw_address(uint8_t *address, bool v6, uint64_t draw)
{
    static const uint8_t mapped[12] = { [10] = 0xff, 0xff };
    for (int i = 0; i < 16; i++)
        address[i] = (uint8_t)(draw >> i % 8 * 8) ^ (uint8_t)(i * 7);
    if (!v6)
        memcpy(address, mapped, 12);
}

static struct icmp_translation draw_translation(const struct about *about, uint64_t index)
{
    struct random_key key = random_key(3, "icmp", "translations");
    struct icmp_translation to;
    uint64_t at = index * 8;
    draw_address(to.src.address, about->v6, random_draw(&key, at));
    draw_address(to.dst.address, about->v6, random_draw(&key, at + 1));
    draw_address(to.outer_src, about->v6, random_draw(&key, at + 2));
    draw_address(to.outer_dst, about->v6, random_draw(&key, at + 3));
    to.src.port = (uint16_t)(random_draw(&key, at + 4) | 1);
    to.dst.port = about->protocol == IS_ICMP ? to.src.port
                                             : (uint16_t)(random_draw(&key, at + 5) | 1);
    return to;
}

static const struct about abouts[] = {
    { .type = 3, .protocol = IS_UDP, .quoted = WHOLE },
    { .type = 3, .protocol = IS_UDP, .quoted = 8 },
    { .type = 11, .protocol = IS_TCP, .quoted = WHOLE },
    { .type = 4, .protocol = IS_TCP, .quoted = 8 },
    { .type = 12, .protocol = IS_TCP, .quoted = 15, .options = 3 },
    { .type = 3, .protocol = IS_TCP, .quoted = 18, .options = 10 },
    { .type = 3, .protocol = IS_ICMP, .quoted = 8 },
    { .type = 11, .protocol = IS_ICMP, .quoted = 33, .options = 1 },
    { .v6 = true, .type = 1, .protocol = IS_UDP, .quoted = WHOLE },
    { .v6 = true, .type = 2, .protocol = IS_TCP, .quoted = 8 },
    { .v6 = true, .type = 3, .protocol = IS_TCP, .quoted = 23, .extensions = 2 },
    { .v6 = true, .type = 4, .protocol = IS_ICMP, .quoted = 8, .extensions = 1 },
    { .v6 = true, .type = 1, .protocol = IS_ICMP, .quoted = WHOLE },
};

#define ABOUTS (int)(sizeof(abouts) / sizeof(*abouts))

/* What is read of `frame`. */
static struct vxlan_frame f;
static struct icmp_embedded e;

static enum icmp_kind read_frame(uint32_t length)
{
    f = inner_facts(frame, length);
    return icmp_read(frame, &f, &e);
}

/* `frame` is an error, and is read as one; its length. */
static uint32_t read_error(const struct about *about, const struct icmp_translation *is)
{
    uint32_t length = make_error(frame, about, is);
    ck_assert_int_eq(read_frame(length), ICMP_ERROR);
    return length;
}

/* --- reading ------------------------------------------------------------------------- */

START_TEST(an_error_says_about_whom)
{
    const struct about *about = &abouts[_i];
    struct icmp_translation is = draw_translation(about, (uint64_t)_i);
    uint32_t length = read_error(about, &is);
    ck_assert_mem_eq(e.src, is.src.address, 16);
    ck_assert_mem_eq(e.dst, is.dst.address, 16);
    ck_assert(e.ports && e.sport == is.src.port && e.dport == is.dst.port);
    ck_assert_uint_eq(
        e.protocol, about->v6 && about->protocol == IS_ICMP ? IS_ICMP6 : about->protocol);
    ck_assert_uint_eq(e.l3, f.l4 + 8);
    ck_assert_uint_eq(e.l4, e.l3 + (about->v6 ? 40 : 20) + 4u * about->options +
                                8 * about->extensions);
    ck_assert_uint_eq(e.end, length);
}
END_TEST

/* Any bit of the error: its checksum. Any bit of the IPv4 header in it: that one's. The rest of what
 * is quoted may be as wrong as it likes. */
START_TEST(damage_is_seen)
{
    const struct about *about = &abouts[_i];
    struct icmp_translation is = draw_translation(about, (uint64_t)_i);
    uint32_t length = read_error(about, &is);
    uint32_t l4 = f.l4, ip = e.l3, transport = e.l4;
    for (uint32_t bit = 8u * l4 + 8; bit < 8 * length; bit++) { /* behind the type */
        make_error(frame, about, &is);
        frame[bit / 8] ^= (uint8_t)(1 << bit % 8);
        ck_assert_int_eq(read_frame(length), ICMP_DAMAGED);
        fix_transport(frame, length);
        bool header = !about->v6 && bit >= 8 * ip && bit < 8 * transport;
        if (header || bit < 8 * ip || bit >= 8 * transport + 64)
            ck_assert_int_eq(read_frame(length), header ? ICMP_DAMAGED : ICMP_ERROR);
    }
}
END_TEST

/* Errors cut off at every byte, in memory that ends there: 8 bytes behind the IP header are enough. */
START_TEST(cut_at_every_byte)
{
    const struct about *about = &abouts[_i];
    struct icmp_translation is = draw_translation(about, (uint64_t)_i), to = is;
    uint32_t length = read_error(about, &is);
    const struct icmp_embedded whole = e;
    to.src.port++;
    to.dst.address[15]++;
    to.dst.port = about->protocol == IS_ICMP ? to.src.port : to.dst.port;
    make_error(expected, about, &to);
    for (uint32_t end = f.l4; end < length; end++) {
        uint8_t *bytes = malloc(end);
        memcpy(bytes, frame, end);
        f.end = end;
        f.truncated = true;
        enum icmp_kind kind = icmp_read(bytes, &f, &e);
        ck_assert_int_eq(kind, end == f.l4           ? ICMP_NONE
                               : end < whole.l4 + 8u ? ICMP_DAMAGED
                                                     : ICMP_ERROR);
        if (kind == ICMP_ERROR) {
            icmp_translate(bytes, &f, &e, &to);
            memcpy(bytes + f.l4 + 2, expected + f.l4 + 2, 2); /* of what is not here */
            ck_assert_mem_eq(bytes, expected, end);
        }
        free(bytes);
    }
}
END_TEST

START_TEST(what_is_no_error)
{
    static const struct {
        uint8_t protocol, type;
        bool v6;
        enum icmp_kind kind;
    } rows[] = {
        { IS_ICMP, 8, false, ICMP_ECHO },    { IS_ICMP, 128, true, ICMP_ECHO },
        { IS_ICMP, 129, true, ICMP_ECHO },   { IS_ICMP, 13, false, ICMP_ECHO },
        { IS_ICMP, 14, false, ICMP_ECHO },   { IS_ICMP, 5, false, ICMP_NONE },
        { IS_ICMP, 137, true, ICMP_NONE },   { IS_ICMP, 135, true, ICMP_NONE },
        { IS_ICMP, 1, false, ICMP_NONE },    { IS_ICMP, 100, true, ICMP_NONE },
        { IS_TCP, 0, false, ICMP_NONE },     { IS_UDP, 0, true, ICMP_NONE },
        { IS_ICMP6, 128, false, ICMP_NONE },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct made made = { .v6 = rows[i].v6,
                             .protocol = rows[i].protocol,
                             .type = rows[i].type };
        uint32_t length = frame_make(frame, &made);
        f = inner_facts(frame, length);
        put16(frame + f.l4 + 4, 0x1234);
        ck_assert_int_eq(icmp_read(frame, &f, &e), rows[i].kind);
        if (rows[i].kind != ICMP_ECHO)
            continue;
        ck_assert(e.ports && e.sport == 0x1234 && e.dport == 0x1234);
        ck_assert(e.l3 == f.l3 && e.l4 == f.l4 && e.end == length);
        f.end = f.l4 + 7u;
        ck_assert_int_eq(icmp_read(frame, &f, &e), ICMP_DAMAGED);
    }
}
END_TEST

/* Addresses are translated, for there is nothing else. */
START_TEST(a_later_fragment_has_no_ports)
{
    const struct about about = {
        .type = 11, .protocol = IS_UDP, .later = true, .quoted = 30
    };
    struct icmp_translation is = draw_translation(&about, 1), to = is;
    uint32_t length = read_error(&about, &is);
    ck_assert(!e.ports && !e.l4 && !e.sport && !e.dport && !e.checksum);
    to.src.address[13] ^= 5;
    to.dst.address[14] ^= 7;
    to.src.port = 99;
    icmp_translate(frame, &f, &e, &to);
    to.src.port = is.src.port;
    ck_assert_ptr_null(frame_problem(frame, length));
    ck_assert_mem_eq(frame + e.l3 + 12, to.src.address + 12, 4);
    ck_assert_mem_eq(frame + e.l3 + 16, to.dst.address + 12, 4);
    ck_assert_uint_eq(naive_sum(frame + e.l3, 20, 0), 0xffff);
    make_error(expected, &about, &is);
    ck_assert_mem_eq(frame + e.l3 + 20, expected + e.l3 + 20, 30);
}
END_TEST

/* --- translating --------------------------------------------------------------------- */

/* Equal, byte by byte, to the error that would have come had there been no translation; and back. */
START_TEST(translated_is_as_if_made_so)
{
    for (uint64_t i = 0; i < 2000; i++) {
        struct about about = abouts[_i];
        struct icmp_translation is = draw_translation(&about, 2 * i),
                                to = draw_translation(&about, 2 * i + 1);
        uint32_t length = read_error(&about, &is);
        memcpy(original, frame, length);
        ck_assert_uint_eq(make_error(expected, &about, &to), length);
        icmp_translate(frame, &f, &e, &to);
        ck_assert_ptr_null(frame_problem(frame, length));
        ck_assert_mem_eq(frame, expected, length);
        ck_assert_int_eq(read_frame(length), ICMP_ERROR);
        icmp_translate(frame, &f, &e, &is);
        ck_assert_mem_eq(frame, original, length);
    }
}
END_TEST

START_TEST(quoted_udp_without_a_checksum)
{
    const struct about about = { .type = 3, .protocol = IS_UDP, .quoted = WHOLE };
    struct icmp_translation is = draw_translation(&about, 1),
                            to = draw_translation(&about, 2);
    uint32_t length = read_error(&about, &is);
    put16(frame + e.checksum, 0);
    fix_transport(frame, length);
    icmp_translate(frame, &f, &e, &to);
    ck_assert_uint_eq(get16(frame + e.checksum), 0);
    ck_assert_ptr_null(frame_problem(frame, length));
}
END_TEST

/* What is wrong in the quoted transport header is none of our business, and stays as wrong. */
START_TEST(quoted_damage_stays)
{
    const struct about about = { .type = 3, .protocol = IS_TCP, .quoted = WHOLE };
    struct icmp_translation is = draw_translation(&about, 1),
                            to = draw_translation(&about, 2);
    uint32_t length = read_error(&about, &is);
    frame[e.l4 + 21] ^= 0x55;
    fix_transport(frame, length);
    ck_assert_int_eq(read_frame(length), ICMP_ERROR);
    icmp_translate(frame, &f, &e, &to);
    ck_assert_ptr_null(frame_problem(frame, length));
    make_error(expected, &about, &to);
    expected[e.l4 + 21] ^= 0x55;
    fix_transport(expected, length);
    ck_assert_mem_eq(frame, expected, length);
}
END_TEST

/* --- making -------------------------------------------------------------------------- */

static const uint8_t router4[16] = { [10] = 0xff, 0xff, 192, 0, 2, 254 };
static const uint8_t router6[16] = { 0x20, 0x01, 0x0d, 0xb8, [15] = 254 };

/* Of one packet, in memory that ends behind it; the error is in `frame`, behind an Ethernet header. */
static uint32_t make_about(const struct made *made, enum icmp_error error, size_t room,
                           uint32_t there)
{
    uint32_t length = frame_make(original, made) - 14;
    uint8_t *ip = malloc(length);
    memcpy(ip, original + 14, length);
    memset(frame, 0xee, sizeof(frame));
    put16(frame + 12, made->v6 ? 0x86dd : 0x0800);
    uint32_t size =
        icmp_make(frame + 14, room, error, 1400, ip, there < length ? there : length,
                  made->v6 ? router6 : router4);
    free(ip);
    for (uint32_t i = 0; i < 8; i++)
        ck_assert_uint_eq(frame[14 + size + i], 0xee);
    return size;
}

START_TEST(an_error_of_our_own)
{
    for (uint32_t i = 0; i < 8; i++)
        for (uint32_t payload = 0; payload < 1600; payload += 53) {
            struct made made = { .v6 = i & 1,
                                 .protocol = i & 2 ? IS_TCP : IS_UDP,
                                 .payload = payload };
            uint32_t most = made.v6 ? 1280 : 576;
            enum icmp_error error = i & 4 ? ICMP_TOO_BIG : ICMP_TIME_EXCEEDED;
            uint32_t size = make_about(&made, error, 2000, 3000);
            uint32_t all = (made.v6 ? 48 : 28) + frame_make(original, &made) - 14;
            ck_assert_uint_eq(size, all < most ? all : most);
            ck_assert_ptr_null(frame_problem(frame, 14 + size));
            ck_assert_int_eq(read_frame(14 + size), ICMP_ERROR);
            ck_assert(e.sport == 1000 && e.dport == 2000 && e.protocol == made.protocol);
            ck_assert_mem_eq(frame + e.l3, original + 14, 14 + size - e.l3);
            const uint8_t *ip = frame + 14, *icmp = frame + f.l4;
            ck_assert_mem_eq(ip + (made.v6 ? 8 : 12), made.v6 ? router6 : router4 + 12,
                             made.v6 ? 16 : 4);
            ck_assert_mem_eq(ip + (made.v6 ? 24 : 16), e.src + (made.v6 ? 0 : 12),
                             made.v6 ? 16 : 4);
            ck_assert(made.v6 || ip[1] == 0xc0); /* RFC 1812, 4.3.2.5 */
            ck_assert_uint_eq(icmp[0], made.v6 ? (i & 4 ? 2 : 3) : i & 4 ? 3 : 11);
            ck_assert_uint_eq(icmp[1], !made.v6 && i & 4 ? 4 : 0);
            ck_assert_uint_eq(get32(icmp + 4), i & 4 ? 1400 : 0);
        }
}
END_TEST

/* Into little room, about a packet that was cut off: down to its IP header and 8 bytes. */
START_TEST(an_error_with_little_room)
{
    for (uint32_t v6 = 0; v6 < 2; v6++) {
        struct made made = { .v6 = v6, .protocol = IS_TCP, .payload = 300 };
        uint32_t header = v6 ? 40 : 20;
        for (uint32_t room = 0; room < 200; room++) {
            bool fits = room >= 2 * header + 16;
            ck_assert_uint_eq(make_about(&made, ICMP_TIME_EXCEEDED, room, 3000),
                              fits ? room : 0);
        }
        for (uint32_t there = 0; there < 100; there++) {
            uint32_t size = make_about(&made, ICMP_TIME_EXCEEDED, 2000, there);
            ck_assert_uint_eq(size, there < header ? 0 : header + 8 + there);
            if (size)
                ck_assert_ptr_null(frame_problem(frame, 14 + size));
        }
    }
}
END_TEST

/* Where RFC 1122 and RFC 4443 want silence, and where they do not. at: from the IP header. */
START_TEST(no_error_about_these)
{
    static const struct {
        const char *why;
        bool v6, answered;
        uint8_t protocol, type;
        enum icmp_error error;
        uint32_t at, bytes;
        const char *with;
    } rows[] = {
        { "echo", false, true, IS_ICMP, 8, ICMP_TIME_EXCEEDED },
        { "echo reply", true, true, IS_ICMP, 129, ICMP_TIME_EXCEEDED },
        { "unreachable", false, false, IS_ICMP, 3, ICMP_TIME_EXCEEDED },
        { "redirect", false, false, IS_ICMP, 5, ICMP_TIME_EXCEEDED },
        { "time exceeded", false, false, IS_ICMP, 11, ICMP_TIME_EXCEEDED },
        { "unknown", false, false, IS_ICMP, 77, ICMP_TIME_EXCEEDED },
        { "unreachable", true, false, IS_ICMP, 1, ICMP_TIME_EXCEEDED },
        { "unknown error", true, false, IS_ICMP, 100, ICMP_TOO_BIG },
        { "redirect", true, false, IS_ICMP, 137, ICMP_TIME_EXCEEDED },
        { "no DF", false, false, 0, 0, ICMP_TOO_BIG, 6, 1, "\0" },
        { "no DF, too old", false, true, 0, 0, ICMP_TIME_EXCEEDED, 6, 1, "\0" },
        { "first fragment", false, true, 0, 0, ICMP_TIME_EXCEEDED, 6, 2, "\x20\0" },
        { "later fragment", false, false, 0, 0, ICMP_TIME_EXCEEDED, 6, 2, "\x20\7" },
        { "to a group", false, false, 0, 0, ICMP_TIME_EXCEEDED, 16, 1, "\xe1" },
        { "to all", false, false, 0, 0, ICMP_TOO_BIG, 16, 4, "\xff\xff\xff\xff" },
        { "to a group", true, false, 0, 0, ICMP_TIME_EXCEEDED, 24, 1, "\xff" },
        { "to a group, too big", true, true, 0, 0, ICMP_TOO_BIG, 24, 1, "\xff" },
        { "from nobody", false, false, 0, 0, ICMP_TOO_BIG, 12, 4, "\0\0\0\0" },
        { "from itself", false, false, 0, 0, ICMP_TOO_BIG, 12, 4, "\x7f\0\0\1" },
        { "from a group", false, false, 0, 0, ICMP_TOO_BIG, 12, 1, "\xe0" },
        { "from all", false, false, 0, 0, ICMP_TOO_BIG, 12, 4, "\xff\xff\xff\xff" },
        { "from a group", true, false, 0, 0, ICMP_TOO_BIG, 8, 1, "\xff" },
        { "from nobody", true, false, 0, 0, ICMP_TOO_BIG, 8, 16,
          "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" },
        { "from itself", true, false, 0, 0, ICMP_TOO_BIG, 8, 16,
          "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1" },
        { "mapped", true, false, 0, 0, ICMP_TOO_BIG, 8, 16,
          "\0\0\0\0\0\0\0\0\0\0\xff\xff\xa\0\0\1" },
        { "no IP", false, false, 0, 0, ICMP_TIME_EXCEEDED, 0, 1, "\x55" },
        { "half a header", false, false, 0, 0, ICMP_TIME_EXCEEDED, 0, 1, "\x44" },
        { "cut options", true, false, 0, 0, ICMP_TOO_BIG, 6, 1, "\0" },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct made made = { .v6 = rows[i].v6,
                             .protocol = rows[i].protocol,
                             .type = rows[i].type,
                             .payload = 10 };
        uint32_t length = frame_make(original, &made) - 14;
        uint8_t *ip = original + 14;
        if (rows[i].bytes)
            memcpy(ip + rows[i].at, rows[i].with, rows[i].bytes);
        if (!strcmp(rows[i].why, "cut options"))
            ip[41] = 40;
        uint32_t size = icmp_make(frame, sizeof(frame), rows[i].error, 1400, ip, length,
                                  made.v6 ? router6 : router4);
        ck_assert_msg((size != 0) == rows[i].answered, "row %zu: %s", i, rows[i].why);
    }
}
END_TEST

START_TEST(no_error_from_nobody)
{
    static const uint8_t nobody[16];
    for (int v6 = 0; v6 < 2; v6++) {
        struct made made = { .v6 = v6 };
        uint32_t length = frame_make(original, &made) - 14;
        ck_assert_uint_eq(icmp_make(frame, sizeof(frame), ICMP_TIME_EXCEEDED, 0,
                                    original + 14, length, nobody),
                          0);
    }
}
END_TEST

static Suite *suite_vxlan_icmp(void)
{
    Suite *suite = suite_create("vxlan_icmp");
    TCase *tests = tcase_create("vxlan_icmp");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, an_error_says_about_whom, 0, ABOUTS);
    tcase_add_loop_test(tests, damage_is_seen, 0, ABOUTS);
    tcase_add_loop_test(tests, cut_at_every_byte, 0, ABOUTS);
    tcase_add_test(tests, what_is_no_error);
    tcase_add_test(tests, a_later_fragment_has_no_ports);
    tcase_add_loop_test(tests, translated_is_as_if_made_so, 0, ABOUTS);
    tcase_add_test(tests, quoted_udp_without_a_checksum);
    tcase_add_test(tests, quoted_damage_stays);
    tcase_add_test(tests, an_error_of_our_own);
    tcase_add_test(tests, an_error_with_little_room);
    tcase_add_test(tests, no_error_about_these);
    tcase_add_test(tests, no_error_from_nobody);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(vxlan_icmp)
