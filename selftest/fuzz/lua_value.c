/* Fuzzer: any bytes as a Lua chunk that describes graphs. Nothing is opened: graphs are
 * only checked. Memory and instructions are bounded by a hook. */
#include <stdint.h>
#include <stdlib.h>

#include "config/vm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a chunk may do is cut to the graph language: the rest of Lua is not what is
 * tested. */
static const char sandbox[] =
    "for _, name in ipairs { 'os', 'io', 'debug', 'package', 'coroutine', 'load', 'loadfile', 'dofile',\n"
    "   'require', 'collectgarbage', 'pcall', 'xpcall', 'app', 'process', 'screen', 'bench', 'counters', 'print', 'timer' } do\n"
    "   rawset(_G, name, false)\n"
    "end\n"
    "string.rep = false\n"
    "for name in pairs(engine) do if name ~= 'configure' and name ~= 'graph' then engine[name] = nil end end\n";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct vm_options options = { .checking = true, .most_instructions = 100000 };
    struct error err;
    if (size > 4096)
        return 0;
    struct vm *vm = vm_new(&options, &err);
    if (!vm || vm_run_text(vm, "sandbox.lua", sandbox, sizeof(sandbox) - 1, &err))
        abort();
    vm_run_text(vm, "fuzz.lua", (const char *)data, size, &err);
    vm_free(vm);
    return 0;
}
