/* test_param: rows of parameters: parsing, every error text, equality, text and back. */
#include "selftest/selftest.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/param.h"

struct model {
    double p;
    double correlation;
};

struct deep {
    struct model model;
    int64_t depth;
};

struct conf {
    double loss_percent;
    bool on;
    int64_t count;
    double factor;
    uint64_t delay;
    uint64_t rate;
    uint64_t size;
    struct limit limit;
    uint64_t set;
    char *label;
    char *interface;
    int mode;
    struct model loss;
    struct deep deep;
    struct value extra;
};

static const struct param model_rows[] = {
    PARAM_PERCENT(struct model, p, NULL, "0%", "100%", "chance"),
    PARAM_PERCENT(struct model, correlation, "25%", "0%", "100%", "with the last"),
    PARAM_END,
};

static const struct param optional_model_rows[] = {
    PARAM_PERCENT(struct model, p, "0%", "0%", "100%", "chance"),
    PARAM_PERCENT(struct model, correlation, "25%", "0%", "100%", "with the last"),
    PARAM_END,
};

static const struct param deep_rows[] = {
    PARAM_TABLE(struct deep, model, optional_model_rows, "what happens"),
    PARAM_INTEGER(struct deep, depth, "3", "0", "9", "how deep"),
    PARAM_END,
};

static const char *const modes[] = { "drop", "hold", NULL };

static const struct param rows[] = {
    PARAM_PERCENT(struct conf, loss_percent, "1%", "0%", "100%", "loss"),
    PARAM_BOOL(struct conf, on, "true", "on or off"),
    PARAM_INTEGER(struct conf, count, "5", "-10", "1000", "how many"),
    PARAM_NUMBER(struct conf, factor, "1.5", "-2", "2", "factor"),
    PARAM_DURATION(struct conf, delay, "50ms", "0ms", "1h", "delay"),
    PARAM_RATE(struct conf, rate, "10mbit", "1bit", "1tbit", "rate"),
    PARAM_SIZE(struct conf, size, "1500b", "64b", "64KB", "size"),
    PARAM_LIMIT(struct conf, limit, "1000p", "queue"),
    PARAM_SET(struct conf, set, "all", "queues"),
    PARAM_STRING(struct conf, label, "none", "text"),
    PARAM_INTERFACE(struct conf, interface, "", "device"),
    PARAM_ENUM(struct conf, mode, "drop", modes, "mode"),
    PARAM_TABLE(struct conf, loss, optional_model_rows, "loss model"),
    PARAM_TABLE(struct conf, deep, deep_rows, "tables in tables"),
    PARAM_VALUE(struct conf, extra, "", "anything"),
    PARAM_END,
};

/* Parses { key = value }, both taken over. */
static int parse_one(const char *key, struct value value, struct conf *conf,
                     struct error *err)
{
    struct value args = value_table();
    value_table_add(&args, key, value);
    int error = param_parse(rows, &args, conf, sizeof(*conf), err);
    value_free(&args);
    return error;
}

static void check_error(const char *key, struct value value, const char *text)
{
    struct conf conf;
    struct error err = { 0 };
    ck_assert_msg(parse_one(key, value, &conf, &err) < 0, "taken, instead of: %s", text);
    ck_assert_str_eq(err.text, text);
    ck_assert_int_eq(err.kind, ERROR_CONFIG);
    ck_assert_ptr_null(conf.label); /* freed */
}

START_TEST(test_defaults)
{
    struct conf conf;
    struct value nothing = { VALUE_NIL };
    ck_assert_int_eq(param_parse(rows, &nothing, &conf, sizeof(conf), NULL), 0);
    ck_assert_double_eq(conf.loss_percent, 0.01);
    ck_assert(conf.on);
    ck_assert_int_eq(conf.count, 5);
    ck_assert_double_eq(conf.factor, 1.5);
    ck_assert_uint_eq(conf.delay, 50000000);
    ck_assert_uint_eq(conf.rate, 10000000);
    ck_assert_uint_eq(conf.size, 1500);
    ck_assert_uint_eq(conf.limit.packets, 1000);
    ck_assert_str_eq(conf.label, "none");
    ck_assert_ptr_null(conf.interface);
    ck_assert_int_eq(conf.mode, 0);
    ck_assert_double_eq(conf.loss.correlation, 0.25);
    ck_assert_double_eq(conf.deep.model.correlation, 0.25);
    ck_assert_int_eq(conf.deep.depth, 3);
    ck_assert_int_eq(conf.extra.kind, VALUE_NIL);
    param_free(rows, &conf);
}
END_TEST

