/* report: what an engine did, in a few lines for a person. */
#include "engine/report.h"

#include <inttypes.h>
#include <string.h>

#define SILENT 5000000 /* ns without a sign of life after which a core is asleep */

/* A core notes the time when it goes to sleep, and how long it slept afterwards. */
static struct load load_take(const struct engine *engine)
{
    const uint64_t *words = engine->counter;
    uint64_t now = engine->first->now, then = words[ENGINE_NOW_NS];
    uint64_t silent = engine->first->running && now > then ? now - then : 0;
    return (struct load){
        .now = now,
        .breaths = words[ENGINE_BREATHS],
        .frees = words[ENGINE_FREES],
        .freebytes = words[ENGINE_FREEBYTES],
        .freebits = words[ENGINE_FREEBITS],
        .slept = words[ENGINE_SLEPT_NS] + (silent > SILENT ? silent : 0),
        .crossed = words[ENGINE_CROSSED],
    };
}

void loads_take(struct loads *loads, struct engine *engine)
{
    loads->count = engine->nothers + 1;
    engine_commit_counters(engine);
    for (uint32_t i = 0; i < loads->count; i++)
        loads->core[i] = load_take(engine_of_core(engine, i));
}

static double ratio(uint64_t part, uint64_t whole)
{
    return whole ? (double)part / (double)whole : 0;
}

static uint64_t growth(uint64_t from, uint64_t to)
{
    return to > from ? to - from : 0;
}

static struct load_rate rate_of(const struct load *from, const struct load *to)
{
    uint64_t ns = to->now - from->now, frees = to->frees - from->frees;
    double asleep = ratio(growth(from->slept, to->slept), ns);
    return (struct load_rate){
        .seconds = (double)ns / 1e9,
        .fps = ratio(frees, ns) * 1e9,
        .gbps = ratio(to->freebits - from->freebits, ns),
        .fpb = ratio(frees, to->breaths - from->breaths),
        .bpp = ratio(to->freebytes - from->freebytes, frees),
        .crossed = ratio(to->crossed - from->crossed, ns) * 1e9,
        .asleep = asleep > 1 ? 1 : asleep,
    };
}

/* A core that was not there yet had done nothing. */
static struct load load_at(const struct loads *loads, uint32_t core)
{
    return core < loads->count ? loads->core[core]
                               : (struct load){ .now = loads->core[0].now };
}

struct load_rate load_rate(const struct loads *from, const struct loads *to,
                           uint32_t core)
{
    struct load before = load_at(from, core);
    return rate_of(&before, &to->core[core]);
}

static struct load sum_of(const struct loads *loads)
{
    struct load sum = { .now = loads->core[0].now };
    for (uint32_t i = 0; i < loads->count; i++) {
        const struct load *load = &loads->core[i];
        sum.breaths += load->breaths;
        sum.frees += load->frees;
        sum.freebytes += load->freebytes;
        sum.freebits += load->freebits;
        sum.crossed += load->crossed;
    }
    return sum;
}

struct load_rate loads_rate(const struct loads *from, const struct loads *to)
{
    struct load before = sum_of(from), after = sum_of(to);
    struct load_rate rate = rate_of(&before, &after);
    for (uint32_t i = 0; i < to->count; i++)
        rate.asleep += load_rate(from, to, i).asleep / to->count;
    return rate;
}

/* 1234567 as "1,234,567". */
static const char *thousands(char *text, size_t size, uint64_t number)
{
    char digits[32];
    int length = snprintf(digits, sizeof(digits), "%" PRIu64, number);
    size_t used = 0;
    for (int i = 0; i < length && used + 2 < size; i++) {
        if (i && (length - i) % 3 == 0)
            text[used++] = ',';
        text[used++] = digits[i];
    }
    text[used] = 0;
    return text;
}

static void print_load(const struct load_rate *rate, FILE *out)
{
    char fps[32], fpb[32];
    fprintf(out, "time: %.2fs  fps: %s  Gbps: %.3f  fpb: %s  bpp: %.0f  sleep: %.0f%%",
            rate->seconds, thousands(fps, sizeof(fps), (uint64_t)rate->fps), rate->gbps,
            thousands(fpb, sizeof(fpb), (uint64_t)rate->fpb), rate->bpp,
            rate->asleep * 100);
}

void report_load(struct engine *engine, struct loads *since, FILE *out)
{
    struct loads now;
    char crossed[32];
    loads_take(&now, engine);
    for (uint32_t i = 0; i < now.count; i++) {
        struct load_rate rate = load_rate(since, &now, i);
        fputs("load: ", out);
        if (now.count > 1)
            fprintf(out, "core %u  ", i);
        print_load(&rate, out);
        if (now.count > 1)
            fprintf(out, "  to other cores: %s/s",
                    thousands(crossed, sizeof(crossed), (uint64_t)rate.crossed));
        fputc('\n', out);
    }
    *since = now;
}

void report_links(struct engine *engine, FILE *out)
{
    char sent[32];
    fprintf(out, "link report:\n");
    for (uint32_t i = 0; i < engine->nlinks; i++) {
        const struct link *link = engine->links[i];
        fprintf(out, "%20s sent on %s (loss rate: %.2g%%)\n",
                thousands(sent, sizeof(sent), link->write), link->name,
                100 * ratio(link->drops, link->write + link->drops));
    }
}

void report_apps(struct engine *engine, FILE *out)
{
    for (uint32_t i = 0; i < engine->napps; i++) {
        struct app *app = engine->apps[i];
        fprintf(out, "app %s (%s):", app->name, app->class->name);
        const struct counter_row *row = app->class->counters;
        for (uint32_t j = 0; row && row[j].name; j++)
            if (app->counters[j])
                fprintf(out, " %s %" PRIu64, row[j].name, app->counters[j]);
        if (app->class->report) {
            fputc(' ', out);
            app->class->report(app, out);
        }
        fputc('\n', out);
    }
}
