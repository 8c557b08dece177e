/* FlowSentinel: keeps a host alive under flood: counts, limits and blocks sources.
 *
 *     input -> [ FlowSentinel ] -> output         judges the packets of a graph
 *     eth0  -> [ FlowSentinel ] -> the kernel     with ifname: by an XDP program, no links
 *
 * Both are the same rules (judge.bpf.h), behind one interface (path.h). The data path counts and
 * decides by itself; this app gives it a policy, lists and a sign of life, reads what it tells,
 * takes out what has ended, and answers people.
 *
 * Packets received = sent + dropped by reason. With ifname the counters are those of the XDP
 * program, as of the latest tick.
 */
#include "apps/flow_sentinel/flow_sentinel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>

#include "apps/flow_sentinel/announce.h"
#include "apps/flow_sentinel/kernel_path.h"
#include "apps/flow_sentinel/pins.h"
#include "lib/frame.h"
#include "lib/interface.h"
#include "lib/owner.h"
#include "lib/random.h"

#define GC_TICKS    10
#define LOOK_TICKS  20
#define WATCH_TICKS 2
#define SCANS       1024 /* sources that were told of */
#define BUFFER_MTU  3400 /* what a driver's buffer of a page holds at least */

enum { PACKETS, PASSED, WOULD_DROP, ANSWERED, REATTACHED, DROP_NO_OUTPUT, FIRST_REASON };

