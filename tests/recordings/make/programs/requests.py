# Writes a line RATE times a second, for programs that serve what they read.
#   requests.py RATE
import sys, time

rate = float(sys.argv[1])
n, began = 0, time.monotonic()
try:
    while True:
        n += 1
        print("request", n, flush=True)
        time.sleep(max(0, began + n / rate - time.monotonic()))
except BrokenPipeError:
    # The reader has ended, and so does this. Python must not flush again.
    sys.stdout = None
