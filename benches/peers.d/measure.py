#!/usr/bin/env python3
"""Measures memory watchers side by side; the script `peers` beside this folder calls it.

A watcher is measured from outside. Its CPU time and its resident set are read from /proc/PID of the
watcher alone, twice, so that neither its start-up nor its target counts.
"""

import argparse
import os
import shlex
import statistics
import subprocess
import tempfile
import time

# Seconds until a watcher is past its start-up, and until its target ends after the second look.
WARM_UP, REST = 2, 1


class Watcher:
    def __init__(self, name, command, samples):
        self.name = name
        self.command = command  # (interval in seconds, output file, target) -> argv
        self.samples = samples  # lines of the output file -> number of samples


def watchers(args, ancestor):
    def seepmeter(interval, output, target):
        sink = f"csv,path={output}"
        every = f"{round(interval * 1000)}ms"
        return [args.seepmeter, "run", "-q", "-i", every, "-o", sink, "--", *target]

    def perl(interval, output, target):
        return ["perl", ancestor, str(interval), *target]

    def psrecord(interval, output, target):
        command = shlex.join(target)
        return [f"{args.venv}/bin/psrecord", command, "--interval", str(interval), "--log", output]

    def mprof(interval, output, target):
        tool = f"{args.venv}/bin/mprof"
        return [tool, "run", "--interval", str(interval), "--output", output, *target]

    return [
        Watcher("seepmeter", seepmeter, lambda lines: len(lines) - 1),
        Watcher("ancestor (Perl)", perl, len),
        Watcher("psrecord", psrecord, lambda lines: sum(not line.startswith("#") for line in lines)),
        Watcher("mprof", mprof, lambda lines: sum(line.startswith("MEM") for line in lines)),
    ]


def cpu_seconds(pid):
    """CPU time of all threads of a process, from schedstat, which counts in nanoseconds."""
    threads = os.listdir(f"/proc/{pid}/task")
    total = 0
    for thread in threads:
        with open(f"/proc/{pid}/task/{thread}/schedstat") as file:
            total += int(file.read().split()[0])
    return total / 1e9


def rss_bytes(pid):
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def watch(watcher, interval, target, seconds, folder):
    """CPU seconds a sample, share of the ticks, resident set."""
    output = os.path.join(folder, "output")
    lifetime = WARM_UP + seconds + REST
    if os.path.exists(output):
        os.remove(output)
    # What prints to standard output prints to the same file as the others.
    with open(output, "w") as stdout:
        child = subprocess.Popen(
            watcher.command(interval, output, [*target, str(lifetime)]),
            stdin=subprocess.DEVNULL,
            stdout=stdout if watcher.name.startswith("ancestor") else subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    time.sleep(WARM_UP)
    cpu, begin = cpu_seconds(child.pid), time.monotonic()
    time.sleep(seconds)
    cpu = cpu_seconds(child.pid) - cpu
    elapsed = time.monotonic() - begin
    rss = rss_bytes(child.pid)
    child.wait()
    with open(output) as file:
        samples = watcher.samples(file.readlines())
    share = samples * interval / lifetime
    return cpu / elapsed / (samples / lifetime), share, rss


def start_up(watcher, runs, folder):
    """Milliseconds that watching adds to a program that ends at once."""
    output = os.path.join(folder, "output")
    command = watcher.command(0.01, output, ["true"])
    plain, watched = [], []
    for _ in range(runs):
        plain.append(wall(["true"]))
        watched.append(wall(command))
    return (statistics.median(watched) - statistics.median(plain)) * 1000


def wall(command):
    begin = time.monotonic()
    null = subprocess.DEVNULL
    subprocess.run(command, stdin=null, stdout=null, stderr=null, check=False)
    return time.monotonic() - begin


def arguments():
    """What the script `peers` gives to this and to `trees.py`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seepmeter", required=True)
    parser.add_argument("--venv", required=True)
    parser.add_argument("--quick", action="store_true")
    return parser.parse_args()


def main():
    args = arguments()
    seconds = 3 if args.quick else 10
    runs = 5 if args.quick else 20
    here = os.path.dirname(os.path.abspath(__file__))
    found = watchers(args, os.path.join(here, "ancestor.pl"))
    sleeping, busy = ["sleep"], ["perl", os.path.join(here, "busy.pl")]

    print("| watcher | CPU a sample, sleeping target | the same, busy target | rate at 100 Hz | rate at 1 kHz | own rss | `true` takes longer by |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for watcher in found:
            cost, share, rss = watch(watcher, 0.01, sleeping, seconds, folder)
            busy_cost, _, _ = watch(watcher, 0.01, busy, seconds, folder)
            _, fast_share, _ = watch(watcher, 0.001, sleeping, seconds, folder)
            over = start_up(watcher, runs, folder)
            print(
                f"| {watcher.name} | {cost * 1e6:.0f} µs | {busy_cost * 1e6:.0f} µs"
                f" | {share:.1%} | {fast_share:.1%} | {rss / 1e6:.1f} MB | {over:.1f} ms |",
                flush=True,
            )


if __name__ == "__main__":
    main()
