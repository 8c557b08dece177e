/* error: what went wrong, in words for a person.
 *
 *   error_set         fill an error, return the negative errno it was given
 *   error_system      the same for a failed system call: "what: strerror"
 *   error_prefix      put the place in front of an error that is on its way up
 *
 * Functions that can fail return 0 or a negative errno and fill the struct error that
 * the caller passed. The kind decides the exit code of a program (the values are the
 * codes).
 */
#pragma once

enum error_kind {
    ERROR_RUN = 1,       /* failed while running */
    ERROR_USAGE = 2,     /* unknown program, option, value of an option */
    ERROR_CONFIG = 3,    /* graph, file, parameter, an interface that is not there */
    ERROR_FILE = 5,      /* a result file could not be written */
    ERROR_EXPECT = 6,    /* an expectation failed */
    ERROR_PRIVILEGE = 7, /* not allowed; the text says what would allow it */
};

struct error {
    enum error_kind kind;
    char text[512];
};

/* Fills err (which may be NULL) and returns -errnum. The text has no newline. */
int error_set(struct error *err, enum error_kind kind, int errnum, const char *format,
              ...) __attribute__((format(printf, 4, 5)));

/* For a failed system call: reads errno, appends ": strerror(errno)"; EPERM and EACCES
 * make it ERROR_PRIVILEGE whatever the kind. Returns -errno. */
int error_system(struct error *err, enum error_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts the formatted text in front of err's text. */
void error_prefix(struct error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
