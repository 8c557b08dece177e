/* counters: the file as writers, readers and forgers see it. */
#include "engine/counters.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/histogram.h"
#include "selftest/selftest.h"

/* Where the file keeps what a forger would change. */
#define AT_MAGIC      0
#define AT_GENERATION 16
#define AT_ENTRIES    24
#define AT_ENTRY      64

static char directory[64], path[128];
static struct counters *writer, *reader;
static struct error err;

static const struct counter_row two_rows[] = { { "in", "" },
                                               { "out", "" },
                                               { NULL, "" } };
static const struct counter_row one_row[] = { { "x", "" }, { NULL, "" } };

static void setup(void)
{
    strcpy(directory, "/tmp/test_counters.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/counters", directory);
    writer = counters_create(path, &err);
    ck_assert_msg(writer != NULL, "%s", err.text);
    reader = counters_open(path, &err);
    ck_assert_msg(reader != NULL, "%s", err.text);
}

static void teardown(void)
{
    counters_close(reader);
    counters_destroy(writer);
    unlink(path);
    ck_assert_int_eq(rmdir(directory), 0);
}

/* What one counters_read said. */
struct listing {
    unsigned count;
    char text[4096]; /* the names, each with a newline */
    uint64_t sum;    /* of all single words */
};

static void list_entry(const struct counter_entry *entry, const uint64_t *words,
                       void *user)
{
    struct listing *listing = user;
    listing->count++;
    size_t used = strlen(listing->text);
    snprintf(listing->text + used, sizeof(listing->text) - used, "%s\n", entry->name);
    listing->sum += words[0];
}

static struct listing list(const struct counters *counters)
{
    struct listing listing = { 0 };
    ck_assert(counters_read(counters, list_entry, &listing));
    return listing;
}

/* --- the writer and a reader -------------------------------------------------------- */

START_TEST(words_are_live)
{
    struct stat st;
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0137, 0); /* 0640, less what the umask takes */
    ck_assert_int_eq(counters_pid(reader), getpid());

    uint64_t *words = counters_add(writer, "apps/a", two_rows);
    struct histogram *histogram = counters_add_histogram(writer, "engine/latency");
    words[0] = 3;
    words[1] = 4;
    histogram_add(histogram, 100);
    ck_assert_str_eq(list(reader).text, "apps/a/in\napps/a/out\nengine/latency\n");
    ck_assert_uint_eq(list(reader).sum, 3 + 4 + 1);
    ck_assert_uint_eq(counters_value(reader, "apps/a/out"), 4);
    words[1] = 5;
    ck_assert_uint_eq(counters_value(reader, "apps/a/out"), 5);
    ck_assert_uint_eq(counters_value(reader, "apps/a/ou"), 0);
    ck_assert_uint_eq(counters_value(reader, "engine/latency"), 0); /* not one word */
}
END_TEST

START_TEST(without_a_file)
{
    struct counters *private = counters_create(NULL, &err);
    ck_assert_ptr_nonnull(private);
    uint64_t *words = counters_add(private, "a", one_row);
    *words = 7;
    ck_assert_uint_eq(counters_value(private, "a/x"), 7);
    counters_destroy(private);
    counters_destroy(NULL);
    counters_close(NULL);
}
END_TEST

START_TEST(object_without_rows)
{
    static const struct counter_row none[] = { { NULL, NULL } };
    uint64_t *a = counters_add(writer, "a", none), *b = counters_add(writer, "b", NULL);
    uint64_t *c = counters_add(writer, "c", one_row);
    ck_assert(a && b && c && a != b && b != c);
    ck_assert_str_eq(list(reader).text, "c/x\n");
    counters_remove(writer, a);
    counters_remove(writer, b);
    counters_remove(writer, NULL);
    ck_assert_uint_eq(list(reader).count, 1);
}
END_TEST

