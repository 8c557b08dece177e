/* selftest: the test program. Runs the suites named on its command line, or all; --list names them. */
#include "selftest/selftest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct selftest_suite *suites;

#undef _mark_point /* libcheck's own */

/* Of a test's first thousand places each one, then one in a thousand: it died after that point. */
void selftest_mark_point(const char *file, int line)
{
    static unsigned places;
    if (++places <= 1000 || places % 1000 == 0)
        (_mark_point)(file, line);
}

/* Keeps the list sorted by name, so that the order does not depend on the linker. */
void selftest_register(struct selftest_suite *suite)
{
    struct selftest_suite **at = &suites;
    while (*at && strcmp((*at)->name, suite->name) < 0)
        at = &(*at)->next;
    suite->next = *at;
    *at = suite;
}

static int wanted(const char *name, int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (!strcmp(argv[i], name))
            return 1;
    return argc == 1;
}

static void list(FILE *out, const char *between)
{
    for (struct selftest_suite *s = suites; s; s = s->next)
        fprintf(out, "%s%s", s->name, s->next ? between : "\n");
}

int main(int argc, char **argv)
{
    if (argc == 2 && !strcmp(argv[1], "--list")) {
        list(stdout, "\n");
        return EXIT_SUCCESS;
    }
    SRunner *runner = srunner_create(NULL);
    int count = 0;
    for (struct selftest_suite *s = suites; s; s = s->next)
        if (wanted(s->name, argc, argv)) {
            srunner_add_suite(runner, s->make());
            count++;
        }
    if (!count) {
        fprintf(stderr, "selftest: no such suite; there are: ");
        list(stderr, " ");
        return 2;
    }
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    printf("%d passed, %d failed\n", srunner_ntests_run(runner) - failed, failed);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
