#!/usr/bin/env python3
"""A process tree that holds a known amount of memory; the benchmark `trees.py` beside it watches it.

    tree.py KIND SECONDS

KIND is one of
  wrapper  a shell that starts a program that leaks
  pool     a server with three workers, one of which leaks
  shared   a server whose three workers touch the same 128 MiB, page by page: nothing leaks
  burst    two processes at a time that hold 64 MiB for a moment, like those of a build: nothing leaks
"""

import mmap
import os
import subprocess
import sys
import time

MIB = 1 << 20
PAGE = 4096
STEP = 0.05
# A leak in bytes a second, and what a worker holds from its start.
LEAK, WORKER = 2 * MIB, 20 * MIB
SHARED, BURST, BURST_SECONDS = 128 * MIB, 64 * MIB, 0.4


def filled(size):
    """Memory that is resident."""
    block = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for place in range(0, size, PAGE):
        block[place] = 1
    return block


def leak(seconds):
    kept = []
    begin = time.monotonic()
    while (elapsed := time.monotonic() - begin) < seconds:
        while len(kept) * 64 * 1024 < elapsed * LEAK:
            kept.append(filled(64 * 1024))
        time.sleep(STEP)


def rest(seconds):
    kept = filled(WORKER)
    time.sleep(seconds)
    return len(kept)


def touch(shared, seconds):
    """Touches all of it in three quarters of the time."""
    begin, place = time.monotonic(), 0
    while (elapsed := time.monotonic() - begin) < seconds:
        while place < min(SHARED, SHARED * elapsed / seconds * 4 / 3):
            shared[place] = 1
            place += PAGE
        time.sleep(STEP)


def hold(seconds):
    """Holds a block for as long as it runs, whatever it took to fill."""
    begin = time.monotonic()
    kept = filled(BURST)
    time.sleep(max(0, seconds - (time.monotonic() - begin)))
    return len(kept)


def fork(work, *arguments):
    pid = os.fork()
    if pid == 0:
        try:
            work(*arguments)
        finally:
            os._exit(0)
    return pid


def pool(seconds):
    return [fork(leak, seconds), fork(rest, seconds), fork(rest, seconds)]


def shared(seconds):
    block = mmap.mmap(-1, SHARED)
    return [fork(touch, block, seconds) for _ in range(3)]


def burst(seconds):
    begin = time.monotonic()
    running = set()
    while time.monotonic() - begin < seconds:
        while len(running) < 2:
            running.add(fork(hold, BURST_SECONDS))
        running.remove(os.wait()[0])
    return running


def wrapper(seconds):
    # The shell must not be replaced by its last command.
    script = f'{sys.executable} "{os.path.abspath(__file__)}" leak {seconds}; exit 0'
    return [subprocess.Popen(["sh", "-c", script]).pid]


def main():
    kind, seconds = sys.argv[1], float(sys.argv[2])
    if kind == "leak":
        return leak(seconds)
    kinds = {"wrapper": wrapper, "pool": pool, "shared": shared, "burst": burst}
    for pid in kinds[kind](seconds):
        os.waitpid(pid, 0)
    return None


if __name__ == "__main__":
    main()