START_TEST(removed_words_are_used_again)
{
    uint64_t *a = counters_add(writer, "a", two_rows);
    uint64_t *b = counters_add(writer, "b", two_rows);
    struct histogram *h = counters_add_histogram(writer, "h");
    a[0] = a[1] = b[0] = 9;
    histogram_add(h, 1);
    counters_remove(writer, a);
    counters_remove(writer, h);
    ck_assert_str_eq(list(reader).text, "b/in\nb/out\n");
    ck_assert_uint_eq(counters_value(reader, "a/in"), 0);
    uint64_t *c = counters_add(writer, "c", one_row);
    ck_assert_ptr_ne(c, a); /* another shape */
    ck_assert_ptr_eq(counters_add(writer, "d", two_rows), a);
    ck_assert_uint_eq(a[0] + a[1], 0);
    ck_assert_uint_eq(b[0], 9);
    ck_assert_ptr_eq(counters_add_histogram(writer, "i"), h);
    ck_assert_uint_eq(h->count, 0);
    ck_assert_str_eq(list(reader).text, "d/in\nd/out\nb/in\nb/out\ni\nc/x\n");
    counters_remove(writer, c);
    ck_assert_ptr_eq(counters_add(writer, "a/longer/name", one_row), c);
    counters_remove(writer, c);
    ck_assert_ptr_eq(counters_add(writer, "e", one_row), c); /* nothing of the longer */
    ck_assert_str_eq(list(reader).text, "d/in\nd/out\nb/in\nb/out\ni\ne/x\n");
}
END_TEST

START_TEST(objects_lie_on_lines_of_their_own)
{
    uint64_t *a = counters_add(writer, "a", one_row);
    uint64_t *b = counters_add(writer, "b", one_row);
    ck_assert_uint_eq((uintptr_t)a % 64, 0);
    ck_assert_uint_eq((uintptr_t)b % 64, 0);
    ck_assert_ptr_ne(a, b);
}
END_TEST

/* A name of any length stays within its entry. */
START_TEST(long_names_are_cut)
{
    static char object[1000], row[1000];
    memset(object, 'o', sizeof(object) - 1);
    memset(row, 'r', sizeof(row) - 1);
    const struct counter_row rows[] = { { row, "" }, { "in", "" }, { NULL, "" } };
    ck_assert_ptr_nonnull(counters_add(writer, object, rows));
    ck_assert_ptr_nonnull(counters_add(writer, "a", rows));
    ck_assert_ptr_nonnull(counters_add_histogram(writer, object));
    struct listing listing = list(reader);
    ck_assert_uint_eq(listing.count, 5);
    char *line = strtok(listing.text, "\n");
    for (unsigned i = 0; i < 5; i++, line = strtok(NULL, "\n"))
        ck_assert_uint_eq(strlen(line), i == 3 ? 4 : COUNTER_NAME_SIZE - 1);
    object[6 + 4 * 63 + 6] = 0; /* the longest that a graph has is not cut */
    uint64_t *words = counters_add(writer, object, two_rows);
    words[1] = 11;
    strcat(object, "/out");
    ck_assert_uint_eq(counters_value(reader, object), 11);
}
END_TEST

START_TEST(full_file)
{
    uint64_t *first = counters_add(writer, "first", one_row), *last = first, *words;
    uint32_t count = 1;
    while ((words = counters_add(writer, "more", one_row))) {
        last = words;
        count++;
    }
    ck_assert_uint_gt(count, 100000);
    ck_assert_ptr_null(counters_add_histogram(writer, "h"));
    ck_assert_ptr_null(counters_add(writer, "more", two_rows));
    *last = 5;
    ck_assert_uint_eq(list(reader).count, count);
    ck_assert_uint_eq(list(reader).sum, 5);
    counters_remove(writer, first);
    ck_assert_ptr_null(counters_add(writer, "more", two_rows));
    ck_assert_ptr_eq(counters_add(writer, "again", one_row), first);
    ck_assert_ptr_null(counters_add(writer, "more", one_row));
}
END_TEST

/* Full by words long before all entries are in use. */
START_TEST(full_of_histograms)
{
    struct histogram *histogram, *last = NULL;
    uint32_t count = 0;
    struct stat st;
    ck_assert_int_eq(stat(path, &st), 0);
    while ((histogram = counters_add_histogram(writer, "h"))) {
        histogram_add(histogram, count++); /* there is memory behind it */
        last = histogram;
    }
    ck_assert_uint_le(count * sizeof(*histogram), (size_t)st.st_size);
    ck_assert_uint_eq(list(reader).count, count);
    counters_remove(writer, last);
    ck_assert_ptr_eq(counters_add_histogram(writer, "again"), last);
}
END_TEST

