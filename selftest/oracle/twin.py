#!/usr/bin/python3
"""twin: the same frames through VxlanNat and through a kernel that decapsulates, translates and routes.

    twin.py SRC DST FAR

What goes into s0 comes out of d0 in DST, and what goes into s1 out of e0 in FAR; each frame there is
answered, and with ICMP errors; what comes back to s0 and s1 is looked at without its outer headers. Both
must be the same frames in the same order, but for identifications of what a kernel makes itself.
"""
import collections
import random
import sys

from wires import EGRESS, INNER, OUTER, SERVER, TALKERS, Wire, exchange, in_tunnel, ip, mark, marker

from scapy.all import (ICMP, Ether, IP, IPOption, IPv6, IPv6ExtHdrFragment, ICMPv6DestUnreach, ICMPv6EchoRequest,
                       ICMPv6PacketTooBig, ICMPv6TimeExceeded, Raw, TCP, UDP, fragment, fragment6, raw)

RANDOM = random.Random(5)


def asked(family, **fields):
    return Ether(**INNER) / ip(family, TALKERS[family], **fields)


def payload(most=1200):
    return Raw(RANDOM.randbytes(RANDOM.randrange(most)))


def udp(family, i):
    check = {"chksum": 0} if i % 7 == 3 and family == 4 else {}
    return UDP(sport=1000 + i % 13, dport=8080, **check) / payload()


connections = collections.Counter()


def tcp(family, i):
    """SYNs of their own, and connections that are under way: to a kernel nothing else begins one."""
    sport = 2000 + i % 37 if i % 5 else 10000 + i
    connections[family, sport] += 1
    at = connections[family, sport]
    flags = "S" if not i % 5 else "FA" if at == 9 else ("A", "PA")[at % 2]
    options = [("MSS", 1200), ("SAckOK", b""), ("WScale", 7)] if flags == "S" else [("NOP", None), ("NOP", None), ("Timestamp", (i, 7))]
    return TCP(sport=sport, dport=8080, flags=flags, seq=1000 + i, ack=0 if flags == "S" else 5, options=options) / payload()


def ping(family, i):
    echo = ICMP(id=300 + i % 5, seq=i) if family == 4 else ICMPv6EchoRequest(id=300 + i % 5, seq=i)
    return echo / payload(900)


def whole_packets(count):
    for i in range(count):
        family, kind = RANDOM.choice((4, 6)), RANDOM.choice((udp, tcp, ping))
        hops = RANDOM.choice((64, 64, 64, 255, 2, 1))
        fields = {"ttl": hops, "id": RANDOM.randrange(1, 65536), "flags": RANDOM.choice((0, 2)),
                  "tos": RANDOM.choice((0, 0xb8, 2))} if family == 4 else {"hlim": hops, "tc": RANDOM.choice((0, 0xb8))}
        if family == 4 and i % 11 == 0:
            fields["options"] = [IPOption(b"\x01")] * 4
        yield raw(asked(family, **fields) / kind(family, i))


def in_fragments(count):
    """Each in pieces of one size, in order: so they come out of a kernel that puts them together, too."""
    for i in range(count):
        data = Raw(RANDOM.randbytes(2000))
        if i % 2:
            pieces = fragment(asked(4, id=7000 + i) / UDP(sport=3000 + i, dport=8080) / data, 1208)
        else:
            whole = Ether(**INNER) / IPv6(src=TALKERS[6][0], dst=TALKERS[6][1]) / IPv6ExtHdrFragment(id=7000 + i)
            pieces = fragment6(whole / UDP(sport=3000 + i, dport=8080) / data, 1294)
        yield from map(raw, pieces)