/* A value of each kind for each type that takes it. */
START_TEST(test_kinds)
{
    struct conf conf;
    struct error err;
#define GIVEN(KEY, VALUE, CHECK)                                                         \
    do {                                                                                 \
        ck_assert_msg(!parse_one(KEY, VALUE, &conf, &err), "%s", err.text);              \
        ck_assert_msg(CHECK, "%s: not %s", KEY, #CHECK);                                 \
        param_free(rows, &conf);                                                         \
    } while (0)
    GIVEN("loss_percent", value_string("2.5%"), conf.loss_percent == 0.025);
    GIVEN("loss_percent", value_number(0.025), conf.loss_percent == 0.025);
    GIVEN("loss_percent", value_integer(1), conf.loss_percent == 1);
    GIVEN("on", value_bool(false), !conf.on);
    GIVEN("on", value_string("false"), !conf.on);
    GIVEN("count", value_integer(-10), conf.count == -10);
    GIVEN("count", value_number(7), conf.count == 7);
    GIVEN("count", value_string("1000"), conf.count == 1000);
    GIVEN("factor", value_number(0.1), conf.factor == 0.1); /* to the last bit */
    GIVEN("factor", value_number(1 / 3.0), conf.factor == 1 / 3.0);
    GIVEN("delay", value_number(0.0001), conf.delay == 100000);
    GIVEN("delay", value_integer(2), conf.delay == 2000000000);
    GIVEN("delay", value_string("7us"), conf.delay == 7000);
    GIVEN("rate", value_integer(9600), conf.rate == 9600);
    GIVEN("rate", value_number(1e6), conf.rate == 1000000);
    GIVEN("size", value_integer(100), conf.size == 100);
    GIVEN("limit", value_string("64KB"), conf.limit.bytes == 65536);
    GIVEN("set", value_string("0-2,5"), conf.set == 0x27);
    GIVEN("set", value_integer(3), conf.set == 8);
    GIVEN("label", value_string("x y"), !strcmp(conf.label, "x y"));
    GIVEN("label", value_string(""), !conf.label);
    GIVEN("interface", value_string("eth0"), !strcmp(conf.interface, "eth0"));
    GIVEN("mode", value_string("hold"), conf.mode == 1);
    GIVEN("extra", value_table(), conf.extra.kind == VALUE_TABLE);
    GIVEN("extra", value_opaque(9), conf.extra.opaque == 9);
#undef GIVEN
}
END_TEST

START_TEST(test_errors)
{
    check_error("loss_percent", value_string("150%"),
                "loss_percent: 150% is not within 0%..100%");
    check_error("loss_percent", value_number(1.1),
                "loss_percent: 1.1 is not within 0%..100%");
    check_error("loss_percent", value_string("-1%"),
                "loss_percent: -1% is not within 0%..100%");
    check_error("loss_percent", value_string("5ms"),
                "loss_percent: \"5ms\" is not a percentage (such as \"1.5%\")");
    check_error("loss_percent", value_number(NAN),
                "loss_percent: \"nan\" is not a percentage (such as \"1.5%\")");
    check_error("on", value_string("yes"), "on: \"yes\" is not a boolean");
    check_error("on", value_integer(1), "on: \"1\" is not a boolean");
    check_error("count", value_integer(1001), "count: 1001 is not within -10..1000");
    check_error("count", value_number(5.5), "count: \"5.5\" is not an integer");
    check_error("count", value_string("0x10"), "count: \"0x10\" is not an integer");
    check_error("count", value_bool(true), "count: \"true\" is not an integer");
    check_error("count", value_string("99999999999999999999"),
                "count: 99999999999999999999 is not within -10..1000");
    check_error("factor", value_number(INFINITY), "factor: \"inf\" is not a number");
    check_error("factor", value_string("nan"), "factor: \"nan\" is not a number");
    check_error("factor", value_string("1e999"), "factor: 1e999 is not within -2..2");
    check_error("delay", value_string("-5ms"), "delay: -5ms is not within 0ms..1h");
    check_error("delay", value_integer(-1), "delay: -1 is not within 0ms..1h");
    check_error("delay", value_string("2h"), "delay: 2h is not within 0ms..1h");
    check_error("delay", value_string("fast"),
                "delay: \"fast\" is not a duration (such as \"50ms\")");
    check_error("rate", value_string("10m"),
                "rate: \"10m\" is not a bit rate (such as \"10mbit\")");
    check_error("rate", value_integer(0), "rate: 0 is not within 1bit..1tbit");
    check_error("size", value_string("63"), "size: 63 is not within 64b..64KB");
    check_error("size", value_string("10%"),
                "size: \"10%\" is not a byte size (such as \"64KB\")");
    check_error("limit", value_integer(100),
                "limit: \"100\" is not a queue limit (such as \"100ms\", \"64KB\" or "
                "\"100p\")");
    check_error("set", value_string("x"),
                "set: \"x\" is not a set of numbers (such as \"0-3,8\" or \"all\")");
    check_error("set", value_integer(64), "set: 64 is not within 0..63");
    check_error("limit", value_string("-1p"),
                "limit: -1p is not within 0..what can be represented");
    check_error("label", value_integer(3), "label: \"3\" is not a string");
    check_error("interface", value_bool(true), "interface: \"true\" is not an interface");
    check_error("mode", value_string("keep"),
                "mode: \"keep\" is not one of \"drop\", \"hold\"");
    check_error("mode", value_integer(0), "mode: \"0\" is not one of \"drop\", \"hold\"");
    check_error("label", value_table(), "label: \"{}\" is not a string");
}
END_TEST

START_TEST(test_unknown)
{
    check_error("loss_percnt", value_integer(1),
                "no parameter \"loss_percnt\" (did you mean \"loss_percent\"?)");
    check_error("los", value_integer(1), "no parameter \"los\" (did you mean \"loss\"?)");
    check_error("wavelength", value_integer(1), "no parameter \"wavelength\"");
    check_error(NULL, value_integer(1),
                "parameters are given by name, such as { loss_percent = ... }");
    char none = 0;
    struct value args = value_table();
    struct error err;
    value_table_add(&args, "x", value_integer(1));
    ck_assert_int_lt(param_parse(NULL, &args, &none, 0, &err), 0);
    ck_assert_str_eq(err.text, "no parameter \"x\"");
    value_free(&args);
    args = value_integer(3);
    ck_assert_int_lt(param_parse(NULL, &args, &none, 0, &err), 0);
    ck_assert_str_eq(err.text, "takes no parameters");
    args = value_table();
    ck_assert_int_eq(param_parse(NULL, &args, &none, 0, &err), 0);
    value_free(&args);
}
END_TEST

static struct value table_with(const char *key, struct value value)
{
    struct value table = value_table();
    value_table_add(&table, key, value);
    return table;
}

START_TEST(test_nested)
{
    struct conf conf;
    struct error err;
    struct value model = table_with("p", value_string("3%"));
    value_table_add(&model, "correlation", value_string("4%"));
    ck_assert_int_eq(parse_one("loss", model, &conf, &err), 0);
    ck_assert_double_eq(conf.loss.p, 0.03);
    ck_assert_double_eq(conf.loss.correlation, 0.04);
    param_free(rows, &conf);
    /* The shorthand, on one level and through two. */
    ck_assert_int_eq(parse_one("loss", value_string("5%"), &conf, &err), 0);
    ck_assert_double_eq(conf.loss.p, 0.05);
    ck_assert_double_eq(conf.loss.correlation, 0.25);
    param_free(rows, &conf);
    ck_assert_int_eq(parse_one("deep", value_string("6%"), &conf, &err), 0);
    ck_assert_double_eq(conf.deep.model.p, 0.06);
    ck_assert_int_eq(conf.deep.depth, 3);
    param_free(rows, &conf);
    /* The last of two with one name holds, whole. */
    struct value args = table_with("loss", table_with("correlation", value_integer(1)));
    value_table_add(&args, "loss", value_string("7%"));
    value_table_add(&args, "label", value_string("a"));
    value_table_add(&args, "label", value_string("b"));
    value_table_add(&args, "extra", value_string("a"));
    value_table_add(&args, "extra", value_string("b"));
    ck_assert_int_eq(param_parse(rows, &args, &conf, sizeof(conf), &err), 0);
    ck_assert_double_eq(conf.loss.p, 0.07);
    ck_assert_double_eq(conf.loss.correlation, 0.25);
    ck_assert_str_eq(conf.label, "b");
    ck_assert_str_eq(conf.extra.string, "b");
    param_free(rows, &conf);
    value_free(&args);
}
END_TEST

START_TEST(test_nested_errors)
{
    check_error("loss", value_string("150%"), "loss.p: 150% is not within 0%..100%");
    check_error("loss", table_with("p", value_string("150%")),
                "loss.p: 150% is not within 0%..100%");
    check_error("deep", value_string("150%"),
                "deep.model.p: 150% is not within 0%..100%");
    check_error("deep", table_with("model", table_with("q", value_integer(1))),
                "deep.model: no parameter \"q\"");
    check_error("loss", table_with("corelation", value_integer(1)),
                "loss: no parameter \"corelation\" (did you mean \"correlation\"?)");
    check_error("loss", table_with(NULL, value_integer(1)),
                "loss: parameters are given by name, such as { p = ... }");
}
END_TEST

START_TEST(test_required)
{
    static const struct param two[] = {
        PARAM_PERCENT(struct model, p, NULL, "0%", "100%", "chance"),
        PARAM_PERCENT(struct model, correlation, NULL, "0%", "100%", "with the last"),
        PARAM_END,
    };
    struct model model;
    struct error err;
    struct value args = { VALUE_NIL };
    ck_assert_int_lt(param_parse(model_rows, &args, &model, sizeof(model), &err), 0);
    ck_assert_str_eq(err.text, "p is required (chance)");
    args = value_table();
    ck_assert_int_lt(param_parse(model_rows, &args, &model, sizeof(model), &err), 0);
    ck_assert_str_eq(err.text, "p is required (chance)");
    value_free(&args);
    args = value_number(0.5);
    ck_assert_int_eq(param_parse(model_rows, &args, &model, sizeof(model), &err), 0);
    ck_assert_double_eq(model.p, 0.5);
    ck_assert_int_lt(param_parse(two, &args, &model, sizeof(model), &err), 0);
    ck_assert_str_eq(err.text, "correlation is required (with the last)");
}
END_TEST

START_TEST(test_equal)
{
    static const struct {
        const char *key, *text;
    } others[] = {
        { "loss_percent", "2%" }, { "on", "false" },  { "count", "6" },
        { "factor", "1" },        { "delay", "1ms" }, { "rate", "1mbit" },
        { "size", "100" },        { "limit", "1s" },  { "set", "3" },
        { "label", "other" },     { "label", "" },    { "mode", "hold" },
        { "interface", "eth0" },  { "loss", "9%" },   { "extra", "text" },
        { "deep", "9%" },
    };
    struct conf conf, copy, other;
    struct value nothing = { VALUE_NIL };
    param_parse(rows, &nothing, &conf, sizeof(conf), NULL);
    param_copy(rows, &conf, &copy, sizeof(conf));
    ck_assert(param_equal(rows, &conf, &copy));
    ck_assert_ptr_ne(conf.label, copy.label);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        struct error err;
        ck_assert_msg(
            !parse_one(others[i].key, value_string(others[i].text), &other, &err), "%s",
            err.text);
        ck_assert_msg(!param_equal(rows, &conf, &other), "%s", others[i].key);
        param_free(rows, &other);
    }
    param_free(rows, &conf);
    param_free(rows, &copy);
}
END_TEST

