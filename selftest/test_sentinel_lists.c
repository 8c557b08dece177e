/* FlowSentinel's lists of networks, on both data paths. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "lib/prefix.h"

#include "selftest/selftest.h"
#include "selftest/sentinel_frames.h"

#define SEC 1000000000ull

static uint8_t reason_of(struct sentinel_rig *rig, const char *source)
{
    char text[96];
    snprintf(text, sizeof(text), "ip%c src=%s udp +4", strchr(source, ':') ? '6' : '4',
             source);
    struct made_frame made = frames_make(text, 4, NULL);
    rig->now += SEC / 10;
    struct sentinel_frame frame = rig_judge(rig, made.frame.data, made.frame.length);
    ck_assert_uint_eq(frame.verdict,
                      frame.reason == REASON_LISTED || frame.reason == REASON_BANNED
                          ? VERDICT_DROP
                          : VERDICT_PASS);
    return frame.reason;
}

static void expect(struct sentinel_rig *rig, const char *source, uint8_t reason)
{
    uint8_t found = reason_of(rig, source);
    ck_assert_msg(found == reason, "%s: %s", source, sentinel_reason_rows[found].name);
}

/* The longest prefix decides, each family for itself. */
START_TEST(the_longest_prefix_wins)
{
    static const struct {
        const char *prefix;
        enum sentinel_kind kind;
    } nested[] = {
        { "0.0.0.0/0", KIND_BANNED },
        { "198.51.0.0/16", KIND_ALLOWED },
        { "198.51.100.0/24", KIND_BANNED },
        { "198.51.100.7/32", KIND_ALLOWED },
        { "198.51.100.128/25", KIND_ALLOWED },
        { "198.51.100.255/32", KIND_BANNED },
        { "::/0", KIND_ALLOWED },
        { "2001:db8::/32", KIND_BANNED },
        { "2001:db8:7::/48", KIND_ALLOWED },
        { "2001:db8:7:1::/64", KIND_BANNED },
        { "2001:db8:7:1::9/128", KIND_ALLOWED },
    };
    static const struct {
        const char *source;
        uint8_t reason;
    } cases[] = {
        { "8.8.8.8", REASON_LISTED },          { "198.50.255.255", REASON_LISTED },
        { "198.51.0.0", REASON_ALLOWED },      { "198.51.99.255", REASON_ALLOWED },
        { "198.51.100.0", REASON_LISTED },     { "198.51.100.6", REASON_LISTED },
        { "198.51.100.7", REASON_ALLOWED },    { "198.51.100.8", REASON_LISTED },
        { "198.51.100.127", REASON_LISTED },   { "198.51.100.128", REASON_ALLOWED },
        { "198.51.100.254", REASON_ALLOWED },  { "198.51.100.255", REASON_LISTED },
        { "198.51.101.0", REASON_ALLOWED },    { "198.52.0.0", REASON_LISTED },
        { "2620::1", REASON_ALLOWED },         { "2001:db8::2", REASON_LISTED },
        { "2001:db8:7::1", REASON_ALLOWED },   { "2001:db8:7:1::8", REASON_LISTED },
        { "2001:db8:7:1::9", REASON_ALLOWED }, { "2001:db8:8::", REASON_LISTED },
        { "2001:db9::", REASON_ALLOWED },
    };
    struct path_listed list[11];
    struct sentinel_rig rig;
    rig_open(&rig, NULL);
    /* in either order */
    for (int i = 0; i < 11; i++)
        list[_i ? i : 10 - i] = rig_listed(nested[i].prefix, nested[i].kind);
    rig_list(&rig, list, 11);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        expect(&rig, cases[i].source, cases[i].reason);
    rig_close(&rig);
}
END_TEST

/* All of one family is nothing of the other. */
START_TEST(families_are_apart)
{
    struct sentinel_rig rig;
    rig_open(&rig, NULL);
    struct path_listed all = rig_listed(_i ? "::/0" : "0.0.0.0/0", KIND_BANNED);
    rig_list(&rig, &all, 1);
    expect(&rig, "198.51.100.7", _i ? REASON_NONE : REASON_LISTED);
    expect(&rig, "2001:db8:7::7", _i ? REASON_LISTED : REASON_NONE);
    expect(&rig, "64:ff9b::198.51.100.7", _i ? REASON_LISTED : REASON_NONE);
    rig_close(&rig);
}
END_TEST

/* Of the old list nothing is left. */
START_TEST(another_list)
{
    struct sentinel_rig rig;
    rig_open(&rig, NULL);
    struct path_listed first[] = { rig_listed("198.51.100.0/24", KIND_BANNED),
                                   rig_listed("2001:db8:7::/48", KIND_BANNED) };
    struct path_listed second[] = { rig_listed("203.0.113.0/24", KIND_BANNED),
                                    rig_listed("198.51.100.7", KIND_ALLOWED) };
    expect(&rig, "198.51.100.7", REASON_NONE);
    rig_list(&rig, first, 2);
    expect(&rig, "198.51.100.7", REASON_LISTED);
    expect(&rig, "2001:db8:7::7", REASON_LISTED);
    rig_list(&rig, second, 2);
    expect(&rig, "198.51.100.7", REASON_ALLOWED);
    expect(&rig, "198.51.100.8", REASON_NONE);
    expect(&rig, "2001:db8:7::7", REASON_NONE);
    expect(&rig, "203.0.113.9", REASON_LISTED);
    rig_policy(&rig, "ttl=7s"); /* another program, the same list */
    expect(&rig, "203.0.113.9", REASON_LISTED);
    rig_list(&rig, NULL, 0);
    expect(&rig, "203.0.113.9", REASON_NONE);
    expect(&rig, "198.51.100.7", REASON_NONE);
    rig_list(&rig, NULL, 0);
    rig_close(&rig);
}
END_TEST

