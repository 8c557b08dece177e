/* selftest: how a suite of libcheck tests joins the one test program.
 *
 * A file selftest/test_NAME.c holds `Suite *suite_NAME(void)` and one line SUITE(NAME);
 * the test program build/selftest runs them all, or those named on its command line.
 */
#pragma once
#include <check.h>

/* libcheck writes the place of every assertion that holds to a file, so that it can say behind which one a
 * test died. After the first thousand that takes longer than the tests: most are left out.
 */
#define _mark_point selftest_mark_point
void selftest_mark_point(const char *file, int line);

struct selftest_suite {
    const char *name;
    Suite *(*make)(void);
    struct selftest_suite *next;
};

void selftest_register(struct selftest_suite *suite);

#define SUITE(NAME)                                                                      \
    __attribute__((constructor)) static void register_##NAME(void)                       \
    {                                                                                    \
        static struct selftest_suite suite = { #NAME, suite_##NAME, 0 };                 \
        selftest_register(&suite);                                                       \
    }
