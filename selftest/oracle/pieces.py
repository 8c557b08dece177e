#!/usr/bin/python3
"""pieces: packets that a kernel cut, in every order, through VxlanNat.

    pieces.py cut FILE SRC                    packets of 4,000 bytes and frames of 1,500 that the kernel in SRC
                                              sends by vx0; those that leave s0 are kept
    pieces.py inner FILE NAME PID SRC DST [wait]   the pieces of the former again, by s0, in each order
    pieces.py outer FILE NAME PID SRC DST [wait]   ... of the latter, cut on their way through the tunnel

What is whole must come to the sockets of the kernel in DST. NAME is what VxlanNat runs under, as app nat,
and PID that process; wait: until nothing is known of any packet.
"""
import itertools
import os
import pickle
import random
import signal
import socket
import subprocess
import sys
import time

from program import Program, unaccounted
from wires import ENDS, INNER, PATIENCE, SERVER, TALKERS, Wire, in_tunnel, inside, ip

from scapy.all import ICMP, Ether, IP, Raw, UDP, raw

RANDOM = random.Random(10)
ORDERS = list(itertools.permutations(range(3)))
OTHERS = 100
ALONE = 1500
LONG, FITTING = 4000, 1400
NARROW, WIDE = 576, 1600 # of the tunnel's way
IP_MTU_DISCOVER, IP_PMTUDISC_INTERFACE = 10, 4
TRACKER, REASSEMBLY = 15, 30  # seconds that are in the book: README.md
GROWTH = 8 << 20


def main(what, path, *rest):
    if what == "cut":
        cut(path, *rest)
        return
    with open(path, "rb") as file:
        kept = pickle.load(file)
    (inner if what == "inner" else outer)(kept, Replay(*rest[:4]), len(rest) > 4)


# --- the sending kernel -----------------------------------------------------------------------


def set_mtu(src, mtu):
    subprocess.run(["ip", "-n", src, "link", "set", "s0", "mtu", str(mtu)], check=True)


def cut(path, src):
    kept = {"udp": [], "echo": [], "tunnel": []}
    wire = Wire(src, "s0", outgoing=True)
    with inside(src):
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        icmp = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        narrow = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    narrow.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_INTERFACE)

    def keep(kind, send, payload):
        send(payload)
        pieces = wire.receive(lambda _, frames: len(frames) == 3)
        kept[kind].append((pieces, payload))

    def by(udp):
        return lambda payload: udp.sendto(payload, (TALKERS[4][1], 8080))

    for i in range(len(ORDERS) + 3):  # some lose their first piece
        keep("udp", by(udp), RANDOM.randbytes(LONG))
        keep("echo", lambda data: icmp.sendto(data, (TALKERS[4][1], 0)), raw(ICMP(id=7, seq=i) / Raw(RANDOM.randbytes(LONG))))
    set_mtu(src, NARROW)
    for _ in range(len(ORDERS) + 5):
        keep("tunnel", by(narrow), RANDOM.randbytes(FITTING))
    set_mtu(src, WIDE)
    with open(path, "wb") as file:
        pickle.dump(kept, file)
    print(*(f"{kind}: {len(sets)} in {sum(len(pieces) for pieces, _ in sets)}" for kind, sets in kept.items()))


# --- again ------------------------------------------------------------------------------------


