/* table: beside a naive model, at its capacity, under attack, in order of use; and the
 * hash below it. */
#include "lib/table.h"

#include <malloc.h>
#include <stdlib.h>

#include "lib/random.h"
#include "selftest/selftest.h"

static const struct siphash_key seed = { 0x0706050403020100, 0x0f0e0d0c0b0a0908 };

/* --- siphash ------------------------------------------------------------------------- */

/* The paper's appendix A, and the first of the vectors of the authors' own program, for
 * messages 00, 00 01, ... with the key 00 01 ... 0f. */
START_TEST(published_vectors)
{
    static const uint64_t expected[] = {
        0x726fdb47dd0e0e31, 0x74f839c593dc67fd, 0x0d6c8009d9a94f5a,
        0x85676696d7fb7e2d, 0xcf2794e0277187b7, 0x18765564cd99a68d,
        0xcbc9466e58fee3ce, 0xab0200f58b01d137, 0x93f5f5799a932462,
    };
    uint8_t message[15];
    for (uint8_t i = 0; i < sizeof(message); i++)
        message[i] = i;
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
        ck_assert_uint_eq(siphash_24(&seed, message, i), expected[i]);
    ck_assert_uint_eq(siphash_24(&seed, message, 15), 0xa129ca6149be45e5);
    ck_assert_uint_eq(siphash_13(&seed, message, 0), 0xabac0158050fc4dc);
}
END_TEST

START_TEST(every_bit_counts)
{
    uint8_t message[24] = { 0 };
    uint64_t plain = siphash_13(&seed, message, 21);
    for (unsigned bit = 0; bit < 21 * 8; bit++) {
        message[bit / 8] ^= (uint8_t)(1 << bit % 8);
        uint64_t other = siphash_13(&seed, message, 21);
        int changed = __builtin_popcountll(plain ^ other);
        ck_assert_msg(changed > 10 && changed < 54, "bit %u changes %d", bit, changed);
        message[bit / 8] = 0;
    }
    struct siphash_key other = { seed.a, seed.b ^ 1 };
    ck_assert_uint_ne(siphash_13(&other, message, 21), plain);
    ck_assert_uint_ne(siphash_13(&seed, message, 22), plain);
}
END_TEST

/* --- the model: an array that is searched from its start ------------------------------- */

#define ROOM 50

struct model {
    size_t count;
    struct {
        uint32_t key, value;
        uint64_t used;
    } entries[ROOM];
};

static size_t model_find(const struct model *model, uint32_t key)
{
    size_t i = 0;
    while (i < model->count && model->entries[i].key != key)
        i++;
    return i;
}

static void model_remove(struct model *model, size_t i)
{
    model->entries[i] = model->entries[--model->count];
}

static size_t model_oldest(const struct model *model)
{
    size_t oldest = 0;
    for (size_t i = 1; i < model->count; i++)
        if (model->entries[i].used < model->entries[oldest].used)
            oldest = i;
    return oldest;
}

static void model_insert(struct model *model, uint32_t key, uint32_t value, uint64_t now,
                         bool lru)
{
    size_t i = model_find(model, key);
    if (i == model->count) {
        if (i == ROOM && !lru)
            return;
        if (i == ROOM)
            model_remove(model, model_oldest(model));
        i = model->count++;
        model->entries[i].key = key;
        model->entries[i].value = value;
    }
    model->entries[i].used = now;
}

static void compare(const struct table *table, const struct model *model)
{
    size_t met = 0;
    ck_assert_uint_eq(table_count(table), model->count);
    for (const uint32_t *value = NULL; (value = table_next(table, value)); met++) {
        size_t i = model_find(model, *(const uint32_t *)table_key(table, value));
        ck_assert_uint_lt(i, model->count);
        ck_assert_uint_eq(*value, model->entries[i].value);
    }
    ck_assert_uint_eq(met, model->count);
}

