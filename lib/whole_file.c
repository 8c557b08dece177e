/* whole_file: all bytes of a file. */
#include "lib/whole_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define STEP 65536

/* 0, or an errno. */
static int read_all(FILE *file, size_t most, char **bytes, size_t *length)
{
    size_t room = 0, got;
    do {
        if (room - *length < STEP) {
            char *more = realloc(*bytes, room = 2 * room + STEP);
            if (!more)
                return ENOMEM;
            *bytes = more;
        }
        got = fread(*bytes + *length, 1, STEP, file);
        *length += got;
    } while (got && *length <= most);
    return ferror(file) ? errno : *length > most ? EFBIG : 0;
}

int whole_file_read(const char *path, size_t most, char **bytes, size_t *length)
{
    FILE *file = fopen(path, "re");
    *bytes = NULL;
    *length = 0;
    int error = file ? read_all(file, most, bytes, length) : errno;
    if (file)
        fclose(file);
    if (!error)
        return 0;
    free(*bytes);
    *bytes = NULL;
    return -error;
}