START_TEST(file_is_replaced_and_removed)
{
    struct counters *other = counters_create(path, &err);
    ck_assert_msg(other != NULL, "%s", err.text);
    counters_add(writer, "old", one_row);
    counters_add(other, "new", one_row);
    struct counters *again = counters_open(path, &err);
    ck_assert_str_eq(list(again).text, "new/x\n");
    ck_assert_str_eq(list(reader).text, "old/x\n"); /* what was mapped stays */
    counters_close(again);
    counters_destroy(other);
    ck_assert_int_eq(access(path, F_OK), -1);
}
END_TEST

START_TEST(symbolic_link_is_not_followed)
{
    char target[160];
    snprintf(target, sizeof(target), "%s/target", directory);
    close(open(target, O_CREAT | O_WRONLY, 0600));
    unlink(path);
    ck_assert_int_eq(symlink(target, path), 0);
    struct counters *other = counters_create(path, &err);
    ck_assert_ptr_nonnull(other);
    struct stat st;
    ck_assert_int_eq(stat(target, &st), 0);
    ck_assert_int_eq(st.st_size, 0);
    counters_destroy(other);
    unlink(target);
}
END_TEST

START_TEST(directory_that_is_not_there)
{
    ck_assert_ptr_null(counters_create("/nonexistent/counters", &err));
    ck_assert_str_eq(err.text,
                     "cannot create /nonexistent/counters: No such file or directory");
    ck_assert_ptr_null(counters_open("/nonexistent/counters", &err));
    ck_assert_str_eq(err.text,
                     "cannot open /nonexistent/counters: No such file or directory");
}
END_TEST

/* --- hostile files ------------------------------------------------------------------ */

static void refuse(const char *name)
{
    char text[256];
    ck_assert_ptr_null(counters_open(name, &err));
    snprintf(text, sizeof(text), "%s: not a file of counters of this version", name);
    ck_assert_str_eq(err.text, text);
    ck_assert_int_eq(err.kind, ERROR_RUN);
}

START_TEST(wrong_size)
{
    char name[160];
    struct stat st;
    ck_assert_int_eq(stat(path, &st), 0);
    snprintf(name, sizeof(name), "%s/forged", directory);
    int fd = open(name, O_RDWR | O_CREAT, 0600), real = open(path, O_RDONLY);
    uint64_t magic;
    ck_assert_int_eq(pread(real, &magic, sizeof(magic), AT_MAGIC), sizeof(magic));
    const off_t sizes[] = { 0, 1, 64, st.st_size - 1, st.st_size + 1, 2 * st.st_size };
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        ck_assert_int_eq(ftruncate(fd, 0), 0);
        ck_assert_int_eq(pwrite(fd, &magic, sizeof(magic), AT_MAGIC), sizeof(magic));
        ck_assert_int_eq(ftruncate(fd, sizes[i]), 0);
        refuse(name);
    }
    ck_assert_int_eq(ftruncate(fd, st.st_size), 0);
    struct counters *accepted = counters_open(name, &err); /* it was the size alone */
    ck_assert_ptr_nonnull(accepted);
    counters_close(accepted);
    magic ^= 1ull << 40;
    ck_assert_int_eq(pwrite(fd, &magic, sizeof(magic), AT_MAGIC), sizeof(magic));
    refuse(name);
    close(fd);
    close(real);
    unlink(name);
}
END_TEST

START_TEST(not_a_file)
{
    char name[160];
    snprintf(name, sizeof(name), "%s/fifo", directory);
    ck_assert_int_eq(mkfifo(name, 0600), 0);
    refuse(name); /* and does not wait for somebody to write into it */
    unlink(name);
    refuse(directory);
}
END_TEST

static void forge(off_t at, const void *bytes, size_t size)
{
    int fd = open(path, O_RDWR);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pwrite(fd, bytes, size, at), (ssize_t)size);
    close(fd);
}