/* param_format writes what param_parse_text reads. */
START_TEST(test_format)
{
    static const char *const texts[] = {
        "1%",    "true",  "5",   "1.5",  "50ms", "10mbit",
        "1500b", "1000p", "all", "none", "",     "drop",
    };
    struct conf conf, back;
    char text[128];
    struct value nothing = { VALUE_NIL };
    struct error err;
    param_parse(rows, &nothing, &conf, sizeof(conf), NULL);
    memset(&back, 0, sizeof(back));
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        ck_assert_str_eq(param_format(&rows[i], &conf, text, sizeof(text)), texts[i]);
        ck_assert_msg(!param_parse_text(&rows[i], text, &back, &err), "%s", err.text);
    }
    ck_assert_double_eq(back.loss_percent, conf.loss_percent);
    ck_assert_uint_eq(back.delay, conf.delay);
    ck_assert_str_eq(back.label, conf.label);
    ck_assert_str_eq(param_format(&rows[12], &conf, text, sizeof(text)), "{}");
    conf.loss.p = 0.03;
    ck_assert_str_eq(param_format(&rows[12], &conf, text, sizeof(text)), "3%");
    conf.deep.model.correlation = 0.5;
    conf.deep.depth = 7;
    ck_assert_str_eq(param_format(&rows[13], &conf, text, sizeof(text)),
                     "{ model = { correlation = 50% }, depth = 7 }");
    ck_assert_str_eq(param_format(&rows[13], &conf, text, 9), "{ model ");
    ck_assert_str_eq(param_format(&rows[14], &conf, text, sizeof(text)), "nil");
    param_free(rows, &conf);
    param_free(rows, &back);
}
END_TEST

