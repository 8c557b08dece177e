/* Files as a whole: how long they may be, and what is none. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/whole_file.h"
#include "selftest/selftest.h"

static const size_t lengths[] = { 0, 1, 65535, 65536, 65537, 300000 };

START_TEST(to_the_last_byte)
{
    char path[] = "/tmp/vanguard-whole-XXXXXX", *bytes;
    size_t wanted = lengths[_i], length;
    FILE *file = fdopen(mkstemp(path), "w");
    for (size_t i = 0; i < wanted; i++)
        putc((int)(i * 7 % 251), file);
    fclose(file);
    ck_assert_int_eq(whole_file_read(path, wanted, &bytes, &length), 0);
    ck_assert_uint_eq(length, wanted);
    for (size_t i = 0; i < length; i++)
        if ((uint8_t)bytes[i] != i * 7 % 251)
            ck_abort_msg("byte %zu", i);
    free(bytes);
    if (wanted)
        ck_assert_int_eq(whole_file_read(path, wanted - 1, &bytes, &length), -EFBIG);
    unlink(path);
}
END_TEST

START_TEST(none)
{
    char *bytes;
    size_t length;
    ck_assert_int_eq(whole_file_read("/no/such/file", 1, &bytes, &length), -ENOENT);
    ck_assert_int_eq(whole_file_read("/tmp", 1, &bytes, &length), -EISDIR);
    ck_assert_ptr_null(bytes);
}
END_TEST

static Suite *suite_whole_file(void)
{
    Suite *suite = suite_create("whole_file");
    TCase *tests = tcase_create("whole_file");
    tcase_add_loop_test(tests, to_the_last_byte, 0, sizeof(lengths) / sizeof(*lengths));
    tcase_add_test(tests, none);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(whole_file)