static void one_step(struct table *table, struct model *model, uint64_t draw,
                     uint64_t now, bool lru)
{
    uint32_t key = (uint32_t)(draw >> 8) % (2 * ROOM), *value;
    size_t i = model_find(model, key);
    bool there = i < model->count;
    switch (draw % 4) {
    case 0:
        ck_assert_int_eq(table_remove(table, &key), there);
        if (there)
            model_remove(model, i);
        break;
    case 1:
        value = table_find(table, &key);
        ck_assert_int_eq(value != NULL, there);
        if (there)
            model->entries[i].used = now;
        break;
    default:
        value = table_insert(table, &key);
        ck_assert_int_eq(value != NULL, there || lru || model->count < ROOM);
        ck_assert(!value || there || !*value);
        if (value && !there)
            *value = (uint32_t)now;
        model_insert(model, key, (uint32_t)now, now, lru);
    }
}

START_TEST(like_the_model)
{
    bool lru = _i;
    struct table *table = table_new(4, 4, ROOM, &seed, lru ? TABLE_LRU : TABLE_REFUSE);
    struct model model = { 0 };
    struct random_key key = random_key(1, "table", lru ? "lru" : "refuse");
    for (uint64_t step = 1; step <= 100000; step++) {
        one_step(table, &model, random_draw(&key, step), step, lru);
        if (step % 64 == 0)
            compare(table, &model);
        if (step % 10000 == 0) {
            table_clear(table);
            model.count = 0;
        }
    }
    ck_assert(lru ? table_evicted(table) > 100 : !table_evicted(table));
    table_free(table);
}
END_TEST

/* --- sizes --------------------------------------------------------------------------- */

START_TEST(sizes)
{
    for (size_t key_size = 1; key_size <= 40; key_size += 3)
        for (size_t value_size = 0; value_size <= 40; value_size += 5) {
            struct table *table =
                table_new(key_size, value_size, 20, &seed, TABLE_REFUSE);
            uint8_t key[40] = { 0 };
            for (uint8_t i = 0; i < 20; i++) {
                key[key_size - 1] = i;
                uint8_t *value = table_insert(table, key);
                ck_assert(value && (uintptr_t)value % 8 == 0);
                ck_assert_uint_eq((uintptr_t)table_key(table, value) % 8, 0);
                memset(value, i, value_size);
            }
            for (uint8_t i = 0; i < 20; i++) {
                key[key_size - 1] = i;
                uint8_t *value = table_find(table, key);
                ck_assert_mem_eq(table_key(table, value), key, key_size);
                for (size_t j = 0; j < value_size; j++)
                    ck_assert_uint_eq(value[j], i);
            }
            table_free(table);
        }
    ck_assert_ptr_null(table_new(4, 4, 0, &seed, TABLE_REFUSE));
    ck_assert_ptr_null(table_new(4, 4, TABLE_CAPACITY_MAX + 1, &seed, TABLE_REFUSE));
    table_free(NULL);
}
END_TEST

/* Every entry can be used, values stay where they are, and nothing is allocated. */
START_TEST(at_capacity)
{
    enum { CAPACITY = 5000 };
    static uint64_t *values[CAPACITY];
    struct table *table = table_new(8, 8, CAPACITY, &seed, TABLE_REFUSE);
    size_t memory = mallinfo2().uordblks;
    for (unsigned round = 0; round < 3; round++) {
        for (uint64_t key = 0; key < CAPACITY; key++) {
            values[key] = table_insert(table, &key);
            ck_assert_ptr_nonnull(values[key]);
            *values[key] = key;
        }
        uint64_t more = CAPACITY, there = 7;
        ck_assert_ptr_null(table_insert(table, &more));
        ck_assert_ptr_eq(table_insert(table, &there), values[7]);
        for (uint64_t key = 0; key < CAPACITY; key += 2)
            ck_assert(table_remove(table, &key));
        for (uint64_t key = 1; key < CAPACITY; key += 2) {
            ck_assert_ptr_eq(table_find(table, &key), values[key]);
            ck_assert_uint_eq(*values[key], key);
            ck_assert(table_remove(table, &key));
        }
        ck_assert_uint_eq(table_count(table), 0);
    }
    ck_assert_uint_le(mallinfo2().uordblks, memory + 1024); /* caches of what was freed */
    table_free(table);
}
END_TEST

