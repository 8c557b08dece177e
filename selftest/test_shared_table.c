/* shared_table: against a model, full, with threads; BPF programs use it in test_sentinel_path. */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "lib/random.h"
#include "lib/shared_table.h"
#include "selftest/selftest.h"

#define SEED 0x1234567890abcdefull

#define WORDS 6

struct key {
    uint32_t word[WORDS];
};

static struct key key_of(uint32_t number)
{
    return (struct key){ { 0, 0, 0xffff0000, 0, 0, number } };
}

static int put(struct shared_table *table, uint32_t number, uint64_t value)
{
    struct key key = key_of(number);
    return shared_table_put(table, &key, &value);
}

static uint64_t get(const struct shared_table *table, uint32_t number) /* 0: not there */
{
    struct key key = key_of(number);
    uint64_t *value = shared_table_find(table, &key);
    if (!value)
        return 0;
    ck_assert(!memcmp(shared_table_key(table, value), &key, sizeof(key)));
    return *value;
}

static bool take(struct shared_table *table, uint32_t number)
{
    struct key key = key_of(number);
    return shared_table_remove(table, &key);
}

static uint32_t count(const struct shared_table *table)
{
    uint32_t n = 0;
    uint64_t at = 0;
    while (shared_table_next(table, &at))
        n++;
    return n;
}

START_TEST(a_key_and_its_value)
{
    struct shared_table *table = shared_table_new(WORDS, 8, 10, SEED);
    ck_assert_uint_eq(get(table, 1), 0);
    ck_assert(!take(table, 1));
    ck_assert_int_eq(put(table, 1, 11), 0);
    ck_assert_int_eq(put(table, 2, 22), 0);
    ck_assert_uint_eq(get(table, 1), 11);
    ck_assert_int_eq(put(table, 1, 12), 0);
    ck_assert_uint_eq(get(table, 1), 12);
    ck_assert_uint_eq(get(table, 2), 22);
    ck_assert_uint_eq(count(table), 2);
    ck_assert(take(table, 1));
    ck_assert(!take(table, 1));
    ck_assert_uint_eq(get(table, 1), 0);
    ck_assert_uint_eq(get(table, 2), 22);
    ck_assert_uint_eq(count(table), 1);
    shared_table_free(table);
    shared_table_free(NULL);
}
END_TEST

START_TEST(all_of_a_key_counts)
{
    struct shared_table *table = shared_table_new(WORDS, 8, 10, SEED);
    for (int i = 0; i < 4; i++) {
        struct key key = { { 1, 2, 3, 4 } };
        uint64_t value = (uint64_t)i + 1;
        key.word[i] ^= 0x80000000;
        ck_assert_int_eq(shared_table_put(table, &key, &value), 0);
    }
    for (int i = 0; i < 4; i++) {
        struct key key = { { 1, 2, 3, 4 } };
        ck_assert_ptr_null(shared_table_find(table, &key));
        key.word[i] ^= 0x80000000;
        ck_assert_uint_eq(*(uint64_t *)shared_table_find(table, &key), (uint64_t)i + 1);
    }
    shared_table_free(table);
}
END_TEST

/* What is in it can be replaced then, and what goes makes room; twice as many rounds as slots. */
START_TEST(full)
{
    enum { SLOTS = 1000 };
    struct shared_table *table = shared_table_new(WORDS, 8, SLOTS, SEED);
    for (uint32_t n = 0; n < SLOTS; n++)
        ck_assert_int_eq(put(table, n, n + 1), 0);
    for (uint32_t n = SLOTS; n < 3 * SLOTS; n++) {
        ck_assert_int_eq(put(table, n, n + 1), -ENOSPC);
        ck_assert_int_eq(put(table, n - SLOTS, n), 0);
        ck_assert_uint_eq(get(table, n - SLOTS), n);
        ck_assert(take(table, n - SLOTS));
        ck_assert_int_eq(put(table, n, n + 1), 0);
    }
    ck_assert_uint_eq(count(table), SLOTS);
    for (uint32_t n = 0; n < 3 * SLOTS; n++)
        ck_assert_uint_eq(get(table, n), n < 2 * SLOTS ? 0 : n + 1);
    shared_table_free(table);
}
END_TEST

/* Slots are left, but none of the bucket's words. */
START_TEST(a_full_bucket)
{
    struct shared_head head = { .seed = SEED };
    static uint32_t buckets[SHARED_WORDS];
    static uint64_t slots[20][WORDS / 2 + 1];
    memset(buckets, 0, sizeof(buckets));
    memset(slots, 0, sizeof(slots));
    struct shared_table *table =
        shared_table_open(&head, buckets, 1, slots, 20, WORDS, 8);
    for (uint32_t n = 0; n < SHARED_WORDS; n++)
        ck_assert_int_eq(put(table, n, n + 1), 0);
    for (uint32_t round = 0; round < 100; round++) /* and no slot is lost */
        ck_assert_int_eq(put(table, 99, 1), -ENOSPC);
    ck_assert(take(table, 7));
    ck_assert_int_eq(put(table, 99, 100), 0);
    for (uint32_t n = 0; n < SHARED_WORDS; n++)
        ck_assert_uint_eq(get(table, n), n == 7 ? 0 : n + 1);
    ck_assert_uint_eq(get(table, 99), 100);
    for (uint32_t n = 0; n < SHARED_WORDS; n++)
        take(table, n);
    take(table, 99);
    for (size_t i = 0; i < SHARED_FILTER; i++)
        ck_assert_uint_eq(head.filter[i], 0);
    shared_table_free(table);
}
END_TEST

