#!/usr/bin/python3
"""books: what came in to a VxlanNat is somewhere, each second.

    books.py NAME PID SECONDS

Looks at the counters of app nat under NAME each second, and at what the process has of memory and files.
Ends with an error when something is not accounted for, or the process grows.
"""
import os
import sys
import time

from program import Program, unaccounted

SETTLED = 5  # seconds, after which a program has what it needs
GROWTH = 8 << 20
CALLERS = 4  # of its control socket, who may be there or not


def resident(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main(name, pid, seconds):
    program, first = Program(name), None
    for second in range(seconds + 1):
        counters = program.counters()
        problem = unaccounted(counters)
        has = resident(pid), len(os.listdir(f"/proc/{pid}/fd"))
        if problem:
            raise SystemExit(f"second {second}: {problem}: {counters}")
        if second == min(SETTLED, seconds // 2):
            first = has
        if first and (has[0] > first[0] + GROWTH or has[1] > first[1] + CALLERS):
            raise SystemExit(f"second {second}: memory and files {has}, were {first}")
        if second < seconds:
            time.sleep(1)
    print(f"memory {has[0] >> 20} MiB, files {has[1]}")


main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
