"""Keeps a bytes object of 967 bytes for each unit: 1,000 with its header and NUL, and its place in a list."""

import sys

kept = []
for i in range(int(sys.argv[1])):
    kept.append(bytes(967))
