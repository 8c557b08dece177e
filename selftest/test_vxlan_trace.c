/* VxlanNat tells what becomes of packets, step by step. */
#include "selftest/vxlan_operations.h"

/* "outer ok, tunnel ok, ...": the steps of a row. */
static void check_steps(size_t number, const char *like, const char *verdict)
{
    const struct value *row = &value_get(&reply, "rows")->table->fields[number].value;
    const struct value *steps = value_get(row, "steps");
    char found[256] = "";
    for (size_t i = 0; i < steps->table->count; i++) {
        const struct value *step = &steps->table->fields[i].value;
        size_t used = strlen(found);
        snprintf(found + used, sizeof(found) - used, "%s%s %s", i ? ", " : "",
                 value_get(step, "step")->string, value_get(step, "verdict")->string);
    }
    ck_assert_str_eq(found, like);
    ck_assert_str_eq(value_get(row, "verdict")->string, verdict);
}

START_TEST(every_step_of_some_packets)
{
    const struct tunnel other = { .vni = 7 };
    struct made made = { .to = 80, .payload = 40 };
    BUILD("allow=10.0.0.1 vnis=42 dmac=02:00:00:00:00:bb", "port=80 to=172.30.82.1:8080");
    passes_to(1, 80);
    REFUSED("trace_start", "n=0", "1 to 1000");
    REFUSED("trace_start", "n=1001", "1 to 1000");
    OK("trace_read", "");
    SAYS("done=true");
    OK("trace_start", "n=7");
    passes_to(1, 80);
    passes_to(2, 80);
    OK("trace_read", "");
    SAYS("done=false");
    ck_assert_uint_eq(value_get(&reply, "rows")->table->count, 2);
    check_steps(0, "outer ok, tunnel ok, inner ok, flow known, admission ok, forward ok",
                "forwarded");
    SAYS("dport=8080");
    SAYS("dmac=\"02:00:00:00:00:bb\"");
    SAYS("smac=\"kept\"");
    SAYS("rule=1");
    check_steps(1, "outer ok, tunnel ok, inner ok, flow new, admission not_allowed",
                "not_allowed");
    passes_to(1, 81);
    put_in(&other, inner, frame_make(inner, &made));
    uint32_t length = frame_wrap(outer, &usual, inner, frame_make(inner, &made));
    outer[23] = 6; /* not UDP */
    test_inject_bytes(engine, "in", outer, length);
    length = frame_wrap(outer, &usual, inner, frame_make(inner, &made));
    outer[50 + 12] = 0x88;
    test_inject_bytes(engine, "in", outer, length);
    sent += 2;
    test_breathe(engine, 2);
    inner[22] = 0;
    put_in(&usual, inner, frame_make(inner, &made));
    passes_to(1, 80); /* one more than was asked for */
    OK("trace_read", "");
    ck_assert_uint_eq(value_get(&reply, "rows")->table->count, 5);
    SAYS("done=true");
    check_steps(0, "outer ok, tunnel ok, inner ok, flow new, admission no_rule",
                "no_rule");
    check_steps(1, "outer ok, tunnel vx_vni", "vx_vni");
    check_steps(2, "outer not_vxlan", "not_vxlan");
    check_steps(3, "outer ok, tunnel ok, inner in_ethertype", "in_ethertype");
    OK("trace_read", "");
    ck_assert_uint_eq(value_get(&reply, "rows")->table->count, 0);
}
END_TEST

/* What is decided later than by the flow. */
START_TEST(a_trace_of_what_cannot_go_on)
{
    struct made made = { .to = 80, .payload = 400 };
    BUILD("allow=10.0.0.1 mtu=100 df=keep", "to=172.30.82.1");
    OK("trace_start", "n=1");
    put_in(&usual, inner, frame_make(inner, &made));
    OK("trace_read", "");
    check_steps(0, "outer ok, tunnel ok, inner ok, flow new, admission ok, forward mtu",
                "mtu");
}
END_TEST

/* Whoever asked has gone. */
START_TEST(a_trace_ends_by_itself)
{
    BUILD("allow=10.0.0.1", "to=172.30.82.1");
    OK("trace_start", "n=5");
    OK("status", "");
    SAYS("tracing=true");
    advance(8);
    OK("trace_read", "");
    advance(8);
    OK("status", "");
    SAYS("tracing=true");
    advance(4);
    OK("status", "");
    SAYS("tracing=false");
    ck_assert(passes(1));
}
END_TEST

static Suite *suite_vxlan_trace(void)
{
    Suite *suite = suite_create("vxlan_trace");
    TCase *tests = tcase_create("vxlan_trace");
    tcase_add_checked_fixture(tests, open_file, close_file);
    tcase_add_test(tests, every_step_of_some_packets);
    tcase_add_test(tests, a_trace_of_what_cannot_go_on);
    tcase_add_test(tests, a_trace_ends_by_itself);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(vxlan_trace)