struct tuned {
    int64_t depth;
    int profile;
    uint64_t delay;
    struct model loss;
};

static const char *const profiles[] = { "plain", "fast", NULL };
static const struct param_initial plain[] = { { NULL } };
static const struct param_initial fast[] = {
    { "depth", "9" }, { "delay", "1ms" }, { "loss", "2%" }, { NULL }
};
static const struct param_initial *const profile_defaults[] = { plain, fast };

static const struct param tuned_rows[] = {
    PARAM_INTEGER(struct tuned, depth, "3", "0", "9", "how deep"),
    PARAM_PROFILE(struct tuned, profile, "plain", profiles, profile_defaults, "which"),
    PARAM_DURATION(struct tuned, delay, "50ms", "0ms", "1h", "delay"),
    PARAM_TABLE(struct tuned, loss, optional_model_rows, "loss model"),
    PARAM_END,
};

/* A profile brings other defaults; what is given stays, before it or behind it. */
START_TEST(test_profile)
{
    struct tuned conf;
    struct error err;
    struct value args = value_table();
    ck_assert(!param_parse(tuned_rows, &args, &conf, sizeof(conf), &err));
    ck_assert_int_eq(conf.depth, 3);
    value_table_add(&args, "depth", value_string("4"));
    value_table_add(&args, "profile", value_string("fast"));
    ck_assert(!param_parse(tuned_rows, &args, &conf, sizeof(conf), &err));
    ck_assert_int_eq(conf.profile, 1);
    ck_assert_int_eq(conf.depth, 4);
    ck_assert_uint_eq(conf.delay, 1000000);
    ck_assert_double_eq(conf.loss.p, 0.02);
    ck_assert_double_eq(conf.loss.correlation, 0.25);
    value_table_add(&args, "delay", value_string("7ms"));
    ck_assert(!param_parse(tuned_rows, &args, &conf, sizeof(conf), &err));
    ck_assert_uint_eq(conf.delay, 7000000);
    value_free(&args);
    args = value_table();
    value_table_add(&args, "profile", value_string("slow"));
    ck_assert_int_eq(param_parse(tuned_rows, &args, &conf, sizeof(conf), &err), -EINVAL);
    ck_assert_str_eq(err.text, "profile: \"slow\" is not one of \"plain\", \"fast\"");
    value_free(&args);
}
END_TEST

