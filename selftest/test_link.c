/* test_link: links, packets, the arena and its freelists. */
#include "selftest/selftest.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "engine/link.h"
#include "lib/random.h"

#define PACKETS 16384 /* as engines open it, for runs where suites share a process */
#define CHUNK   2048

static struct link *link_a, *link_b;
static uint32_t in_use;

static struct link *new_link(void)
{
    struct link *link = aligned_alloc(CACHE_LINE, sizeof(*link));
    memset(link, 0, sizeof(*link));
    return link;
}

static void setup(void)
{
    struct error err;
    ck_assert_msg(!arena_open(PACKETS, CHUNK, &err), "%s", err.text);
    in_use = arena_in_use();
    link_a = new_link();
    link_b = new_link();
}

static void drain(struct link *link)
{
    while (!link_empty(link))
        packet_free(link_receive(link));
    free(link);
}

/* No test loses a packet. */
static void teardown(void)
{
    drain(link_a);
    drain(link_b);
    ck_assert_uint_eq(arena_in_use(), in_use);
}

/* A packet whose timestamp is a number and whose length follows from it. */
static struct packet *numbered(uint64_t number)
{
    struct packet *p = packet_allocate();
    ck_assert_ptr_nonnull(p);
    p->timestamp = number;
    packet_resize(p, (uint32_t)(number * 7 % 1500));
    return p;
}

/* --- links -------------------------------------------------------------------------- */

/* What the link should hold: numbers of packets in order, and what was counted. */
struct model {
    uint64_t numbers[LINK_SIZE];
    uint32_t count;
    uint64_t read, write, bytes, drops;
};

static void model_put(struct model *model, uint64_t number)
{
    if (model->count == LINK_SIZE) {
        model->drops++;
        return;
    }
    model->numbers[model->count++] = number;
    model->bytes += number * 7 % 1500;
    model->write++;
}

static void model_take(struct model *model, struct packet *const *p, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (i >= model->count || p[i]->timestamp != model->numbers[i])
            ck_abort_msg("packet %" PRIu64 " in the wrong place", p[i]->timestamp);
    model->count -= n;
    model->read += n;
    memmove(model->numbers, model->numbers + n, model->count * sizeof(uint64_t));
}

static void model_check(const struct model *model, struct link *link)
{
    if (link_readable(link) != model->count ||
        link_writable(link) != LINK_SIZE - model->count ||
        link_empty(link) != !model->count ||
        link_full(link) != (model->count == LINK_SIZE))
        ck_abort_msg("%u readable, not %u", link_readable(link), model->count);
    if (link->read != model->read || link->write != model->write ||
        link->bytes != model->bytes || link->drops != model->drops)
        ck_abort_msg("counted %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64, link->read,
                     link->write, link->bytes, link->drops);
    const struct packet *front = link_front(link);
    if (front ? front->timestamp != model->numbers[0] : model->count)
        ck_abort_msg("wrong packet in front");
}

static void put_some(struct model *model, struct link *link, uint64_t *number, uint32_t n)
{
    struct packet *p[FREELIST_BATCH];
    for (uint32_t i = 0; i < n; i++) {
        p[i] = numbered(*number);
        model_put(model, (*number)++);
        if (n < 8)
            link_transmit(link, p[i]);
    }
    if (n >= 8)
        link_transmit_burst(link, p, n);
}

static void take_some(struct model *model, struct link *link, uint32_t n, bool run)
{
    struct packet *copy[FREELIST_BATCH], **p = copy;
    uint32_t got;
    if (run) {
        got = link_run(link, &p, n);
        model_take(model, p, got);
        packet_free_burst(p, got);
        link_advance(link, got);
    } else if (n < 8) {
        for (got = 0; got < n && !link_empty(link); got++) {
            copy[0] = link_receive(link);
            model_take(model, copy, 1);
            packet_free(copy[0]);
        }
    } else {
        got = link_receive_burst(link, copy, n);
        if (got != (n < model->count ? n : model->count))
            ck_abort_msg("%u of %u received", got, n);
        model_take(model, copy, got);
        packet_free_burst(copy, got);
    }
}

/* Phases of filling, of emptying and of balance, so that the cursors go round the ring
 * with every fill level. */
