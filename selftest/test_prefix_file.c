/* prefix_file: good lists, wrong lines by their number, and paths that lead nowhere good. */
#include "lib/prefix_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/error.h"
#include "selftest/selftest.h"

static char directory[] = "/tmp/vanguard-prefix-file-XXXXXX", path[64];
static struct error err;

static void set_up(void)
{
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/list", directory);
}

static void tear_down(void)
{
    unlink(path);
    rmdir(directory);
}

static void write_list(const char *text, size_t length)
{
    FILE *file = fopen(path, "we");
    ck_assert_uint_eq(fwrite(text, 1, length, file), length);
    fclose(file);
}

static int read_list(const char *text, struct prefix_list *list)
{
    struct prefix_file file = { .path = path, .max = 300 };
    write_list(text, strlen(text));
    return prefix_file_read(&file, list, &err);
}

/* The prefixes in one text, with a space behind each. */
static void check_list(const char *text, const char *expected, size_t cleared)
{
    static char all[300 * PREFIX_TEXT_SIZE];
    char one[PREFIX_TEXT_SIZE], *end = all;
    struct prefix_list list;
    ck_assert_msg(!read_list(text, &list), "%s: %s", text, err.text);
    for (size_t i = 0; i < list.count; i++)
        end += sprintf(end, "%s ", prefix_format(&list.prefixes[i], one));
    *end = 0;
    ck_assert_str_eq(all, expected);
    ck_assert_uint_eq(list.cleared, cleared);
    prefix_list_clear(&list);
}

START_TEST(good)
{
    check_list("", "", 0);
    check_list("\n\n  \t\r\n# 10.0.0.0/8\n;10.0.0.0/8\n   # x", "", 0);
    check_list("10.0.0.0/8\n192.0.2.1\r\n2001:db8::/32\r\n2001:db8::1",
               "10.0.0.0/8 192.0.2.1/32 2001:db8::/32 2001:db8::1/128 ", 0);
    check_list("  10.0.0.0/8 ; SBL1\n192.0.2.0/24#x\n\t192.0.3.0/24\tsome more; words\n",
               "10.0.0.0/8 192.0.2.0/24 192.0.3.0/24 ", 0);
    check_list("10.0.0.0/8 # 10.1.0.0/16\n192.0.2.1;/24\n", "10.0.0.0/8 192.0.2.1/32 ",
               0);
    check_list("10.1.2.3/8\n2001:db8::1/64\n10.0.0.0/9", /* host bits */
               "10.0.0.0/8 2001:db8::/64 10.0.0.0/9 ", 2);
    check_list("::ffff:10.1.2.3/104\n", "10.0.0.0/8 ", 1);
}
END_TEST

START_TEST(ranges)
{
    check_list("10.0.0.0-10.0.0.0", "10.0.0.0/32 ", 0);
    check_list("10.0.0.0-10.255.255.255 all", "10.0.0.0/8 ", 0);
    check_list("10.0.0.5-10.0.0.9", "10.0.0.5/32 10.0.0.6/31 10.0.0.8/31 ", 0);
    check_list("255.255.255.254-255.255.255.255", "255.255.255.254/31 ", 0);
    check_list("2001:db8::-2001:db8::1:ffff", "2001:db8::/111 ", 0);
    check_list("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffd-"
               "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
               "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffd/128 "
               "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127 ",
               0);
}
END_TEST

/* The worst range of IPv4: together exactly it, each piece behind the last. */
START_TEST(worst_range)
{
    struct prefix_list list;
    struct prefix_file file = { .path = path, .max = 62, .really = true };
    static const char text[] = "0.0.0.1-255.255.255.254";
    write_list(text, strlen(text));
    ck_assert_msg(!prefix_file_read(&file, &list, &err), "%s", err.text);
    ck_assert_uint_eq(list.count, 62);
    uint64_t next = 1;
    for (size_t i = 0; i < list.count; i++) {
        const uint8_t *at = list.prefixes[i].address;
        uint64_t first =
            (uint64_t)at[0] << 24 | (uint64_t)at[1] << 16 | (uint64_t)at[2] << 8 | at[3];
        ck_assert_uint_eq(first, next);
        next += (uint64_t)1 << (32 - list.prefixes[i].bits);
    }
    ck_assert_uint_eq(next, UINT32_MAX);
    prefix_list_clear(&list);
}
END_TEST

