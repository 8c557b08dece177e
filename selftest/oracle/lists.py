#!/usr/bin/python3
"""lists: who may pass changes, by commands and files, while packets of all sources flow through VxlanNat.

    lists.py VANGUARD NAME SRC DST FILE SECONDS

FILE is the allow_file of app nat under NAME; lists.py make FILE writes it first. Frames go out by s0 in SRC
and come in by d0 in DST, a window at a time: none but those of a window is under way, so that no queue can
be full, and while no command runs it is known of each whether it passes. So it is of those whose verdict
is the same before and behind a command at all times.
"""
import ipaddress
import itertools
import json
import pickle
import random
import struct
import subprocess
import sys
import time

from program import Program
from wires import INNER, PATIENCE, TALKERS, Wire, in_tunnel, mark

from scapy.all import Ether, IP, IPv6, Raw, UDP, raw

RANDOM = random.Random(324)
WINDOW = {"always": 100, "never": 60, "first": 20, "second": 20}  # frames: fewer than the ring of a veth takes
CERTAIN = 5  # windows, at least, between two commands
EXTRA = ("10.99.0.0/24", "2001:db8:99::/64")  # what comes and goes
PORT = 8080
SPORT = 50 + 34 # where it is in a frame

# --- the list ---------------------------------------------------------------------------------


def entries():
    """324 of them: addresses and prefixes of both families."""
    draw = random.Random(7)
    hosts4 = draw.sample(range(1 << 16), 200)
    hosts6 = draw.sample(range(1 << 16), 40)
    yield from (f"10.42.{n >> 8}.{n & 255}" for n in hosts4)
    yield from (f"10.{50 + n}.{n * 3}.{n << 4 & 0xc0}/{26 + n % 7}" for n in range(60))
    yield from (f"2001:db8:42::{n:x}" for n in hosts6)
    yield from (f"2001:db8:{0x50 + n:x}::/{64 + n}" for n in range(24))


def as_file(extra=()):
    all_of = list(entries())
    check("entries", len(set(all_of)), 324)
    return json.dumps({
        "version": "1.0",
        "organizations": [{"name": "one", "ips": all_of[:150], "enabled": True},
                          {"name": "off", "cidrs": ["10.98.0.0/24"], "enabled": False},
                          {"name": "two", "cidrs": [*all_of[150:], *extra], "enabled": True}],
        "flat_ip_list": all_of[100:200]})


def write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def sources():
    """By the standard library's own arithmetic: the ends of each entry, and what is just outside."""
    networks = [ipaddress.ip_network(entry) for entry in entries()]
    extra = [ipaddress.ip_network(entry) for entry in EXTRA]
    always = [address for n in networks for address in {n[0], n[-1]}]
    near = {address for n in networks for address in (n[0] - 1, n[-1] + 1)}
    mapped = [ipaddress.ip_address(f"::ffff:{n[0]}") for n in networks[:5]]
    never = [a for a in near if not any(a in n for n in networks)]
    never += [ipaddress.ip_address("10.98.0.7"), *mapped]
    first, second = ([n[i] for i in (0, 1, 77, 255)] for n in extra)
    return {"always": always, "never": never, "first": first, "second": second}


def frame(source, payload):
    six = source.version == 6
    header = (IPv6 if six else IP)(src=str(source), dst=TALKERS[source.version][1])
    udp = UDP(sport=9, dport=PORT, **({} if six else {"chksum": 0}))
    return in_tunnel(raw(Ether(**INNER) / header / udp / Raw(payload)))


def make(path):
    """The list; and of each group its frames, with numbers in them."""
    groups, number = {}, itertools.count()
    for group, addresses in sources().items():
        RANDOM.shuffle(addresses)
        groups[group] = [(n, frame(address, struct.pack(">I", n))) for address, n in zip(addresses, number)]
    marked = frame(ipaddress.ip_address(next(entries())), mark(0))
    write(path, as_file())
    with open(path + ".frames", "wb") as file:
        pickle.dump((groups, marked), file)


def check(what, value, wanted):
    if value != wanted:
        raise SystemExit(f"{what}: {value}, wanted {wanted}")


# --- windows ----------------------------------------------------------------------------------


