/* VxlanNat while it runs: what people ask it for, and what files change. */
#include "selftest/bad_allowlists.h"
#include "selftest/vxlan_operations.h"

/* --- the list ---------------------------------------------------------------------------- */

START_TEST(entries_come_and_go)
{
    BUILD("allow=10.0.0.1/32", "to=172.30.82.95");
    ck_assert(passes(1) && !passes(2));
    OK("allow_add", "prefix=10.0.0.2");
    SAYS("true");
    ck_assert(passes(1) && passes(2) && !passes(3));
    OK("allow_add", "prefix=10.0.0.2/32");
    SAYS("false");
    OK("allow_add", "prefix=10.0.0.0/24");
    ck_assert(passes(3));
    OK("allow_del", "prefix=10.0.0.0/24");
    SAYS("true");
    ck_assert(passes(1) && passes(2) && !passes(3));
    OK("allow_del", "prefix=10.0.0.0/24");
    SAYS("false");
    REFUSED("allow_add", "prefix=10.0.0.1/24", "bits behind");
    OK("allow_add", "prefix=10.0.0.1/24 mask=true");
    ck_assert(passes(77));
    REFUSED("allow_add", "prefix=nonsense", "not a prefix");
    OK("allow_clear", "");
    SAYS("3");
    ck_assert(!passes(1) && !passes(2) && !passes(77));
    OK("reload", "");
    ck_assert(passes(1) && !passes(2));
    ck_assert_uint_eq(count("drop_not_allowed"), 7);
}
END_TEST

START_TEST(sessions_of_who_is_gone)
{
    BUILD(_i ? "allow=10.0.0.0/24 keep_sessions=true" : "allow=10.0.0.0/24",
          "to=172.30.82.95");
    ck_assert(passes(1));
    OK("allow_del", "prefix=10.0.0.0/24");
    ck_assert_int_eq(passes(1), _i);
    ck_assert(!passes(2));
}
END_TEST

START_TEST(what_is_found)
{
    write_file("{\"organizations\": [{\"name\": \"one\", \"cidrs\": [\"10.0.0.0/24\"]}],"
               " \"flat_ip_list\": [\"10.0.0.7\", \"2001:db8::/32\"]}");
    BUILD_WITH_FILE("", "to=172.30.82.95");
    OK("allow_find", "address=10.0.0.9");
    SAYS("allowed=true");
    SAYS("entry=\"10.0.0.0/24\"");
    SAYS("organization=\"one\"");
    OK("allow_find", "address=10.0.0.7");
    SAYS("entry=\"10.0.0.7\"");
    SAYS_NOT("organization");
    OK("allow_find", "address=2001:db8::1");
    SAYS("entry=\"2001:db8::/32\"");
    OK("allow_find", "address=10.0.1.9");
    SAYS("allowed=false");
    OK("allow_find", "address=::ffff:10.0.1.9");
    SAYS("allowed=false");
    REFUSED("allow_find", "address=10.0.0.0/24", "not a network");
    OK("allow_list", "");
    ck_assert_uint_eq(value_get(&reply, "rows")->table->count, 3);
    ck_assert_ptr_null(value_get(&reply, "next"));
    OK("allow_list", "organization=one");
    SAYS("10.0.0.0/24");
    SAYS_NOT("10.0.0.7");
}
END_TEST

START_TEST(what_would_change)
{
    char arguments[100];
    BUILD("allow=10.0.0.1,10.0.0.2,2001:db8::/32", "to=172.30.82.95");
    write_file(LIST("\"10.0.0.2\", \"10.0.0.3\", \"10.0.0.3/32\", \"10.0.0.4\""));
    snprintf(arguments, sizeof(arguments), "path=%s", path);
    OK("allow_diff", arguments);
    ck_assert_uint_eq(figure("added_count"), 2);
    ck_assert_uint_eq(figure("removed_count"), 2);
    ck_assert_uint_eq(figure("duplicates"), 1);
    SAYS("10.0.0.3");
    SAYS("10.0.0.4");
    SAYS("10.0.0.1");
    SAYS("2001:db8::/32");
    load("dry_run=true");
    ck_assert(passes(1) && !passes(3));
    load("");
    ck_assert(!passes(1) && passes(2) && passes(3) && passes(4));
    OK("allow_diff", arguments);
    ck_assert_uint_eq(figure("added_count") + figure("removed_count"), 0);
}
END_TEST