/* what: the end of the message, behind the file's name. */
static void check_wrong(const char *text, const char *what)
{
    char expected[sizeof(err.text)];
    struct prefix_list list;
    ck_assert_msg(read_list(text, &list) < 0, "%s", text);
    snprintf(expected, sizeof(expected), "%s:%s", path, what);
    ck_assert_str_eq(err.text, expected);
    ck_assert_int_eq(err.kind, ERROR_CONFIG);
    ck_assert(!list.prefixes && !list.count);
}

START_TEST(wrong_lines)
{
    check_wrong("10.0.0.0/8\n\n10.0.0.0/33\nx", "3: \"10.0.0.0/33\" is not a prefix");
    check_wrong("x", "1: \"x\" is not a prefix");
    check_wrong("\xef\xbb\xbf"
                "10.0.0.0/8",
                "1: \"???10.0.0.0/8\" is not a prefix");
    check_wrong("\n/24", "2: \"/24\" is not a prefix");
    check_wrong("10.0.0.9-10.0.0.5", "1: \"10.0.0.9-10.0.0.5\" is not a range");
    check_wrong("10.0.0.0/8-10.0.0.5", "1: \"10.0.0.0/8-10.0.0.5\" is not a range");
    check_wrong("10.0.0.0-2001:db8::", "1: \"10.0.0.0-2001:db8::\" is not a range");
    check_wrong("10.0.0.1-", "1: \"10.0.0.1-\" is not a range");
    static const char alone[] =
        "does not belong there: a line has one prefix, without spaces";
    char text[128];
    static const char *const second[] = { "/8", "-", "-10.0.0.7", "10.0.0.7", "::1/64" };
    for (size_t i = 0; i < sizeof(second) / sizeof(second[0]); i++) {
        char line[64];
        snprintf(line, sizeof(line), "10.0.0.0 %s", second[i]);
        snprintf(text, sizeof(text), "1: \"%s\" %s", second[i], alone);
        check_wrong(line, text);
    }
}
END_TEST

START_TEST(short_prefixes)
{
    static const char v4[] = "is a large part of the internet: IPv4 networks have 8 bits "
                             "or more here";
    static const char v6[] =
        "is a large part of the internet: IPv6 networks have 16 bits "
        "or more here";
    static const char *const lines[][2] = {
        { "0.0.0.0/0", "0.0.0.0/0" },
        { "10.0.0.0/7", "10.0.0.0/7" },
        { "0.0.0.0-127.255.255.255", "0.0.0.0/1" },
        { "::ffff:0.0.0.0/96", "0.0.0.0/0" },
        { "::ffff:10.0.0.0/103", "10.0.0.0/7" },
        { "::/0", "::/0" },
        { "2001:db8::/15", "2000::/15" },
    };
    struct prefix_file file = { .path = path, .max = 1, .really = true };
    struct prefix_list list;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        char text[200];
        bool ipv4 = !strchr(lines[i][1], ':');
        snprintf(text, sizeof(text), "1: \"%s\" %s", lines[i][1], ipv4 ? v4 : v6);
        check_wrong(lines[i][0], text);
        write_list(lines[i][0], strlen(lines[i][0]));
        ck_assert_msg(!prefix_file_read(&file, &list, &err), "%s", err.text);
        ck_assert_uint_eq(list.count, 1);
        prefix_list_clear(&list);
    }
    check_list("10.0.0.0/8\n2001::/16", "10.0.0.0/8 2001::/16 ", 0);
}
END_TEST

START_TEST(too_many)
{
    struct prefix_file file = { .path = path, .max = 3 };
    struct prefix_list list;
    write_list("10.0.0.1\n10.0.0.2\n10.0.0.3\n", 27);
    ck_assert_int_eq(prefix_file_read(&file, &list, &err), 0);
    prefix_list_clear(&list);
    write_list("10.0.0.1\n10.0.0.5-10.0.0.9\n", 27);
    ck_assert_int_eq(prefix_file_read(&file, &list, &err), -ENOSPC);
    ck_assert_ptr_nonnull(strstr(err.text, "list:2: more than 3 prefixes"));
}
END_TEST

