/* VxlanNat while it runs: what people ask it for, and what files change. */
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#include "selftest/bad_allowlists.h"
#include "selftest/vxlan_tunnels.h"

static char path[] = "/tmp/vanguard-operations-XXXXXX.json";
static struct value reply;
static char text[1 << 16];
static struct error err;
static long written;

static void open_file(void)
{
    setup();
    strcpy(path + sizeof(path) - 12, "XXXXXX.json");
    close(mkstemps(path, 5));
    reply = (struct value){ VALUE_NIL };
    written = 1000;
}

static void close_file(void)
{
    value_free(&reply);
    unlink(path);
    teardown();
}

/* --- what is asked -------------------------------------------------------------------- */

/* value_format is for messages, and cuts. */
static void print(FILE *out, const struct value *value)
{
    char scalar[256];
    if (value->kind != VALUE_TABLE) {
        fputs(value_format(scalar, sizeof(scalar), value), out);
        return;
    }
    fputc('{', out);
    for (size_t i = 0; i < value->table->count; i++) {
        const struct value_field *field = &value->table->fields[i];
        fprintf(out, "%s%s%s", i ? ", " : "", field->key ? field->key : "",
                field->key ? "=" : "");
        print(out, &field->value);
    }
    fputc('}', out);
}

/* args is freed. The reply is in `reply`, and as text in `text`. */
static int ask_value(const char *operation, struct value args)
{
    struct app *app = engine_find_app(engine, "nat");
    uint32_t number = 0;
    value_free(&reply);
    reply = (struct value){ VALUE_NIL };
    err.text[0] = 0;
    while (strcmp(app->class->operations[number].name, operation) != 0)
        number++;
    int error = app->class->call(app, number, &args, &reply, &err);
    value_free(&args);
    FILE *out = fmemopen(text, sizeof(text), "w");
    print(out, &reply);
    fclose(out);
    return error;
}

static int ask(const char *operation, const char *arguments)
{
    return ask_value(operation, test_table(arguments));
}

#define OK(OPERATION, ARGUMENTS)                                                         \
    ck_assert_msg(!ask(OPERATION, ARGUMENTS), "%s: %s", OPERATION, err.text)
#define SAYS(WORDS)     ck_assert_msg(strstr(text, WORDS) != NULL, "%s", text)
#define SAYS_NOT(WORDS) ck_assert_msg(!strstr(text, WORDS), "%s", text)
#define REFUSED(OPERATION, ARGUMENTS, WORDS)                                             \
    ck_assert_msg(ask(OPERATION, ARGUMENTS) && strstr(err.text, WORDS), "%s: %s",        \
                  OPERATION, err.text)

static int ask_with_rule(const char *operation, const char *number, const char *rule)
{
    struct value args = value_table();
    if (number)
        value_table_add(&args, "number", value_string(number));
    value_table_add(&args, "rule", test_table(rule));
    return ask_value(operation, args);
}

static uint64_t figure(const char *name)
{
    const struct value *value = value_get(&reply, name);
    ck_assert_msg(value && value->kind == VALUE_INTEGER, "%s: %s", name, text);
    return (uint64_t)value->integer;
}

/* The row of a list in which a field has that text or number. */
static const struct value *row_of(const struct value *rows, const char *name,
                                  const char *like)
{
    char found[64];
    for (size_t i = 0; i < rows->table->count; i++) {
        const struct value *row = &rows->table->fields[i].value;
        const struct value *field = value_get(row, name);
        if (field && field->kind == VALUE_STRING && !strcmp(field->string, like))
            return row;
        if (field && !strcmp(value_format(found, sizeof(found), field), like))
            return row;
    }
    ck_abort_msg("no row with %s = %s in %s", name, like, text);
}

static int64_t number_in(const struct value *row, const char *name)
{
    const struct value *value = value_get(row, name);
    ck_assert_ptr_nonnull(value);
    ck_assert_int_eq(value->kind, VALUE_INTEGER);
    return value->integer;
}

/* --- what goes through ------------------------------------------------------------------ */

/* One packet of 10.0.0.`host`; whether it came out. */
static bool passes_to(uint8_t host, uint16_t port)
{
    struct made made = { .host = host, .to = port, .payload = 40 };
    size_t before, after;
    test_collected(engine, "out", &before);
    put_in(&usual, inner, frame_make(inner, &made));
    test_collected(engine, "out", &after);
    return after > before;
}

static bool passes(uint8_t host)
{
    return passes_to(host, 2000);
}

static void write_file(const char *content)
{
    FILE *file = fopen(path, "w");
    struct timespec times[2] = { { ++written, 0 }, { written, 0 } };
    fputs(content, file);
    fclose(file);
    ck_assert_int_eq(utimensat(AT_FDCWD, path, times, 0), 0);
}

#define LIST(ENTRIES) "{\"flat_ip_list\": [" ENTRIES "]}"

static void load(const char *more)
{
    char arguments[200];
    snprintf(arguments, sizeof(arguments), "path=%s %s", path, more);
    OK("allow_load", arguments);
}

static void advance(double seconds)
{
    for (double t = 0; t < seconds; t += 0.1) {
        engine_set_time(engine, engine_now(engine) + 100000000);
        test_breathe(engine, 2);
    }
}

/* BUILD, with the file. */
#define BUILD_WITH_FILE(SETTINGS, ...)                                                   \
    do {                                                                                 \
        char settings_[200];                                                             \
        snprintf(settings_, sizeof(settings_), "allow_file=%s %s", path, SETTINGS);      \
        BUILD(settings_, __VA_ARGS__);                                                   \
    } while (0)

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

/* --- trace --------------------------------------------------------------------------------------- */

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
    tcase_add_test(tests, flows_are_shown_and_forgotten);
    tcase_add_test(tests, who_sends_how_much);
    tcase_add_test(tests, every_step_of_some_packets);
    tcase_add_test(tests, a_trace_of_what_cannot_go_on);
    tcase_add_test(tests, a_trace_ends_by_itself);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(vxlan_operations)
