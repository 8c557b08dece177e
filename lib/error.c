/* error: what went wrong, in words for a person. */
#include "lib/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int error_set(struct error *err, enum error_kind kind, int errnum, const char *format,
              ...)
{
    if (err) {
        va_list args;
        va_start(args, format);
        err->kind = kind;
        vsnprintf(err->text, sizeof(err->text), format, args);
        va_end(args);
    }
    return -errnum;
}

int error_system(struct error *err, enum error_kind kind, const char *format, ...)
{
    int errnum = errno;
    if (err) {
        va_list args;
        va_start(args, format);
        vsnprintf(err->text, sizeof(err->text), format, args);
        va_end(args);
        err->kind = errnum == EPERM || errnum == EACCES ? ERROR_PRIVILEGE : kind;
        size_t used = strlen(err->text);
        snprintf(err->text + used, sizeof(err->text) - used, ": %s", strerror(errnum));
    }
    return -errnum;
}

void error_prefix(struct error *err, const char *format, ...)
{
    if (!err)
        return;
    char text[sizeof(err->text)];
    va_list args;
    va_start(args, format);
    int used = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (used >= 0 && (size_t)used < sizeof(text))
        snprintf(text + used, sizeof(text) - (size_t)used, "%s", err->text);
    memcpy(err->text, text, sizeof(text));
}