/* Of each of them nothing is taken. */
START_TEST(bad_files)
{
    char arguments[100];
    BUILD("allow=10.0.0.1/32", "to=172.30.82.95");
    write_file(bad_allowlists[_i].text);
    snprintf(arguments, sizeof(arguments), "path=%s", path);
    REFUSED("allow_load", arguments, bad_allowlists[_i].complaint);
    REFUSED("allow_diff", arguments, path);
    ck_assert(passes(1) && !passes(2));
    OK("allow_list", "");
    ck_assert_uint_eq(value_get(&reply, "rows")->table->count, 1);
}
END_TEST

START_TEST(too_many)
{
    write_file("{}");
    BUILD_WITH_FILE("allow_empty=true allow_max=3 allow=10.0.0.1", "to=172.30.82.95");
    write_file(LIST("\"10.0.0.2\", \"10.0.0.3\", \"10.0.0.4\", \"10.0.0.5\""));
    advance(1.2);
    ck_assert(passes(1) && !passes(2));
    OK("status", "");
    SAYS("more than 3 different entries");
    OK("allow_add", "prefix=10.0.0.2");
    OK("allow_add", "prefix=10.0.0.3");
    REFUSED("allow_add", "prefix=10.0.0.4", "allow_max");
    ck_assert(passes(2) && passes(3) && !passes(4));
}
END_TEST

START_TEST(pages)
{
    struct app *app;
    BUILD("allow=10.0.0.1", "to=172.30.82.95");
    app = engine_find_app(engine, "nat");
    FILE *file = fopen(path, "w");
    fputs("{\"flat_ip_list\": [\"10.0.0.1\"", file);
    for (int i = 0; i < 2500; i++)
        fprintf(file, ", \"10.1.%d.%d\"", i >> 8, i & 255);
    fputs("]}", file);
    fclose(file);
    load("");
    size_t found = 0;
    uint64_t next = 0;
    do {
        struct value args = value_table();
        value_table_add(&args, "from", value_integer((int64_t)next));
        ck_assert(!ask_value("allow_list", args));
        found += value_get(&reply, "rows")->table->count;
        next = value_get(&reply, "next") ? figure("next") : 0;
    } while (next);
    ck_assert_uint_eq(found, 2501);
    test_breathe(engine, 1);
    ck_assert_uint_eq(app->counters[0], 0);
}
END_TEST

/* --- files that change ---------------------------------------------------------------------- */

START_TEST(a_file_that_changes)
{
    write_file(LIST("\"10.0.0.1\""));
    BUILD_WITH_FILE("", "to=172.30.82.95");
    ck_assert(passes(1) && !passes(2));
    write_file(LIST("\"10.0.0.2\""));
    ck_assert(passes(1));
    advance(1.2);
    ck_assert(!passes(1) && passes(2));
    write_file("{\"flat_ip_list\": [\"10.0.0.3\", \"half of");
    advance(1.2);
    ck_assert(passes(2) && !passes(3));
    ck_assert_uint_eq(count("problem"), 1);
    OK("status", "");
    SAYS(path);
    unlink(path);
    advance(1.2);
    ck_assert(passes(2));
    ck_assert_uint_eq(count("problem"), 1);
    write_file(LIST("\"10.0.0.3\""));
    advance(1.2);
    ck_assert(!passes(2) && passes(3));
    ck_assert_uint_eq(count("problem"), 0);
    ck_assert_uint_eq(count("allowed"), 1);
}
END_TEST

/* V07: each packet meets the old list or the new one, whatever is known of its flow. */
START_TEST(one_list_or_the_other)
{
    static const char *const lists[] = { LIST("\"10.0.0.1\", \"10.0.0.3\""),
                                         LIST("\"10.0.0.2\", \"10.0.0.3\""), "[]" };
    write_file(lists[0]);
    BUILD_WITH_FILE("", "to=172.30.82.95");
    int now = 0;
    for (int round = 0; round < 60; round++) {
        int next = round % 3;
        write_file(lists[next]);
        ck_assert_int_eq(ask("reload", "") != 0, next == 2);
        now = next == 2 ? now : next;
        for (uint8_t host = 1; host <= 4; host++)
            ck_assert_int_eq(passes(host), host == 3 || host == now + 1);
        ck_assert_uint_eq(value_get(&reply, "rows") != NULL, 0);
    }
}
END_TEST

START_TEST(what_others_complain_of)
{
    BUILD("allow=10.0.0.1", "to=172.30.82.95");
    OK("complain", "text=nonsense");
    advance(0.2);
    ck_assert_uint_eq(count("problem"), 1);
    OK("reload", "");
    OK("status", "");
    SAYS("nonsense");
    OK("complain", "");
    advance(0.2);
    ck_assert_uint_eq(count("problem"), 0);
}
END_TEST

/* --- rules ------------------------------------------------------------------------------------ */

