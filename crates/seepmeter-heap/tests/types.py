# Prints each object that the collector knows, and what it refers to, as "ADDRESS TYPE", then "ready"; and keeps
# objects of many kinds.
import collections
import gc
import os
import re
import weakref


class Row:
    def __init__(self, number):
        self.number = number
        self.text = "row %d" % number


class Slotted:
    __slots__ = ("one", "two")


class Error(Exception):
    pass


def closure(value):
    return lambda: value


kept = [
    [Row(at) for at in range(500)],
    [Slotted() for _ in range(100)],
    [Error("x") for _ in range(10)],
    {at: (at, float(at)) for at in range(1000)},
    {("key %d" % at).encode() for at in range(100)},
    collections.deque(range(5000)),
    collections.OrderedDict((at, None) for at in range(50)),
    [closure(at) for at in range(100)],
    [re.compile("x{%d}" % at) for at in range(1, 10)],
    [weakref.ref(Row) for _ in range(3)],
    [bytearray(at) for at in range(100)],
    [10 ** (50 * at) for at in range(1, 20)],
    [complex(at, 1) for at in range(20)],
    [chr(0x4E00 + at) * 20 for at in range(100)],
    [(at for at in range(3)) for _ in range(20)],
    [memoryview(b"abc") for _ in range(5)],
    [slice(at, 2000 + at) for at in range(300, 320)],
]
gc.collect()
gc.disable()


def name(of):
    module = of.__module__
    return of.__name__ if module == "builtins" or not isinstance(module, str) else module + "." + of.__name__


def main():
    seen, work = {}, list(gc.get_objects())
    while work:
        one = work.pop()
        if id(one) in seen or one is work or one is seen:
            continue
        seen[id(one)] = name(type(one))
        if type(one).__name__ not in ("frame", "list_iterator"):
            work.extend(gc.get_referents(one))
    return "".join("%x %s\n" % pair for pair in seen.items())


text = main().encode()
while text:
    text = text[os.write(1, text):]
os.write(1, b"ready\n")
os.read(0, 1)
