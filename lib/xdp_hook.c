/* xdp_hook: loading, attaching, sharing. */
#include "lib/xdp_hook.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/owner.h"
#include "lib/traffic_match.h"
#include "xdp_hook.skel.h"

struct xdp_hook {
    struct xdp_hook *next;
    unsigned users;
    unsigned index, queues;
    struct netns netns;
    char *ifname, *match;
    struct xdp_hook_options options;
    struct xdp_hook_bpf *bpf; /* what runs now */
    int link;                 /* bpf_link; -1: not our program */
    int sockets;              /* the XSKMAP */
    int behind;               /* the program that was there before us, or -1 */
    uint32_t behind_mode;     /* XDP_FLAGS_* that it was attached with */
    int front, front_next;    /* what runs before ours, and where it finds that; or -1 */
    enum bpf_attach_type attach_type;
    char description[XDP_ATTACH_DESCRIPTION];
};

/* Those of this process. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct xdp_hook *hooks;

/* --- loading ------------------------------------------------------------------------ */

/* The maps outlive programs: a new one takes over those of the old. */
static int share_maps(struct xdp_hook *hook, struct xdp_hook_bpf *bpf)
{
    if (!hook->bpf)
        return bpf_map__set_max_entries(bpf->maps.sockets, hook->queues);
    int error =
        bpf_map__reuse_fd(bpf->maps.sockets, bpf_map__fd(hook->bpf->maps.sockets));
    return error
               ? error
               : bpf_map__reuse_fd(bpf->maps.behind, bpf_map__fd(hook->bpf->maps.behind));
}

static struct xdp_hook_bpf *load(struct xdp_hook *hook, const struct traffic_match *match,
                                 struct error *err)
{
    xdp_keep_complaint();
    struct xdp_hook_bpf *bpf = xdp_hook_bpf__open();
    if (!bpf) {
        xdp_load_failed(hook->ifname, -errno, err);
        return NULL;
    }
    bpf->rodata->match = *match;
    bpf->rodata->fallback = hook->options.drop ? XDP_DROP : XDP_PASS;
    bpf->rodata->has_behind = hook->behind >= 0;
    bpf_program__set_expected_attach_type(bpf->progs.vanguard, hook->attach_type);
    if (hook->options.frags)
        bpf_program__set_flags(bpf->progs.vanguard, BPF_F_XDP_HAS_FRAGS);
    int error = share_maps(hook, bpf);
    if (!error)
        error = xdp_hook_bpf__load(bpf);
    if (!error)
        return bpf;
    xdp_load_failed(hook->ifname, error, err);
    xdp_hook_bpf__destroy(bpf);
    return NULL;
}

/* --- a program that was there before us --------------------------------------------- */

/* Takes a foreign program off the interface, to be called by ours. */
static int displace(struct xdp_hook *hook, uint32_t id, uint32_t mode, struct error *err)
{
    hook->behind_mode = mode;
    hook->behind = bpf_prog_get_fd_by_id(id);
    if (hook->behind < 0)
        return error_system(err, ERROR_RUN, "XDP program %u of %s", id, hook->ifname);
    LIBBPF_OPTS(bpf_xdp_attach_opts, opts, .old_prog_fd = hook->behind);
    int error = bpf_xdp_detach((int)hook->index, mode, &opts);
    if (!error)
        return 0;
    close(hook->behind);
    hook->behind = -1;
    return error_set(err, ERROR_CONFIG, -error,
                     "XDP program %u of %s is held by a bpf_link: only its owner can "
                     "detach it",
                     id, hook->ifname);
}

static int make_way(struct xdp_hook *hook, struct error *err)
{
    uint32_t mode, id = xdp_attached(hook->index, &mode);
    if (!id)
        return 0;
    if (!hook->options.force)
        return xdp_occupied(hook->ifname, id,
                            "detach it, or say force = true to have it run behind ours",
                            err);
    if (hook->options.attach == XDP_ATTACH_AUTO)
        hook->options.attach =
            mode == XDP_FLAGS_SKB_MODE ? XDP_ATTACH_GENERIC : XDP_ATTACH_NATIVE;
    return displace(hook, id, mode, err);
}

static int link_behind(struct xdp_hook *hook)
{
    uint32_t first = 0;
    if (hook->behind < 0)
        return 0;
    return bpf_map_update_elem(bpf_map__fd(hook->bpf->maps.behind), &first, &hook->behind,
                               BPF_ANY)
               ? -errno
               : 0;
}

/* A program can call only such as were loaded the way it was, and does not know how that
 * is: libbpf says what kind of attaching is meant, others do not. */
