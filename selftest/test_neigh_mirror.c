/* neigh_mirror: what Redis should have and what it has: by hand, and at random beside a naive
 * model that keeps every row in an array and compares all of them each time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "apps/neigh_sync/mirror.h"
#include "lib/random.h"
#include "selftest/selftest.h"

static const uint8_t macs[][6] = { { 2, 0, 0, 0, 0, 1 }, { 2, 0, 0, 0, 0, 2 } };
static const uint8_t address1[16] = { 10, 0, 0, 1 }, address2[16] = { 10, 0, 0, 2 };

static struct mirror *mirror;
static struct mirror_port *port;

static void begin(void)
{
    mirror = mirror_new(64, 8);
    ck_assert_ptr_nonnull(mirror);
    mirror->fresh = HAVE_NOTHING;
    port = mirror_port(mirror, "Ethernet0");
    port->index = 1;
}

static void end(void)
{
    mirror_free(mirror);
}

static struct mirror_row *want(const uint8_t *address, const uint8_t *mac)
{
    struct mirror_row *row = mirror_make(mirror, port, AF_INET, address);
    ck_assert_ptr_nonnull(row);
    mirror_want(row, SIDE_NEIGHBOUR, mac);
    mirror_settle(mirror, row, 1);
    return row;
}

/* Redis did what it was told of the row that waits longest. */
static struct mirror_row *tell(void)
{
    struct mirror_row *row = mirror_next(mirror);
    if (!row)
        return NULL;
    const struct mirror_side *side = &row->side[SIDE_NEIGHBOUR];
    mirror_had(row, SIDE_NEIGHBOUR, side->want ? HAVE_ROW : HAVE_NOTHING, side->mac);
    mirror_settle(mirror, row, 1);
    return row;
}

START_TEST(one_row)
{
    struct mirror_row *row = want(address1, macs[0]);
    ck_assert(row->waits);
    want(address1, macs[1]);
    ck_assert_uint_eq(mirror->waiting, 1); /* two changes are one command */
    ck_assert_ptr_eq(tell(), row);
    ck_assert_uint_eq(mirror->waiting, 0);
    want(address1, macs[1]);
    ck_assert_uint_eq(mirror->waiting, 0); /* it has that */
    want(address1, NULL);
    ck_assert_uint_eq(mirror->waiting, 1);
    tell();
    ck_assert_uint_eq(mirror_count(mirror), 0);
    ck_assert_ptr_null(tell());
    ck_assert_ptr_null(mirror_row(mirror, port, AF_INET, address1));
}
END_TEST

START_TEST(in_order)
{
    struct mirror_row *first = want(address1, macs[0]), *second = want(address2, macs[0]);
    want(address1, macs[1]); /* it keeps its place */
    ck_assert_ptr_eq(tell(), first);
    ck_assert_ptr_eq(tell(), second);
}
END_TEST

START_TEST(in_flight)
{
    struct mirror_row *row = want(address1, macs[0]);
    tell();
    row->in_flight = 1;
    want(address1, NULL);
    tell();
    ck_assert_uint_eq(mirror_count(mirror), 1); /* somebody still holds it */
    row->in_flight = 0;
    ck_assert(!mirror_settle(mirror, row, 1));
    ck_assert_uint_eq(mirror_count(mirror), 0);
}
END_TEST

START_TEST(rounds)
{
    struct mirror_row *row = want(address1, macs[0]);
    tell();
    struct mirror_row *other = want(address2, macs[0]);
    tell();
    mirror_begin(mirror);
    row->round = mirror->round; /* the round tells of one of two */
    mirror_complete(mirror, 2);
    ck_assert_uint_eq(mirror->waiting, 1);
    ck_assert(!other->side[SIDE_NEIGHBOUR].want && row->side[SIDE_NEIGHBOUR].want);
    /* One that an event deletes within a round is remembered until its end. */
    mirror_begin(mirror);
    row->event_round = row->round = mirror->round;
    want(address1, NULL);
    tell();
    tell();
    ck_assert_ptr_eq(mirror_row(mirror, port, AF_INET, address1), row);
    mirror_complete(mirror, 2);
    ck_assert_uint_eq(mirror_count(mirror), 0);
}
END_TEST

START_TEST(port_goes)
{
    want(address1, macs[0]);
    want(address2, macs[0]);
    tell();
    port->index = 0;
    mirror_clear_port(mirror, port, 2);
    ck_assert_uint_eq(mirror->waiting, 2); /* one never was there: nobody knows that */
    tell();
    tell();
    ck_assert_uint_eq(mirror_count(mirror), 0);
    struct mirror_port *again = mirror_port(mirror, "Ethernet0");
    ck_assert_ptr_null(again->first);
    ck_assert_uint_eq(again->rows + again->index, 0);
}
END_TEST

