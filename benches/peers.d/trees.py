#!/usr/bin/env python3
"""Watches four process trees with Seepmeter and with its peers; the script `peers` beside this folder calls it.

Of each tool: what it says of a leak, the peak that it gives of the whole tree, and its own CPU time for one
process in one sample. The trees are those of `tree.py`, whose memory is known, but for some MiB of each
interpreter.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

from measure import arguments, cpu_seconds

MIB = 1 << 20
# Seconds from sample to sample. Seepmeter gets more: of a second each, its verdict would take five minutes.
INTERVAL, SHORT_INTERVAL = 1, 0.2
# The beginning, which is not measured.
WARM_UP = 3


class Tree:
    def __init__(self, kind, processes, leaks, peak):
        self.kind = kind
        self.processes = processes  # that live at a time
        self.leaks = leaks
        self.peak = peak  # seconds -> bytes that are held at most at a time


TREES = [
    Tree("wrapper", 3, True, lambda seconds: seconds * 2 * MIB),
    Tree("pool", 4, True, lambda seconds: seconds * 2 * MIB + 40 * MIB),
    Tree("shared", 4, False, lambda seconds: 128 * MIB),
    Tree("burst", 3, False, lambda seconds: 128 * MIB),
]


class Tool:
    def __init__(self, name, command, answer, interval=INTERVAL):
        self.name = name
        self.interval = interval  # none if it takes no samples
        self.command = command  # (output file, target) -> argv
        self.answer = answer  # (output file, stderr) -> (what it says of a leak, peaks by name in bytes)


def size(text):
    """Bytes of "15.1 MiB"."""
    number, unit = text.split()
    powers = {"B": 0, "KiB": 1, "MiB": 2, "GiB": 3}
    return float(number) * 1024 ** powers[unit]


def seepmeter_answer(output, said):
    with open(output) as file:
        verdicts = [json.loads(line) for line in file]
    whole = [one for one in verdicts if one["scope"] == "all-targets"]
    word = whole[-1]["classification"] if whole else "no verdict on the tree"
    named = re.search(r"\d+ % of it in [^,;\n]*", said)
    peaks = {
        kind: size(found[1])
        for kind in ("rss sum", "pss sum")
        if (found := re.search(rf"^{kind} .*peak ([0-9.]+ [KMG]?i?B)", said, re.MULTILINE))
    }
    return word + (f", {named[0]}" if named else ""), peaks


def psrecord_answer(output, _):
    with open(output) as file:
        rows = [line.split() for line in file if not line.startswith("#")]
    return "no word", {"rss sum": max(float(row[2]) for row in rows) * MIB}


def mprof_answer(output, _):
    with open(output) as file:
        rows = [line.split() for line in file if line.startswith("MEM")]
    return "no word", {"rss sum": max(float(row[1]) for row in rows) * MIB}


def prmon_answer(output, _):
    with open(output) as file:
        most = json.load(file)["Max"]
    return "no word", {"rss sum": most["rss"] * 1024, "pss sum": most["pss"] * 1024}


def time_answer(_, said):
    largest = re.search(r"Maximum resident set size \(kbytes\): (\d+)", said)
    return "no word", {"largest process": int(largest[1]) * 1024}


def tools(args):
    def seepmeter(*samplers):
        flags = ["-q", "-i", f"{SHORT_INTERVAL}s", *samplers, "--format"]
        return lambda output, target: [args.seepmeter, "run", *flags, f"json={output}", "--", *target]

    def psrecord(output, target):
        flags = ["--include-children", "--interval", str(INTERVAL), "--log", output]
        return [f"{args.venv}/bin/psrecord", " ".join(target), *flags]

    def mprof(output, target):
        flags = ["-C", "-M", "--interval", str(INTERVAL), "--output", output]
        return [f"{args.venv}/bin/mprof", "run", *flags, *target]

    def prmon(output, target):
        flags = ["--interval", str(INTERVAL), "--json-summary", output, "--filename", f"{output}.txt"]
        return ["prmon", *flags, "--", *target]

    def gnu_time(_, target):
        return ["/usr/bin/time", "-v", *target]

    with_smaps = seepmeter("-s", "statm", "-s", "smaps")
    return [
        Tool("seepmeter", seepmeter(), seepmeter_answer, SHORT_INTERVAL),
        Tool("seepmeter -s statm -s smaps", with_smaps, seepmeter_answer, SHORT_INTERVAL),
        Tool("psrecord --include-children", psrecord, psrecord_answer),
        Tool("mprof -C -M", mprof, mprof_answer),
        Tool("prmon", prmon, prmon_answer),
        Tool("/usr/bin/time -v", gnu_time, time_answer, None),
    ]


def watch(tool, seconds, folder):
    """A row for each tree; all four are watched at a time, each by a process of its own."""
    program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tree.py")
    running = []
    for tree in TREES:
        output = os.path.join(folder, tree.kind)
        said = open(f"{output}.stderr", "w+")
        # The interpreter itself and no script that searches for it.
        target = [os.path.realpath(sys.executable), program, tree.kind, str(seconds)]
        child = subprocess.Popen(
            tool.command(output, target),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
            cwd=folder,
        )
        running.append((tree, output, said, child))
    time.sleep(WARM_UP)
    before = [cpu_seconds(child.pid) for *_, child in running]
    middle = seconds - 2 * WARM_UP
    time.sleep(middle)
    costs = [cpu_seconds(child.pid) - begin for begin, (*_, child) in zip(before, running)]
    for cost, (tree, output, said, child) in zip(costs, running):
        child.wait()
        said.seek(0)
        with said:
            samples = middle / (tool.interval or middle)
            yield tree, cost / samples / tree.processes, tool.answer(output, said.read())


def row(tool, seconds, tree, cost, answer):
    word, peaks = answer
    truth = tree.peak(seconds)

    def beside_truth(name, value):
        return f"{name} {value / MIB:.0f} MiB ({value / truth - 1:+.0%})"

    peak = ", ".join(beside_truth(*it) for it in peaks.items())
    leaks = "leaks" if tree.leaks else "no leak"
    cpu = f"{cost * 1e6:.0f} µs" if tool.interval else "no samples"
    print(
        f"| {tree.kind}: {leaks}, {truth / MIB:.0f} MiB | {tool.name} | {word} | {peak} | {cpu} |",
        flush=True,
    )


def main():
    args = arguments()
    seconds = 20 if args.quick else 120
    print("| tree | tool | of a leak it says | peak of the tree | CPU for one process in one sample |")
    print("|---|---|---|---|---|")
    for tool in tools(args):
        needed = tool.command("", [])[0]
        if shutil.which(needed) is None:
            print(f"| all | {tool.name} | NOT RUN: there is no {needed} | | |", flush=True)
            continue
        with tempfile.TemporaryDirectory() as folder:
            for tree, cost, answer in watch(tool, seconds, folder):
                row(tool, seconds, tree, cost, answer)


if __name__ == "__main__":
    main()
