/* interlink: the ring between two cores, alone: what goes in comes out, once, in order. */
#include "engine/interlink.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "lib/random.h"
#include "selftest/selftest.h"
#include "selftest/support.h"

#define PACKETS 2000000u

static struct link *from, *to;
static struct interlink *interlink;
static struct packet *packets; /* no arena: nobody frees them */
static uint64_t sent, received;

static struct link *new_link(void)
{
    struct link *link = aligned_alloc(CACHE_LINE, sizeof(*link));
    memset(link, 0, sizeof(*link));
    return link;
}

static void setup(void)
{
    from = new_link();
    to = new_link();
    interlink = interlink_new(from, to);
    packets = aligned_alloc(CACHE_LINE, 8 * LINK_SIZE * sizeof(*packets));
    memset(packets, 0, 8 * LINK_SIZE * sizeof(*packets));
    sent = received = 0;
}

static void teardown(void)
{
    interlink_free(interlink);
    free(from);
    free(to);
    free(packets);
}

/* At most n; a packet's length tells it from others. */
static void send_some(uint32_t n)
{
    for (; n && !link_full(from); n--, sent++) {
        struct packet *p = &packets[sent % (8 * LINK_SIZE)];
        p->timestamp = sent;
        p->length = 60 + (uint32_t)(sent % 7);
        link_transmit(from, p);
    }
}

/* Not an assertion for each packet: libcheck logs every one. */
static void receive_some(uint32_t n)
{
    for (; n && !link_empty(to); n--, received++)
        if (link_receive(to)->timestamp != received)
            ck_abort_msg("not packet %llu", (unsigned long long)received);
}

START_TEST(what_does_not_fit_stays_with_the_sender)
{
    send_some(LINK_SIZE);
    ck_assert_uint_eq(interlink_flush(interlink), INTERLINK_SIZE);
    send_some(LINK_SIZE);
    ck_assert_uint_eq(interlink_flush(interlink), 0);
    ck_assert_uint_eq(interlink_fetch(interlink), LINK_SIZE);
    ck_assert_uint_eq(interlink_fetch(interlink), 0);
    ck_assert_uint_eq(interlink_flush(interlink), INTERLINK_SIZE);
    send_some(LINK_SIZE);
    ck_assert_uint_eq(sent, 3 * LINK_SIZE);
    ck_assert(link_full(from) && link_full(to) && !interlink_empty(interlink));
    ck_assert_uint_eq(from->drops + to->drops, 0);
    receive_some(100);
    ck_assert_uint_eq(interlink_fetch(interlink), 100);
    ck_assert_uint_eq(interlink_flush(interlink), 100);
    while (received < sent) {
        receive_some(UINT32_MAX);
        interlink_fetch(interlink);
        interlink_flush(interlink);
    }
    ck_assert(link_empty(from) && link_empty(to) && interlink_empty(interlink));
    ck_assert_uint_eq(from->write, to->read);
    ck_assert_uint_eq(from->bytes, to->bytes);
}
END_TEST

/* Bursts of every size at every position of the ring. */
START_TEST(bursts_of_any_size)
{
    struct random_key dice = random_key(1, "interlink", "bursts");
    for (uint64_t i = 0; i < 200000;) {
        send_some((uint32_t)(random_draw(&dice, i++) % 1100));
        if (random_draw(&dice, i++) % 4)
            interlink_flush(interlink);
        if (random_draw(&dice, i++) % 4)
            interlink_fetch(interlink);
        receive_some((uint32_t)(random_draw(&dice, i++) % 1100));
        ck_assert_uint_eq(from->write, sent);
        ck_assert_uint_eq(to->read, received);
    }
    ck_assert_uint_gt(received, 1000 * LINK_SIZE);
}
END_TEST

static void *send_all(void *user)
{
    while (sent < PACKETS) {
        /* Fewer are on the way than there are packets: none is written again too early. */
        uint64_t left = PACKETS - sent, n = sent % 5 ? 64 : 1;
        send_some((uint32_t)(left < n ? left : n));
        if (!interlink_flush(interlink))
            sched_yield();
    }
    while (!link_empty(from))
        if (!interlink_flush(interlink))
            sched_yield();
    return user;
}

START_TEST(two_threads)
{
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, send_all, NULL), 0);
    while (received < PACKETS) {
        if (!interlink_fetch(interlink))
            sched_yield();
        receive_some(received % 3 ? 64 : 1000);
    }
    pthread_join(thread, NULL);
    ck_assert(link_empty(from) && link_empty(to) && interlink_empty(interlink));
    ck_assert_uint_eq(sent, PACKETS);
    ck_assert_uint_eq(from->bytes, to->bytes);
}
END_TEST

static Suite *suite_interlink(void)
{
    Suite *suite = suite_create("interlink");
    TCase *tests = tcase_create("interlink");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, what_does_not_fit_stays_with_the_sender);
    tcase_add_test(tests, bursts_of_any_size);
    tcase_add_test(tests, two_threads);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(interlink)
