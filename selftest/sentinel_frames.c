/* sentinel_frames: frames out of a line of text, right ones and wrong ones. */
#include "selftest/sentinel_frames.h"

#include <arpa/inet.h>
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "selftest/segment_check.h"

struct maker {
    struct made_frame made;
    uint8_t *next; /* where the number of the header that comes next goes */
    int family;
    bool done; /* the lengths are written */
};

static void put16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static uint8_t *grow(struct maker *m, uint32_t size)
{
    struct rig_frame *frame = &m->made.frame;
    uint8_t *at = frame->data + frame->length;
    ck_assert_uint_le(frame->length + size, sizeof(frame->data));
    frame->length += size;
    return at;
}

static uint32_t put_hex(uint8_t *at, const char *hex)
{
    uint32_t size = (uint32_t)strlen(hex) / 2;
    for (uint32_t i = 0; i < size; i++) {
        char byte[3] = { hex[2 * i], hex[2 * i + 1], 0 };
        at[i] = (uint8_t)strtoul(byte, NULL, 16);
    }
    return size;
}

static uint8_t *ip_of(struct maker *m)
{
    return m->made.frame.data + m->made.l3;
}

/* --- headers ------------------------------------------------------------------------------- */

static void set_address(struct maker *m, bool source, const char *text)
{
    uint8_t *ip = ip_of(m);
    uint8_t *at = m->family == 4 ? ip + (source ? 12 : 16) : ip + (source ? 8 : 24);
    ck_assert_int_eq(inet_pton(m->family == 4 ? AF_INET : AF_INET6, text, at), 1);
}

static void add_ip(struct maker *m)
{
    bool v4 = m->family == 4;
    uint8_t *ip = grow(m, v4 ? 20 : 40);
    put16(ip - 2, v4 ? 0x0800 : 0x86dd);
    m->made.l3 = (uint32_t)(ip - m->made.frame.data);
    ip[0] = v4 ? 0x45 : 0x60;
    ip[v4 ? 8 : 7] = 64;
    m->next = ip + (v4 ? 9 : 6);
    set_address(m, true, v4 ? "198.51.100.7" : "2001:db8:7::7");
    set_address(m, false, v4 ? "192.0.2.1" : "2001:db8::1");
}

static void add_type(struct maker *m, const char *hex)
{
    m->made.l3 = m->made.frame.length;
    put_hex(m->made.frame.data + m->made.l3 - 2, hex);
    m->done = true;
}

static void add_options(struct maker *m, const char *hex)
{
    uint32_t size = put_hex(grow(m, (uint32_t)strlen(hex) / 2), hex);
    ck_assert_uint_eq(size % 4, 0);
    ip_of(m)[0] = (uint8_t)(0x40 | (5 + size / 4));
}

static uint8_t *add_extension(struct maker *m, uint8_t number, uint32_t size)
{
    uint8_t *at = grow(m, size);
    *m->next = number;
    m->next = at;
    m->made.extension = (uint32_t)(at - m->made.frame.data);
    return at;
}

static void add_fragment(struct maker *m, const char *text)
{
    uint8_t *at = add_extension(m, 44, 8);
    put16(at + 2, (uint32_t)strtoul(text, NULL, 10) | (strchr(text, '+') != NULL));
}

static uint8_t *add_l4(struct maker *m, uint8_t protocol, uint32_t size)
{
    uint8_t *at = grow(m, size);
    *m->next = protocol;
    m->made.l4 = (uint32_t)(at - m->made.frame.data);
    return at;
}

static void add_tcp(struct maker *m, const char *text)
{
    const char *options = strchr(text, ':');
    uint8_t *at = add_l4(m, 6, 20);
    uint32_t size =
        options ? put_hex(grow(m, (uint32_t)strlen(options + 1) / 2), options + 1) : 0;
    put16(at, 1024);
    put16(at + 2, 80);
    at[12] = (uint8_t)((5 + size / 4) << 4);
    at[13] = (uint8_t)strtoul(text, NULL, 16);
}

static void add_udp(struct maker *m)
{
    uint8_t *at = add_l4(m, 17, 8);
    put16(at, 1024);
    put16(at + 2, 80);
    put16(at + 6, 1);
}

static void add_icmp(struct maker *m, const char *text)
{
    uint8_t *at = add_l4(m, m->family == 4 ? 1 : 58, 8);
    at[0] = (uint8_t)strtoul(text, NULL, 10);
}

/* --- words --------------------------------------------------------------------------------- */

/* What follows is done to a packet that is right. */
static void finish(struct maker *m)
{
    struct made_frame *made = &m->made;
    uint32_t end = made->frame.length;
    uint8_t *ip = ip_of(m), *l4 = made->frame.data + made->l4;
    if (m->done || !made->l3)
        return;
    m->done = true;
    if (made->l4 && *m->next == 17 && end - made->l4 >= 8)
        put16(l4 + 4, end - made->l4);
    put16(ip + (m->family == 4 ? 2 : 4), end - made->l3 - (m->family == 4 ? 0 : 40));
    if (m->family == 4)
        put16(ip + 10, ~naive_sum(ip, 4u * (ip[0] & 15), 0));
}

static void patch(struct maker *m, const char *text)
{
    struct made_frame *made = &m->made;
    uint32_t at = text[0] == '2'   ? 0
                  : text[0] == '3' ? made->l3
                  : text[0] == '4' ? made->l4
                                   : made->extension;
    char *hex;
    finish(m);
    at += (uint32_t)strtoul(text + 2, &hex, 10);
    ck_assert_int_eq(*hex, '=');
    ck_assert_uint_le(at + put_hex(made->frame.data + at, hex + 1),
                      sizeof(made->frame.data));
}

