#!/usr/bin/python3
"""frames: datagrams through VxlanNat, and each byte of what must come out, by scapy.

    frames.py make FILE COUNT             frames, and what must become of them
    frames.py through FILE SRC DST [any]  they go out by s0 in SRC and must come in by d0 in DST;
                                          any: in any order

Prints how many, and the bytes of the inner frames.
"""
import multiprocessing
import pickle
import random
import sys

from wires import BATCH, EGRESS, INNER, SERVER, TALKERS, Wire, in_tunnel

from scapy.all import Ether, IP, UDP, Raw, raw


def make(i):
    """Inner packets of 28 (an inner frame of 42) to 1,500 bytes; each size and flow again and again."""
    draw = random.Random(i)
    sport, payload = 20000 + i % 61, draw.randbytes(i * 7 % 1473)
    fields = {"id": i & 0xffff, "ttl": 1 + i % 255, "tos": draw.choice((0, 0x10, 0xb8, 2)), "flags": draw.choice((0, 2))}
    udp = {"chksum": 0} if i % 17 == 0 else {}
    src, dst = TALKERS[4]
    asked = Ether(**INNER) / IP(src=src, dst=dst, **fields) / UDP(sport=sport, dport=8080, **udp) / Raw(payload)
    wanted = Ether(**EGRESS) / IP(src=src, dst=SERVER[4], **fields) / UDP(sport=sport, dport=8081, **udp) / Raw(payload)
    return in_tunnel(raw(asked)), raw(wanted)


def through(path, src, dst, any_order):
    with open(path, "rb") as file:
        pairs = pickle.load(file)
    out, back, came = Wire(src, "s0"), Wire(dst, "d0"), []
    back.drain()
    for at in range(0, len(pairs), BATCH):
        batch = pairs[at:at + BATCH]
        for frame, _ in batch:
            out.send(frame)
        came += back.receive(lambda _, frames, n=len(batch): len(frames) == n)
    wanted = [frame for _, frame in pairs]
    if any_order:
        wanted.sort()
        came.sort()
    for i, (is_, should) in enumerate(zip(came, wanted)):
        if is_ != should:
            raise SystemExit(f"frame {i} is\n{is_.hex()}\n, wanted\n{should.hex()}")
    print(len(came), sum(map(len, came)))


if sys.argv[1] == "make":
    with multiprocessing.Pool(2) as pool, open(sys.argv[2], "wb") as file:
        pickle.dump(pool.map(make, range(int(sys.argv[3])), 100), file)
else:
    through(*sys.argv[2:5], len(sys.argv) > 5)
