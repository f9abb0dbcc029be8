# Makes objects that refer to each other, and drops them: only the cyclic collector can free them.
#   cycles.py on|off LARGEST: with the collector, or without it; each object holds LARGEST bytes at most.
import gc, random, sys, time

if sys.argv[1] == "off":
    gc.disable()
payload = int(sys.argv[2])


class Session:
    def __init__(self):
        self.handler = Handler(self)
        self.buffer = b"x" * random.randrange(payload)


class Handler:
    def __init__(self, session):
        self.session = session


while True:
    for _ in range(random.randrange(1, 6)):
        Session()
    time.sleep(0.05)
