/* nearest: what is suggested for a misspelt word. */
#include "lib/nearest.h"

#include "selftest/selftest.h"

#include <string.h>

static const char *const words[] = { "loss", "delay", "duplicate", "reorder",
                                     "Rate", "mtu",   "x",         NULL };

static void suggests(const char *word, const char *expected)
{
    const char *found = nearest(word, words);
    ck_assert_msg(expected ? found && !strcmp(found, expected) : !found, "%s suggests %s",
                  word, found ? found : "nothing");
}

START_TEST(one_slip)
{
    suggests("los", "loss");    /* deletion */
    suggests("losss", "loss");  /* insertion */
    suggests("lose", "loss");   /* substitution */
    suggests("dealy", "delay"); /* swap */
    suggests("edlay", "delay"); /* swap at the start */
    suggests("delya", "delay"); /* swap at the end */
    suggests("loss", "loss");
}
END_TEST

START_TEST(longer_words_allow_more)
{
    suggests("dupilcaet", "duplicate"); /* two swaps, nine bytes: limit 3 */
    suggests("dubliate", "duplicate");  /* two slips, eight bytes: limit 2 */
    suggests("roerderx", "reorder");
    suggests("daley", NULL);    /* two substitutions, five bytes: limit 1 */
    suggests("rxorxdxr", NULL); /* three in eight */
}
END_TEST

START_TEST(case_is_no_difference)
{
    suggests("LOSS", "loss");
    suggests("rate", "Rate");
    suggests("MTU", "mtu");
    suggests("X", "x");
}
END_TEST

START_TEST(nothing_near)
{
    char longest[2 * NEAREST_WORD_SIZE];
    memset(longest, 'a', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = 0;
    suggests("", NULL);
    suggests("y", NULL); /* nothing of it is left in "x" */
    suggests("bandwidth", NULL);
    suggests(longest, NULL);
    const char *const none[] = { NULL };
    ck_assert_ptr_null(nearest("loss", none));
}
END_TEST

START_TEST(length_limit)
{
    char word[NEAREST_WORD_SIZE + 2];
    memset(word, 'a', sizeof(word) - 1);
    word[NEAREST_WORD_SIZE + 1] = 0;
    const char *const longer[] = { word, NULL };
    ck_assert_ptr_null(nearest("aaaa", longer));
    ck_assert_ptr_null(nearest(word, longer));
    word[NEAREST_WORD_SIZE] = 0;
    ck_assert_ptr_eq(nearest(word, longer), word);
}
END_TEST

START_TEST(the_nearest_then_the_first)
{
    const char *const several[] = { "eth12", "eth1", "eth2", NULL };
    ck_assert_str_eq(nearest("eth1", several), "eth1");
    ck_assert_str_eq(nearest("eth3", several), "eth1");
    ck_assert_str_eq(nearest("eth22", several), "eth12");
}
END_TEST

static Suite *suite_nearest(void)
{
    Suite *suite = suite_create("nearest");
    TCase *tests = tcase_create("nearest");
    tcase_add_test(tests, one_slip);
    tcase_add_test(tests, longer_words_allow_more);
    tcase_add_test(tests, case_is_no_difference);
    tcase_add_test(tests, nothing_near);
    tcase_add_test(tests, length_limit);
    tcase_add_test(tests, the_nearest_then_the_first);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(nearest)