def answers(frame):
    """Of a whole packet: what a server says, and what somebody on the way to it does."""
    packet = Ether(frame)
    family = 4 if IP in packet else 6
    layer = packet[IP if family == 4 else IPv6]
    back = ip(family, (layer.dst, layer.src), **({"id": 9, "ttl": 64} if family == 4 else {}))
    if UDP in packet:
        said = UDP(sport=packet[UDP].dport, dport=packet[UDP].sport) / payload(300)
    elif TCP in packet:
        said = TCP(sport=packet[TCP].dport, dport=packet[TCP].sport, flags="SA" if packet[TCP].flags == "S" else "A", seq=5, ack=7)
    elif ICMP in packet:
        said = ICMP(type=0, id=packet[ICMP].id, seq=packet[ICMP].seq) / payload(300)
    else:
        return
    ethernet = Ether(src=EGRESS["dst"], dst=EGRESS["src"])
    yield raw(ethernet / back / said)
    quoted = frame[14:]
    tell = ip(family, (layer.dst, layer.src))
    if family == 4:
        header = 4 * (quoted[0] & 15)
        for error in (ICMP(type=3, code=3), ICMP(type=3, code=4, nexthopmtu=1280), ICMP(type=11, code=0)):
            yield raw(ethernet / tell / error / Raw(quoted[:header + RANDOM.choice((8, 28))]))
    else:
        for error in (ICMPv6DestUnreach(code=4), ICMPv6PacketTooBig(mtu=1280), ICMPv6TimeExceeded()):
            yield raw(ethernet / tell / error / Raw(quoted[:1200]))


def is_tunnel(frame):
    return frame[12:14] == b"\x08\x00" and frame[23] == 17 and frame[36:38] == b"\x12\xb5"


def inner(frame):
    return frame[50:]


def without_id(frame):
    """What is its maker's: identifications of fragments of IPv6 and of ICMP errors (with DF they need none),
    and flow labels."""
    packet = Ether(frame)
    if IP in packet:
        packet[IP].id = packet[IP].flags = 0
        del packet[IP].chksum
    else:
        packet[IPv6].fl = 0
        if IPv6ExtHdrFragment in packet:
            packet[IPv6ExtHdrFragment].id = 0
    return raw(packet)


def compare(what, ours, kernels):
    print(f"{what}: {len(ours)}, of the kernel {len(kernels)}")
    for i, (mine, its) in enumerate(zip(ours, kernels)):
        if mine != its:
            raise SystemExit(f"{what} {i}\n{mine.hex()}\nof the kernel\n{its.hex()}")
    if len(ours) != len(kernels):
        raise SystemExit("not as many")


def used_up():
    """Packets that go no further, of which their sender is told."""
    for family in (4, 6):
        for kind in (udp, tcp, ping):
            for _ in range(3):
                yield in_tunnel(raw(asked(family, **({"ttl": 1} if family == 4 else {"hlim": 1})) / kind(family, 1)))


def through_both(enter, frames, leave, marked):
    """What comes of them: by VxlanNat, by the kernel."""
    for wire in leave:
        wire.drain()
    return [exchange(into, frames, out, marked) for into, out in zip(enter, leave)]


def main(src, dst, far):
    ends, beyond = [Wire(src, "s0"), Wire(src, "s1")], [Wire(dst, "d0"), Wire(far, "e0")]
    to_server = lambda number: in_tunnel(marker(number))
    to_asker = lambda number: raw(Ether(src=EGRESS["dst"], dst=EGRESS["src"]) / ip(4, (SERVER[4], TALKERS[4][0])) /
                                  UDP(sport=8081, dport=7) / Raw(mark(number)))
    came = through_both(ends, [in_tunnel(frame) for frame in whole_packets(1500)], beyond, to_server)
    compare("packets", *came)
    replies = [reply for frame in came[0] for reply in answers(frame)]
    returned = through_both(beyond, replies, ends, to_asker)
    compare("answers and errors", *[[inner(frame) for frame in frames if is_tunnel(frame)] for frames in returned])
    pieces = through_both(ends, [in_tunnel(frame) for frame in in_fragments(40)], beyond, to_server)
    compare("fragments", *[[without_id(frame) for frame in frames] for frames in pieces])
    errors = list(used_up())
    for wire in ends:
        wire.drain()
        for frame in errors:
            wire.send(frame)
    told = [wire.receive(lambda _, frames: len(frames) == 18) for wire in ends]
    compare("errors of their own", *[[without_id(inner(frame)) for frame in frames] for frames in told])


main(*sys.argv[1:4])
