/* reread: lists that change while we run.
 *
 * When they are read again: lib/file_watch.h. All of the lists change between two frames, or none
 * does and why is told.
 */
#include <string.h>

#include "apps/flow_sentinel/flow_sentinel.h"

/* LIST_FILES of them. */
#define PATHS(conf) ((const char *const[]){ (conf)->allow_file, (conf)->block_file })

void sentinel_mark_files(struct flow_sentinel *s, const struct sentinel_conf *conf)
{
    file_watch_begin(s->watched.files, PATHS(conf), LIST_FILES);
    *s->watched.problem = 0;
}

int sentinel_take_lists(struct app *app, const struct sentinel_conf *conf,
                        const struct sentinel_policy *policy, struct error *err)
{
    struct flow_sentinel *s = app->state;
    struct sentinel_lists lists = { 0 };
    struct watched before = s->watched;
    sentinel_mark_files(s, conf); /* what is written from here on is another change */
    int error = lists_load(&lists, conf, &s->lists, err);
    if (!error)
        error = lists_apply(&lists, s->path, err);
    if (!error && policy && (error = path_set_policy(s->path, policy, err)))
        lists_apply(&s->lists, s->path, NULL);
    if (error) {
        s->watched = before;
        lists_clear(&lists);
        return error;
    }
    lists_adopt(&s->lists, &lists);
    sentinel_let_off(s);
    if (policy)
        s->policy = *policy;
    return 0;
}

int sentinel_reread(struct app *app, struct error *err)
{
    struct flow_sentinel *s = app->state;
    int error = sentinel_take_lists(app, app->conf, NULL, err);
    if (!error)
        return 0;
    sentinel_mark_files(s, app->conf); /* once is enough */
    memcpy(s->watched.problem, err->text, sizeof(s->watched.problem));
    return error;
}

void sentinel_watch_files(struct app *app)
{
    struct flow_sentinel *s = app->state;
    const struct sentinel_conf *conf = app->conf;
    struct error err = { 0 };
    if (!file_watch_changed(s->watched.files, PATHS(conf), LIST_FILES))
        return;
    if (sentinel_reread(app, &err))
        app_log(app, "the lists stay as they were: %s", err.text);
    else
        app_log(app, "the list files were read again");
}
