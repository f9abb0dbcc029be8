# Asks an HTTP server on the loopback for its paths, at random, over connections that it keeps for a while.
#   http_load.py PORT REQUESTS_A_SECOND PATH…
import http.client, random, sys, time

port, rate, paths = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]
connection = None
while True:
    try:
        if connection is None or random.random() < 0.05:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", random.choice(paths), headers={"Accept-Encoding": random.choice(["gzip", "identity"])})
        connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        connection = None
        time.sleep(0.2)
    time.sleep(random.expovariate(rate))
