/* order: in which order apps pull and push.
 *
 * Apps pull in the order of their names. They push in topological order, so that a packet
 * crosses an acyclic graph within one breath; where several could be next, the first by
 * name is.
 *
 * What an app with pull transmits comes from its pull as a rule, before anybody pushes:
 * the links that leave it are no reason to push it first, except as a tie-break. So the
 * usual "a.output -> x.input, x.output -> b.input, b.output -> y.input, y.output ->
 * a.input" of two interfaces is no cycle. In a real cycle some link carries its packets
 * to the next breath.
 *
 * One order is made for the apps of all cores, in which links between cores do not count;
 * each engine then takes what is its own.
 */
#include "engine/internal.h"

#include <stdlib.h>
#include <string.h>

struct node {
    struct app *app;
    uint32_t strong; /* predecessors that have not pushed yet and have no pull */
    uint32_t weak;   /* the same with pull */
    bool done;
};

static int by_name(const void *a, const void *b)
{
    return strcmp((*(struct app *const *)a)->name, (*(struct app *const *)b)->name);
}

/* Nodes by rank of name; rank[i] is the rank of engine->apps[i]. */
static struct node *make_nodes(const struct engine *engine, struct app **sorted,
                               uint32_t *rank)
{
    struct node *nodes = calloc(engine->napps + 1, sizeof(*nodes));
    for (uint32_t i = 0; i < engine->napps; i++) {
        nodes[i].app = sorted[i];
        rank[strmap_get(&engine->graph->app_index, sorted[i]->name)] = i;
    }
    return nodes;
}

static uint32_t app_at(const struct engine *engine, const char *name)
{
    return strmap_get(&engine->graph->app_index, name);
}

/* The ranks of a link's ends; false for one that leads to another core. */
static bool link_ends(const struct engine *engine, const uint32_t *rank, uint32_t link,
                      uint32_t *from, uint32_t *to)
{
    const struct link_spec *spec = &engine->graph->links[link].spec;
    *from = rank[app_at(engine, spec->from_app)];
    *to = rank[app_at(engine, spec->to_app)];
    return !engine->links[link]->across;
}

struct edges {
    uint32_t *first; /* by rank: where its successors begin in to[] */
    uint32_t *to;
};

static struct edges make_edges(const struct engine *engine, struct node *nodes,
                               const uint32_t *rank)
{
    const struct graph *graph = engine->graph;
    struct edges edges = { calloc(engine->napps + 2, sizeof(uint32_t)),
                           calloc(graph->nlinks + 1, sizeof(uint32_t)) };
    uint32_t from, to;
    for (uint32_t i = 0; i < graph->nlinks; i++) {
        if (!link_ends(engine, rank, i, &from, &to))
            continue;
        edges.first[from + 1]++;
        if (nodes[from].app->class->pull)
            nodes[to].weak++;
        else
            nodes[to].strong++;
    }
    for (uint32_t i = 0; i < engine->napps; i++)
        edges.first[i + 1] += edges.first[i];
    uint32_t *next = calloc(engine->napps + 1, sizeof(uint32_t));
    for (uint32_t i = 0; i < graph->nlinks; i++)
        if (link_ends(engine, rank, i, &from, &to))
            edges.to[edges.first[from] + next[from]++] = to;
    free(next);
    return edges;
}

/* Sets of ranks, so that the first by name is found without a search through all. */
static void set_add(uint64_t *set, uint32_t rank)
{
    set[rank / 64] |= 1ull << rank % 64;
}

static void set_remove(uint64_t *set, uint32_t rank)
{
    set[rank / 64] &= ~(1ull << rank % 64);
}

static uint32_t set_first(const uint64_t *set, uint32_t words)
{
    for (uint32_t i = 0; i < words; i++)
        if (set[i])
            return i * 64 + (uint32_t)__builtin_ctzll(set[i]);
    return UINT32_MAX;
}

struct sort {
    struct node *nodes;
    uint32_t words;
    uint64_t *free, *nearly, *left; /* no predecessors; only weak ones; not pushed yet */
};

static void sort_place(struct sort *sort, uint32_t rank)
{
    const struct node *node = &sort->nodes[rank];
    if (node->done || node->strong)
        return;
    set_add(node->weak ? sort->nearly : sort->free, rank);
    if (!node->weak)
        set_remove(sort->nearly, rank);
}

static uint32_t sort_next(const struct sort *sort)
{
    uint32_t rank = set_first(sort->free, sort->words);
    if (rank == UINT32_MAX)
        rank = set_first(sort->nearly, sort->words);
    return rank == UINT32_MAX ? set_first(sort->left, sort->words) : rank;
}

static void sort_take(struct sort *sort, uint32_t rank, const struct edges *edges)
{
    struct node *node = &sort->nodes[rank];
    node->done = true;
    set_remove(sort->free, rank);
    set_remove(sort->nearly, rank);
    set_remove(sort->left, rank);
    for (uint32_t i = edges->first[rank]; i < edges->first[rank + 1]; i++) {
        struct node *to = &sort->nodes[edges->to[i]];
        if (node->app->class->pull)
            to->weak--;
        else
            to->strong--;
        sort_place(sort, edges->to[i]);
    }
}

static void order_pushes(struct engine *engine, struct node *nodes,
                         const struct edges *edges)
{
    uint32_t words = engine->napps / 64 + 1;
    uint64_t *sets = calloc(3 * (size_t)words, sizeof(uint64_t));
    struct sort sort = { nodes, words, sets, sets + words, sets + 2 * words };
    for (uint32_t rank = 0; rank < engine->napps; rank++) {
        set_add(sort.left, rank);
        sort_place(&sort, rank);
    }
    for (uint32_t n = 0; n < engine->napps; n++) {
        uint32_t rank = sort_next(&sort);
        struct app *app = nodes[rank].app;
        if (app->class->push)
            app->engine->pushes[app->engine->npushes++] = app;
        sort_take(&sort, rank, edges);
    }
    free(sets);
}

static void make_room(struct engine *engine, size_t size)
{
    engine->pulls = realloc(engine->pulls, size);
    engine->pushes = realloc(engine->pushes, size);
    engine->ticks = realloc(engine->ticks, size);
    engine->npulls = engine->npushes = engine->nticks = 0;
}

void engine_order(struct engine *first)
{
    size_t size = (first->napps + 1) * sizeof(struct app *);
    for (uint32_t core = 0; core <= first->nothers; core++)
        make_room(engine_of_core(first, core), size);
    struct app **sorted = malloc(size);
    memcpy(sorted, first->apps, first->napps * sizeof(*sorted));
    qsort(sorted, first->napps, sizeof(*sorted), by_name);
    for (uint32_t i = 0; i < first->napps; i++) {
        struct engine *engine = sorted[i]->engine;
        if (sorted[i]->class->pull)
            engine->pulls[engine->npulls++] = sorted[i];
        if (sorted[i]->class->tick)
            engine->ticks[engine->nticks++] = sorted[i];
    }
    uint32_t *rank = calloc(first->napps + 1, sizeof(*rank));
    struct node *nodes = make_nodes(first, sorted, rank);
    struct edges edges = make_edges(first, nodes, rank);
    order_pushes(first, nodes, &edges);
    free(edges.first);
    free(edges.to);
    free(nodes);
    free(rank);
    free(sorted);
}
