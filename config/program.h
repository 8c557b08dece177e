/* program: the bundled programs, seen from main.
 *
 *   program_main       vanguard PROGRAM [options] [arguments]
 *
 * A program is a Lua file programs/NAME.lua inside the binary that returns a table
 *
 *     { doc = one line, args = "FILE [ARG...]", options = rows, run = function (options,
 * args) }
 *
 * with option rows { name =, short =, type =, arg =, default =, choices =, many =, doc = }
 * (many: it may be given again and again, and its value is a list). From the rows come parsing by argp(3), --help, and the checks of values. It uses nothing
 * that a user's own file could not use.
 */
#pragma once

/* The exit code: 0 done, otherwise enum error_kind or what the program's run returned. */
int program_main(int argc, char **argv, const char *version);
