/* flow_sentinel: what the files of this app share. */
#pragma once
#include "apps/flow_sentinel/guarded.h"
#include "apps/flow_sentinel/lists.h"
#include "apps/flow_sentinel/parameters.h"
#include "apps/flow_sentinel/path.h"
#include "apps/flow_sentinel/surroundings.h"
#include "engine/engine.h"
#include "lib/hook.h"
#include "lib/pcapng.h"
#include "lib/random.h"
#include "lib/space_saving.h"
#include "lib/table.h"

#define PIN_SIZE  128
#define NEWS_SIZE 4096 /* events that wait for who asks for them */

struct flow_sentinel {
    struct path *path;
    struct sentinel_policy policy;
    struct detect_policy detect;
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
    struct hook *hook;            /* NULL: nobody is told */
    struct space_saving *talkers; /* sources by bytes, of samples */
    struct timer timer;
    uint64_t ticks;
    struct random_key random; /* of samples */
    uint64_t draws;
    struct sentinel_event news[NEWS_SIZE];
    uint64_t nnews, news_read; /* at most NEWS_SIZE apart */
    uint64_t news_missed;      /* nobody asked for them in time */
    uint64_t expired;          /* entries that were taken out after their end */
};

/* Events and samples into what people ask for. */
void sentinel_news(struct app *app);
void sentinel_sampled(struct flow_sentinel *s, const struct sentinel_frame *frame,
                      uint32_t rate, const uint8_t *bytes, uint32_t captured);

/* The data path's time. */
uint64_t sentinel_now(const struct app *app);

/* Takes the blocks out of those that the lists allow. */
void sentinel_let_off(struct flow_sentinel *s);

extern const struct operation_row sentinel_operations[];
int sentinel_call(struct app *app, uint32_t operation, const struct value *args,
                  struct value *answer, struct error *err);
