# Prints its objects as truth.c does its blocks, and then how many blocks there are.
import os
import sys

objects = [bytes(b"%07d" % at) * 30 for at in range(2000)]
lines = [
    "%s %x %d\n" % ("freed" if at % 2 else "live", id(it), sys.getsizeof(it)) for at, it in enumerate(objects)
]
kept = objects[::2]
del objects[:]
# Nothing that is made from here on has the size of those objects.
text = "".join(lines).encode()
del lines[:]
os.write(1, text[:30000])
os.write(1, text[30000:])
os.write(1, b"live 0 %d\nready\n" % sys.getallocatedblocks())
os.read(0, 1)
