# Works in small pieces; after SECONDS it loads one large file, a table that it needs from then on.
import json, random, sys, time

seconds, path = float(sys.argv[1]), sys.argv[2]
began, table = time.monotonic(), None
while True:
    if table is None and time.monotonic() - began > seconds:
        with open(path, "rb") as file:
            table = file.read()
    json.loads(json.dumps([random.random() for _ in range(random.randrange(3000))]))
    time.sleep(0.1)
