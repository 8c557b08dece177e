/* kernel_path: FlowSentinel's data path as an XDP program on an interface. */
#include "apps/flow_sentinel/kernel_path.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "apps/flow_sentinel/pins.h"
#include "flow_sentinel.skel.h"
#include "lib/shared_table.h"

#define BATCH    4096 /* entries of a map that one call brings */
#define MAPPINGS 5

struct kernel_path {
    struct path path;
    struct kernel_path_options options;
    struct flow_sentinel_bpf *bpf; /* what runs now */
    struct sentinel_policy policy;
    int link; /* -1: not attached */
    int cpus;
    struct mapping {
        void *at;
        size_t size;
    } mappings[MAPPINGS];
    struct shared_table *entries, *destinations;
    struct ring_buffer *events, *samples;
    const volatile unsigned long *event_positions, *sample_positions;
    int measuring; /* -1: not */
    uint32_t measured;
    uint64_t runs, run_time; /* at the beginning of it */
    void (*each_event)(const struct sentinel_event *event, void *user);
    void (*each_sample)(const struct sentinel_sample *sample, void *user);
    void *user;
    char description[XDP_ATTACH_DESCRIPTION];
    char *ifname, *pin;
};

static struct kernel_path *kernel(const struct path *path)
{
    return (struct kernel_path *)path;
}

/* --- loading ------------------------------------------------------------------------------- */

static void set_table_size(struct bpf_map *buckets, struct bpf_map *slots, uint32_t size)
{
    bpf_map__set_max_entries(buckets, shared_buckets(size));
    bpf_map__set_max_entries(slots, size);
}

static void set_sizes(struct flow_sentinel_bpf *bpf, const struct path_sizes *sizes)
{
    if (sizes->entries)
        set_table_size(bpf->maps.entry_buckets, bpf->maps.entry_slots, sizes->entries);
    if (sizes->suspects) {
        bpf_map__set_max_entries(bpf->maps.suspects, sizes->suspects);
        bpf_map__set_max_entries(bpf->maps.verified, sizes->suspects);
    }
    if (sizes->destinations) {
        set_table_size(bpf->maps.destination_buckets, bpf->maps.destination_slots,
                       sizes->destinations);
        bpf_map__set_max_entries(bpf->maps.destination_counts, sizes->destinations);
    }
    if (sizes->samples)
        bpf_map__set_max_entries(bpf->maps.samples, sizes->samples);
    bpf->rodata->entry_mask = bpf_map__max_entries(bpf->maps.entry_buckets) - 1;
    bpf->rodata->destination_mask =
        bpf_map__max_entries(bpf->maps.destination_buckets) - 1;
}

/* What the kernel's clock goes on by at once. */
static uint32_t tick(void)
{
    struct timespec resolution;
    clock_getres(CLOCK_MONOTONIC_COARSE, &resolution);
    return (uint32_t)resolution.tv_nsec;
}

static struct flow_sentinel_bpf *
load(struct kernel_path *k, const struct sentinel_policy *policy, struct error *err)
{
    xdp_keep_complaint();
    struct flow_sentinel_bpf *bpf = flow_sentinel_bpf__open();
    if (!bpf) {
        xdp_load_failed(k->ifname, -errno, err);
        return NULL;
    }
    bpf->rodata->policy = *policy;
    bpf->rodata->tick = k->options.test ? 0 : tick();
    bpf->rodata->has_frags = k->options.frags;
    if (!k->options.frags)
        bpf_program__set_flags(bpf->progs.flow_sentinel, 0);
    bpf->rodata->has_cookies = k->options.cookies;
    bpf_program__set_expected_attach_type(bpf->progs.flow_sentinel, BPF_XDP);
    set_sizes(bpf, &k->options.sizes);
    int error = 0;
    if (k->bpf)
        error = pins_share(bpf->obj, k->bpf->obj); /* which it takes over */
    else if (k->pin && pins_use(bpf->obj, k->pin, err))
        goto failed;
    if (!error)
        error = flow_sentinel_bpf__load(bpf);
    if (!error)
        return bpf;
    xdp_load_failed(k->ifname, error, err);
failed:
    flow_sentinel_bpf__destroy(bpf);
    return NULL;
}

static int set_policy(struct path *path, const struct sentinel_policy *policy,
                      struct error *err)
{
    struct kernel_path *k = kernel(path);
    struct flow_sentinel_bpf *bpf = load(k, policy, err);
    if (!bpf)
        return -EIO;
    if (k->link >= 0 &&
        bpf_link_update(k->link, bpf_program__fd(bpf->progs.flow_sentinel), NULL)) {
        error_system(err, ERROR_RUN, "cannot replace the XDP program of %s", k->ifname);
        flow_sentinel_bpf__destroy(bpf);
        return -EIO;
    }
    /* its maps' descriptors are the new one's own */
    flow_sentinel_bpf__destroy(k->bpf);
    k->bpf = bpf;
    k->policy = *policy;
    return 0;
}