/* As full as it can be by its promise: in one of a thousand tables a bucket is too small. */
START_TEST(every_slot_of_a_large_table)
{
    enum { SLOTS = 393216 };
    struct shared_table *table = shared_table_new(WORDS, 8, SLOTS, SEED);
    for (uint32_t n = 0; n < SLOTS; n++)
        ck_assert_int_eq(put(table, n * 2654435761u, n + 1), 0);
    for (uint32_t n = 0; n < SLOTS; n++)
        ck_assert_uint_eq(get(table, n * 2654435761u), n + 1);
    shared_table_free(table);
}
END_TEST

/* More buckets than the filter has bits, and few keys in them. */
START_TEST(against_a_model)
{
    enum { KEYS = 4096, STEPS = 200000 };
    static uint64_t model[KEYS];
    uint32_t slots = _i ? 3 * SHARED_FILTER * 64 + 1 : KEYS / 2, there = 0;
    struct shared_table *table = shared_table_new(WORDS, 8, slots, SEED);
    struct random_key random = random_key(42, "shared_table", "model");
    memset(model, 0, sizeof(model));
    for (uint64_t step = 0; step < STEPS; step++) {
        uint64_t draw = random_draw(&random, step);
        uint32_t key = draw % KEYS;
        ck_assert_uint_eq(get(table, key), model[key]);
        if (draw >> 32 & 1) {
            ck_assert_int_eq(take(table, key), model[key] != 0);
            there -= model[key] != 0;
            model[key] = 0;
        } else if (!put(table, key, step + 1)) {
            there += !model[key];
            model[key] = step + 1;
        } else
            ck_assert_uint_eq(there, slots);
    }
    ck_assert_uint_eq(count(table), there);
    shared_table_free(table);
}
END_TEST

/* --- threads ------------------------------------------------------------------------- */

#define STAYING 64
#define ROUNDS  300000

static struct shared_table *common;
static bool over;

/* Puts and removes keys of its own, and replaces those that stay. */
static void *write_keys(void *first)
{
    uint32_t base = *(uint32_t *)first;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        uint32_t key = base + round % 300;
        put(common, round % STAYING, round + 1);
        if (!put(common, key, round + 1) && !take(common, key))
            return "a key of this thread's own was gone";
    }
    return NULL;
}

static void *read_keys(void *unused)
{
    while (!__atomic_load_n(&over, __ATOMIC_RELAXED))
        for (uint32_t n = 0; n < STAYING; n++) {
            struct key key = key_of(n);
            if (!shared_table_find(common, &key))
                return "a key that stays was not found";
        }
    return unused;
}

START_TEST(threads)
{
    uint32_t bases[2] = { 1000, 2000 };
    pthread_t writers[2], reader;
    void *complaint;
    common = shared_table_new(WORDS, 8, 256, SEED);
    over = false;
    for (uint32_t n = 0; n < STAYING; n++)
        ck_assert_int_eq(put(common, n, 1), 0);
    pthread_create(&reader, NULL, read_keys, NULL);
    for (int i = 0; i < 2; i++)
        pthread_create(&writers[i], NULL, write_keys, &bases[i]);
    for (int i = 0; i < 2; i++) {
        pthread_join(writers[i], &complaint);
        ck_assert_msg(!complaint, "%s", (char *)complaint);
    }
    __atomic_store_n(&over, true, __ATOMIC_RELAXED);
    pthread_join(reader, &complaint);
    ck_assert_msg(!complaint, "%s", (char *)complaint);
    for (uint32_t n = 0; n < STAYING; n++)
        ck_assert(take(common, n));
    ck_assert_uint_eq(count(common), 0);
    for (uint32_t n = 0; n < 256; n++) /* every slot came back */
        ck_assert_int_eq(put(common, n, 1), 0);
    shared_table_free(common);
}
END_TEST

static Suite *suite_shared_table(void)
{
    Suite *suite = suite_create("shared_table");
    TCase *tests = tcase_create("shared_table");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_key_and_its_value);
    tcase_add_test(tests, all_of_a_key_counts);
    tcase_add_test(tests, full);
    tcase_add_test(tests, a_full_bucket);
    tcase_add_test(tests, every_slot_of_a_large_table);
    tcase_add_loop_test(tests, against_a_model, 0, 2);
    tcase_add_test(tests, threads);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(shared_table)
