/* control: the socket by which another process reads and changes a running graph.
 *
 *   control_open     listen at "control" in the run directory
 *   control_close
 *   control_ask      the other side: one request, one answer
 *
 * A stream of lines, each request and each answer one JSON object. Only the owner of the run
 * directory and root get there: it has mode 0700, the socket 0600. What requests mean is in
 * control.lua. A client that sends a line longer than CONTROL_LINE, or that does not take its
 * answer, is hung up on.
 */
#pragma once
#include "lib/error.h"

#define CONTROL_LINE 65536

struct control;
struct vm;

/* directory: of the run. NULL with a message. Requests come while the engine of vm breathes. */
struct control *control_open(struct vm *vm, const char *directory, struct error *err);
void control_close(struct control *control); /* or NULL */

/* Sends request (one line, without its end) to the process whose run directory that is and
 * waits up to ten seconds; the answer is the caller's: free. NULL with a message:
 * ERROR_PRIVILEGE when it may not, ERROR_RUN when nobody listens or answers. */
char *control_ask(const char *directory, const char *request, struct error *err);