static const char *destination(void)
{
    size_t n;
    struct packet **packets = test_collected(engine, "out", &n);
    static char address[16];
    const uint8_t *ip = packets[n - 1]->data + 14;
    snprintf(address, sizeof(address), "%u.%u.%u.%u", ip[16], ip[17], ip[18], ip[19]);
    return address;
}

static void goes(uint8_t host, uint16_t port, const char *to)
{
    ck_assert_int_eq(passes_to(host, port), to != NULL);
    if (to)
        ck_assert_str_eq(destination(), to);
}

START_TEST(rules_come_and_go)
{
    BUILD("allow=10.0.0.0/24", "port=80 to=172.30.82.1", "port=81 to=172.30.82.2");
    goes(1, 80, "172.30.82.1");
    goes(1, 82, NULL);
    ck_assert(!ask_with_rule("rules_add", NULL, "port=82 to=172.30.82.3"));
    SAYS("3");
    goes(1, 82, "172.30.82.3"); /* though its flow was refused */
    ck_assert(!ask_with_rule("rules_replace", "1", "port=80 to=172.30.82.9"));
    goes(1, 80, "172.30.82.1"); /* it keeps its translation */
    goes(2, 80, "172.30.82.9");
    OK("rules_del", "number=2");
    goes(1, 81, NULL);
    OK("rules_list", "");
    ck_assert_uint_eq(reply.table->count, 2);
    ck_assert_int_eq(number_in(row_of(&reply, "number", "1"), "packets"), 3);
    ck_assert_int_eq(number_in(row_of(&reply, "number", "3"), "flows"), 1);
    REFUSED("rules_del", "number=2", "no rule 2");
    REFUSED("rules_del", "number=4", "no rule 4");
    ck_assert(ask_with_rule("rules_add", NULL, "port=82 to=nowhere") &&
              strstr(err.text, "nowhere"));
    ck_assert(ask_with_rule("rules_add", NULL, "prt=82 to=10.0.0.1") &&
              strstr(err.text, "port"));
    goes(2, 82, "172.30.82.3");
    OK("reload", "");
    goes(3, 82, NULL);
    goes(3, 81, "172.30.82.2");
    goes(1, 82, "172.30.82.3"); /* still known */
    OK("sessions_list", "port=82 passed=true");
    SAYS("earlier");
}
END_TEST

/* However many came and went: it is those that are there of which there may be so many. */
START_TEST(rules_come_and_go_for_long)
{
    static const char *const numbers[] = { "4095", "4096", "5", "4000" };
    struct value list = value_table();
    char rule[64];
    for (unsigned i = 1; i <= 4094; i++) {
        snprintf(rule, sizeof(rule), "port=%u to=172.30.82.1", 1000 + i);
        value_table_add(&list, NULL, test_table(rule));
    }
    ck_assert(!build_of(list, "allow=10.0.0.0/24", &err));
    goes(1, 1005, "172.30.82.1");
    OK("rules_del", "number=4000");
    OK("rules_del", "number=5");
    for (unsigned i = 0; i < 4; i++) {
        snprintf(rule, sizeof(rule), "port=%u to=172.30.82.3", 81 + i);
        ck_assert_msg(!ask_with_rule("rules_add", NULL, rule), "%s", err.text);
        ck_assert_str_eq(text, numbers[i]);
    }
    ck_assert(ask_with_rule("rules_add", NULL, "port=85 to=172.30.82.3"));
    goes(1, 1001, "172.30.82.1");
    goes(1, 83, "172.30.82.3");
    goes(1, 84, "172.30.82.3");
}
END_TEST

/* --- flows ------------------------------------------------------------------------------------- */

START_TEST(flows_are_shown_and_forgotten)
{
    BUILD("allow=10.0.0.0/29", "port=80 to=172.30.82.1:8080", "to=172.30.82.2");
    for (uint8_t host = 1; host <= 9; host++) {
        passes_to(host, 80);
        passes_to(host, 81);
    }
    OK("sessions_list", "");
    ck_assert_uint_eq(figure("count"), 18);
    OK("sessions_list", "limit=2");
    ck_assert_uint_eq(figure("count"), 18);
    ck_assert_uint_eq(value_get(&reply, "rows")->table->count, 2);
    OK("sessions_list", "refused=true");
    ck_assert_uint_eq(figure("count"), 4);
    SAYS("not_allowed");
    OK("sessions_list", "source=10.0.0.3 rule=1");
    ck_assert_uint_eq(figure("count"), 1);
    SAYS("dport=8080");
    SAYS("vni=42");
    SAYS("protocol=\"udp\"");
    OK("sessions_list", "address=172.30.82.1");
    ck_assert_uint_eq(figure("count"), 7);
    OK("sessions_list", "port=8080 vni=42");
    ck_assert_uint_eq(figure("count"), 7);
    OK("sessions_list", "vni=43");
    ck_assert_uint_eq(figure("count"), 0);
    REFUSED("sessions_list", "source=x", "not a prefix");
    OK("sessions_flush", "rule=1");
    SAYS("7");
    OK("sessions_list", "");
    ck_assert_uint_eq(figure("count"), 11);
    OK("sessions_flush", "source=10.0.0.8/29");
    SAYS("4");
    OK("sessions_flush", "");
    SAYS("7");
    OK("sessions_list", "");
    ck_assert_uint_eq(figure("count"), 0);
}
END_TEST