/* --- attaching ------------------------------------------------------------------------------- */

/* The link that an earlier process pinned, when it still holds our interface; else -1. */
static int old_link(const struct kernel_path *k)
{
    char path[PINS_NAME_SIZE];
    struct bpf_link_info info = { 0 };
    uint32_t size = sizeof(info);
    int fd = bpf_obj_get(pins_name(path, k->pin, "link"));
    if (fd < 0)
        return -1;
    if (!bpf_obj_get_info_by_fd(fd, &info, &size) && info.xdp.ifindex == k->options.index)
        return fd;
    close(fd); /* of an interface that is gone */
    unlink(path);
    return -1;
}

/* Who was protected is this process's to say. */
static void clear_destinations(const struct kernel_path *k)
{
    uint64_t at = 0;
    void *value;
    while ((value = shared_table_next(k->destinations, &at)))
        shared_table_remove(k->destinations, shared_table_key(value));
}

static int take_over(struct kernel_path *k, int link, struct error *err)
{
    if (bpf_link_update(link, bpf_program__fd(k->bpf->progs.flow_sentinel), NULL)) {
        close(link);
        return error_system(err, ERROR_RUN, "cannot take over the XDP program of %s",
                            k->ifname);
    }
    clear_destinations(k);
    k->link = link;
    snprintf(k->description, sizeof(k->description), "taken over");
    return 0;
}

static int attach(struct kernel_path *k, struct error *err)
{
    char path[PINS_NAME_SIZE];
    uint32_t mode, id;
    int link = k->pin ? old_link(k) : -1;
    if (link >= 0)
        return take_over(k, link, err);
    id = xdp_attached(k->options.index, &mode);
    if (id)
        return xdp_occupied(k->ifname, id, "detach it first", err);
    k->link = xdp_attach(bpf_program__fd(k->bpf->progs.flow_sentinel), k->ifname,
                         k->options.index, k->options.attach, k->description, err);
    if (k->link < 0)
        return k->link;
    if (k->pin && bpf_obj_pin(k->link, pins_name(path, k->pin, "link")))
        return error_system(err, ERROR_RUN, "cannot pin %s", path);
    return 0;
}

int kernel_path_watch(struct path *path, struct error *err)
{
    struct kernel_path *k = kernel(path);
    struct bpf_link_info info = { 0 };
    uint32_t size = sizeof(info);
    if (k->options.test ||
        (k->link >= 0 && !bpf_obj_get_info_by_fd(k->link, &info, &size) &&
         info.xdp.ifindex))
        return 0;
    if (k->link >= 0)
        close(k->link);
    k->link = -1;
    k->options.index = if_nametoindex(k->ifname);
    if (!k->options.index)
        return error_set(err, ERROR_RUN, ENODEV, "%s is gone", k->ifname);
    int error = attach(k, err);
    return error ? error : 1;
}

/* --- sources ---------------------------------------------------------------------------------- */

static bool get(struct path *path, const struct path_address *key,
                struct sentinel_entry *entry)
{
    const struct sentinel_entry *found = shared_table_find(kernel(path)->entries, key);
    if (found)
        *entry = *found;
    return found;
}

static void count_block(struct path *path, const struct path_address *key,
                        uint64_t change)
{
    struct sentinel_entry entry;
    if (get(path, key, &entry) && entry.kind == KIND_BLOCKED)
        __atomic_fetch_add(&path->state->blocks, change, __ATOMIC_RELAXED);
}

static int put(struct path *path, const struct path_address *key,
               const struct sentinel_entry *entry)
{
    count_block(path, key, (uint64_t)-1);
    int error = shared_table_put(kernel(path)->entries, key, entry);
    count_block(path, key, 1);
    return error;
}

static bool remove_entry(struct path *path, const struct path_address *key)
{
    count_block(path, key, (uint64_t)-1);
    return shared_table_remove(kernel(path)->entries, key);
}

static void entries(struct path *path, path_visit *each, void *user)
{
    uint64_t at = 0;
    void *value;
    while ((value = shared_table_next(kernel(path)->entries, &at)))
        each(shared_table_key(value), value, user);
}

