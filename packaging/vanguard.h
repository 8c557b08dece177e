/* vanguard: all that a program which holds an engine, or an app class of its own, may use.
 *
 *   engine/engine.h         engines, graphs, apps, links, packets, timers, counters
 *   engine/plain.h          packets made plain: checksums filled in, super-frames cut
 *   engine/report.h         figures for people
 *   apps/apps.h             the app classes there are
 *   config/vm.h             graphs written in Lua
 *   config/run_directory.h  the place under which `vanguard top` finds the program
 *   lib/...                 what apps are commonly made of
 *
 * What these headers declare is what libvanguard exports, no more: the library is compiled
 * with everything else hidden, and with this file in front of every source.
 */
#pragma once
#pragma GCC visibility push(default)
#include "apps/apps.h"
#include "config/run_directory.h"
#include "config/vm.h"
#include "engine/engine.h"
#include "engine/plain.h"
#include "engine/report.h"
#include "lib/checksum.h"
#include "lib/journal.h"
#include "lib/random.h"
#pragma GCC visibility pop