START_TEST(test_against_model)
{
    struct random_key key = random_key(3, "link", "test");
    struct model model = { 0 };
    uint64_t number = 0;
    for (uint64_t i = 0; i < 6000; i++) {
        uint64_t draw = random_draw(&key, i), phase = i / 100 % 3;
        uint32_t n = (uint32_t)(draw >> 8) % (draw & 16 ? 8 : 200);
        if (draw % 16 < (phase == 0 ? 5 : phase == 1 ? 11 : 8))
            put_some(&model, link_a, &number, n);
        else
            take_some(&model, link_a, n, draw & 32);
        model_check(&model, link_a);
    }
    ck_assert_uint_gt(model.drops, 100);
    ck_assert_uint_gt(model.write, 50 * LINK_SIZE);
}
END_TEST

START_TEST(test_full)
{
    struct packet *p[100];
    for (uint64_t i = 0; i < LINK_SIZE - 10; i++)
        link_transmit(link_a, numbered(i));
    for (int i = 0; i < 100; i++)
        p[i] = numbered(5000);
    uint64_t bytes = link_a->bytes, frees = packet_freelist.frees;
    link_transmit_burst(link_a, p, 100);
    ck_assert(link_full(link_a));
    ck_assert_uint_eq(link_a->drops, 90);
    ck_assert_uint_eq(packet_freelist.frees - frees, 90);
    ck_assert_uint_eq(link_a->bytes - bytes, 10 * p[0]->length);
    link_transmit(link_a, numbered(1));
    ck_assert_uint_eq(link_a->drops, 91);
    ck_assert_uint_eq(link_a->write, LINK_SIZE);
}
END_TEST

START_TEST(test_drop_many)
{
    struct packet **p = calloc(LINK_SIZE, sizeof(*p));
    for (uint64_t i = 0; i < LINK_SIZE; i++) {
        link_transmit(link_a, numbered(i));
        p[i] = numbered(i);
    }
    link_transmit_burst(link_a, p, LINK_SIZE); /* more than one call can free */
    ck_assert_uint_eq(link_a->drops, LINK_SIZE);
    ck_assert_uint_eq(arena_in_use(), in_use + LINK_SIZE);
    free(p);
}
END_TEST

/* From every position of both rings, with and without room for all, and when some of
 * what was on the link is gone already. */
START_TEST(test_forward)
{
    struct random_key key = random_key(4, "link", "forward");
    uint64_t number = 0, next = 0, dropped = 0, bytes = 0;
    for (uint64_t i = 0; i < 600; i++) {
        uint32_t n = (uint32_t)(random_draw(&key, i) % 400), room = link_writable(link_b);
        for (uint32_t j = 0; j < n; j++)
            link_transmit(link_a, numbered(number++));
        if (i % 3 == 0 && n)
            link_transmit(link_b, link_receive(link_a));
        link_forward(link_a, link_b);
        ck_assert(link_empty(link_a));
        dropped += n > room ? n - room : 0;
        ck_assert_uint_eq(link_b->drops, dropped);
        uint32_t take = (uint32_t)(random_draw(&key, ~i) % 400);
        while ((take-- || i == 599) && !link_empty(link_b)) {
            struct packet *p = link_receive(link_b);
            if (p->timestamp < next)
                ck_abort_msg("packet %" PRIu64 " out of order", p->timestamp);
            next = p->timestamp + 1;
            bytes += p->length;
            packet_free(p);
        }
    }
    ck_assert_uint_gt(dropped, 0);
    ck_assert_uint_eq(link_b->write + dropped, number);
    ck_assert_uint_eq(link_b->bytes, bytes);
}
END_TEST

/* --- packets ------------------------------------------------------------------------ */

static void fill(uint8_t *bytes, uint32_t length, uint32_t seed)
{
    for (uint32_t i = 0; i < length; i++)
        bytes[i] = (uint8_t)(seed + i * 131 + (i >> 8));
}