START_TEST(removal_on_the_way)
{
    struct table *table = table_new(4, 4, 100, &seed, TABLE_LRU);
    for (uint32_t key = 0; key < 100; key++)
        *(uint32_t *)table_insert(table, &key) = key;
    uint64_t met = 0;
    for (uint32_t *value = NULL; (value = table_next(table, value));) {
        met += *value;
        if (*value % 3 == 0)
            ck_assert(table_remove(table, table_key(table, value)));
    }
    ck_assert_uint_eq(met, 99 * 100 / 2);
    ck_assert_uint_eq(table_count(table), 66);
    for (uint32_t key = 0; key < 100; key++)
        ck_assert_int_eq(table_find(table, &key) != NULL, key % 3 != 0);
    table_free(table);
}
END_TEST

/* --- who knows the seed -------------------------------------------------------------- */

/* The next key above this one that falls into the first of so many buckets. */
static uint64_t colliding(uint64_t key, uint32_t buckets)
{
    do
        key++;
    while (siphash_13(&seed, &key, sizeof(key)) % buckets);
    return key;
}

/* The bucket ends at its bound; the other keys have theirs. */
START_TEST(one_bucket)
{
    struct table *table = table_new(8, 8, 1024, &seed, TABLE_REFUSE);
    uint64_t key = 0, first = colliding(0, 1024);
    for (unsigned i = 0; i < 3 * TABLE_PROBES; i++) {
        key = colliding(key, 1024);
        ck_assert_int_eq(table_insert(table, &key) != NULL, i < TABLE_PROBES);
    }
    ck_assert_ptr_nonnull(table_find(table, &first));
    ck_assert_ptr_null(table_find(table, &key));
    for (key = 0; key < 500; key++)
        ck_assert(table_insert(table, &key) || key == colliding(key - 1, 1024));
    table_free(table);
}
END_TEST

/* With TABLE_LRU the bucket's first goes, no other entry does. */
START_TEST(one_bucket_lru)
{
    struct table *table = table_new(8, 8, 1024, &seed, TABLE_LRU);
    uint64_t key = 0, keys[3 * TABLE_PROBES], other = 1;
    ck_assert_uint_ne(colliding(0, 1024), other);
    table_insert(table, &other);
    for (unsigned i = 0; i < 3 * TABLE_PROBES; i++) {
        keys[i] = key = colliding(key, 1024);
        ck_assert_ptr_nonnull(table_insert(table, &key));
    }
    ck_assert_uint_eq(table_evicted(table), 2 * TABLE_PROBES);
    ck_assert_uint_eq(table_count(table), TABLE_PROBES + 1);
    ck_assert_ptr_nonnull(table_find(table, &other));
    for (unsigned i = 0; i < 3 * TABLE_PROBES; i++)
        ck_assert_int_eq(table_find(table, &keys[i]) != NULL, i >= 2 * TABLE_PROBES);
    table_free(table);
}
END_TEST

/* A flood of new keys takes the place of what is not used, never of what is. */
START_TEST(lru_keeps_what_is_used)
{
    struct table *table = table_new(8, 8, 100, &seed, TABLE_LRU);
    for (uint64_t key = 0; key < 10000; key++) {
        uint64_t busy = key % 10;
        *(uint64_t *)table_insert(table, &key) = key;
        ck_assert_ptr_nonnull(table_find(table, &busy));
        for (void *value = NULL; key % 1000 == 0 && (value = table_next(table, value));)
            ck_assert_ptr_nonnull(table_key(table, value)); /* looking is no use */
    }
    ck_assert_uint_eq(table_evicted(table), 10000 - 100);
    for (uint64_t key = 0; key < 10000; key++)
        ck_assert_int_eq(table_find(table, &key) != NULL, key < 10 || key >= 10000 - 90);
    table_free(table);
}
END_TEST

static Suite *suite_table(void)
{
    Suite *suite = suite_create("table");
    TCase *tests = tcase_create("table");
    tcase_add_test(tests, published_vectors);
    tcase_add_test(tests, every_bit_counts);
    tcase_add_loop_test(tests, like_the_model, 0, 2);
    tcase_add_test(tests, sizes);
    tcase_add_test(tests, at_capacity);
    tcase_add_test(tests, removal_on_the_way);
    tcase_add_test(tests, one_bucket);
    tcase_add_test(tests, one_bucket_lru);
    tcase_add_test(tests, lru_keeps_what_is_used);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(table)
