"""A bounded cache of functools, and some work with text."""

import functools
import sys


@functools.lru_cache(maxsize=2000)
def page(number):
    return "".join(chr(97 + (number * i) % 26) for i in range(100))


for i in range(int(sys.argv[1])):
    page(i)