/* In batches, that a change of the map does not disturb. */
static void each_of(const struct bpf_map *map, path_visit *each, void *user)
{
    size_t size = bpf_map__value_size(map);
    struct path_address *keys = malloc(BATCH * sizeof(*keys));
    uint8_t *values = malloc(BATCH * size);
    uint32_t at = 0, next;
    bool first = true;
    int error = keys && values ? 0 : -ENOMEM;
    while (!error) {
        uint32_t count = BATCH;
        error = bpf_map_lookup_batch(bpf_map__fd(map), first ? NULL : &at, &next, keys,
                                     values, &count, NULL);
        if (error && errno != ENOENT)
            break;
        for (uint32_t i = 0; i < count; i++)
            each(&keys[i], values + i * size, user);
        at = next;
        first = false;
    }
    free(keys);
    free(values);
}

static void suspects(struct path *path, path_visit *each, void *user)
{
    each_of(kernel(path)->bpf->maps.suspects, each, user);
}

/* --- lists -------------------------------------------------------------------------------------- */

static int list_failed(size_t count, int error, struct error *err)
{
    return error_set(err, ERROR_RUN, -error, "no room for a list of %zu prefixes: %s",
                     count, strerror(-error));
}

/* One trie holds both families: what is said of ::/0 is not said of ::ffff:0:0/96. There, unless
 * the list has something to say, is an entry that expired long ago. */
static int fill_list(int map, const struct path_listed *list, size_t count)
{
    const struct sentinel_prefix ipv4 = { .bits = 96,
                                          .address[2] = __builtin_bswap32(0xffff) };
    const struct sentinel_entry nothing = { .expires = 1 };
    if (bpf_map_update_elem(map, &ipv4, &nothing, BPF_ANY))
        return -errno;
    for (size_t i = 0; i < count; i++)
        if (bpf_map_update_elem(map, &list[i].prefix, &list[i].entry, BPF_ANY))
            return -errno;
    return 0;
}

static int set_list(struct path *path, const struct path_listed *list, size_t count,
                    struct error *err)
{
    uint32_t slot = 0;
    int outer = bpf_map__fd(kernel(path)->bpf->maps.prefixes), error;
    if (!count) {
        error = bpf_map_delete_elem(outer, &slot) && errno != ENOENT ? -errno : 0;
        return error ? list_failed(count, error, err) : 0;
    }
    LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_NO_PREALLOC);
    int map =
        bpf_map_create(BPF_MAP_TYPE_LPM_TRIE, "prefixes", sizeof(struct sentinel_prefix),
                       sizeof(struct sentinel_entry), 524288, &opts);
    if (map < 0)
        return list_failed(count, -errno, err);
    error = fill_list(map, list, count);
    if (!error && bpf_map_update_elem(outer, &slot, &map, BPF_ANY))
        error = -errno;
    close(map);
    return error ? list_failed(count, error, err) : 0;
}

/* --- destinations ---------------------------------------------------------------------------------- */

static int put_destination(struct path *path, const struct path_address *key,
                           const struct sentinel_destination *to)
{
    if (to->index >= bpf_map__max_entries(kernel(path)->bpf->maps.destination_counts))
        return -ENOSPC;
    return shared_table_put(kernel(path)->destinations, key, to);
}

static bool get_destination(struct path *path, const struct path_address *key,
                            struct sentinel_destination *to)
{
    const struct sentinel_destination *found =
        shared_table_find(kernel(path)->destinations, key);
    if (found)
        *to = *found;
    return found;
}

static bool remove_destination(struct path *path, const struct path_address *key)
{
    return shared_table_remove(kernel(path)->destinations, key);
}

/* The sum over CPUs of a value that is but 64-bit words. */
static void sum_cpus(const struct kernel_path *k, const struct bpf_map *map,
                     uint32_t index, void *sum, size_t size)
{
    uint64_t *words = calloc((size_t)k->cpus, size), *total = sum;
    memset(sum, 0, size);
    if (words && !bpf_map_lookup_elem(bpf_map__fd(map), &index, words))
        for (int cpu = 0; cpu < k->cpus; cpu++)
            for (size_t i = 0; i < size / sizeof(*words); i++)
                total[i] += words[(size_t)cpu * (size / sizeof(*words)) + i];
    free(words);
}

static void counts(struct path *path, uint32_t index,
                   struct sentinel_destination_counts *sum)
{
    sum_cpus(kernel(path), kernel(path)->bpf->maps.destination_counts, index, sum,
             sizeof(*sum));
}

static void totals(struct path *path, struct sentinel_totals *sum)
{
    sum_cpus(kernel(path), kernel(path)->bpf->maps.totals, 0, sum, sizeof(*sum));
}

/* --- news ------------------------------------------------------------------------------------------- */

