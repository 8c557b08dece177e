/* vm: a Lua state that speaks the graph language, seen from C without lua.h.
 *
 *   vm_new, vm_free
 *   vm_run_file          execute a configuration file
 *   vm_run_text          the same for a text: tests
 *   vm_call_global       call a function that a file or text defined
 *   vm_stop              free the engine: apps stop, the run directory goes
 *   vm_engine            the engine, when something has needed one; NULL before
 *   vm_message           all of what went wrong, with the traceback
 *
 * The engine is made when a file first needs it, so that engine.setup can choose its
 * options. Lua apps on further cores run in states of their own, which the vm makes. One vm
 * belongs to one thread. A process may have many; those that handle
 * signals or have a run directory are one at a time.
 */
#pragma once
#include <stdbool.h>

#include "engine/engine.h"
#include "lib/error.h"

struct vm;

struct vm_options {
    /* What a person should know of; no newline. May be NULL. */
    void (*log)(const char *line, void *user);
    void *log_user;
    bool signals;  /* SIGINT and SIGTERM end engine.main, SIGHUP reloads */
    bool checking; /* graphs are checked and nothing runs: engine.main returns at once */
    bool hosted;   /* engine.main returns at once, too: the caller drives vm_engine, be it
                    * by engine_run or by engine_fd */
    int most_instructions; /* after that many of Lua's own an error is raised; 0: no limit
                            */
};

struct vm *vm_new(const struct vm_options *options, struct error *err);
void vm_free(struct vm *vm);

/* argv[0] is the file, the rest its arguments (the global arg). A config that the file
 * returns is configured. 0 or a negative errno; err->text is cut to size. */
int vm_run_file(struct vm *vm, int argc, char *const *argv, struct error *err);
int vm_run_text(struct vm *vm, const char *name, const char *text, size_t length,
                struct error *err);
int vm_call_global(struct vm *vm, const char *name, struct error *err);

/* Errors are those of Lua's methods and timers that nobody has heard of yet (they stop the
 * engine), and of putting the host back. */
int vm_stop(struct vm *vm, struct error *err);

struct engine *vm_engine(const struct vm *vm);

/* The text of the last error, of any length; valid until the next call. */
const char *vm_message(const struct vm *vm);
