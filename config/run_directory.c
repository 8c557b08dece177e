/* run_directory: the place under which other processes find this one. */
#include "config/run_directory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/journal.h"

#define NAMES_TRIED 1000

const char *run_directory_parent(char *text, size_t size)
{
    const char *xdg = getenv("XDG_RUNTIME_DIR");
    if (geteuid() == 0 && !access("/run", W_OK)) /* root of a user namespace may not */
        snprintf(text, size, "/run/vanguard");
    else if (xdg && *xdg == '/')
        snprintf(text, size, "%s/vanguard", xdg);
    else
        snprintf(text, size, "/tmp/vanguard-%u", (unsigned)geteuid());
    return text;
}

static bool fits_file_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '-' || c == '_' || c == '.';
}

static void clean_name(char *name, size_t size, const char *from)
{
    snprintf(name, size, "%s", *from ? from : "vanguard");
    for (char *c = name; *c; c++)
        if (!fits_file_name(*c) || (c == name && *c == '.'))
            *c = '_';
}

static int claim_one(struct run_directory *directory, const char *name, unsigned number,
                     struct error *err)
{
    char parent[PATH_MAX - 128], suffix[16] = "";
    if (number > 1)
        snprintf(suffix, sizeof(suffix), "-%u", number);
    snprintf(directory->path, sizeof(directory->path), "%s/%.80s%s",
             run_directory_parent(parent, sizeof(parent)), name, suffix);
    return journal_claim(directory->path, err);
}

int run_directory_claim(struct run_directory *directory, const char *name, bool any_name,
                        struct error *err)
{
    char clean[81];
    unsigned number = 1;
    clean_name(clean, sizeof(clean), name);
    int error = claim_one(directory, clean, number, err);
    /* -EXDEV: a dead process left changes in a network namespace that is not ours. */
    while (any_name && (error == -EEXIST || error == -EXDEV) && number < NAMES_TRIED)
        error = claim_one(directory, clean, ++number, err);
    if (!error) {
        directory->journal = journal_open(directory->path, err);
        if (directory->journal)
            return 0;
        journal_release(directory->path, NULL);
        error = -EIO;
    }
    *directory->path = 0;
    return error;
}

int run_directory_release(struct run_directory *directory, struct error *err)
{
    if (!*directory->path)
        return 0;
    int closed = journal_close(directory->journal, err);
    int released = journal_release(directory->path, closed ? NULL : err);
    *directory = (struct run_directory){ "" };
    return closed ? closed : released;
}
