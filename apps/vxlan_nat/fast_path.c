/* fast_path: VxlanNat's XDP program, and the table that it shares with the app. */
#include "apps/vxlan_nat/fast_path.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/ethtool.h"
#include "lib/map_values.h"
#include "lib/shared_table.h"
#include "lib/xdp_hook.h"
#include "vxlan_fast.skel.h"

#define TRIALS 100

struct fast_path {
    struct vxlan_fast_bpf *bpf;
    struct map_values values[3];
    struct vxlan_state *state;
    struct shared_table *flows;
    struct xdp_hook *hook; /* NULL: not attached */
    unsigned ingress, egress;
    char ingress_name[IF_NAMESIZE], egress_name[IF_NAMESIZE];
    int cpus;
    struct vxlan_counts *each; /* by processor */
    struct vxlan_counts told;
    char description[XDP_ATTACH_DESCRIPTION + 64];
};

/* --- loading --------------------------------------------------------------------------- */

static int load(struct fast_path *fast, uint32_t flows, struct error *err)
{
    xdp_keep_complaint();
    fast->bpf = vxlan_fast_bpf__open();
    if (!fast->bpf)
        return xdp_load_failed("vxlan_fast", -errno, err);
    bpf_map__set_max_entries(fast->bpf->maps.flow_buckets, shared_buckets(flows));
    bpf_map__set_max_entries(fast->bpf->maps.flow_slots, flows);
    fast->bpf->rodata->flow_mask = shared_buckets(flows) - 1;
    bpf_program__set_expected_attach_type(fast->bpf->progs.vxlan_fast, BPF_XDP);
    int error = vxlan_fast_bpf__load(fast->bpf);
    return error ? xdp_load_failed("vxlan_fast", error, err) : 0;
}

static int map_table(struct fast_path *fast, uint64_t seed, struct error *err)
{
    const struct vxlan_fast_bpf *bpf = fast->bpf;
    struct vxlan_state *state = map_values_open(&fast->values[0], bpf->maps.data_state);
    void *buckets = map_values_open(&fast->values[1], bpf->maps.flow_buckets);
    void *slots = map_values_open(&fast->values[2], bpf->maps.flow_slots);
    fast->cpus = libbpf_num_possible_cpus();
    fast->each = calloc((size_t)fast->cpus, sizeof(*fast->each));
    if (state && buckets && slots) {
        fast->state = state;
        state->flows.seed = seed;
        fast->flows = shared_table_open(&state->flows, buckets,
                                        bpf_map__max_entries(bpf->maps.flow_buckets),
                                        slots, bpf_map__max_entries(bpf->maps.flow_slots),
                                        VXLAN_KEY_WORDS, sizeof(struct vxlan_flow));
    }
    if (fast->flows && fast->each)
        return 0;
    return error_system(err, ERROR_RUN, "cannot map the tables of the XDP program");
}

struct fast_path *fast_path_new(uint32_t flows, uint64_t seed, struct error *err)
{
    struct fast_path *fast = calloc(1, sizeof(*fast));
    if (!fast) {
        error_set(err, ERROR_RUN, ENOMEM, "no memory");
        return NULL;
    }
    snprintf(fast->description, sizeof(fast->description), "not attached");
    if (load(fast, flows, err) || map_table(fast, seed, err)) {
        fast_path_free(fast);
        return NULL;
    }
    return fast;
}

void fast_path_free(struct fast_path *fast)
{
    if (!fast)
        return;
    fast_path_detach(fast);
    shared_table_free(fast->flows);
    for (size_t i = 0; i < sizeof(fast->values) / sizeof(fast->values[0]); i++)
        map_values_close(&fast->values[i]);
    vxlan_fast_bpf__destroy(fast->bpf);
    free(fast->each);
    free(fast);
}

struct vxlan_state *fast_path_state(const struct fast_path *fast)
{
    return fast->state;
}

struct shared_table *fast_path_flows(const struct fast_path *fast)
{
    return fast->flows;
}

/* --- is there a way through? ------------------------------------------------------------ */

static int refuse(const char *egress, const char *why, struct error *err)
{
    return error_set(err, ERROR_RUN, EOPNOTSUPP, "frames cannot be redirected to %s: %s",
                     egress, why);
}

/* How many of the frames that were redirected left. */
static int try_frames(struct fast_path *fast, const struct interface *egress)
{
    struct interface then = { 0 };
    uint8_t frame[64] = { 0 };
    struct xdp_md md = { .data_end = sizeof(frame), .ingress_ifindex = egress->index };
    LIBBPF_OPTS(bpf_test_run_opts, opts, .repeat = TRIALS,
                .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .data_in = frame,
                .data_size_in = sizeof(frame), .ctx_in = &md, .ctx_size_in = sizeof(md));
    memcpy(frame, egress->mac, 6);
    memcpy(frame + 6, egress->mac, 6);
    frame[12] = 0x88;
    frame[13] = 0xb5;
    if (bpf_prog_test_run_opts(bpf_program__fd(fast->bpf->progs.vxlan_trial), &opts) ||
        interface_query(egress->name, &then, NULL))
        return 0;
    return (int)(then.tx_packets - egress->tx_packets);
}

/* Does its driver say that it drops them, as a veth does of which the other end stops its NAPI? */
static bool drops_redirected(unsigned index)
{
    uint64_t features;
    return !ethtool_xdp_features(index, &features, NULL) &&
           !(features & XDP_FEATURE_XMIT);
}

