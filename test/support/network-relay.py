"""Joins network namespaces: what one sends reaches the others after a delay, as over a long line.

    network-relay.py DELAY_MS TAP:NAMESPACE...

Makes a TAP device in each namespace; they are gone when this ends. SIGUSR1 cuts the line (frames are dropped, nobody is told),
SIGUSR2 mends it.
"""

import collections
import ctypes
import fcntl
import os
import select
import signal
import struct
import subprocess
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TAP = 0x0002
IFF_NO_PI = 0x1000
LARGEST_FRAME = 65_536
# Of one device in a row, so that a flood from one does not hold up what is due for another.
IN_A_ROW = 64
PR_SET_PDEATHSIG = 1

is_cut = False


def say(text):
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def cut(*_):
    global is_cut
    is_cut = True
    say("cut")


def mend(*_):
    global is_cut
    is_cut = False
    say("mended")


def open_tap(name, namespace):
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    subprocess.run(["ip", "link", "set", name, "netns", namespace], check=True)
    return device


def main():
    # Whoever started this may be killed without a chance to say so.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGUSR1, cut)
    signal.signal(signal.SIGUSR2, mend)
    delay = float(sys.argv[1]) / 1000
    devices = [open_tap(*place.split(":")) for place in sys.argv[2:]]
    say("ready")
    # One delay for all: what came first is due first.
    waiting = collections.deque()
    while True:
        timeout = max(0, waiting[0][0] - time.monotonic()) if waiting else None
        readable, _, _ = select.select(devices, [], [], timeout)
        now = time.monotonic()
        for device in readable:
            for _ in range(IN_A_ROW):
                try:
                    waiting.append((now + delay, device, os.read(device, LARGEST_FRAME)))
                except OSError:
                    # Nothing more to read, or the device is down.
                    break
        while waiting and waiting[0][0] <= now:
            _, source, frame = waiting.popleft()
            if is_cut:
                continue
            for device in devices:
                if device is source:
                    continue
                try:
                    os.write(device, frame)
                except OSError:
                    # Full or down: a line loses frames, too.
                    pass


main()