START_TEST(forged_directory)
{
    static struct counter_entry entry;
    uint32_t entries = UINT32_MAX;
    forge(AT_ENTRIES, &entries, sizeof(entries));
    memset(entry.name, 'n', sizeof(entry.name)); /* never ends */
    for (uint32_t i = 0; i < 300; i++) {
        static const uint32_t words[] = { 0, 2 << 20, (2 << 20) - 1, UINT32_MAX,
                                          1 << 31 };
        entry.kind = i % 3 ? i % 3 : 77;
        entry.word = words[i % 5] - i / 60;
        forge((off_t)(AT_ENTRY + i * sizeof(entry)), &entry, sizeof(entry));
    }
    struct listing listing = { 0 };
    ck_assert(counters_read(reader, list_entry, &listing));
    ck_assert_uint_gt(listing.count, 0);
    ck_assert_uint_lt(listing.count, 300);
    char name[COUNTER_NAME_SIZE + 1] = "";
    memset(name, 'n', COUNTER_NAME_SIZE);
    counters_value(reader, name);
    ck_assert_uint_eq(counters_value(reader, "apps/a/in"), 0);
}
END_TEST

/* --- all or nothing ----------------------------------------------------------------- */

START_TEST(busy_writer)
{
    uint64_t before = counters_generation(reader);
    struct listing listing = { 0 };
    counters_change_begin(writer);
    counters_add(writer, "a", one_row);
    ck_assert(!counters_read(reader, list_entry, &listing));
    ck_assert_uint_eq(listing.count, 0);
    counters_change_end(writer);
    ck_assert_uint_ne(counters_generation(reader), before);
    before = counters_generation(reader);
    ck_assert_uint_eq(list(reader).count, 1);
    ck_assert_uint_eq(counters_generation(reader), before);
}
END_TEST

static volatile bool enough;

/* Two objects "a", or two objects "b" and one "c", never anything else. */
static void *change(void *user)
{
    while (!enough) {
        counters_change_begin(writer);
        uint64_t *a = counters_add(writer, "a", two_rows);
        uint64_t *a2 = counters_add(writer, "a", two_rows);
        counters_change_end(writer);
        counters_change_begin(writer);
        counters_remove(writer, a);
        counters_remove(writer, a2);
        uint64_t *b = counters_add(writer, "b", two_rows);
        uint64_t *c = counters_add(writer, "c", one_row);
        uint64_t *b2 = counters_add(writer, "b", two_rows);
        counters_change_end(writer);
        counters_change_begin(writer);
        counters_remove(writer, b);
        counters_remove(writer, c);
        counters_remove(writer, b2);
        counters_change_end(writer);
    }
    return user;
}

START_TEST(reader_sees_all_or_nothing)
{
    pthread_t thread;
    unsigned seen[3] = { 0 }, n = 0;
    ck_assert_int_eq(pthread_create(&thread, NULL, change, NULL), 0);
    while (n < 1000 || !seen[0] || !seen[1] || !seen[2]) {
        struct listing listing = { 0 };
        if (!counters_read(reader, list_entry, &listing))
            continue;
        bool nothing = !strcmp(listing.text, "");
        bool a = !strcmp(listing.text, "a/in\na/out\na/in\na/out\n");
        bool b = listing.count == 5 && !strchr(listing.text, 'a');
        ck_assert_msg(nothing || a || b, "%s", listing.text);
        seen[nothing ? 0 : a ? 1 : 2]++;
        n++;
    }
    enough = true;
    pthread_join(thread, NULL);
}
END_TEST

static Suite *suite_counters(void)
{
    Suite *suite = suite_create("counters");
    TCase *tests = tcase_create("counters");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, words_are_live);
    tcase_add_test(tests, without_a_file);
    tcase_add_test(tests, object_without_rows);
    tcase_add_test(tests, removed_words_are_used_again);
    tcase_add_test(tests, objects_lie_on_lines_of_their_own);
    tcase_add_test(tests, long_names_are_cut);
    tcase_add_test(tests, full_file);
    tcase_add_test(tests, full_of_histograms);
    tcase_add_test(tests, file_is_replaced_and_removed);
    tcase_add_test(tests, symbolic_link_is_not_followed);
    tcase_add_test(tests, directory_that_is_not_there);
    tcase_add_test(tests, wrong_size);
    tcase_add_test(tests, not_a_file);
    tcase_add_test(tests, forged_directory);
    tcase_add_test(tests, busy_writer);
    tcase_add_test(tests, reader_sees_all_or_nothing);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(counters)