#define COUNTER_ROW(NAME, name, action, doc)                                             \
    [FIRST_REASON + REASON_##NAME] = { "drop_" #name, doc },

static const struct counter_row counters[] = {
    [PACKETS] = { "packets", "frames judged" },
    [PASSED] = { "passed", "... that passed" },
    [WOULD_DROP] = { "would_drop", "... of them such as a dry run did not drop" },
    [ANSWERED] = { "answered", "SYNs answered with a cookie" },
    [REATTACHED] = { "reattached",
                     "times that the interface came back, and the program" },
    [DROP_NO_OUTPUT] = { "drop_no_output",
                         "packets that passed while nothing was linked" },
    SENTINEL_REASONS(COUNTER_ROW){ NULL, NULL },
};

static const struct port ports[] = {
    { "input", PORT_INPUT, "packets to judge, without ifname" },
    { "output", PORT_OUTPUT, "those that pass" },
    { NULL },
};

static bool in_kernel(const struct app *app)
{
    return ((const struct sentinel_conf *)app->conf)->ifname;
}

static uint64_t clock_of(clockid_t id)
{
    struct timespec time;
    clock_gettime(id, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

uint64_t sentinel_now(const struct app *app)
{
    return in_kernel(app) ? clock_of(CLOCK_BOOTTIME) : engine_now(app->engine);
}

/* --- what the data path tells ---------------------------------------------------------------- */

void sentinel_tell(struct app *app, const struct sentinel_event *event)
{
    struct flow_sentinel *s = app->state;
    const struct sentinel_conf *conf = app->conf;
    if (s->nnews - s->news_read == NEWS_SIZE) {
        s->news_read++;
        s->news_missed++;
    }
    s->news[s->nnews++ % NEWS_SIZE] = *event;
    if (s->hook && event->kind != EVENT_LIMIT)
        announce_event(s->hook, event, conf->ifname, (unsigned)conf->source_prefix6);
}

static void keep_event(const struct sentinel_event *event, void *user)
{
    sentinel_tell(user, event);
}

void sentinel_news(struct app *app)
{
    struct flow_sentinel *s = app->state;
    sentinel_note_backlog(app);
    path_events(s->path, keep_event, app);
}

bool sentinel_in_first_netns(void)
{
    struct netns netns;
    struct stat first;
    netns_self(&netns, NULL);
    return !stat("/proc/1/ns/net", &first) && first.st_ino == netns.inode;
}

static void capture(struct flow_sentinel *s, const struct sentinel_frame *frame,
                    const uint8_t *bytes, uint32_t captured)
{
    static const char *const verdicts[VERDICTS] = { "pass", "drop", "would drop",
                                                    "answer" };
    char comment[64];
    struct pcapng_packet packet = { .time = clock_of(CLOCK_REALTIME),
                                    .bytes = bytes,
                                    .length = captured,
                                    .original = frame->bytes,
                                    .comment = comment };
    snprintf(comment, sizeof(comment), "%s: %s", verdicts[frame->verdict & 3],
             sentinel_reason_rows[frame->reason % REASONS].name);
    pcapng_write(&s->capture, &packet);
}

/* Of a frame that its addresses decided nobody has looked at the rest yet. */
static struct sentinel_frame look_closer(const struct sentinel_frame *frame,
                                         const uint8_t *bytes, uint32_t captured)
{
    struct sentinel_frame found = *frame;
    struct frame parsed;
    frame_parse(&parsed, bytes, captured);
    found.protocol = parsed.protocol;
    if (frame_is_tcp(&parsed) || frame_is_udp(&parsed)) {
        found.sport = frame_source_port(&parsed);
        found.dport = frame_destination_port(&parsed);
    }
    return found;
}

void sentinel_sampled(struct flow_sentinel *s, const struct sentinel_frame *frame,
                      uint32_t rate, const uint8_t *bytes, uint32_t captured)
{
    struct sentinel_frame closer;
    if (frame->family && !frame->l4) {
        closer = look_closer(frame, bytes, captured);
        talkers_add(s->talkers, &closer, rate);
    } else
        talkers_add(s->talkers, frame, rate);
    if (s->capture.file)
        capture(s, frame, bytes, captured);
}

static void take_sample(const struct sentinel_sample *sample, void *user)
{
    sentinel_sampled(user, &sample->frame, sample->rate, sample->bytes,
                     sample->captured < SENTINEL_SNAPLEN ? sample->captured
                                                         : SENTINEL_SNAPLEN);
}

/* --- every tick -------------------------------------------------------------------------------- */

static void count(struct app *app)
{
    struct flow_sentinel *s = app->state;
    struct sentinel_totals totals;
    uint64_t verdicts[VERDICTS] = { 0 };
    path_totals(s->path, &totals);
    for (int reason = 0; reason < REASONS; reason++) {
        for (int verdict = 0; verdict < VERDICTS; verdict++)
            verdicts[verdict] += totals.reasons[reason * VERDICTS + verdict].packets;
        app->counters[FIRST_REASON + reason] =
            totals.reasons[reason * VERDICTS + VERDICT_DROP].packets;
    }
    app->counters[PACKETS] = verdicts[VERDICT_PASS] + verdicts[VERDICT_DROP] +
                             verdicts[VERDICT_WOULD_DROP] + verdicts[VERDICT_ANSWER];
    app->counters[PASSED] = verdicts[VERDICT_PASS] + verdicts[VERDICT_WOULD_DROP];
    app->counters[WOULD_DROP] = verdicts[VERDICT_WOULD_DROP];
    app->counters[ANSWERED] = verdicts[VERDICT_ANSWER];
}

/* --- what is noticed --------------------------------------------------------------------------- */

static void tell(const struct path_address *address, unsigned bits,
                 const struct detect_news *news, void *user)
{
    struct app *app = user;
    const struct flow_sentinel *s = app->state;
    struct sentinel_event event = {
        .time = sentinel_now(app),
        .kind = EVENT_STATE,
        .detection = (uint8_t)news->detection,
        .state = (uint8_t)news->state,
        .dst_bits = (uint8_t)bits,
        .rate = (uint64_t)news->rate,
        .threshold = (uint64_t)news->threshold,
        .dry_run = s->policy.dry_run,
    };
    memcpy(event.dst, address, sizeof(event.dst));
    sentinel_tell(app, &event);
}

/* Once for each time that the registers were begun anew. */
static void scan_one(const struct path_address *key, const void *value, void *user)
{
    const struct sentinel_suspect *suspect = value;
    struct app *app = user;
    struct flow_sentinel *s = app->state;
    const struct sentinel_conf *conf = app->conf;
    double targets = suspect->scan ? scan_estimate(suspect->registers) : 0;
    if (!suspect->scan || targets <= (double)conf->scan_ports)
        return;
    uint64_t *told = table_insert(s->scans, key);
    if (!told || *told == suspect->scan)
        return;
    *told = suspect->scan;
    struct sentinel_event event = { .time = sentinel_now(app),
                                    .kind = EVENT_LIMIT,
                                    .detection = DETECT_SCAN,
                                    .rate = (uint64_t)targets,
                                    .threshold = (uint64_t)conf->scan_ports,
                                    .dry_run = s->policy.dry_run };
    memcpy(event.src, key, sizeof(event.src));
    sentinel_tell(app, &event);
}

static void tell_of_interface(struct app *app, enum sentinel_event_kind kind)
{
    struct sentinel_event event = { .time = sentinel_now(app), .kind = (uint8_t)kind };
    sentinel_tell(app, &event);
}

/* Is the program where it should be? Told once, when that changes. */
static void watch_interface(struct app *app)
{
    struct flow_sentinel *s = app->state;
    struct error err;
    int found = kernel_path_watch(s->path, &err);
    if (found < 0 && !s->detached) {
        app_log(app, "no program: %s", err.text);
        tell_of_interface(app, EVENT_DETACHED);
    } else if (found > 0) {
        app_log(app, "again %s", kernel_path_describe(s->path));
        app_count(app, REATTACHED, 1);
        tell_of_interface(app, EVENT_ATTACHED);
    }
    s->detached = found < 0;
}

static void look_after(struct app *app)
{
    struct flow_sentinel *s = app->state;
    uint64_t now = sentinel_now(app);
    if (in_kernel(app)) {
        kernel_path_set_clock(s->path);
        sentinel_note_backlog(app);
        sentinel_measure(app);
        path_samples(s->path, take_sample, s);
        count(app);
    }
    __atomic_store_n(&s->path->state->heartbeat, now, __ATOMIC_RELAXED);
    sentinel_news(app);
    if (in_kernel(app) && s->ticks % LOOK_TICKS == 0)
        sentinel_look_around(app);
    guarded_tick(&s->guarded, s->path, now, tell, app);
    if (s->hook)
        hook_work(s->hook, clock_of(CLOCK_MONOTONIC));
    sentinel_save(app);
    if (s->ticks % WATCH_TICKS == 0)
        sentinel_watch_files(app);
    if (++s->ticks % GC_TICKS == 0) {
        if (in_kernel(app))
            watch_interface(app);
        sentinel_collect(app);
        if (((const struct sentinel_conf *)app->conf)->scan_ports)
            path_suspects(s->path, scan_one, app);
    }
}

static void fire(struct timer *timer, uint64_t now)
{
    struct app *app = timer->user;
    struct flow_sentinel *s = app->state;
    uint64_t before = clock_of(CLOCK_MONOTONIC);
    look_after(app);
    sentinel_note_tick(&s->gauges, clock_of(CLOCK_MONOTONIC) - before);
    timer_set(&app->engine->timers, timer, now + SENTINEL_TICK);
}

/* --- packets ----------------------------------------------------------------------------------- */

static void judge(struct app *app, struct packet *p, struct link *output, uint64_t now)
{
    struct flow_sentinel *s = app->state;
    struct sentinel_frame frame;
    uint16_t vlan = p->flags & PACKET_VLAN ? p->vlan_tci & 0xfff : 0xffff;
    path_judge(s->path, &frame, p->data, p->length, vlan, now);
    if (s->policy.sample && random_draw(&s->random, s->draws++) % s->policy.sample == 0)
        sentinel_sampled(s, &frame, s->policy.sample, p->data,
                         p->length < SENTINEL_SNAPLEN ? p->length : SENTINEL_SNAPLEN);
    app->counters[PACKETS]++;
    if (frame.verdict == VERDICT_DROP) {
        app_drop(app, FIRST_REASON + frame.reason, p);
        return;
    }
    app->counters[PASSED]++;
    app->counters[WOULD_DROP] += frame.verdict == VERDICT_WOULD_DROP;
    if (output)
        link_transmit(output, p);
    else
        app_drop(app, DROP_NO_OUTPUT, p);
}

static void push(struct app *app)
{
    struct link *input = app_input(app, 0), *output = app_output(app, 0);
    struct packet *p[LINK_BURST];
    uint32_t n;
    if (in_kernel(app))
        sentinel_news(app); /* what woke us */
    if (!input)
        return;
    uint64_t now = engine_now(app->engine);
    while ((n = link_receive_burst(input, p, LINK_BURST)))
        for (uint32_t i = 0; i < n; i++)
            judge(app, p[i], output, now);
}

/* --- life ---------------------------------------------------------------------------------------- */

static uint64_t secret(const struct app *app)
{
    uint64_t word;
    if (in_kernel(app) && getrandom(&word, sizeof(word), 0) == sizeof(word))
        return word;
    struct random_key key = random_key(app->engine->options.seed, app->name, "secret");
    return random_draw(&key, 0);
}

static struct path_sizes sizes_of(const struct sentinel_conf *conf)
{
    return (struct path_sizes){ .entries =
                                    (uint32_t)(conf->max_blocks + conf->max_static),
                                .suspects = (uint32_t)conf->suspects,
                                .destinations = (uint32_t)conf->destinations };
}

/* The kernel takes cookies that it did not send itself when they are all it sends. */
static int check_cookies(struct error *err)
{
    FILE *file = fopen("/proc/sys/net/ipv4/tcp_syncookies", "re");
    int value = 0;
    if (file) {
        if (fscanf(file, "%d", &value) != 1)
            value = 0;
        fclose(file);
    }
    return value == 2
               ? 0
               : error_set(err, ERROR_CONFIG, EINVAL,
                           "syn_action = \"cookie\" needs net.ipv4.tcp_syncookies = 2: "
                           "sysctl -w net.ipv4.tcp_syncookies=2");
}

/* Interfaces of other network namespaces may have the same name. */
static void name_pin(char pin[PIN_SIZE], const char *ifname)
{
    struct netns netns;
    netns_self(&netns, NULL);
    if (sentinel_in_first_netns())
        snprintf(pin, PIN_SIZE, PINS_DIRECTORY "/%s", ifname);
    else
        snprintf(pin, PIN_SIZE, PINS_DIRECTORY "/%s@%llu", ifname,
                 (unsigned long long)netns.cookie);
}

static struct path *open_kernel(struct app *app, struct error *err)
{
    struct flow_sentinel *s = app->state;
    const struct sentinel_conf *conf = app->conf;
    struct interface interface;
    bool cookies = groups_cookies(&s->groups);
    if (interface_query(conf->ifname, &interface, err) || (cookies && check_cookies(err)))
        return NULL;
    s->mtu = interface.mtu;
    if (!s->policy.mtu)
        s->policy.mtu = s->mtu;
    struct kernel_path_options options = {
        .ifname = conf->ifname,
        .index = interface.index,
        .attach = (enum xdp_attach_mode)conf->attach,
        .sizes = sizes_of(conf),
        .secret = secret(app),
        .frags = interface.mtu > BUFFER_MTU,
        .cookies = cookies,
    };
    if (conf->pin)
        name_pin(s->pin, conf->ifname);
    options.pin = conf->pin ? s->pin : NULL;
    struct path *path = kernel_path_new(&options, &s->policy, err);
    if (path) {
        app_poll(app, kernel_path_fd(path), POLLIN);
        app_log(app, "on %s, %s", conf->ifname, kernel_path_describe(path));
    }
    return path;
}

static struct path *open_user(struct app *app, struct error *err)
{
    struct flow_sentinel *s = app->state;
    struct path_sizes sizes = sizes_of(app->conf);
    struct path *path = path_new_user(&sizes, secret(app));
    if (!path)
        error_set(err, ERROR_RUN, ENOMEM, "no memory for the tables");
    else
        path_set_policy(path, &s->policy, err);
    return path;
}

static int open_hook(struct app *app, struct error *err)
{
    struct flow_sentinel *s = app->state;
    const struct sentinel_conf *conf = app->conf;
    struct hook_options options = { .path = conf->hook, .quiet = true };
    if (!conf->hook)
        return 0;
    s->hook = hook_new(&options, err);
    return s->hook ? 0 : -EINVAL;
}

static int start(struct app *app, struct error *err)
{
    struct flow_sentinel *s = app->state;
    const struct sentinel_conf *conf = app->conf;
    struct siphash_key seed = { .a = secret(app), .b = 1 };
    sentinel_mark_files(s, conf);
    int error = lists_load(&s->lists, conf, NULL, err);
    if (error)
        return error;
    if (s->lists.cleared)
        app_log(app, "%u listed prefixes have bits behind their length: they are cleared",
                s->lists.cleared);
    sentinel_policy_of(conf, &s->policy);
    error = groups_load(&s->groups, conf, err);
    if (error)
        return error;
    error = lists_addresses(&conf->protect, "protect", &s->protect, &s->nprotect, err);
    if (error)
        return error;
    if (guarded_new(&s->guarded, (uint32_t)conf->destinations))
        return error_set(err, ERROR_RUN, ENOMEM, "no memory for the protected addresses");
    s->random = random_key(app->engine->options.seed, app->name, "sample");
    s->talkers = talkers_new(&seed);
    s->scans =
        table_new(sizeof(struct path_address), sizeof(uint64_t), SCANS, &seed, TABLE_LRU);
    if (!s->talkers || !s->scans)
        return error_set(err, ERROR_RUN, ENOMEM, "no memory for the top talkers");
    error = open_hook(app, err);
    if (!error && conf->capture)
        error = pcapng_open(&s->capture, conf->capture, conf->capture_size, err);
    if (error)
        return error;
    s->path = conf->ifname ? open_kernel(app, err) : open_user(app, err);
    if (!s->path)
        return -EIO;
    error = lists_apply(&s->lists, s->path, err);
    if (!error) {
        sentinel_forget_surroundings(s);
        sentinel_restore(app);
        sentinel_let_off(s);
        sentinel_guard(app);
    }
    s->timer = (struct timer){ .fire = fire, .user = app };
    if (!error)
        fire(&s->timer, engine_now(app->engine));
    return error;
}

static void stop(struct app *app)
{
    struct flow_sentinel *s = app->state;
    timer_cancel(&app->engine->timers, &s->timer);
    sentinel_save_soon(s);
    sentinel_save(app);
    free(s->kept.path);
    path_free(s->path);
    if (s->detach && *s->pin)
        pins_remove(s->pin);
    talkers_free(s->talkers);
    table_free(s->scans);
    lists_clear(&s->lists);
    if (s->hook)
        hook_close(s->hook);
    pcapng_close(&s->capture);
    guarded_free(&s->guarded);
    groups_clear(&s->groups);
    networks_free(&s->networks);
    free(s->surroundings.all);
    free(s->protect);
}

static int verify(const void *conf, struct error *err)
{
    struct sentinel_lists lists = { 0 };
    int error = sentinel_verify(conf, err);
    if (!error)
        error = lists_load(&lists, conf, NULL, err);
    lists_clear(&lists);
    struct path_address *protect = NULL;
    size_t count;
    if (!error)
        error = lists_addresses(&((const struct sentinel_conf *)conf)->protect, "protect",
                                &protect, &count, err);
    free(protect);
    struct groups groups = { 0 };
    if (!error)
        error = groups_load(&groups, conf, err);
    groups_clear(&groups);
    return error;
}

/* Those of before are the caller's to clear. */
static struct groups adopt_groups(struct flow_sentinel *s, const struct groups *groups)
{
    struct groups before = s->groups;
    s->groups = *groups;
    guarded_regroup(&s->guarded, &s->groups);
    return before;
}

/* Where it runs and how large its tables are cannot change in place; the rest is a new policy
 * and new lists, each of them taken over between two frames. */
static int reconfigure(struct app *app, const void *next, struct error *err)
{
    struct flow_sentinel *s = app->state;
    const struct sentinel_conf *old = app->conf, *conf = next;
    struct sentinel_policy policy;
    if (!param_same_text(old->ifname, conf->ifname) ||
        !param_same_text(old->hook, conf->hook) ||
        !param_same_text(old->capture, conf->capture) ||
        old->capture_size != conf->capture_size || old->attach != conf->attach ||
        old->pin != conf->pin ||
        old->max_blocks + old->max_static != conf->max_blocks + conf->max_static ||
        old->suspects != conf->suspects || old->destinations != conf->destinations)
        return -EOPNOTSUPP;
    sentinel_policy_of(conf, &policy);
    policy.mtu = policy.mtu ? policy.mtu : s->mtu;
    struct path_address *protect = NULL;
    size_t nprotect;
    struct groups groups;
    int error = groups_load(&groups, conf, err);
    if (error)
        return error;
    if (groups_cookies(&groups) != groups_cookies(&s->groups))
        error = -EOPNOTSUPP;
    if (!error)
        error = lists_addresses(&conf->protect, "protect", &protect, &nprotect, err);
    if (!error)
        error = sentinel_take_lists(app, conf, &policy, err);
    if (error) {
        free(protect);
        groups_clear(&groups);
        return error;
    }
    free(s->protect);
    s->protect = protect;
    s->nprotect = nprotect;
    groups = adopt_groups(s, &groups);
    groups_clear(&groups);
    sentinel_guard(app);
    if (!param_same_text(old->snapshot, conf->snapshot))
        sentinel_keep_in(app, conf->snapshot);
    return 0;
}

static void report(struct app *app, FILE *out)
{
    struct flow_sentinel *s = app->state;
    fprintf(out, "%llu sources blocked", (unsigned long long)s->path->state->blocks);
}

const struct app_class flow_sentinel_class = {
    .name = "FlowSentinel",
    .doc = "counts, limits and blocks sources of a flood, in the kernel or in a graph",
    .ports = ports,
    .params = sentinel_params,
    .conf_size = sizeof(struct sentinel_conf),
    .counters = counters,
    .state_size = sizeof(struct flow_sentinel),
    .start = start,
    .stop = stop,
    .push = push,
    .reconfigure = reconfigure,
    .report = report,
    .verify = verify,
    .call = sentinel_call,
    .operations = sentinel_operations,
};