START_TEST(test_fresh)
{
    struct packet *p = packet_allocate();
    p->timestamp = p->hash = 77;
    p->gso_type = 1;
    p->flags = PACKET_VLAN;
    p->length = 10;
    p->data = p->chunk;
    packet_free(p);
    struct packet *again = packet_allocate();
    ck_assert_ptr_eq(p, again); /* the freelist is a stack */
    ck_assert_uint_eq(p->length, 0);
    ck_assert_uint_eq(p->timestamp, 0);
    ck_assert_uint_eq(p->hash, 0);
    ck_assert_uint_eq(p->flags, 0);
    ck_assert_uint_eq(p->gso_type, 0);
    ck_assert_uint_ge(packet_headroom(p), PACKET_HEADROOM);
    ck_assert_uint_eq(packet_headroom(p) + packet_tailroom(p), CHUNK);
    packet_free(p);
}
END_TEST

START_TEST(test_bounds)
{
    uint8_t bytes[CHUNK + 1] = { 1, 2, 3 };
    struct packet *p = packet_from_bytes(bytes, 3);
    uint32_t tail = packet_tailroom(p), head = packet_headroom(p);
    ck_assert(!packet_append(p, bytes, tail + 1));
    ck_assert(!packet_append(p, bytes, UINT32_MAX));
    ck_assert(!packet_resize(p, tail + 4));
    ck_assert(!packet_resize(p, UINT32_MAX));
    ck_assert(!packet_prepend(p, head + 1));
    ck_assert(!packet_prepend(p, UINT32_MAX));
    ck_assert(!packet_trim_front(p, 4));
    ck_assert_uint_eq(p->length, 3);
    ck_assert(packet_append(p, bytes, tail));
    ck_assert(!packet_append(p, bytes, 1));
    ck_assert(packet_append(p, bytes, 0));
    ck_assert(packet_prepend(p, head));
    ck_assert(!packet_prepend(p, 1));
    ck_assert_uint_eq(p->length, CHUNK);
    ck_assert_ptr_eq(p->data, p->chunk);
    ck_assert_int_eq(p->data[head + 2], 3);
    ck_assert(packet_trim_front(p, head + 1));
    ck_assert_int_eq(p->data[0], 2);
    ck_assert(packet_trim_front(p, p->length));
    ck_assert_uint_eq(p->length, 0);
    packet_free(p);
    ck_assert_ptr_null(packet_from_bytes(bytes, CHUNK + 1));
}
END_TEST

START_TEST(test_resize)
{
    static const uint8_t zeros[500], bytes[] = { 9, 9, 9, 9, 9, 9, 9, 9 };
    struct packet *p = packet_from_bytes(bytes, sizeof(bytes));
    ck_assert(packet_resize(p, 4));
    ck_assert(packet_resize(p, 504)); /* what was cut off does not come back */
    ck_assert_mem_eq(p->data, bytes, 4);
    ck_assert_mem_eq(p->data + 4, zeros, 500);
    packet_free(p);
}
END_TEST

/* Every packet of the arena holds a frame of packet_capacity() bytes. */
START_TEST(test_capacity)
{
    static struct packet *all[PACKETS + 1];
    uint32_t n = 0;
    uint8_t bytes[CHUNK];
    fill(bytes, CHUNK, 1);
    while ((all[n] = packet_allocate()))
        if (!packet_append(all[n++], bytes, packet_capacity()))
            ck_abort_msg("packet %u holds only %u", n, packet_tailroom(all[n - 1]));
    ck_assert_uint_eq(n, PACKETS - in_use);
    for (uint32_t i = 0; i < n; i++) {
        if (memcmp(all[i]->data, bytes, packet_capacity()))
            ck_abort_msg("frame %u was overwritten", i);
        packet_free(all[i]);
    }
}
END_TEST

/* Frames of any length up to a whole chunk, and of any place in it: copied with all that
 * is known of them, within its chunk. */
