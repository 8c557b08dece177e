"""wires: interfaces in other namespaces, by packet sockets (packet(7)), and a frame's parts.

    Wire(namespace, interface)    send, receive; exchange() keeps both in step
    read_in(namespace, path)      a file such as /proc/net/snmp there
    in_tunnel(frame)              a frame in VXLAN, its outer headers by scapy
"""
import ctypes
import fcntl
import os
import socket
import struct
import time

from scapy.all import Ether, IP, IPv6, UDP, Raw, raw
from scapy.layers.vxlan import VXLAN

ETH_P_ALL = 3
PACKET_IGNORE_OUTGOING = 23
SOL_PACKET = 263
SO_RCVBUFFORCE = 33
CLONE_NEWNET = 0x40000000
PATIENCE = 20  # seconds, after which something is wrong
BATCH = 64  # frames that are under way at a time

libc = ctypes.CDLL(None, use_errno=True)
home = os.open("/proc/self/ns/net", os.O_RDONLY)


class inside:
    """What is done within is done in that namespace."""

    def __init__(self, namespace):
        self.fd = os.open(f"/run/netns/{namespace}", os.O_RDONLY)

    def __enter__(self):
        if libc.setns(self.fd, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")

    def __exit__(self, *_):
        os.close(self.fd)
        libc.setns(home, CLONE_NEWNET)


def read_in(namespace, path):
    with inside(namespace), open(path, encoding="ascii") as file:
        return file.read()


def is_noise(frame):
    """What a kernel says on its own: ARP, multicast listeners, neighbours of IPv6."""
    kind = frame[12:14]
    return kind == b"\x08\x06" or kind == b"\x86\xdd" and (frame[20] == 0 or frame[20] == 58 and 130 <= frame[54] <= 143)


class Wire:
    def __init__(self, namespace, interface, skip=is_noise, outgoing=False):
        self.skip = skip
        with inside(namespace):
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
            self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
            self.socket.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, not outgoing)
            self.socket.bind((interface, 0))
        self.socket.settimeout(0.2)

    def send(self, frame):
        self.socket.send(frame)

    def receive(self, until):
        """Frames until one for which until(frame, all of them) is true."""
        frames, limit = [], time.monotonic() + PATIENCE
        while time.monotonic() < limit:
            try:
                frame = self.socket.recv(65536)
            except TimeoutError:
                continue
            if self.skip(frame):
                continue
            frames.append(frame)
            if until(frames[-1], frames):
                return frames
        raise SystemExit(f"waited in vain, behind {len(frames)} frames: {frames[-1].hex() if frames else ''}")

    def drain(self):
        self.socket.setblocking(False)
        try:
            while True:
                self.socket.recv(65536)
        except BlockingIOError:
            pass
        self.socket.settimeout(0.2)


# The ends of all tunnels, and who talks in them.
OUTER = {"src": "02:00:00:00:00:01", "dst": "02:00:00:00:00:02"}
ENDS = {4: ("192.0.2.1", "192.0.2.2"), 6: ("2001:db8:2::1", "2001:db8:2::2")}
INNER = {"src": "02:00:00:00:42:01", "dst": "02:00:00:00:42:02"}
TALKERS = {4: ("10.42.0.1", "10.42.0.2"), 6: ("2001:db8:42::1", "2001:db8:42::2")}
SERVER = {4: "172.30.82.95", 6: "2001:db8:30::95"}
EGRESS = {"src": "02:00:00:00:00:b0", "dst": "02:00:00:00:00:d0"}


def ip(family, ends, **fields):
    src, dst = ends
    return IP(src=src, dst=dst, **fields) if family == 4 else IPv6(src=src, dst=dst, **fields)


def in_tunnel(frame, family=4, vni=42, **fields):
    header = ip(family, ENDS[family], **({"ttl": 64, "flags": 0} if family == 4 else {"hlim": 64}))
    udp = UDP(sport=50000, dport=4789, **({"chksum": 0} if family == 4 else {}))
    return raw(Ether(**OUTER) / header / udp / VXLAN(flags=8, vni=vni) / Raw(frame))


def marker(number, family=4):
    """A frame for the server that nothing changes the number of."""
    return raw(Ether(**INNER) / ip(family, TALKERS[family]) / UDP(sport=7, dport=8080) / Raw(mark(number)))


def mark(number):
    return b"marker" + struct.pack(">I", number)


def exchange(out, frames, back, marked):
    """What comes back of frames that are sent in batches, each followed by marked(number)."""
    came, number = [], 0
    for at in range(0, len(frames), BATCH):
        for frame in frames[at:at + BATCH]:
            out.send(frame)
        number += 1
        out.send(marked(number))
        wanted = mark(number)
        came += back.receive(lambda frame, _: wanted in frame)[:-1]
    return came
