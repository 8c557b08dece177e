/* Tests of config/draw.lua and config/layout.lua: selftest/pictures.lua, one function a
 * test. */
#include <stdlib.h>

#include "config/vm.h"
#include "selftest/selftest.h"

static const char *const tests[] = {
    "test_text_forwarder",
    "test_text_both_directions",
    "test_text_ports_are_named",
    "test_text_unicode",
    "test_text_parts",
    "test_text_crossing",
    "test_text_width",
    "test_text_empty",
    "test_text_hostile",
    "test_dot",
    "test_dot_quotes",
    "test_svg",
    "test_any_graph",
    "test_long_chain",
};

START_TEST(pictures_are_as_expected)
{
    struct vm_options options = { 0 };
    struct error err;
    struct vm *vm = vm_new(&options, &err);
    ck_assert_msg(vm != NULL, "%s", err.text);
    char *argv[] = { "selftest/pictures.lua", NULL };
    ck_assert_msg(!vm_run_file(vm, 1, argv, &err), "%s", err.text);
    ck_assert_msg(!vm_call_global(vm, tests[_i], &err), "%s: %s", tests[_i],
                  vm_message(vm));
    vm_free(vm);
}
END_TEST

static Suite *suite_pictures(void)
{
    Suite *suite = suite_create("pictures");
    TCase *tcase = tcase_create("pictures");
    tcase_add_loop_test(tcase, pictures_are_as_expected, 0,
                        sizeof(tests) / sizeof(tests[0]));
    suite_add_tcase(suite, tcase);
    return suite;
}

SUITE(pictures)
