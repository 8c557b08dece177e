/* gauges: how well the data path and its readers do. */
#include "apps/flow_sentinel/flow_sentinel.h"
#include "apps/flow_sentinel/kernel_path.h"

#define SECOND       1000000000ull
#define PEAK_TIME    (10 * SECOND)
#define MEASURE_TIME SECOND
#define MEASURE_GAP  (60 * SECOND)
#define MEASURE_SOON (5 * SECOND) /* when there was nothing to measure */
#define RUNS         100          /* that tell something */
#define STALL        3            /* ticks in a row */

static double larger(double a, double b)
{
    return a > b ? a : b;
}

void sentinel_note_backlog(struct app *app)
{
    struct flow_sentinel *s = app->state;
    struct gauges *g = &s->gauges;
    struct path_backlog now = path_backlog(s->path);
    uint64_t time = sentinel_now(app);
    if (time - g->peak_since >= PEAK_TIME) {
        g->last_peak = g->peak;
        g->peak = (struct path_backlog){ 0 };
        g->peak_since = time;
    }
    g->peak.events = larger(g->peak.events, now.events);
    g->peak.samples = larger(g->peak.samples, now.samples);
}

/* As long as a stall goes on, it is another one every so often. */
void sentinel_note_tick(struct gauges *gauges, uint64_t took)
{
    bool over = took > SENTINEL_TICK;
    gauges->in_a_row = over ? gauges->in_a_row + 1 : 0;
    gauges->overruns += over;
    gauges->stalls += gauges->in_a_row && gauges->in_a_row % STALL == 0;
}

void sentinel_measure(struct app *app)
{
    struct flow_sentinel *s = app->state;
    struct gauges *g = &s->gauges;
    uint64_t now = sentinel_now(app), runs, ns;
    if (!g->measure_until && now >= g->measure_at) {
        g->measure_at = now + MEASURE_SOON;
        if (kernel_path_measure_begin(s->path))
            g->measure_until = now + MEASURE_TIME;
    } else if (g->measure_until && now >= g->measure_until) {
        g->measure_until = 0;
        if (!kernel_path_measure_end(s->path, &runs, &ns) || runs < RUNS)
            return;
        g->program_ns = (double)ns / (double)runs;
        g->measure_at = now + MEASURE_GAP;
    }
}

void sentinel_add_gauges(const struct flow_sentinel *s, struct value *into)
{
    const struct gauges *g = &s->gauges;
    value_table_add(into, "events_backlog",
                    value_number(larger(g->peak.events, g->last_peak.events)));
    value_table_add(into, "samples_backlog",
                    value_number(larger(g->peak.samples, g->last_peak.samples)));
    value_table_add(into, "tick_overruns", value_integer((int64_t)g->overruns));
    value_table_add(into, "tick_stalls", value_integer((int64_t)g->stalls));
    if (g->program_ns > 0)
        value_table_add(into, "program_ns", value_number(g->program_ns));
}