/* What is said of one source comes before what is said of its network. */
START_TEST(entries_come_first)
{
    struct sentinel_rig rig;
    rig_open(&rig, NULL);
    struct path_listed list[] = { rig_listed("198.51.100.0/25", KIND_BANNED),
                                  rig_listed("198.51.100.128/25", KIND_ALLOWED),
                                  rig_listed("2001:db8:7::/48", KIND_BANNED) };
    rig_list(&rig, list, 3);
    rig_put(&rig, "198.51.100.7", KIND_ALLOWED, 0);
    rig_put(&rig, "198.51.100.200", KIND_BANNED, rig.now + 10 * SEC);
    rig_put(&rig, "2001:db8:7::7", KIND_ALLOWED, 0);
    expect(&rig, "198.51.100.7", REASON_ALLOWED);
    expect(&rig, "198.51.100.8", REASON_LISTED);
    expect(&rig, "198.51.100.200", REASON_BANNED);
    expect(&rig, "198.51.100.201", REASON_ALLOWED);
    expect(&rig, "2001:db8:7::7", REASON_ALLOWED);
    expect(&rig, "2001:db8:7::8", REASON_LISTED);
    rig.now += 10 * SEC;
    expect(&rig, "198.51.100.200", REASON_ALLOWED);
    rig_close(&rig);
}
END_TEST

/* --- beside brute force ------------------------------------------------------------------------ */

#define PREFIXES 1000

/* Unicast, and often near another one. */
static void random_address(uint8_t address[16], uint64_t *random, bool v6)
{
    static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
    uint64_t words[2] = { frames_random(random), frames_random(random) };
    memcpy(address, words, 16);
    if (v6) {
        address[0] = 0x20;
        address[1] &= 3;
        return;
    }
    memcpy(address, mapped, 12);
    address[12] = (uint8_t)(11 + address[12] % 4);
    address[13] &= 15;
}

static bool contains(const struct path_listed *listed, const uint8_t address[16])
{
    const uint8_t *network = (const uint8_t *)listed->prefix.address;
    for (unsigned bit = 0; bit < listed->prefix.bits; bit++)
        if ((network[bit / 8] ^ address[bit / 8]) & 0x80 >> bit % 8)
            return false;
    return true;
}

static uint8_t brute_force(const struct path_listed *list, const uint8_t address[16])
{
    const struct path_listed *best = NULL;
    for (int i = 0; i < PREFIXES; i++)
        if (contains(&list[i], address) &&
            (!best || list[i].prefix.bits >= best->prefix.bits))
            best = &list[i];
    return !best                             ? REASON_NONE
           : best->entry.kind == KIND_BANNED ? REASON_LISTED
                                             : REASON_ALLOWED;
}

static void make_list(struct path_listed *list, uint64_t *random)
{
    for (int i = 0; i < PREFIXES; i++) {
        bool v6 = i & 1;
        uint8_t *address = (uint8_t *)list[i].prefix.address;
        list[i] =
            (struct path_listed){ .entry.kind = i % 5 ? KIND_BANNED : KIND_ALLOWED };
        random_address(address, random, v6);
        list[i].prefix.bits = v6 ? 20 + (uint32_t)(frames_random(random) % 109)
                                 : 112 + (uint32_t)(frames_random(random) % 17);
        /* the bits behind are zero, as everybody writes them */
        for (unsigned bit = list[i].prefix.bits; bit < 128; bit++)
            address[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
    }
}

static void judge_address(struct sentinel_rig *rig, const struct path_listed *list,
                          const uint8_t address[16], int counts[REASONS])
{
    char text[INET6_ADDRSTRLEN];
    bool v6 = address[0];
    inet_ntop(v6 ? AF_INET6 : AF_INET, address + (v6 ? 0 : 12), text, sizeof(text));
    uint8_t reason = brute_force(list, address);
    expect(rig, text, reason);
    counts[reason]++;
}

/* Addresses within the prefixes, and any. */
START_TEST(random_addresses)
{
    static struct path_listed list[PREFIXES];
    int counts[REASONS] = { 0 };
    uint64_t random = 7;
    uint8_t address[16];
    struct sentinel_rig rig;
    rig_open(&rig, NULL);
    make_list(list, &random);
    rig_list(&rig, list, PREFIXES);
    for (int i = 0; i < PREFIXES; i++) {
        const uint8_t *network = (const uint8_t *)list[i].prefix.address;
        random_address(address, &random, i & 1);
        judge_address(&rig, list, address, counts);
        for (unsigned bit = 0; bit < list[i].prefix.bits; bit++) {
            uint8_t mask = (uint8_t)(0x80 >> bit % 8);
            address[bit / 8] =
                (uint8_t)((address[bit / 8] & ~mask) | (network[bit / 8] & mask));
        }
        judge_address(&rig, list, address, counts);
    }
    ck_assert_int_gt(counts[REASON_LISTED], 700);
    ck_assert_int_gt(counts[REASON_ALLOWED], 100);
    ck_assert_int_gt(counts[REASON_NONE], 400);
    rig_close(&rig);
}
END_TEST

static Suite *suite_sentinel_lists(void)
{
    Suite *suite = suite_create("sentinel_lists");
    TCase *tcase = tcase_create("sentinel_lists");
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, the_longest_prefix_wins, 0, 2);
    tcase_add_loop_test(tcase, families_are_apart, 0, 2);
    tcase_add_test(tcase, another_list);
    tcase_add_test(tcase, entries_come_first);
    tcase_add_test(tcase, random_addresses);
    suite_add_tcase(suite, tcase);
    return suite;
}

SUITE(sentinel_lists)
