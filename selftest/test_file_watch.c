/* Files that change while somebody watches them. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/file_watch.h"
#include "selftest/selftest.h"

static char directory[] = "/tmp/vanguard-watch-XXXXXX";
static char a[64], b[64];
static struct file_watch files[2];

#define PATHS ((const char *const[]){ a, b })

static void setup(void)
{
    snprintf(directory, sizeof(directory), "/tmp/vanguard-watch-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(a, sizeof(a), "%s/a", directory);
    snprintf(b, sizeof(b), "%s/b", directory);
}

static void teardown(void)
{
    unlink(a);
    unlink(b);
    rmdir(directory);
}

/* Clocks of file systems are coarse: the time of writing is told. */
static void write_at(const char *path, const char *text, long second)
{
    FILE *file = fopen(path, "w");
    struct timespec times[2] = { { second, 0 }, { second, 0 } };
    fputs(text, file);
    fclose(file);
    ck_assert_int_eq(utimensat(AT_FDCWD, path, times, 0), 0);
}

static bool look(void)
{
    return file_watch_changed(files, PATHS, 2);
}

START_TEST(a_change_is_told_when_it_is_at_rest)
{
    write_at(a, "one", 1000);
    file_watch_begin(files, PATHS, 2);
    ck_assert(!look() && !look());
    write_at(a, "two", 1001);
    ck_assert(!look());
    write_at(a, "three", 1002);
    ck_assert(!look());
    ck_assert(look() && look());
    file_watch_begin(files, PATHS, 2);
    ck_assert(!look());
}
END_TEST

/* One of them is still being written. */
START_TEST(all_must_be_at_rest)
{
    file_watch_begin(files, PATHS, 2);
    write_at(a, "one", 1000);
    ck_assert(!look());
    write_at(b, "one", 1000);
    ck_assert(!look());
    ck_assert(look());
}
END_TEST

START_TEST(others_in_its_place)
{
    write_at(a, "one", 1000);
    write_at(b, "one", 1000);
    file_watch_begin(files, PATHS, 1);
    ck_assert_int_eq(rename(b, a), 0);
    ck_assert(!file_watch_changed(files, PATHS, 1));
    ck_assert(file_watch_changed(files, PATHS, 1));
    file_watch_begin(files, PATHS, 1);
    unlink(a);
    ck_assert(!file_watch_changed(files, PATHS, 1));
    ck_assert(file_watch_changed(files, PATHS, 1));
}
END_TEST

START_TEST(what_is_no_file)
{
    struct file_mark mark = file_mark("/tmp"), none = file_mark(NULL);
    ck_assert(!mark.inode && !none.inode && !file_mark(a).inode);
}
END_TEST

static Suite *suite_file_watch(void)
{
    Suite *suite = suite_create("file_watch");
    TCase *tests = tcase_create("file_watch");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_change_is_told_when_it_is_at_rest);
    tcase_add_test(tests, all_must_be_at_rest);
    tcase_add_test(tests, others_in_its_place);
    tcase_add_test(tests, what_is_no_file);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(file_watch)