static void check_clone(uint32_t before, uint32_t length)
{
    struct packet *p = packet_allocate();
    packet_resize(p, packet_tailroom(p));
    packet_prepend(p, packet_headroom(p));
    fill(p->data, CHUNK, before);
    packet_trim_front(p, before);
    packet_resize(p, length);
    p->timestamp = 77;
    p->hash = 78;
    p->flags = PACKET_VLAN | PACKET_CSUM_PARTIAL;
    p->vlan_tci = 79;
    p->vlan_tpid = 80;
    p->gso_type = 81;
    p->gso_size = 82;
    p->csum_start = 83;
    p->csum_offset = 84;
    struct packet *copy = packet_clone(p);
    if (!copy)
        ck_abort_msg("no packet");
    if (copy->length != length || memcmp(copy->data, p->data, length))
        ck_abort_msg("clone of %u bytes at %u", length, before);
    if (copy->data < copy->chunk || copy->data + length > copy->chunk + CHUNK)
        ck_abort_msg("clone of %u bytes leaves its chunk", length);
    if (copy->timestamp != 77 || copy->hash != 78 || copy->flags != p->flags ||
        copy->vlan_tci != 79 || copy->vlan_tpid != 80 || copy->gso_type != 81 ||
        copy->gso_size != 82 || copy->csum_start != 83 || copy->csum_offset != 84)
        ck_abort_msg("clone of %u bytes: metadata", length);
    packet_free(p);
    packet_free(copy);
}

START_TEST(test_clone)
{
    for (uint32_t before = 0; before <= CHUNK; before += 61)
        for (uint32_t length = 0; before + length <= CHUNK;
             length += length < 130 ? 1 : 97)
            check_clone(before, length);
    for (uint32_t length = CHUNK - 600; length <= CHUNK; length++)
        check_clone(0, length);
}
END_TEST

/* All packets hold a whole chunk: a copy that starts too late would run into the next. */
START_TEST(test_clone_keeps_to_its_chunk)
{
    struct packet *p[64], *whole = packet_allocate();
    packet_resize(whole, packet_tailroom(whole));
    packet_prepend(whole, packet_headroom(whole));
    fill(whole->data, CHUNK, 5);
    for (int i = 0; i < 64; i++)
        p[i] = packet_clone(whole);
    for (int i = 0; i < 64; i++) {
        ck_assert_mem_eq(p[i]->data, whole->data, CHUNK);
        packet_free(p[i]);
    }
    packet_free(whole);
}
END_TEST

/* A short frame can grow to what every packet can hold, also when it is a copy. */
START_TEST(test_clone_can_grow)
{
    static const uint8_t bytes[60] = { 1, 2, 3, 4 };
    struct packet *p = packet_from_bytes(bytes, 60), *copies[100];
    for (int i = 0; i < 100; i++) {
        copies[i] = packet_clone(p);
        if (i % 2)
            ck_assert(packet_resize(copies[i], packet_capacity()));
        else
            for (int j = 0; j < 24; j++)
                ck_assert(packet_append(copies[i], bytes, 60));
        ck_assert_mem_eq(copies[i]->data, bytes, 60);
        ck_assert_uint_le(copies[i]->length, packet_capacity());
    }
    for (int i = 0; i < 100; i++)
        packet_free(copies[i]);
    packet_free(p);
}
END_TEST

START_TEST(test_from_address)
{
    struct packet *p = packet_allocate();
    ck_assert_ptr_eq(packet_from_address(p->chunk), p);
    ck_assert_ptr_eq(packet_from_address(p->chunk + CHUNK - 1), p);
    ck_assert_ptr_eq(packet_from_address(p->data), p);
    ck_assert_ptr_null(packet_from_address(arena.chunks - 1));
    ck_assert_ptr_null(packet_from_address(arena.chunks + (size_t)PACKETS * CHUNK));
    ck_assert_ptr_null(packet_from_address(NULL));
    packet_free(p);
}
END_TEST

/* --- freelists ---------------------------------------------------------------------- */

START_TEST(test_exhaustion)
{
    static struct packet *all[PACKETS + FREELIST_BATCH];
    static bool taken[PACKETS];
    for (int round = 0; round < 3; round++) {
        uint32_t n = 0, got;
        memset(taken, 0, sizeof(taken));
        while ((got = packet_allocate_burst(all + n, n % 3 ? FREELIST_BATCH : 100)))
            n += got;
        ck_assert_uint_eq(n, PACKETS - in_use);
        ck_assert_uint_eq(arena_in_use(), PACKETS);
        ck_assert_ptr_null(packet_allocate());
        ck_assert_ptr_null(packet_clone(all[0]));
        ck_assert_ptr_null(packet_from_bytes("x", 1));
        for (uint32_t i = 0; i < n; i++) {
            if (taken[all[i] - arena.headers])
                ck_abort_msg("packet %td is there twice", all[i] - arena.headers);
            taken[all[i] - arena.headers] = true;
        }
        packet_free_burst(all, 1); /* what is given back can be taken again */
        ck_assert_uint_eq(packet_allocate_burst(all, 10), 1);
        for (uint32_t i = 0; i < n; i += got) {
            got = n - i < FREELIST_BATCH ? n - i : FREELIST_BATCH;
            packet_free_burst(all + i, got);
        }
        ck_assert_uint_eq(arena_in_use(), in_use);
    }
}
END_TEST