START_TEST(full)
{
    uint8_t address[16] = { 10, 1 };
    mirror->fresh = HAVE_FOREIGN;
    for (unsigned i = 0; i < 64;
         i++) { /* deletions by courtesy make way for neighbours */
        address[3] = (uint8_t)i;
        want(address, i % 2 ? macs[0] : NULL);
    }
    ck_assert_uint_eq(mirror_count(mirror), 64);
    want(address1, macs[0]);
    ck_assert_uint_eq(mirror_count(mirror), 33);
    for (unsigned i = 64; i < 64 + 31; i++) {
        address[3] = (uint8_t)i;
        want(address, macs[0]);
    }
    ck_assert_uint_eq(mirror->full, 0);
    ck_assert_ptr_null(mirror_make(mirror, port, AF_INET, address2));
    ck_assert_uint_eq(mirror->full, 1);
    for (unsigned i = 1; i < 8; i++) {
        char name[INTERFACE_NAME_SIZE];
        snprintf(name, sizeof(name), "zz%u", i);
        ck_assert_ptr_nonnull(mirror_port(mirror, name));
    }
    ck_assert_ptr_null(mirror_port(mirror, "zz8"));
    ck_assert_uint_eq(mirror->full, 2);
}
END_TEST

/* Who has no room looks for some, but not through all that waits each time: a hundred thousand
 * times as many would take minutes. */
START_TEST(full_for_long)
{
    const uint32_t many = 200000;
    uint8_t address[16] = { 10 };
    mirror_free(mirror);
    mirror = mirror_new(many, 8);
    mirror->fresh = HAVE_FOREIGN;
    port = mirror_port(mirror, "Ethernet0");
    port->index = 1;
    for (uint32_t i = 0; i < 2 * many; i++) {
        memcpy(address + 1, &i, 3);
        struct mirror_row *row = mirror_make(mirror, port, AF_INET, address);
        ck_assert_int_eq(row != NULL, i < many);
        if (row)
            mirror_want(row, SIDE_NEIGHBOUR, macs[0]);
        if (row)
            mirror_settle(mirror, row, 1);
    }
    ck_assert_uint_eq(mirror->full, many);
    /* What is not wanted any more makes way all the same, though not at once. */
    mirror_clear_port(mirror, port, 2);
    for (uint32_t i = 0; i < many && mirror_count(mirror) == many; i++)
        mirror_make(mirror, port, AF_INET, address);
    ck_assert_uint_le(mirror_count(mirror), 1);
}
END_TEST

/* The last row of an interface that is gone makes way for another of its own. */
START_TEST(full_of_the_same)
{
    uint8_t address[16] = { 10, 1 };
    mirror->fresh = HAVE_FOREIGN;
    port->index = 0;
    for (unsigned i = 0; i < 64; i++) {
        address[3] = (uint8_t)i;
        want(address, NULL);
    }
    struct mirror_row *row = mirror_make(mirror, port, AF_INET, address1);
    ck_assert_ptr_nonnull(row);
    ck_assert_ptr_eq(mirror_port(mirror, "Ethernet0"), port);
    ck_assert_ptr_eq(port->first, row);
}
END_TEST

START_TEST(found_again)
{
    mirror_found(mirror, SIDE_NEIGHBOUR, "Ethernet0", AF_INET, address1, 1);
    ck_assert_uint_eq(mirror_count(mirror), 0); /* not ours */
    want(address1, macs[0]);
    mirror_found(mirror, SIDE_NEIGHBOUR, "Ethernet0", AF_INET, address1, 1);
    ck_assert_uint_eq(mirror->waiting, 1);
    tell();
    mirror_found(mirror, SIDE_NEIGHBOUR, "Ethernet0", AF_INET, address1, 1);
    ck_assert_uint_eq(mirror->waiting, 0); /* it is wanted */
    port->index = 0;
    want(address1, NULL);
    tell();
    ck_assert_ptr_null(mirror->ports ? mirror_next_row(mirror, NULL) : NULL);
    mirror_found(mirror, SIDE_NEIGHBOUR, "Ethernet0", AF_INET, address2, 1);
    mirror_found(mirror, SIDE_NEIGHBOUR, "Ethernet4", AF_INET, address1, 1);
    mirror_found(mirror, SIDE_NEIGHBOUR, "Ethernet0", AF_INET6, address1, 1);
    ck_assert_uint_eq(mirror_count(mirror), 0);
    mirror_found(mirror, SIDE_NEIGHBOUR, "Ethernet0", AF_INET, address1, 1);
    ck_assert_uint_eq(mirror->waiting, 1); /* its interface is made anew for that */
    struct mirror_row *row = tell();
    ck_assert_ptr_nonnull(row);
    ck_assert_uint_eq(mirror_count(mirror), 0);
}
END_TEST

