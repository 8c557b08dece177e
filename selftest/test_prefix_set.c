/* prefix_set: beside a list that is searched from end to end, both families. */
#include "lib/prefix_set.h"

#include <arpa/inet.h>
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "lib/random.h"
#include "selftest/selftest.h"

static struct prefix parsed(const char *text)
{
    struct prefix prefix;
    ck_assert_msg(!prefix_parse(&prefix, text), "%s", text);
    return prefix;
}

static void insert(struct prefix_set *set, const char *text, uint32_t value)
{
    struct prefix prefix = parsed(text);
    ck_assert_int_eq(prefix_set_insert(set, &prefix, value), 0);
}

/* network: what is to be found, NULL when nothing is. */
static void check_match(const struct prefix_set *set, const char *address,
                        const char *network, uint32_t value)
{
    struct prefix host = parsed(address), matched;
    uint8_t mapped[16];
    uint32_t found;
    char text[PREFIX_TEXT_SIZE];
    prefix_mapped(&host, mapped);
    ck_assert_int_eq(prefix_set_match(set, mapped, &matched, &found), network != NULL);
    ck_assert_int_eq(prefix_set_match_family(set, host.family, host.address, NULL, NULL),
                     network != NULL);
    if (network) {
        ck_assert_str_eq(prefix_format(&matched, text), network);
        ck_assert_uint_eq(found, value);
    }
}

START_TEST(nested)
{
    struct prefix_set *set = prefix_set_new();
    check_match(set, "10.1.2.3", NULL, 0);
    check_match(set, "::", NULL, 0);
    insert(set, "0.0.0.0/0", 1);
    check_match(set, "::1", NULL, 0);
    insert(set, "::/0", 2);
    insert(set, "10.1.2.3", 3);
    insert(set, "10.9.9.9/8", 4);
    insert(set, "10.1.0.0/16", 5);
    insert(set, "10.1.2.0/24", 6);
    insert(set, "2001:db8::/32", 7);
    insert(set, "2001:db8:0:1::/64", 8);
    insert(set, "2001:db8::1/128", 9);
    check_match(set, "9.255.255.255", "0.0.0.0/0", 1);
    check_match(set, "10.0.0.0", "10.0.0.0/8", 4);
    check_match(set, "10.1.255.255", "10.1.0.0/16", 5);
    check_match(set, "10.1.2.2", "10.1.2.0/24", 6);
    check_match(set, "10.1.2.3", "10.1.2.3/32", 3);
    check_match(set, "::", "::/0", 2);
    check_match(set, "2001:db8:ffff::", "2001:db8::/32", 7);
    check_match(set, "2001:db8:0:1::ffff", "2001:db8:0:1::/64", 8);
    check_match(set, "2001:db8::1", "2001:db8::1/128", 9);
    check_match(set, "2001:db8::2", "2001:db8::/32", 7);
    insert(set, "::ffff:10.1.2.2/127", 10); /* IPv4 in the clothes of IPv6 */
    check_match(set, "10.1.2.2", "10.1.2.2/31", 10);
    ck_assert_uint_eq(prefix_set_count(set, AF_INET), 6);
    ck_assert_uint_eq(prefix_set_count(set, AF_INET6), 4);
    prefix_set_free(set);
}
END_TEST

/* --- the model ----------------------------------------------------------------------- */

#define MODEL_SIZE 400

struct model {
    size_t count;
    struct prefix prefixes[MODEL_SIZE];
    uint32_t values[MODEL_SIZE];
};

static bool same(const struct prefix *a, const struct prefix *b)
{
    return a->bits == b->bits && prefix_contains(a, b->family, b->address);
}

static size_t model_find(const struct model *model, const struct prefix *prefix)
{
    size_t i = 0;
    while (i < model->count && !same(&model->prefixes[i], prefix))
        i++;
    return i;
}

static size_t model_match(const struct model *model, int family, const void *address)
{
    size_t best = model->count;
    for (size_t i = 0; i < model->count; i++)
        if (prefix_contains(&model->prefixes[i], family, address) &&
            (best == model->count ||
             model->prefixes[i].bits > model->prefixes[best].bits))
            best = i;
    return best;
}

/* Few different bits, all over the address: prefixes that nest and part everywhere. */
static struct prefix random_prefix(const struct random_key *key, uint64_t draw)
{
    uint64_t a = random_draw(key, 2 * draw), b = random_draw(key, 2 * draw + 1);
    struct prefix prefix = { .family = a & 1 ? AF_INET : AF_INET6 };
    size_t size = prefix_size(&prefix);
    for (size_t i = 0; i < size; i++)
        prefix.address[i] = (uint8_t)(0x81 & b >> i) | (uint8_t)(0x10 & a >> i);
    prefix.bits = (uint8_t)((a >> 32) % (8 * size + 1));
    return prefix;
}

static void check_all(const struct prefix_set *set, const struct model *model)
{
    struct prefix prefix;
    uint32_t cursor = 0, value;
    size_t met = 0, ipv4 = 0;
    for (; prefix_set_next(set, &cursor, &prefix, &value); met++) {
        size_t i = model_find(model, &prefix);
        ck_assert_uint_lt(i, model->count);
        ck_assert_uint_eq(value, model->values[i]);
        ipv4 += prefix.family == AF_INET;
    }
    ck_assert_uint_eq(met, model->count);
    ck_assert_uint_eq(prefix_set_count(set, AF_INET), ipv4);
    ck_assert_uint_eq(prefix_set_count(set, AF_INET6), met - ipv4);
}

