"""Keeps a bytes object of 967 bytes for each unit: 1,000 with its header and NUL, in a chunk of 1,008, and its
place in a list. It ends without Python's finalization, which would free them."""

import os
import sys

kept = []
for i in range(int(sys.argv[1])):
    kept.append(bytes(967))
os._exit(0)