static void cut(struct maker *m, const char *text)
{
    finish(m);
    uint32_t length = (uint32_t)strtoul(text + 2, NULL, 10);
    m->made.frame.length = length + (text[0] == '3' ? m->made.l3 : 0);
}

static void pad(struct maker *m, const char *text)
{
    finish(m);
    m->made.frame.length = (uint32_t)strtoul(text, NULL, 10);
}

static bool extension_word(struct maker *m, const char *word)
{
    static const struct {
        const char *name;
        uint8_t number;
    } names[] = { { "hop", 0 }, { "route", 43 }, { "opts", 60 }, { "mobility", 135 } };
    size_t length = strcspn(word, ":");
    uint32_t units = word[length] ? (uint32_t)strtoul(word + length + 1, NULL, 10) : 1;
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (strlen(names[i].name) == length && !memcmp(names[i].name, word, length)) {
            uint8_t *at = add_extension(m, names[i].number, 8 * units);
            at[1] = (uint8_t)(units - 1);
            at[2] = names[i].number == 43 ? 4 : 1; /* a segment routing header; PadN */
            return true;
        }
    if (strcmp(word, "ah"))
        return false;
    add_extension(m, 51, 24)[1] = 4;
    return true;
}

static void ip_word(struct maker *m, const char *word)
{
    if (word[2])
        m->family = word[2] - '0';
    add_ip(m);
}

static void word_of(struct maker *m, const char *word)
{
    if (!strncmp(word, "ip", 2))
        ip_word(m, word);
    else if (!strncmp(word, "src=", 4) || !strncmp(word, "dst=", 4))
        set_address(m, word[0] == 's', word + 4);
    else if (!strncmp(word, "opt=", 4))
        add_options(m, word + 4);
    else if (!strncmp(word, "frag:", 5))
        add_fragment(m, word + 5);
    else if (!strncmp(word, "tcp:", 4))
        add_tcp(m, word + 4);
    else if (!strcmp(word, "udp"))
        add_udp(m);
    else if (!strncmp(word, "icmp:", 5))
        add_icmp(m, word + 5);
    else if (!strncmp(word, "proto:", 6))
        add_l4(m, (uint8_t)strtoul(word + 6, NULL, 10), 0);
    else if (!strncmp(word, "eth:", 4))
        add_type(m, word + 4);
    else if (word[0] == '+')
        grow(m, (uint32_t)strtoul(word + 1, NULL, 10));
    else if (word[0] == '@')
        patch(m, word + 1);
    else if (!strncmp(word, "cut", 3))
        cut(m, word + 3);
    else if (!strncmp(word, "pad:", 4))
        pad(m, word + 4);
    else
        ck_assert_msg(extension_word(m, word), "\"%s\" is no word", word);
}

struct made_frame frames_make(const char *text, int family, const uint32_t *tags)
{
    static const uint8_t ethernet[12] = { 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1 };
    struct maker maker = { .family = family };
    char copy[512], *save = NULL;
    ck_assert_uint_lt(strlen(text), sizeof(copy));
    memcpy(grow(&maker, 14), ethernet, 12);
    for (int i = 0; tags && tags[i]; i++) {
        uint8_t *at = grow(&maker, 4);
        put16(at - 2, tags[i] >> 16);
        put16(at, tags[i] & 0xffff);
    }
    strcpy(copy, text);
    for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
        word_of(&maker, word);
    finish(&maker);
    return maker.made;
}

/* --- damage -------------------------------------------------------------------------------- */

uint64_t frames_random(uint64_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random;
}

static void splice(struct rig_frame *frame, const struct rig_frame *other, uint64_t dice)
{
    uint32_t from = (uint32_t)(dice >> 8) % other->length;
    uint32_t to = (uint32_t)(dice >> 24) % frame->length;
    uint32_t size = other->length - from;
    if (size > sizeof(frame->data) - to)
        size = (uint32_t)sizeof(frame->data) - to;
    memcpy(frame->data + to, other->data + from, size);
    if (to + size > frame->length || dice & 0x80)
        frame->length = to + size;
}

/* Most of what matters is in the first bytes of a header. */
static void damage(struct rig_frame *frame, uint64_t dice)
{
    uint32_t reach = dice & 64 && frame->length > 64 ? 64 : frame->length;
    uint8_t *at = &frame->data[(uint32_t)(dice >> 16) % reach];
    switch (dice % 4) {
    case 0:
        *at ^= (uint8_t)(1 << (dice >> 60 & 7));
        break;
    case 1:
        *at = (uint8_t)(dice >> 56);
        break;
    case 2:
        *at = (uint8_t)(*at + (dice >> 63 ? 1 : -1));
        break;
    default:
        *at = dice >> 63 ? 0 : 0xff;
    }
}

void frames_mutate(struct rig_frame *frame, const struct rig_frame *other,
                   uint64_t *random)
{
    uint64_t dice = frames_random(random);
    if (dice % 8 == 0)
        splice(frame, other, frames_random(random));
    for (uint64_t n = dice >> 8 & 3; n; n--)
        damage(frame, frames_random(random));
    if (dice >> 16 & 1)
        return;
    uint32_t cut = (uint32_t)(dice >> 32) % frame->length;
    if (frame->length - cut >= 14 && cut)
        frame->length -= dice >> 17 & 1 ? cut : 1;
}