/* A line of megabytes is a line; a word of them is wrong, and quoted in part. */
START_TEST(long_lines)
{
    size_t length = 3 << 20;
    char *text = malloc(length + 1);
    struct prefix_list list;
    text[length] = 0;
    memset(text, 'x', length);
    memcpy(text, "10.0.0.0/8 ", 11);
    memcpy(text + length - 12, "\n10.1.0.0/16", 12);
    ck_assert_msg(!read_list(text, &list), "%s", err.text);
    ck_assert_uint_eq(list.count, 2);
    prefix_list_clear(&list);
    text[10] = 'x';
    ck_assert_int_eq(read_list(text, &list), -EINVAL);
    ck_assert_uint_lt(strlen(err.text), 200);
    ck_assert_ptr_nonnull(strstr(err.text, "...\" is not a prefix"));
    memset(text, '0', length); /* would be an address if it were cut */
    memcpy(text, "::1", 3);
    ck_assert_int_eq(read_list(text, &list), -EINVAL);
    free(text);
}
END_TEST

/* --- what a path leads to ------------------------------------------------------------ */

static int read_path(const char *name, const char *what)
{
    struct prefix_file file = { .path = name, .max = 300, .wait_ms = 30 };
    struct prefix_list list;
    *err.text = 0;
    int error = prefix_file_read(&file, &list, &err);
    ck_assert_msg(strstr(err.text, what) != NULL, "%s", err.text);
    ck_assert(!list.count);
    return error;
}

START_TEST(no_files)
{
    ck_assert_int_eq(read_path("/nowhere/list", "cannot open /nowhere/list: No such"),
                     -ENOENT);
    ck_assert_int_eq(read_path(directory, ": Is a directory"), -EISDIR);
    ck_assert_int_eq(read_path("/dev/zero", "/dev/zero:1: a NUL byte"), -EINVAL);
    ck_assert_int_lt(read_path("/dev/urandom", "/dev/urandom:"), 0);
    write_list("10.0.0.0/8\n# \0 x", 16);
    ck_assert_int_eq(read_path(path, "list:2: a NUL byte"), -EINVAL);
    ck_assert_int_eq(read_path("/dev/null", ""), 0);
}
END_TEST

START_TEST(endless)
{
    FILE *file = fopen(path, "we");
    for (unsigned i = 0; i < PREFIX_FILE_BYTES / 64; i++)
        fprintf(file, "%63s\n", "# nothing");
    fputs("\n", file);
    fclose(file);
    ck_assert_int_eq(read_path(path, ": longer than any list"), -EFBIG);
}
END_TEST

/* Whether nobody writes, or somebody writes and does not come to an end. */
START_TEST(fifo)
{
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_eq(read_path(path, "list:1: nothing more comes"), -ETIMEDOUT);
    int writer = open(path, O_RDWR | O_CLOEXEC);
    ck_assert_int_eq(write(writer, "10.0.0.1\n10.", 12), 12);
    ck_assert_int_eq(read_path(path, "list:2: nothing more comes"), -ETIMEDOUT);
    close(writer);
}
END_TEST

START_TEST(from_stdin)
{
    int ends[2], before = dup(STDIN_FILENO);
    struct prefix_list list;
    struct prefix_file file = { .path = "-", .max = 2 };
    ck_assert_int_eq(pipe(ends), 0);
    dup2(ends[0], STDIN_FILENO);
    ck_assert_int_eq(write(ends[1], "10.0.0.1\n10.0.0.2\n", 18), 18);
    close(ends[1]);
    ck_assert_msg(!prefix_file_read(&file, &list, &err), "%s", err.text);
    ck_assert_uint_eq(list.count, 2);
    prefix_list_clear(&list);
    close(STDIN_FILENO);
    ck_assert_int_eq(read_path("-", "cannot open stdin: Bad file"), -EBADF);
    dup2(before, STDIN_FILENO);
    close(before);
    close(ends[0]);
}
END_TEST

static Suite *suite_prefix_file(void)
{
    Suite *suite = suite_create("prefix_file");
    TCase *tests = tcase_create("prefix_file");
    tcase_set_timeout(tests, 30);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, good);
    tcase_add_test(tests, ranges);
    tcase_add_test(tests, worst_range);
    tcase_add_test(tests, wrong_lines);
    tcase_add_test(tests, short_prefixes);
    tcase_add_test(tests, too_many);
    tcase_add_test(tests, long_lines);
    tcase_add_test(tests, no_files);
    tcase_add_test(tests, endless);
    tcase_add_test(tests, fifo);
    tcase_add_test(tests, from_stdin);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(prefix_file)
