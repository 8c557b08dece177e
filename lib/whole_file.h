/* whole_file: all bytes of a file.
 *
 *   whole_file_read
 */
#pragma once
#include <stddef.h>

/* bytes: to be freed; no NUL is behind them. -errno: of open(2) and read(2), -EFBIG when there are more
 * than `most`. */
int whole_file_read(const char *path, size_t most, char **bytes, size_t *length);