static int try_egress(struct fast_path *fast, const struct interface *egress,
                      struct error *err)
{
    char why[80];
    if (drops_redirected(egress->index))
        return refuse(
            egress->name,
            "its driver does not send frames of XDP now (a veth needs a program, or "
            "GRO, on its other end)",
            err);
    int left = try_frames(fast, egress);
    snprintf(why, sizeof(why), "of %d for a trial %d left", TRIALS, left);
    return left >= TRIALS ? 0 : refuse(egress->name, why, err);
}

/* --- attaching ------------------------------------------------------------------------- */

static int set_egress(const struct fast_path *fast, unsigned index, struct error *err)
{
    const struct bpf_map *maps[] = { fast->bpf->maps.egress,
                                     fast->bpf->maps.egress_frags };
    uint32_t first = 0;
    for (int i = 0; i < 2; i++)
        if (bpf_map_update_elem(bpf_map__fd(maps[i]), &first, &index, BPF_ANY))
            return error_system(err, ERROR_RUN, "cannot redirect to %s",
                                fast->egress_name);
    return 0;
}

/* What this process has there, or else a program that lets everything pass. */
static struct xdp_hook *open_hook(const char *ifname, unsigned index, struct error *err)
{
    const struct xdp_hook_options options = { .attach = XDP_ATTACH_AUTO };
    struct xdp_hook *hook = xdp_hook_join(index);
    struct ethtool_state device;
    if (hook || ethtool_query(ifname, &device, err))
        return hook;
    unsigned queues = device.rx_queues + device.combined;
    return xdp_hook_open(ifname, index, queues ? queues : 1, &options, err);
}

static int put_in_front(struct fast_path *fast, struct error *err)
{
    const struct vxlan_fast_bpf *bpf = fast->bpf;
    bool frags = xdp_hook_frags(fast->hook);
    return xdp_hook_front(
        fast->hook,
        bpf_program__fd(frags ? bpf->progs.vxlan_fast_frags : bpf->progs.vxlan_fast),
        bpf_map__fd(frags ? bpf->maps.next_frags : bpf->maps.next), err);
}

static bool is_native(const struct xdp_hook *hook)
{
    return !strncmp(xdp_hook_describe(hook), "native", 6);
}

int fast_path_attach(struct fast_path *fast, const char *ingress, const char *egress,
                     struct error *err)
{
    struct interface in, out;
    int error = interface_query(ingress, &in, err);
    if (!error)
        error = interface_query(egress, &out, err);
    if (error)
        return error;
    snprintf(fast->ingress_name, sizeof(fast->ingress_name), "%s", ingress);
    snprintf(fast->egress_name, sizeof(fast->egress_name), "%s", egress);
    fast->ingress = in.index;
    fast->egress = out.index;
    error = set_egress(fast, out.index, err);
    if (error)
        return error;
    fast->hook = open_hook(ingress, in.index, err);
    if (!fast->hook)
        return -EIO;
    if (is_native(fast->hook))
        error = try_egress(fast, &out, err);
    if (!error)
        error = put_in_front(fast, err);
    if (error) {
        xdp_hook_close(fast->hook);
        fast->hook = NULL;
        return error;
    }
    snprintf(fast->description, sizeof(fast->description), "%.160s on %s",
             xdp_hook_describe(fast->hook), ingress);
    return 0;
}

void fast_path_detach(struct fast_path *fast)
{
    if (!fast->hook)
        return;
    xdp_hook_front(fast->hook, -1, -1, NULL);
    xdp_hook_close(fast->hook);
    fast->hook = NULL;
    snprintf(fast->description, sizeof(fast->description), "not attached");
}

bool fast_path_is_attached(const struct fast_path *fast)
{
    return fast->hook;
}

bool fast_path_is_stale(const struct fast_path *fast)
{
    return if_nametoindex(fast->ingress_name) != fast->ingress ||
           if_nametoindex(fast->egress_name) != fast->egress ||
           (is_native(fast->hook) && drops_redirected(fast->egress));
}

const char *fast_path_describe(const struct fast_path *fast)
{
    return fast->description;
}

/* --- what it did ------------------------------------------------------------------------ */

void fast_path_collect(struct fast_path *fast, struct vxlan_counts *since)
{
    const size_t words = sizeof(*since) / sizeof(uint64_t);
    uint64_t *told = (uint64_t *)&fast->told, *out = (uint64_t *)since;
    uint32_t first = 0;
    memset(since, 0, sizeof(*since));
    if (bpf_map_lookup_elem(bpf_map__fd(fast->bpf->maps.counts), &first, fast->each))
        return;
    for (size_t i = 0; i < words; i++) {
        for (int cpu = 0; cpu < fast->cpus; cpu++)
            out[i] += ((const uint64_t *)&fast->each[cpu])[i];
        uint64_t sum = out[i];
        out[i] -= told[i];
        told[i] = sum;
    }
}

int fast_path_program(const struct fast_path *fast)
{
    return bpf_program__fd(fast->bpf->progs.vxlan_fast_frags);
}

int fast_path_test(struct fast_path *fast, const uint8_t *data, uint8_t *out,
                   uint32_t *length, uint32_t room, uint32_t repeat, uint32_t *ns)
{
    LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = data, .data_size_in = *length,
                .data_out = out, .data_size_out = room, .repeat = (int)repeat);
    if (bpf_prog_test_run_opts(bpf_program__fd(fast->bpf->progs.vxlan_fast), &opts))
        return -errno;
    *length = opts.data_size_out;
    if (ns)
        *ns = opts.duration;
    return (int)opts.retval;
}
