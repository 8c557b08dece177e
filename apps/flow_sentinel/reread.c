/* reread: lists that change while we run.
 *
 * A file is read again when it is another one than the one that was read, or has been written to,
 * and has not changed between two looks: somebody may be writing it. All of the lists change
 * between two frames, or none does and why is told.
 */
#include <string.h>
#include <sys/stat.h>

#include "apps/flow_sentinel/flow_sentinel.h"

static struct file_mark mark_of(const char *path)
{
    struct file_mark mark = { 0 };
    struct stat st;
    if (path && !stat(path, &st) && S_ISREG(st.st_mode))
        mark = (struct file_mark){ .device = st.st_dev,
                                   .inode = st.st_ino,
                                   .size = (uint64_t)st.st_size,
                                   .changed = (uint64_t)st.st_mtim.tv_sec * 1000000000 +
                                              (uint64_t)st.st_mtim.tv_nsec };
    return mark;
}

static void look(const struct sentinel_conf *conf, struct file_mark marks[LIST_FILES])
{
    marks[0] = mark_of(conf->allow_file);
    marks[1] = mark_of(conf->block_file);
}

void sentinel_mark_files(struct flow_sentinel *s, const struct sentinel_conf *conf)
{
    look(conf, s->watched.read);
    memcpy(s->watched.seen, s->watched.read, sizeof(s->watched.seen));
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
    struct file_mark now[LIST_FILES];
    struct error err = { 0 };
    look(app->conf, now);
    bool at_rest = !memcmp(now, s->watched.seen, sizeof(now));
    memcpy(s->watched.seen, now, sizeof(now));
    if (!at_rest || !memcmp(now, s->watched.read, sizeof(now)))
        return;
    if (sentinel_reread(app, &err))
        app_log(app, "the lists stay as they were: %s", err.text);
    else
        app_log(app, "the list files were read again");
}