static int on_event(void *context, void *data, size_t size)
{
    struct kernel_path *k = context;
    if (size >= sizeof(struct sentinel_event))
        k->each_event(data, k->user);
    return 0;
}

static int on_sample(void *context, void *data, size_t size)
{
    struct kernel_path *k = context;
    if (size >= sizeof(struct sentinel_sample))
        k->each_sample(data, k->user);
    return 0;
}

static int events(struct path *path, void (*each)(const struct sentinel_event *, void *),
                  void *user)
{
    struct kernel_path *k = kernel(path);
    k->each_event = each;
    k->user = user;
    return ring_buffer__consume(k->events);
}

static int samples(struct path *path,
                   void (*each)(const struct sentinel_sample *, void *), void *user)
{
    struct kernel_path *k = kernel(path);
    k->each_sample = each;
    k->user = user;
    return ring_buffer__consume(k->samples);
}

/* --- how it is ----------------------------------------------------------------------------------------- */

/* The ring's first page is where it was read to, the second where it was written to. */
static const volatile unsigned long *map_positions(const struct bpf_map *map)
{
    void *at = mmap(NULL, 2 * (size_t)sysconf(_SC_PAGESIZE), PROT_READ, MAP_SHARED,
                    bpf_map__fd(map), 0);
    return at == MAP_FAILED ? NULL : at;
}

static double share(const volatile unsigned long *positions, const struct bpf_map *map)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE) / sizeof(*positions);
    unsigned long read = positions[0], written = positions[page];
    return (double)(written - read) / bpf_map__max_entries(map);
}

static struct path_backlog backlog(const struct path *path)
{
    const struct kernel_path *k = kernel(path);
    return (struct path_backlog){ .events =
                                      share(k->event_positions, k->bpf->maps.events),
                                  .samples =
                                      share(k->sample_positions, k->bpf->maps.samples) };
}

static bool program_runs(const struct kernel_path *k, uint32_t *id, uint64_t *runs,
                         uint64_t *ns)
{
    struct bpf_prog_info info = { 0 };
    uint32_t size = sizeof(info);
    if (bpf_obj_get_info_by_fd(kernel_path_program(&k->path), &info, &size))
        return false;
    *id = info.id;
    *runs = info.run_cnt;
    *ns = info.run_time_ns;
    return true;
}

bool kernel_path_measure_begin(struct path *path)
{
    struct kernel_path *k = kernel(path);
    if (k->measuring < 0)
        k->measuring = bpf_enable_stats(BPF_STATS_RUN_TIME);
    return k->measuring >= 0 && program_runs(k, &k->measured, &k->runs, &k->run_time);
}

bool kernel_path_measure_end(struct path *path, uint64_t *runs, uint64_t *ns)
{
    struct kernel_path *k = kernel(path);
    uint32_t id;
    bool same = k->measuring >= 0 && program_runs(k, &id, runs, ns) && id == k->measured;
    if (k->measuring >= 0)
        close(k->measuring);
    k->measuring = -1;
    *runs -= k->runs;
    *ns -= k->run_time;
    return same;
}

/* --- life ----------------------------------------------------------------------------------------------- */

static void kernel_free(struct path *path)
{
    struct kernel_path *k = kernel(path);
    shared_table_free(k->entries);
    shared_table_free(k->destinations);
    for (int i = 0; i < MAPPINGS && k->mappings[i].at; i++)
        munmap(k->mappings[i].at, k->mappings[i].size);
    ring_buffer__free(k->events);
    ring_buffer__free(k->samples);
    if (k->event_positions)
        munmap((void *)k->event_positions, 2 * (size_t)sysconf(_SC_PAGESIZE));
    if (k->sample_positions)
        munmap((void *)k->sample_positions, 2 * (size_t)sysconf(_SC_PAGESIZE));
    if (k->measuring >= 0)
        close(k->measuring);
    if (k->link >= 0)
        close(k->link);
    flow_sentinel_bpf__destroy(k->bpf);
    free(k->ifname);
    free(k->pin);
    free(k);
}

static const struct path_ops kernel_ops = {
    .set_policy = set_policy,
    .get = get,
    .put = put,
    .remove = remove_entry,
    .entries = entries,
    .set_list = set_list,
    .put_destination = put_destination,
    .get_destination = get_destination,
    .remove_destination = remove_destination,
    .counts = counts,
    .suspects = suspects,
    .totals = totals,
    .events = events,
    .samples = samples,
    .backlog = backlog,
    .free = kernel_free,
};