/* One parameter by its path; what is in the same struct stays, a table is filled anew. */
START_TEST(test_set)
{
    struct conf conf;
    struct error err;
    struct value nothing = { VALUE_NIL }, five = value_string("5%"),
                 bad = value_string("x");
    param_parse(rows, &nothing, &conf, sizeof(conf), NULL);
    conf.deep.depth = 7;
    ck_assert_int_eq(param_set(rows, "deep.model.p", &five, &conf, &err), 0);
    ck_assert_double_eq(conf.deep.model.p, 0.05);
    ck_assert_int_eq(conf.deep.depth, 7);
    ck_assert_int_eq(param_set(rows, "deep", &five, &conf, &err), 0);
    ck_assert_double_eq(conf.deep.model.p, 0.05);
    ck_assert_int_eq(conf.deep.depth, 3);
    ck_assert(param_set(rows, "deep.model.p", &bad, &conf, &err) < 0);
    ck_assert_msg(strstr(err.text, "deep.model.p: \"x\" is not"), "%s", err.text);
    static const char *const paths[][2] = {
        { "deap", "no parameter \"deap\" (did you mean \"deep\"?)" },
        { "deep.", "no parameter \"\"" },
        { "", "no parameter \"\"" },
        { "deep.depth.x", "depth has no parameters" },
        { ".", "no parameter \"\"" },
    };
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        ck_assert(param_set(rows, paths[i][0], &five, &conf, &err) < 0);
        ck_assert_msg(strstr(err.text, paths[i][1]), "%s", err.text);
    }
    value_free(&five);
    value_free(&bad);
    param_free(rows, &conf);
}
END_TEST