/* The oldest of what went is forgotten first; memory is what it was. */
START_TEST(found_too_late)
{
    uint8_t address[16] = { 10, 2 };
    for (unsigned i = 0; i < 100; i++) {
        address[3] = (uint8_t)i;
        want(address, macs[0]);
        tell();
        want(address, NULL);
        tell();
    }
    for (unsigned i = 0; i < 100; i++) {
        address[3] = (uint8_t)i;
        mirror_found(mirror, SIDE_NEIGHBOUR, "Ethernet0", AF_INET, address, 1);
    }
    ck_assert_uint_eq(mirror->waiting, 64);
    address[3] = 35;
    ck_assert_ptr_null(mirror_row(mirror, port, AF_INET, address));
    address[3] = 36;
    ck_assert_ptr_nonnull(mirror_row(mirror, port, AF_INET, address));
}
END_TEST

/* --- at random -------------------------------------------------------------------------------- */

#define PORTS     3
#define ADDRESSES 12
#define STEPS     200000

/* What a row is to the naive: each side alone, by address and name. */
static struct model {
    struct {
        bool want;
        enum have have;
        uint8_t mac, had; /* numbers of macs */
    } side[MIRROR_SIDES];
    bool in_round; /* the kernel told of it in the round */
    bool ours;     /* Redis had it at some time */
} models[PORTS * ADDRESSES];

static struct random_key draws;
static uint64_t drawn;

static unsigned pick(unsigned below)
{
    return (unsigned)(random_draw(&draws, drawn++) % below);
}

static bool model_differs(const struct model *m)
{
    bool differs = false;
    for (unsigned i = 0; i < MIRROR_SIDES; i++)
        differs |= m->side[i].want
                       ? m->side[i].have != HAVE_ROW || m->side[i].mac != m->side[i].had
                       : m->side[i].have != HAVE_NOTHING;
    return differs;
}

static const char *const port_names[PORTS] = { "Ethernet0", "Ethernet4", "Vlan100" };

static struct mirror_row *row_of(unsigned p, unsigned a, bool make)
{
    uint8_t address[16] = { 10, 0, 0, (uint8_t)a };
    uint8_t family = a % 2 ? AF_INET6 : AF_INET;
    struct mirror_port *of = mirror_port(mirror, port_names[p]);
    of->index = p + 1;
    return make ? mirror_make(mirror, of, family, address)
                : mirror_row(mirror, of, family, address);
}

static struct model *model_of(const struct mirror_row *row)
{
    unsigned p = 0;
    while (strcmp(row->port->name, port_names[p]))
        p++;
    return &models[p * ADDRESSES + row->address[3]];
}

static void random_want(void)
{
    unsigned p = pick(PORTS), a = pick(ADDRESSES), side = pick(MIRROR_SIDES);
    unsigned mac = pick(3);
    struct mirror_row *row = row_of(p, a, true);
    struct model *m = &models[p * ADDRESSES + a];
    row->round = mirror->round;
    m->in_round = true;
    m->side[side].want = mac < 2;
    if (mac < 2)
        m->side[side].mac = (uint8_t)mac;
    mirror_want(row, side, mac < 2 ? macs[mac] : NULL);
    mirror_settle(mirror, row, 1);
}

static void random_tell(void)
{
    struct mirror_row *row = mirror_next(mirror);
    bool refused = !pick(4);
    if (!row)
        return;
    struct model *m = model_of(row);
    for (unsigned i = 0; i < MIRROR_SIDES; i++) {
        enum have have = refused             ? HAVE_UNKNOWN
                         : row->side[i].want ? HAVE_ROW
                                             : HAVE_NOTHING;
        mirror_had(row, i, have, row->side[i].mac);
        m->side[i].have = have;
        m->side[i].had = m->side[i].mac;
        m->ours |= have == HAVE_ROW;
    }
    mirror_settle(mirror, row, 1);
}