/* Into this process; until kernel_free. */
static void *map_values(struct kernel_path *k, const struct bpf_map *map)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t value = (bpf_map__value_size(map) + 7) & ~(size_t)7;
    size_t size = (value * bpf_map__max_entries(map) + page - 1) & ~(page - 1);
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);
    if (at == MAP_FAILED)
        return NULL;
    struct mapping *mapping = k->mappings;
    while (mapping->at)
        mapping++;
    *mapping = (struct mapping){ at, size };
    return at;
}

static struct shared_table *open_table(struct kernel_path *k, struct shared_head *head,
                                       const struct bpf_map *buckets,
                                       const struct bpf_map *slots, size_t value_size)
{
    void *words = map_values(k, buckets), *values = map_values(k, slots);
    if (!head->seed)
        head->seed = k->options.secret;
    return words && values
               ? shared_table_open(head, words, bpf_map__max_entries(buckets), values,
                                   bpf_map__max_entries(slots), value_size)
               : NULL;
}

static int map_tables(struct kernel_path *k, struct error *err)
{
    struct sentinel_state *state = map_values(k, k->bpf->maps.data_shared);
    if (state) {
        k->path.state = state;
        state->schema = SENTINEL_SCHEMA;
        state->secret = k->options.secret;
        k->entries = open_table(k, &state->entries, k->bpf->maps.entry_buckets,
                                k->bpf->maps.entry_slots, sizeof(struct sentinel_entry));
        k->destinations = open_table(
            k, &state->destinations, k->bpf->maps.destination_buckets,
            k->bpf->maps.destination_slots, sizeof(struct sentinel_destination));
    }
    if (k->entries && k->destinations)
        return 0;
    return error_system(err, ERROR_RUN, "cannot map the tables of the XDP program");
}

static int open_rings(struct kernel_path *k, struct error *err)
{
    k->events = ring_buffer__new(bpf_map__fd(k->bpf->maps.events), on_event, k, NULL);
    k->samples = ring_buffer__new(bpf_map__fd(k->bpf->maps.samples), on_sample, k, NULL);
    k->event_positions = map_positions(k->bpf->maps.events);
    k->sample_positions = map_positions(k->bpf->maps.samples);
    return k->events && k->samples && k->event_positions && k->sample_positions
               ? 0
               : error_system(err, ERROR_RUN, "cannot map the rings of the XDP program");
}

/* Without a program maps are of no use, and nobody else takes them out. */
static void unpin_unused(const struct kernel_path *k)
{
    char path[PINS_NAME_SIZE];
    if (k->pin && access(pins_name(path, k->pin, "link"), F_OK))
        pins_remove(k->pin);
}

struct path *kernel_path_new(const struct kernel_path_options *options,
                             const struct sentinel_policy *policy, struct error *err)
{
    struct kernel_path *k = calloc(1, sizeof(*k));
    if (!k) {
        error_set(err, ERROR_RUN, ENOMEM, "no memory for the XDP program");
        return NULL;
    }
    k->path.ops = &kernel_ops;
    k->options = *options;
    k->policy = *policy;
    k->link = k->measuring = -1;
    k->cpus = libbpf_num_possible_cpus();
    k->ifname = strdup(options->ifname);
    k->pin = options->pin ? strdup(options->pin) : NULL;
    k->bpf = load(k, policy, err);
    if (k->bpf && !map_tables(k, err) && !open_rings(k, err)) {
        kernel_path_set_clock(&k->path);
        if (options->test || !attach(k, err))
            return &k->path;
    }
    unpin_unused(k);
    kernel_free(&k->path);
    return NULL;
}

void kernel_path_set_clock(const struct path *path)
{
    LIBBPF_OPTS(bpf_test_run_opts, opts);
    bpf_prog_test_run_opts(bpf_program__fd(kernel(path)->bpf->progs.set_clock), &opts);
}

const char *kernel_path_describe(const struct path *path)
{
    return kernel(path)->description;
}

int kernel_path_fd(const struct path *path)
{
    return ring_buffer__epoll_fd(kernel(path)->events);
}

int kernel_path_program(const struct path *path)
{
    return bpf_program__fd(kernel(path)->bpf->progs.flow_sentinel);
}

static int run(const struct path *path, const uint8_t *data, uint32_t length,
               struct bpf_test_run_opts *opts)
{
    opts->data_in = data;
    opts->data_size_in = length;
    return bpf_prog_test_run_opts(kernel_path_program(path), opts) ? -errno : 0;
}

int kernel_path_test(struct path *path, const uint8_t *data, uint32_t length)
{
    LIBBPF_OPTS(bpf_test_run_opts, opts, .repeat = 1);
    int error = run(path, data, length, &opts);
    return error ? error : (int)opts.retval;
}