class Traffic:
    def __init__(self, name, src, dst, path):
        self.program = Program(name)
        self.out, self.back = Wire(src, "s0"), Wire(dst, "d0")
        with open(path + ".frames", "rb") as file:
            groups, self.marked = pickle.load(file)
        self.frames = dict(pair for pairs in groups.values() for pair in pairs)
        self.group_of = {n: group for group, pairs in groups.items() for n, _ in pairs}
        self.next = {group: itertools.cycle(n for n, _ in pairs) for group, pairs in groups.items()}
        self.sent, self.came, self.windows, self.seconds = 0, 0, 0, 0.0
        self.back.drain()
        self.base = self.program.counters()

    def window(self, **passes):
        """Sends one; passes: of each group whether, None when nobody knows."""
        began, numbers = time.monotonic(), [next(self.next[group]) for group, n in WINDOW.items() for _ in range(n)]
        RANDOM.shuffle(numbers)
        for n in numbers:
            self.out.send(self.frames[n])
        self.sent += len(numbers)
        came = self.until_a_mark() if passes["always"] else self.until_all_are_counted()
        self.windows += 1
        self.seconds += time.monotonic() - began
        for group in WINDOW:
            of_group = sorted(n for n in numbers if self.group_of[n] == group)
            went = sorted(n for n in came if self.group_of[n] == group)
            if passes[group] is not None:
                check(f"window {self.windows}, {group}", went, of_group if passes[group] else [])

    def until_a_mark(self):
        """A flow's first packet never overtakes another one, also where the fast path knows all others."""
        wanted = mark(self.windows)
        flow = struct.pack(">H", 1024 + self.windows % 60000)
        self.out.send(self.marked[:SPORT] + flow + self.marked[SPORT + 2:-len(wanted)] + wanted)
        frames = self.back.receive(lambda frame, _: frame.endswith(wanted))
        self.sent += 1
        self.came += len(frames)
        return self.numbers(frames[:-1])

    def until_all_are_counted(self):
        frames, limit = [], time.monotonic() + PATIENCE
        while True:
            counters = self.program.counters()
            rose = {name: counters[name] - self.base[name] for name in ("vxlan_packets", "redirected")}
            if rose["vxlan_packets"] == self.sent and rose["redirected"] >= self.came:
                break
            if time.monotonic() > limit:
                raise SystemExit(f"{rose}, wanted {self.sent}")
            time.sleep(0.01)
        left = rose["redirected"] - self.came
        if left:
            frames = self.back.receive(lambda _, frames: len(frames) == left)
        self.came += left
        return self.numbers(frames)

    @staticmethod
    def numbers(frames):
        return [struct.unpack_from(">I", f, 42 if f[12:14] == b"\x08\x00" else 62)[0] for f in frames]


# --- commands ---------------------------------------------------------------------------------


def who(always=True, first=False, second=False):
    return {"always": always, "never": False, "first": first, "second": second}


def steps(path):
    """What a file says by then, a command, its exit code, who passes behind it."""
    plain, more = as_file(), as_file(EXTRA)
    wrong = more[:-1] + ', "total_ips": [}'
    other = path + ".other.json"
    none, both = who(), who(first=True, second=True)
    yield None, ["allow", "add", EXTRA[0]], 0, who(first=True)
    yield None, ["allow", "add", EXTRA[1]], 0, both
    yield (other, wrong), ["allow", "load", other], 3, both
    yield None, ["allow", "add", "10.99.0.0/33"], 3, both
    yield None, ["allow", "del", "10.99.0.0/25"], 1, both
    yield None, ["allow", "del", EXTRA[0]], 0, who(second=True)
    yield None, ["allow", "del", EXTRA[1]], 0, none
    yield (other, wrong), ["allow", "load", other], 3, none
    yield (other, more), ["allow", "load", other], 0, both
    yield (other, plain), ["allow", "load", other, "--dry-run"], 0, both
    yield (other, plain), ["allow", "load", other], 0, none
    yield (path, more), ["reload"], 0, both
    yield (path, wrong), ["reload"], 3, both
    yield (path, plain), ["reload"], 0, none
    yield None, ["allow", "clear", "--yes"], 0, who(always=False)
    yield (path, plain), ["reload"], 0, none


def run(vanguard, name, traffic, step, before):
    """Who passes before and behind it does so while it runs."""
    file, command, wanted, behind = step
    if file:
        write(*file)
    passes = {group: before[group] if before[group] == behind[group] else None for group in behind}
    with subprocess.Popen([vanguard, "vxlan-nat", *command, "--name", name], stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE) as process:
        while process.poll() is None:
            traffic.window(**passes)
        said = process.stderr.read().decode().strip()
    check(f"{' '.join(command)}: {said}: exit code", process.returncode, wanted)
    traffic.window(**passes)  # some of that time may be left
    for _ in range(CERTAIN):
        traffic.window(**behind)
    return behind


def main(vanguard, name, src, dst, path, seconds):
    traffic, passes, rounds = Traffic(name, src, dst, path), who(), 0
    for _ in range(CERTAIN):
        traffic.window(**passes)
    end = time.monotonic() + float(seconds)
    while not rounds or time.monotonic() < end:
        for step in steps(path):
            passes = run(vanguard, name, traffic, step, passes)
        rounds += 1
    print(f"{traffic.sent} frames from {len(traffic.frames)} sources, {traffic.sent / traffic.seconds:.0f} a second, "
          f"{traffic.came} passed, {rounds * len(list(steps(path)))} commands, no wrong verdict")


if sys.argv[1] == "make":
    make(sys.argv[2])
else:
    main(*sys.argv[1:7])
