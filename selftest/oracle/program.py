"""program: a graph that runs under a name, by its control socket (config/control.h).

Run as a program it changes one parameter to a value of any kind, in JSON:  program.py NAME PATH VALUE
"""
import json
import os
import socket
import sys


class Program:
    def __init__(self, name):
        self.path = os.path.join("/run/vanguard", name, "control")

    def ask(self, **request):
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(20)
            control.connect(self.path)
            control.sendall(json.dumps(request).encode() + b"\n")
            with control.makefile() as lines:
                answer = json.loads(lines.readline())
        if "error" in answer:
            raise SystemExit(answer["error"])
        return answer

    def counters(self, app="nat"):
        return self.ask(command="counters", app=app)["apps"][app]

    def set(self, **values):
        """Of app nat."""
        self.ask(command="set", values={f"nat.{name}": value for name, value in values.items()})


def unaccounted(c):
    """Invariants of vxlan.bpf.h, in counters of a VxlanNat: what is wrong, or nothing."""
    passed = sum(value for name, value in c.items() if name.startswith("pass_"))
    dropped = sum(value for name, value in c.items() if name.startswith("drop_"))
    came = c["total_packets"] + c["back_packets"]
    went = passed + dropped + c["forwarded"] + c["back_forwarded"] + c["outer_merged"] + c["held"]
    if came != went:
        return f"{came} came, {went} are accounted for"
    if dropped != c["errors"]:
        return f"{dropped} drops, {c['errors']} errors"
    if c["forwarded"] != c["redirected"]:
        return "forwarded, and not redirected"
    return None


if __name__ == "__main__":
    Program(sys.argv[1]).ask(command="set", values={sys.argv[2]: json.loads(sys.argv[3])})