static void random_round(void)
{
    if (!mirror->in_round) {
        mirror_begin(mirror);
        for (unsigned i = 0; i < PORTS * ADDRESSES; i++)
            models[i].in_round = false;
        return;
    }
    mirror_complete(mirror, 1);
    for (unsigned i = 0; i < PORTS * ADDRESSES; i++)
        if (!models[i].in_round)
            models[i].side[0].want = models[i].side[1].want = false;
}

static void random_clear(void)
{
    unsigned p = pick(PORTS);
    struct mirror_port *of = mirror_port(mirror, port_names[p]);
    if (of->rows)
        mirror_clear_port(mirror, of, 1);
    for (unsigned a = 0; a < ADDRESSES; a++)
        models[p * ADDRESSES + a].side[0].want = models[p * ADDRESSES + a].side[1].want =
            false;
}

static void random_distrust(void)
{
    mirror_distrust(mirror, 1);
    for (unsigned i = 0; i < PORTS * ADDRESSES; i++)
        for (unsigned side = 0; side < MIRROR_SIDES; side++)
            if (models[i].side[side].have == HAVE_ROW)
                models[i].side[side].have = HAVE_UNKNOWN;
}

/* Redis has a row: that is news of one that was ours and should be gone. */
static void random_found(void)
{
    unsigned p = pick(PORTS), a = pick(ADDRESSES), side = pick(MIRROR_SIDES);
    uint8_t address[16] = { 10, 0, 0, (uint8_t)a };
    struct model *m = &models[p * ADDRESSES + a];
    mirror_found(mirror, side, port_names[p], a % 2 ? AF_INET6 : AF_INET, address, 1);
    if (m->ours && !m->side[side].want && m->side[side].have == HAVE_NOTHING)
        m->side[side].have = HAVE_UNKNOWN;
}

/* A row that differs waits (one that did, too), and none is kept that is nothing, but in a
 * round. */
static bool same(const struct model *m, const struct mirror_row *row)
{
    bool good = !model_differs(m) || (row && row->waits);
    for (unsigned i = 0; i < MIRROR_SIDES; i++) {
        good &= (row && row->side[i].want) == m->side[i].want;
        good &= (row ? row->side[i].have : HAVE_NOTHING) == m->side[i].have;
        good &= !row || !m->side[i].want ||
                !memcmp(row->side[i].mac, macs[m->side[i].mac], 6);
    }
    bool wanted = m->side[0].want || m->side[1].want;
    return good && (!row || wanted || row->waits || mirror->in_round);
}

/* An assertion costs more than an operation, so there is one for all. */
static void compare(void)
{
    unsigned kept = 0, waiting = 0, wrong = 0;
    for (unsigned i = 0; i < PORTS * ADDRESSES; i++) {
        const struct mirror_row *row = row_of(i / ADDRESSES, i % ADDRESSES, false);
        wrong += !same(&models[i], row);
        kept += row != NULL;
        waiting += row && row->waits;
    }
    ck_assert_msg(!wrong && kept == mirror_count(mirror) && waiting == mirror->waiting,
                  "%u rows are wrong, of %u", wrong, kept);
}

START_TEST(random_operations)
{
    draws = random_key(1 + (uint64_t)_i, "mirror", "operations");
    drawn = 0;
    memset(models, 0, sizeof(models));
    for (unsigned i = 0; i < STEPS; i++) {
        unsigned what = pick(1000);
        if (what < 500)
            random_want();
        else if (what < 950)
            random_tell();
        else if (what < 980)
            random_round();
        else if (what < 985)
            random_clear();
        else if (what < 995)
            random_found();
        else
            random_distrust();
        if (i % 8 == 0)
            compare();
    }
    if (!mirror->in_round)
        random_round();
    random_round();
    for (unsigned i = 0; i < 10000 && mirror->waiting; i++)
        random_tell();
    compare();
    ck_assert_uint_eq(mirror->waiting, 0);
}
END_TEST

static Suite *suite_neigh_mirror(void)
{
    Suite *suite = suite_create("neigh_mirror");
    TCase *tcase = tcase_create("neigh_mirror");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, one_row);
    tcase_add_test(tcase, in_order);
    tcase_add_test(tcase, in_flight);
    tcase_add_test(tcase, rounds);
    tcase_add_test(tcase, port_goes);
    tcase_add_test(tcase, full);
    tcase_add_test(tcase, full_for_long);
    tcase_add_test(tcase, full_of_the_same);
    tcase_add_test(tcase, found_again);
    tcase_add_test(tcase, found_too_late);
    tcase_add_loop_test(tcase, random_operations, 0, 3);
    suite_add_tcase(suite, tcase);
    return suite;
}
SUITE(neigh_mirror)
