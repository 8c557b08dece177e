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

#include "apps/flow_sentinel/kernel_tables.h"
#include "apps/flow_sentinel/pins.h"
#include "flow_sentinel.skel.h"

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

static int take_over(struct kernel_path *k, int link, struct error *err)
{
    if (bpf_link_update(link, bpf_program__fd(k->bpf->progs.flow_sentinel), NULL)) {
        close(link);
        return error_system(err, ERROR_RUN, "cannot take over the XDP program of %s",
                            k->ifname);
    }
    kernel_tables_unprotect(k); /* who is, is this process's to say */
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
    kernel_tables_unmap(k);
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
    .get = kernel_get,
    .put = kernel_put,
    .remove = kernel_remove,
    .entries = kernel_entries,
    .set_list = kernel_set_list,
    .put_destination = kernel_put_destination,
    .get_destination = kernel_get_destination,
    .remove_destination = kernel_remove_destination,
    .counts = kernel_counts,
    .suspects = kernel_suspects,
    .totals = kernel_totals,
    .events = events,
    .samples = samples,
    .backlog = backlog,
    .free = kernel_free,
};

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
    if (k->bpf && !kernel_tables_map(k, err) && !open_rings(k, err)) {
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