static void insert_both(struct prefix_set *set, struct model *model,
                        const struct prefix *prefix, uint32_t value)
{
    size_t i = model_find(model, prefix);
    if (i == MODEL_SIZE)
        return;
    ck_assert_int_eq(prefix_set_insert(set, prefix, value), 0);
    model->count += i == model->count;
    model->prefixes[i] = *prefix;
    model->values[i] = value;
}

static void remove_both(struct prefix_set *set, struct model *model,
                        const struct prefix *prefix)
{
    size_t i = model_find(model, prefix);
    ck_assert_int_eq(prefix_set_remove(set, prefix), i < model->count);
    if (i == model->count)
        return;
    model->count--;
    model->prefixes[i] = model->prefixes[model->count];
    model->values[i] = model->values[model->count];
}

static void look_up_both(const struct prefix_set *set, const struct model *model,
                         const struct prefix *prefix)
{
    uint32_t value = 0;
    struct prefix matched;
    size_t exact = model_find(model, prefix);
    ck_assert_int_eq(prefix_set_find(set, prefix, &value), exact < model->count);
    ck_assert(exact == model->count || value == model->values[exact]);
    size_t best = model_match(model, prefix->family, prefix->address);
    bool found =
        prefix_set_match_family(set, prefix->family, prefix->address, &matched, &value);
    ck_assert_int_eq(found, best < model->count);
    if (found) {
        ck_assert(same(&matched, &model->prefixes[best]));
        ck_assert_uint_eq(value, model->values[best]);
    }
}

/* Grows to a few hundred, shrinks to none, several times. */
START_TEST(like_the_model)
{
    static struct model model;
    struct random_key key = random_key(1, "prefix_set", "model");
    struct prefix_set *set = prefix_set_new();
    uint64_t draw = 0;
    for (unsigned step = 0; step < 60000; step++) {
        bool grow = step % 6000 < 3000;
        struct prefix prefix = random_prefix(&key, draw++);
        unsigned dice = (unsigned)(random_draw(&key, ~draw) % 10);
        if (dice < (grow ? 4 : 1))
            insert_both(set, &model, &prefix, step);
        else if (dice < 5)
            remove_both(set, &model, &prefix);
        else
            look_up_both(set, &model, &prefix);
        if (!grow && model.count && dice > 7) {
            prefix = model.prefixes[step % model.count];
            remove_both(set, &model, &prefix);
        }
        if (step % 500 == 0)
            check_all(set, &model);
    }
    while (model.count)
        remove_both(set, &model, &model.prefixes[0]);
    check_all(set, &model);
    prefix_set_free(set);
}
END_TEST

/* --- size ---------------------------------------------------------------------------- */

static struct prefix numbered(int family, uint32_t number)
{
    uint32_t address[4] = { htonl(number * 2654435761u), htonl(number), 0, 0 };
    struct prefix prefix = { .family = family, .bits = family == AF_INET ? 32 : 64 };
    memcpy(prefix.address, address, prefix_size(&prefix));
    return prefix;
}

/* Full twice, with others: removal gives back all room that insertion took. */
START_TEST(full)
{
    struct prefix_set *set = prefix_set_new();
    static const int families[] = { AF_INET, AF_INET6 };
    size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned f = 0; f < 2; f++) {
            struct prefix prefix;
            uint32_t first = round * PREFIX_SET_MAX + 1,
                     last = first + PREFIX_SET_MAX - 1;
            for (uint32_t i = first; i <= last; i++) {
                prefix = numbered(families[f], i);
                ck_assert_int_eq(prefix_set_insert(set, &prefix, i), 0);
            }
            ck_assert_int_eq(prefix_set_insert(set, &prefix, 1), 0);
            prefix = numbered(families[f], 0);
            ck_assert_int_eq(prefix_set_insert(set, &prefix, 1), -ENOSPC);
            ck_assert(!prefix_set_find(set, &prefix, NULL));
            ck_assert_uint_eq(prefix_set_count(set, families[f]), PREFIX_SET_MAX);
        }
        size_t memory = mallinfo2().uordblks + mallinfo2().hblkhd - before;
        ck_assert_uint_le(memory, 2 * PREFIX_SET_MAX * 64 + (1 << 20));
        struct prefix prefix;
        for (uint32_t cursor = 0; prefix_set_next(set, &cursor, &prefix, NULL);)
            ck_assert(prefix_set_remove(set, &prefix));
        ck_assert_uint_eq(prefix_set_count(set, AF_INET), 0);
        ck_assert_uint_eq(prefix_set_count(set, AF_INET6), 0);
    }
    prefix_set_free(set);
    prefix_set_free(NULL);
}
END_TEST

static Suite *suite_prefix_set(void)
{
    Suite *suite = suite_create("prefix_set");
    TCase *tests = tcase_create("prefix_set");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, nested);
    tcase_add_test(tests, like_the_model);
    tcase_add_test(tests, full);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(prefix_set)
