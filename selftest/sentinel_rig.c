/* sentinel_rig: FlowSentinel's two data paths side by side, without an interface. */
#include "selftest/sentinel_rig.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <check.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/prefix.h"

static const struct path_sizes sizes = {
    .entries = 8192, .suspects = 32768, .destinations = 64, .samples = 1 << 16
};

static void apply(struct sentinel_rig *rig)
{
    struct error err;
    sentinel_policy_of(&rig->conf, &rig->policy);
    rig->policy.sample = 1;
    ck_assert_int_eq(path_set_policy(rig->user, &rig->policy, &err), 0);
    if (rig->kernel)
        ck_assert_msg(path_set_policy(rig->kernel, &rig->policy, &err) == 0, "%s",
                      err.text);
}

static void set(struct sentinel_rig *rig, const char *settings)
{
    char copy[1024], *save = NULL;
    snprintf(copy, sizeof(copy), "%s", settings ? settings : "");
    for (char *word = strtok_r(copy, " ", &save); word;
         word = strtok_r(NULL, " ", &save)) {
        struct error err;
        void *conf = &rig->conf;
        char *value = strchr(word, '=');
        ck_assert_ptr_nonnull(value);
        *value++ = 0;
        const struct param *row = param_find(sentinel_params, word, &conf, &err);
        ck_assert_msg(row && !param_parse_text(row, value, conf, &err), "%s: %s", word,
                      err.text);
    }
    struct error err;
    ck_assert_msg(!sentinel_verify(&rig->conf, &err), "%s", err.text);
}

void rig_policy(struct sentinel_rig *rig, const char *settings)
{
    set(rig, settings);
    apply(rig);
}

/* What the verifier refuses looks as if it were refused for lack of privilege. */
static bool may_load(void)
{
    static const struct bpf_insn pass[] = {
        { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = XDP_PASS },
        { .code = BPF_JMP | BPF_EXIT },
    };
    int program =
        bpf_prog_load(BPF_PROG_TYPE_XDP, "may_load", "Apache-2.0", pass, 2, NULL);
    if (program >= 0)
        close(program);
    return program >= 0;
}

void rig_open(struct sentinel_rig *rig, const char *settings)
{
    struct value nothing = { VALUE_NIL };
    struct error err;
    struct kernel_path_options options = {
        .ifname = "test", .sizes = sizes, .secret = 42, .frags = true, .test = true
    };
    *rig = (struct sentinel_rig){ .now = RIG_START };
    /* what is per CPU in the kernel is one of its kind in the other path */
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET((unsigned)sched_getcpu(), &cpus);
    ck_assert_int_eq(sched_setaffinity(0, sizeof(cpus), &cpus), 0);
    ck_assert_int_eq(
        param_parse(sentinel_params, &nothing, &rig->conf, sizeof(rig->conf), &err), 0);
    set(rig, settings);
    rig->user = path_new_user(&sizes, 42);
    sentinel_policy_of(&rig->conf, &rig->policy);
    rig->policy.sample = 1;
    rig->kernel = kernel_path_new(&options, &rig->policy, &err);
    if (!rig->kernel && err.kind == ERROR_PRIVILEGE && !may_load())
        fprintf(stderr, "SKIPPED: the XDP program: %s\n", err.text);
    else
        ck_assert_msg(rig->kernel != NULL, "%s", err.text);
    ck_assert_int_eq(path_set_policy(rig->user, &rig->policy, &err), 0);
}

void rig_close(struct sentinel_rig *rig)
{
    path_free(rig->user);
    path_free(rig->kernel);
    param_free(sentinel_params, &rig->conf);
}

static void keep_frame(const struct sentinel_sample *sample, void *user)
{
    *(struct sentinel_frame *)user = sample->frame;
}

struct sentinel_frame rig_judge(struct sentinel_rig *rig, const uint8_t *data,
                                uint32_t length)
{
    struct sentinel_frame frame, other = { 0 };
    path_judge(rig->user, &frame, data, length, 0xffff, rig->now);
    if (!rig->kernel || length < 14) /* less is no frame to the kernel's test */
        return frame;
    rig->kernel->state->clock = rig->now;
    int verdict = kernel_path_test(rig->kernel, data, length);
    ck_assert_int_eq(verdict, frame.verdict == VERDICT_DROP ? 1 : 2);
    ck_assert_int_eq(path_samples(rig->kernel, keep_frame, &other), 1);
    ck_assert_msg(
        !memcmp(&frame, &other, sizeof(frame)),
        "they disagree: verdict %u %u, reason %s %s, class %s %s, %u %u packets",
        frame.verdict, other.verdict, sentinel_reason_rows[frame.reason].name,
        sentinel_reason_rows[other.reason].name, sentinel_class_names[frame.class],
        sentinel_class_names[other.class], frame.packets, other.packets);
    return frame;
}

