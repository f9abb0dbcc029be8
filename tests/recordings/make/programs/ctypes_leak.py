# Serves made-up requests through a C library: the block that the library hands back is the caller's to
# free, and the caller forgets it in one of EVERY requests.
#   ctypes_leak.py EVERY LARGEST: LARGEST bytes are needed at most for a while by a request.
import ctypes, json, random, sys, time

every, largest = int(sys.argv[1]), int(sys.argv[2])
libc = ctypes.CDLL("libc.so.6")
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]

n = 0
while True:
    n += 1
    size = random.randrange(500, 4000)
    block = libc.malloc(size)
    libc.memset(block, n % 256, size)
    text = json.dumps([{"n": i, "name": "x" * random.randrange(40)} for i in range(random.randrange(500))])
    json.loads(text)
    scratch = b"x" * random.randrange(largest)
    time.sleep(random.expovariate(20))
    del scratch
    if n % every:
        libc.free(block)