class Replay:
    """Frames go out while VxlanNat stands still: however slow all this is, to it they come at once."""

    def __init__(self, name, pid, src, dst):
        self.program, self.pid = Program(name), int(pid)
        self.wire = Wire(src, "s0")
        with inside(dst):
            self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.icmp = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        self.udp.bind((SERVER[4], 8081))
        for one in self.udp, self.icmp:
            one.settimeout(PATIENCE)
        self.at = self.program.counters()

    def send(self, frames):
        os.kill(self.pid, signal.SIGSTOP)
        try:
            for frame in frames:
                self.wire.send(frame)
        finally:
            os.kill(self.pid, signal.SIGCONT)

    def datagrams(self, wanted):
        came = sorted(self.udp.recv(65536) for _ in wanted)
        check("datagrams", came == sorted(wanted), True)

    def echoes(self, wanted):
        came = sorted(self.icmp.recv(65536)[20:] for _ in wanted)
        check("echo requests", came == sorted(wanted), True)

    def rises(self, **by):
        """Those counters, by so much since the last time, and no drop else; and all is accounted for."""
        limit = time.monotonic() + PATIENCE
        while True:
            counters = self.program.counters()
            differs = {name: counters[name] - self.at[name] for name in counters
                       if name in by or name == "held" or name.startswith("drop_")}
            wanted = {name: by.get(name, 0) for name in differs}
            if differs == wanted:
                break
            if time.monotonic() > limit:
                wrong = {name: (n, wanted[name]) for name, n in differs.items() if n != wanted[name]}
                raise SystemExit(f"rose, wanted: {wrong}")
            time.sleep(0.05)
        check("books", unaccounted(counters), None)
        self.at = counters

    def resident(self):
        with open(f"/proc/{self.pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def check(what, value, wanted):
    if value != wanted:
        raise SystemExit(f"{what}: {value}, wanted {wanted}")


def interleave(sequences):
    """All of them as one, each in its own order."""
    left = [list(sequence) for sequence in sequences if sequence]
    while left:
        sequence = RANDOM.choice(left)
        yield sequence.pop(0)
        if not sequence:
            left.remove(sequence)


def ordered(sets):
    return [[pieces[i] for i in order] for order, (pieces, _) in zip(ORDERS, sets)]


def said(sets):
    return [payload for _, payload in sets]


def nothing_more(replay):
    """A datagram of its own comes next."""
    replay.send([small(b"last")])
    check("next datagram", replay.udp.recv(65536), b"last")


def small(payload, sport=9):
    return in_tunnel(raw(Ether(**INNER) / ip(4, TALKERS[4]) / UDP(sport=sport, dport=8080) / Raw(payload)))


def inner(kept, replay, wait):
    udp, echo = kept["udp"], kept["echo"]
    n = len(ORDERS)
    others = [(small(b"other %d" % i, 20000 + i), b"other %d" % i) for i in range(OTHERS)]
    headless = [pieces[1:] for pieces, _ in udp[n:] + echo[n:]]
    replay.send(interleave(ordered(udp) + ordered(echo) + [[frame] for frame, _ in others] + headless))
    replay.datagrams(said(udp[:n]) + said(others))
    replay.echoes(said(echo[:n]))
    frames = 6 * n + OTHERS
    early = sum(map(len, headless))
    replay.rises(forwarded=frames, errors=early, drop_frag_early=early)
    nothing_more(replay)
    print(f"{2 * n} packets in 3 pieces, {OTHERS} others, {early} pieces without a first one")

    last = udp[0][0][2]
    replay.send([last])  # its packet is known still
    replay.rises(forwarded=2)
    if wait:
        time.sleep(TRACKER)
        replay.send([last])
        replay.rises(drop_frag_early=1, errors=1)
        print(f"and nothing is known of them after {TRACKER} s")


def other_bytes(piece):
    """The same piece of an outer packet, that says something else."""
    return piece[:-1] + bytes([piece[-1] ^ 1])


def eight_earlier(piece):
    packet = Ether(piece)
    packet[IP].frag -= 1
    del packet[IP].chksum
    return raw(packet)


def numbered(piece, number):
    packet = Ether(piece)
    packet[IP].id = number
    del packet[IP].chksum
    return raw(packet)


def outer(kept, replay, wait):
    sets = kept["tunnel"]
    n = len(ORDERS)
    check("who sends", {Ether(piece)[IP].src for pieces, _ in sets for piece in pieces}, {ENDS[4][0]})
    replay.send(interleave(ordered(sets)))
    replay.datagrams(said(sets[:n]))
    replay.rises(forwarded=n, outer_merged=2 * n)

    (a, b, c), payload = sets[n]
    replay.send([b, b, a, c])  # twice the same
    replay.datagrams([payload])
    replay.rises(forwarded=1, outer_merged=2, drop_outer_frag_bad=1, errors=1)
    for contradiction in other_bytes, eight_earlier:
        n += 1
        a, b, c = sets[n][0]
        replay.send([a, b, contradiction(b), c])
        replay.rises(drop_outer_frag_bad=4, errors=4)
    print(f"{n - 1} packets in 3 pieces, 2 that contradict themselves")

    # pieces that stay alone: as many as there is room for
    before, alone = replay.resident(), sets[n + 1][0][0]
    for at in range(0, ALONE, 500):
        replay.send([numbered(alone, number) for number in range(at, at + 500)])
    replay.rises(held=1024, drop_outer_frag=ALONE - 1024, errors=ALONE - 1024)
    grown = replay.resident() - before
    check(f"grows within {GROWTH} bytes", grown <= GROWTH, True)
    print(f"{ALONE} pieces alone: 1024 wait, {grown >> 10} KiB more")
    if wait:
        time.sleep(REASSEMBLY)
        replay.rises(held=-1024, drop_outer_frag=1024, errors=1024)
        print(f"and none after {REASSEMBLY} s")
    replay.program.set(reassemble=False)
    replay.at = replay.program.counters()
    replay.send(sets[n + 2][0])
    replay.rises(drop_outer_frag=3, errors=3)
    nothing_more(replay)


main(*sys.argv[1:])
