/* flow_sentinel: what the files of this app share. */
#pragma once
#include "apps/flow_sentinel/groups.h"
#include "apps/flow_sentinel/guarded.h"
#include "apps/flow_sentinel/lists.h"
#include "apps/flow_sentinel/networks.h"
#include "apps/flow_sentinel/parameters.h"
#include "apps/flow_sentinel/path.h"
#include "apps/flow_sentinel/surroundings.h"
#include "apps/flow_sentinel/talkers.h"
#include "engine/engine.h"
#include "lib/file_watch.h"
#include "lib/hook.h"
#include "lib/pcapng.h"
#include "lib/random.h"
#include "lib/table.h"

#define PIN_SIZE  128
#define NEWS_SIZE 4096 /* events that wait for who asks for them */

/* What outlives us beside pins. */
struct kept {
    char *path; /* of the snapshot; NULL: there is none, or it has not been read yet */
    uint64_t due, written;
    size_t rows; /* of the one that was read or written last */
    uint64_t restored, left_out;
    char problem[512]; /* with the latest one; empty: none */
    char refused[512]; /* why the one of before was not read */
};

enum { LIST_FILES = 2 }; /* allow_file, block_file */

struct watched {
    struct file_watch files[LIST_FILES];
    char problem[512]; /* why the lists are not those of the files; empty: they are */
};

/* How well the data path and its readers do. */
struct gauges {
    struct path_backlog peak, last_peak; /* of these ten seconds, of those before */
    uint64_t peak_since;
    uint64_t measure_at, measure_until; /* until: 0 when it is not being measured */
    double program_ns;                  /* a frame took; 0: too few came to tell */
    uint64_t overruns, stalls;          /* ticks that took too long; three in a row */
    unsigned in_a_row;
};

struct flow_sentinel {
    struct path *path;
    struct sentinel_policy policy;
    struct groups groups;
    struct sentinel_lists lists;
    struct guarded guarded;
    struct surroundings surroundings;
    struct path_address *protect; /* of the configuration */
    size_t nprotect;
    char pin[PIN_SIZE];  /* empty: nothing is pinned */
    uint32_t mtu;        /* of the interface; 0: there is none */
    bool detach;         /* what is pinned goes when we do */
    struct table *scans; /* by source: the `scan` of a suspect that was told of */
    struct pcapng_file capture;
    struct hook *hook; /* NULL: nobody is told */
    struct talkers *talkers;
    bool detached; /* the interface is gone, and the program with it */
    struct timer timer;
    uint64_t ticks;
    struct random_key random; /* of samples */
    uint64_t draws;
    struct sentinel_event news[NEWS_SIZE];
    uint64_t nnews, news_read; /* at most NEWS_SIZE apart */
    uint64_t news_missed;      /* nobody asked for them in time */
    struct watched watched;
    struct gauges gauges;
    struct kept kept;
    struct networks networks;
    uint64_t expired; /* entries that were taken out after their end */
};

#define SENTINEL_TICK 100000000ull /* ns */

/* Events and samples into what people ask for. */
void sentinel_news(struct app *app);
void sentinel_tell(struct app *app, const struct sentinel_event *event);
void sentinel_sampled(struct flow_sentinel *s, const struct sentinel_frame *frame,
                      uint32_t rate, const uint8_t *bytes, uint32_t captured);

/* The data path's time. */
uint64_t sentinel_now(const struct app *app);

/* look_around: own addresses, and those that must not be blocked, into the tables; who is
 * protected. What another process knew of its surroundings goes. */
void sentinel_look_around(struct app *app);
void sentinel_guard(struct app *app);
void sentinel_forget_surroundings(struct flow_sentinel *s);

/* reread: the lists of a configuration, and a policy with them unless it is NULL, both or
 * neither; the files again, at once or when they changed and are at rest; conf: what they are
 * now is what was read. */
int sentinel_take_lists(struct app *app, const struct sentinel_conf *conf,
                        const struct sentinel_policy *policy, struct error *err);
int sentinel_reread(struct app *app, struct error *err);
void sentinel_watch_files(struct app *app);
void sentinel_mark_files(struct flow_sentinel *s, const struct sentinel_conf *conf);

/* restore: blocks, and what people said, from the snapshot, once, and into it: when it is time,
 * or at the next tick. path: "auto", NULL for none. */
void sentinel_restore(struct app *app);
void sentinel_save(struct app *app);
void sentinel_save_soon(struct flow_sentinel *s);
void sentinel_keep_in(struct app *app, const char *path);

/* collect: entries that have ended go; networks of many blocked sources are blocked. */
void sentinel_collect(struct app *app);

/* gauges: what waits, before it is read; how long a tick took, in ns; how long the XDP program
 * takes, for a second of each minute. into: an answer. */
void sentinel_note_backlog(struct app *app);
void sentinel_note_tick(struct gauges *gauges, uint64_t took);
void sentinel_measure(struct app *app);
void sentinel_add_gauges(const struct flow_sentinel *s, struct value *into);

/* Names of interfaces are those of this network namespace; only the first one's mean the same
 * after a boot. */
bool sentinel_in_first_netns(void);

/* Takes the blocks out of those that the lists allow. */
void sentinel_let_off(struct flow_sentinel *s);

extern const struct operation_row sentinel_operations[];
int sentinel_call(struct app *app, uint32_t operation, const struct value *args,
                  struct value *answer, struct error *err);
