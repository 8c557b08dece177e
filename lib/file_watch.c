/* file_watch: files that change while we run. */
#include "lib/file_watch.h"

#include <string.h>
#include <sys/stat.h>

struct file_mark file_mark(const char *path)
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

void file_watch_begin(struct file_watch *files, const char *const *paths, size_t count)
{
    for (size_t i = 0; i < count; i++)
        files[i].read = files[i].seen = file_mark(paths[i]);
}

static bool is_same(const struct file_mark *a, const struct file_mark *b)
{
    return !memcmp(a, b, sizeof(*a));
}

bool file_watch_changed(struct file_watch *files, const char *const *paths, size_t count)
{
    bool at_rest = true, changed = false;
    for (size_t i = 0; i < count; i++) {
        struct file_mark now = file_mark(paths[i]);
        at_rest &= is_same(&now, &files[i].seen);
        changed |= !is_same(&now, &files[i].read);
        files[i].seen = now;
    }
    return at_rest && changed;
}
