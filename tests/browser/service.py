"""Handles requests: each makes garbage, fills a bounded cache, and one in fifty is never forgotten."""
import random
import sys
import time

random.seed(7)
cache, sessions = {}, []
begin = time.monotonic()
number = 0
while time.monotonic() - begin < float(sys.argv[1]):
    number += 1
    garbage = [bytes(random.randrange(2_000, 30_000)) for _ in range(40)]
    cache[number % 1500] = bytearray(4_000)
    if number % 50 == 0:
        sessions.append(bytearray(40_000))
    time.sleep(0.004)