/* Of flows that are over, and of those that are not, nothing twice. */
START_TEST(who_sends_how_much)
{
    write_file("{\"organizations\": [{\"name\": \"one\", \"cidrs\": [\"10.0.0.0/30\"]},"
               " {\"name\": \"two\", \"ips\": [\"10.0.0.5\"]}],"
               " \"flat_ip_list\": [\"10.0.0.9\"]}");
    BUILD_WITH_FILE("", "to=172.30.82.95");
    for (int i = 0; i < 10; i++) {
        passes(1);
        passes(2);
        passes(5);
        passes(9);
        passes(77);
        if (i == 4)
            OK("sessions_flush", "source=10.0.0.1");
    }
    OK("allow_del", "prefix=10.0.0.5");
    passes(5);
    OK("allow_stats", "");
    const struct value *rows = value_get(&reply, "organizations");
    ck_assert_uint_eq(rows->table->count, 2);
    const struct value *one = row_of(rows, "organization", "one");
    const struct value *two = row_of(rows, "organization", "two");
    ck_assert_int_eq(number_in(one, "packets"), 20);
    ck_assert_int_eq(number_in(one, "flows"), 3);
    ck_assert_int_eq(number_in(one, "bytes"), 20 * (14 + 20 + 8 + 40));
    ck_assert_int_eq(number_in(two, "packets"), 10);
    ck_assert_int_eq(number_in(value_get(&reply, "others"), "packets"), 10);
    ck_assert_uint_eq(figure("entries"), 2);
    /* whoever takes its place is another */
    write_file(LIST("\"10.0.0.0/24\""));
    OK("reload", "");
    passes(1);
    OK("allow_stats", "");
    rows = value_get(&reply, "organizations");
    ck_assert_int_eq(number_in(row_of(rows, "organization", "two"), "packets"), 10);
}
END_TEST

/* How long packets are in here, of those that say when they came. */
START_TEST(times)
{
    struct made made = { .host = 1, .payload = 40 };
    BUILD("allow=10.0.0.1", "to=172.30.82.95");
    passes(1);
    OK("status", "");
    SAYS_NOT("took_ns");
    for (int i = 0; i < 100; i++) {
        struct packet *p = packet_from_bytes(
            outer, frame_wrap(outer, &usual, inner, frame_make(inner, &made)));
        p->timestamp = engine_clock(engine) - (i < 98 ? 16000 : 64000);
        test_inject(engine, "in", p);
        sent++;
        test_breathe(engine, 2);
    }
    OK("status", "");
    const struct value *took = value_get(&reply, "took_ns");
    ck_assert_int_ge(number_in(took, "p50"), 16000);
    ck_assert_int_lt(number_in(took, "p50"), 17100);
    ck_assert_int_ge(number_in(took, "p99"), 64000);
    ck_assert_int_eq(number_in(took, "max"), 64000);
}
END_TEST

static Suite *suite_vxlan_operations(void)
{
    Suite *suite = suite_create("vxlan_operations");
    TCase *tests = tcase_create("vxlan_operations");
    tcase_add_checked_fixture(tests, open_file, close_file);
    tcase_add_test(tests, entries_come_and_go);
    tcase_add_loop_test(tests, sessions_of_who_is_gone, 0, 2);
    tcase_add_test(tests, what_is_found);
    tcase_add_test(tests, what_would_change);
    tcase_add_loop_test(tests, bad_files, 0, BAD_ALLOWLISTS);
    tcase_add_test(tests, too_many);
    tcase_add_test(tests, pages);
    tcase_add_test(tests, a_file_that_changes);
    tcase_add_test(tests, one_list_or_the_other);
    tcase_add_test(tests, what_others_complain_of);
    tcase_add_test(tests, rules_come_and_go);
    tcase_add_test(tests, rules_come_and_go_for_long);
    tcase_add_test(tests, flows_are_shown_and_forgotten);
    tcase_add_test(tests, who_sends_how_much);
    tcase_add_test(tests, times);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(vxlan_operations)
