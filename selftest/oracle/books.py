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


def maps(pid):
    """BPF maps that it holds."""
    count = 0
    for name in os.listdir(f"/proc/{pid}/fdinfo"):
        try:
            with open(f"/proc/{pid}/fdinfo/{name}", encoding="ascii") as file:
                count += "map_id:" in file.read()
        except FileNotFoundError:
            pass  # a caller that is gone
    return count


def main(name, pid, seconds):
    program, first = Program(name), None
    for second in range(seconds + 1):
        counters = program.counters()
        problem = unaccounted(counters)
        has = resident(pid), len(os.listdir(f"/proc/{pid}/fd")), maps(pid)
        if problem:
            raise SystemExit(f"second {second}: {problem}: {counters}")
        if second == min(SETTLED, seconds // 2):
            first = has
        if first and (has[0] > first[0] + GROWTH or has[1] > first[1] + CALLERS or has[2] != first[2]):
            raise SystemExit(f"second {second}: memory, files and BPF maps {has}, were {first}")
        if second < seconds:
            time.sleep(1)
    print(f"{seconds} seconds: memory {has[0] >> 10} KiB, was {first[0] >> 10}; files {has[1]}, BPF maps {has[2]}")


main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