START_TEST(test_freed_bytes)
{
    uint64_t frees = packet_freelist.frees, bytes = packet_freelist.freebytes;
    packet_free(numbered(10));
    struct packet *p[2] = { numbered(20), numbered(30) };
    packet_free_burst(p, 2);
    packet_free_burst(p, 0);
    ck_assert_uint_eq(packet_freelist.frees - frees, 3);
    ck_assert_uint_eq(packet_freelist.freebytes - bytes, 70 + 140 + 210);
}
END_TEST

/* Allocates and frees, and frees what is on the link, on a thread of its own. */
static void *other_thread(void *user)
{
    struct packet *p[300];
    uint32_t *left = user;
    for (int i = 0; i < 10; i++) {
        uint32_t n = packet_allocate_burst(p, 300);
        packet_free_burst(p, n);
    }
    while (!link_empty(link_a))
        packet_free(link_receive(link_a));
    packet_freelist_release();
    *left = packet_freelist.count;
    return NULL;
}

START_TEST(test_threads)
{
    pthread_t thread;
    uint32_t left = 1;
    for (uint64_t i = 0; i < LINK_SIZE; i++)
        link_transmit(link_a, numbered(i));
    ck_assert_uint_eq(arena_in_use(), in_use + LINK_SIZE);
    ck_assert_int_eq(pthread_create(&thread, NULL, other_thread, &left), 0);
    pthread_join(thread, NULL);
    ck_assert_uint_eq(left, 0);
    ck_assert_uint_eq(arena_in_use(), in_use);
}
END_TEST

START_TEST(test_arena_figures)
{
    struct error err;
    ck_assert_int_eq(arena_open(PACKETS, CHUNK, &err), 0);
    ck_assert_int_eq(arena_open(PACKETS, 4096, &err), -EBUSY);
    ck_assert_str_eq(err.text, "packets are already set up as 16384 of 2048 bytes");
    ck_assert_int_eq(arena_open(PACKETS, 3000, &err), -EINVAL);
    ck_assert_str_eq(
        err.text, "packet chunks of 3000 bytes: not a power of two within 2048..65536");
    ck_assert_int_eq(arena_open(PACKETS, 1024, &err), -EINVAL);
    ck_assert_int_eq(arena_open(PACKETS, 131072, &err), -EINVAL);
    ck_assert_int_eq(arena_open(0, CHUNK, &err), -EINVAL);
}
END_TEST

#ifdef PACKET_DEBUG
START_TEST(test_double_free)
{
    struct packet *p = packet_allocate();
    packet_free(p);
    packet_free(p);
}
END_TEST
#endif

static Suite *suite_link(void)
{
    Suite *suite = suite_create("link");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, setup, teardown);
    tcase_add_test(all, test_against_model);
    tcase_add_test(all, test_full);
    tcase_add_test(all, test_drop_many);
    tcase_add_test(all, test_forward);
    tcase_add_test(all, test_fresh);
    tcase_add_test(all, test_bounds);
    tcase_add_test(all, test_resize);
    tcase_add_test(all, test_capacity);
    tcase_add_test(all, test_clone);
    tcase_add_test(all, test_clone_keeps_to_its_chunk);
    tcase_add_test(all, test_clone_can_grow);
    tcase_add_test(all, test_from_address);
    tcase_add_test(all, test_exhaustion);
    tcase_add_test(all, test_freed_bytes);
    tcase_add_test(all, test_threads);
    tcase_add_test(all, test_arena_figures);
#ifdef PACKET_DEBUG
    tcase_add_test_raise_signal(all, test_double_free, SIGABRT);
#endif
    suite_add_tcase(suite, all);
    return suite;
}

SUITE(link)