struct named {
    uint64_t owd;
};

static const struct param named_rows[] = {
    PARAM_DURATION(struct named, owd, "1ms", "0s", "60s", "one-way delay"),
    PARAM_SYNONYM("delay", "owd"),
    PARAM_REFUSED("latency", "say owd"),
    PARAM_END,
};

static int parse_named(const char *key, const char *other, struct named *named,
                       struct error *err)
{
    struct value args = table_with(key, value_string("5ms"));
    if (other)
        value_table_add(&args, other, value_string("6ms"));
    int error = param_parse(named_rows, &args, named, sizeof(*named), err);
    value_free(&args);
    return error;
}

START_TEST(test_synonym)
{
    struct named named;
    struct error err;
    ck_assert_int_eq(parse_named("delay", NULL, &named, &err), 0);
    ck_assert_uint_eq(named.owd, 5000000);
    ck_assert(parse_named("delay", "owd", &named, &err) < 0);
    ck_assert_str_eq(err.text, "owd and delay are the same: give one");
    ck_assert(parse_named("latency", NULL, &named, &err) < 0);
    ck_assert_str_eq(err.text, "no parameter \"latency\": say owd");
    ck_assert(parse_named("latenzy", NULL, &named, &err) < 0);
    ck_assert_str_eq(err.text, "no parameter \"latenzy\"");
}
END_TEST

static Suite *suite_param(void)
{
    Suite *suite = suite_create("param");
    TCase *all = tcase_create("all");
    tcase_add_test(all, test_defaults);
    tcase_add_test(all, test_kinds);
    tcase_add_test(all, test_errors);
    tcase_add_test(all, test_unknown);
    tcase_add_test(all, test_nested);
    tcase_add_test(all, test_nested_errors);
    tcase_add_test(all, test_required);
    tcase_add_test(all, test_equal);
    tcase_add_test(all, test_format);
    tcase_add_test(all, test_profile);
    tcase_add_test(all, test_set);
    tcase_add_test(all, test_synonym);
    suite_add_tcase(suite, all);
    return suite;
}

SUITE(param)