static int load_in_front(struct xdp_hook *hook, const struct traffic_match *match,
                         struct error *err)
{
    static const enum bpf_attach_type types[] = { BPF_XDP, (enum bpf_attach_type)0 };
    int error = -EINVAL;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]) && error; i++) {
        hook->attach_type = types[i];
        hook->bpf = load(hook, match, err);
        if (!hook->bpf)
            return -EIO;
        error = link_behind(hook);
        if (!error)
            return 0;
        xdp_hook_bpf__destroy(hook->bpf);
        hook->bpf = NULL;
    }
    return error_set(err, ERROR_RUN, -error,
                     "the XDP program of %s cannot run behind ours: %s", hook->ifname,
                     strerror(-error));
}

/* --- sharing ------------------------------------------------------------------------ */

static const char *text(const char *match)
{
    return match ? match : "";
}

static int join(struct xdp_hook *hook, const struct xdp_hook_options *options,
                struct error *err)
{
    const struct xdp_hook_options *o = &hook->options;
    if (strcmp(text(hook->match), text(options->match)))
        return error_set(err, ERROR_CONFIG, EBUSY,
                         "%s: match \"%s\" is not that of the other app on it (\"%s\")",
                         hook->ifname, text(options->match), text(hook->match));
    if ((options->attach != XDP_ATTACH_AUTO && options->attach != o->attach) ||
        options->drop != o->drop || options->frags != o->frags)
        return error_set(err, ERROR_CONFIG, EBUSY,
                         "%s: attach, fallback and frags are not those of the other app "
                         "on it",
                         hook->ifname);
    hook->users++;
    return 0;
}

static struct xdp_hook *find(unsigned index, const struct netns *netns)
{
    struct xdp_hook *hook = hooks;
    while (hook && (hook->index != index || !netns_equal(&hook->netns, netns)))
        hook = hook->next;
    return hook;
}

/* As far as it was set up. */
static void destroy(struct xdp_hook *hook)
{
    if (hook->link >= 0)
        close(hook->link);
    if (hook->behind >= 0) {
        bpf_xdp_attach((int)hook->index, hook->behind, hook->behind_mode, NULL);
        close(hook->behind);
    }
    if (hook->bpf)
        xdp_hook_bpf__destroy(hook->bpf);
    else if (hook->sockets >= 0)
        close(hook->sockets);
    free(hook->ifname);
    free(hook->match);
    free(hook);
}

/* Somebody else's program and map. */
static int borrow(struct xdp_hook *hook, const char *map, struct error *err)
{
    struct bpf_map_info info = { 0 };
    uint32_t size = sizeof(info);
    hook->index = 0; /* nobody else's business */
    hook->sockets = bpf_obj_get(map);
    if (hook->sockets < 0)
        return error_system(err, ERROR_CONFIG, "XSKMAP %s", map);
    if (bpf_obj_get_info_by_fd(hook->sockets, &info, &size) ||
        info.type != BPF_MAP_TYPE_XSKMAP)
        return error_set(err, ERROR_CONFIG, EINVAL, "%s is not an XSKMAP", map);
    snprintf(hook->description, sizeof(hook->description), "program of %s", map);
    return 0;
}

static int set_up(struct xdp_hook *hook, struct error *err)
{
    struct traffic_match match;
    int error = traffic_match_parse(&match, hook->match, err);
    if (!error)
        error = make_way(hook, err);
    if (error)
        return error;
    error = load_in_front(hook, &match, err);
    if (error)
        return error;
    hook->sockets = bpf_map__fd(hook->bpf->maps.sockets);
    hook->link = xdp_attach(bpf_program__fd(hook->bpf->progs.vanguard), hook->ifname,
                            hook->index, hook->options.attach, hook->description, err);
    return hook->link < 0 ? hook->link : 0;
}

static struct xdp_hook *hook_new(const char *ifname, unsigned index, unsigned queues,
                                 const struct xdp_hook_options *options)
{
    struct xdp_hook *hook = calloc(1, sizeof(*hook));
    *hook = (struct xdp_hook){ .users = 1,
                               .index = index,
                               .queues = queues,
                               .options = *options,
                               .link = -1,
                               .sockets = -1,
                               .behind = -1,
                               .front = -1,
                               .front_next = -1 };
    hook->ifname = strdup(ifname);
    hook->match = strdup(text(options->match));
    hook->options.match = NULL;
    netns_self(&hook->netns, NULL);
    return hook;
}

static struct xdp_hook *open_locked(const char *ifname, unsigned index, unsigned queues,
                                    const struct xdp_hook_options *options,
                                    struct error *err)
{
    struct netns here = { 0 };
    netns_self(&here, NULL);
    struct xdp_hook *hook = options->map ? NULL : find(index, &here);
    if (hook)
        return join(hook, options, err) ? NULL : hook;
    hook = hook_new(ifname, index, queues, options);
    if (options->map ? borrow(hook, options->map, err) : set_up(hook, err)) {
        destroy(hook);
        return NULL;
    }
    hook->next = hooks;
    hooks = hook;
    return hook;
}