void rig_put(struct sentinel_rig *rig, const char *address, enum sentinel_kind kind,
             uint64_t expires)
{
    struct prefix prefix;
    struct path_address key;
    struct sentinel_entry entry = { .created = rig->now,
                                    .expires = expires,
                                    .kind = (uint8_t)kind };
    ck_assert_int_eq(prefix_parse(&prefix, address), 0);
    prefix_mapped(&prefix, (uint8_t *)key.word);
    ck_assert_int_eq(path_put(rig->user, &key, &entry), 0);
    if (rig->kernel)
        ck_assert_int_eq(path_put(rig->kernel, &key, &entry), 0);
}

struct path_listed rig_listed(const char *text, enum sentinel_kind kind)
{
    struct path_listed listed = { .entry.kind = (uint8_t)kind };
    struct prefix prefix;
    ck_assert_int_eq(prefix_parse(&prefix, text), 0);
    listed.prefix.bits = prefix_mapped(&prefix, (uint8_t *)listed.prefix.address);
    return listed;
}

void rig_list(struct sentinel_rig *rig, const struct path_listed *list, size_t count)
{
    struct error err;
    ck_assert_msg(!path_set_list(rig->user, list, count, &err), "%s", err.text);
    if (rig->kernel)
        ck_assert_msg(!path_set_list(rig->kernel, list, count, &err), "%s", err.text);
}

/* --- frames ---------------------------------------------------------------------------------- */

static void put16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

/* Ethernet and IP; returns where the rest goes. */
static uint8_t *begin(struct rig_frame *frame, const char *src, const char *dst,
                      uint8_t protocol, uint32_t length)
{
    static const uint8_t ethernet[12] = { 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1 };
    uint8_t *at = frame->data;
    memset(frame, 0, sizeof(*frame));
    memcpy(at, ethernet, 12);
    if (strchr(src, ':')) {
        put16(at + 12, 0x86dd);
        at[14] = 0x60;
        put16(at + 18, length);
        at[20] = protocol;
        at[21] = 64;
        ck_assert_int_eq(inet_pton(AF_INET6, src, at + 22), 1);
        ck_assert_int_eq(inet_pton(AF_INET6, dst, at + 38), 1);
        frame->length = 54 + length;
        return at + 54;
    }
    put16(at + 12, 0x0800);
    at[14] = 0x45;
    put16(at + 16, 20 + length);
    at[22] = 64;
    at[23] = protocol;
    ck_assert_int_eq(inet_pton(AF_INET, src, at + 26), 1);
    ck_assert_int_eq(inet_pton(AF_INET, dst, at + 30), 1);
    frame->length = 34 + length;
    return at + 34;
}

struct rig_frame rig_tcp(const char *src, const char *dst, uint16_t sport, uint16_t dport,
                         uint8_t flags, uint32_t payload)
{
    struct rig_frame frame;
    uint8_t *at = begin(&frame, src, dst, 6, 20 + payload);
    put16(at, sport);
    put16(at + 2, dport);
    at[12] = 0x50;
    at[13] = flags;
    return frame;
}

struct rig_frame rig_udp(const char *src, const char *dst, uint16_t sport, uint16_t dport,
                         uint32_t payload)
{
    struct rig_frame frame;
    uint8_t *at = begin(&frame, src, dst, 17, 8 + payload);
    put16(at, sport);
    put16(at + 2, dport);
    put16(at + 4, 8 + payload);
    put16(at + 6, 1);
    return frame;
}

struct rig_frame rig_icmp(const char *src, const char *dst, uint8_t type, uint8_t code,
                          uint32_t payload)
{
    struct rig_frame frame;
    uint8_t *at = begin(&frame, src, dst, strchr(src, ':') ? 58 : 1, 8 + payload);
    at[0] = type;
    at[1] = code;
    return frame;
}