struct xdp_hook *xdp_hook_open(const char *ifname, unsigned index, unsigned queues,
                               const struct xdp_hook_options *options, struct error *err)
{
    pthread_mutex_lock(&lock);
    struct xdp_hook *hook = open_locked(ifname, index, queues, options, err);
    pthread_mutex_unlock(&lock);
    return hook;
}

struct xdp_hook *xdp_hook_join(unsigned index)
{
    struct netns here = { 0 };
    netns_self(&here, NULL);
    pthread_mutex_lock(&lock);
    struct xdp_hook *hook = find(index, &here);
    if (hook)
        hook->users++;
    pthread_mutex_unlock(&lock);
    return hook;
}

void xdp_hook_close(struct xdp_hook *hook)
{
    pthread_mutex_lock(&lock);
    if (hook && !--hook->users) {
        struct xdp_hook **at = &hooks;
        while (*at != hook)
            at = &(*at)->next;
        *at = hook->next;
        destroy(hook);
    }
    pthread_mutex_unlock(&lock);
}

/* --- while it runs ------------------------------------------------------------------ */

/* Ours is what the interface runs, or what the program in front goes on to. */
static int put_program(const struct xdp_hook *hook, int program)
{
    uint32_t first = 0;
    return hook->front < 0
               ? bpf_link_update(hook->link, program, NULL)
               : bpf_map_update_elem(hook->front_next, &first, &program, BPF_ANY);
}

static int replace(struct xdp_hook *hook, const struct traffic_match *match,
                   struct error *err)
{
    struct xdp_hook_bpf *bpf = load(hook, match, err);
    if (!bpf)
        return -EIO;
    if (put_program(hook, bpf_program__fd(bpf->progs.vanguard))) {
        error_system(err, ERROR_RUN, "cannot replace the XDP program of %s",
                     hook->ifname);
        xdp_hook_bpf__destroy(bpf);
        return -EIO;
    }
    xdp_hook_bpf__destroy(hook->bpf);
    hook->bpf = bpf;
    hook->sockets = bpf_map__fd(bpf->maps.sockets);
    return 0;
}

int xdp_hook_match(struct xdp_hook *hook, const char *match, struct error *err)
{
    struct traffic_match parsed;
    int error = traffic_match_parse(&parsed, match, err);
    if (error)
        return error;
    pthread_mutex_lock(&lock);
    if (strcmp(hook->match, text(match)))
        error = replace(hook, &parsed, err);
    if (!error) {
        free(hook->match);
        hook->match = strdup(text(match));
    }
    pthread_mutex_unlock(&lock);
    return error;
}

int xdp_hook_add(struct xdp_hook *hook, unsigned queue, int fd, struct error *err)
{
    pthread_mutex_lock(&lock);
    int error = bpf_map_update_elem(hook->sockets, &queue, &fd, BPF_NOEXIST);
    if (error)
        error = error_system(err, ERROR_RUN, "queue %u of %s", queue, hook->ifname);
    pthread_mutex_unlock(&lock);
    return error;
}

void xdp_hook_remove(struct xdp_hook *hook, unsigned queue)
{
    pthread_mutex_lock(&lock);
    bpf_map_delete_elem(hook->sockets, &queue);
    pthread_mutex_unlock(&lock);
}

static int put_front(struct xdp_hook *hook, int program, int next, struct error *err)
{
    int ours = hook->bpf ? bpf_program__fd(hook->bpf->progs.vanguard) : -1;
    uint32_t first = 0;
    if (hook->link < 0 || (program >= 0 && hook->front >= 0))
        return error_set(err, ERROR_CONFIG, EBUSY,
                         "%s: the program that runs there lets no other one in front",
                         hook->ifname);
    if ((program >= 0 && bpf_map_update_elem(next, &first, &ours, BPF_ANY)) ||
        bpf_link_update(hook->link, program < 0 ? ours : program, NULL))
        return error_system(err, ERROR_RUN, "cannot put a program in front of that of %s",
                            hook->ifname);
    hook->front = program;
    hook->front_next = next;
    return 0;
}

int xdp_hook_front(struct xdp_hook *hook, int program, int next, struct error *err)
{
    pthread_mutex_lock(&lock);
    int error = put_front(hook, program, next, err);
    pthread_mutex_unlock(&lock);
    return error;
}

bool xdp_hook_frags(const struct xdp_hook *hook)
{
    return hook->options.frags;
}

const char *xdp_hook_describe(const struct xdp_hook *hook)
{
    return hook->description;
}
