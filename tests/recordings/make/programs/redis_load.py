# Sets keys of random sizes in a redis server on the loopback, some of them again and again.
#   redis_load.py PORT KEYS_A_SECOND [TTL]: new keys a second; they expire after TTL seconds.
import random, socket, sys, time

port, rate = int(sys.argv[1]), float(sys.argv[2])
ttl = sys.argv[3] if len(sys.argv) > 3 else None


def command(*words):
    words = [w if isinstance(w, bytes) else str(w).encode() for w in words]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)


for _ in range(200):
    try:
        server = socket.create_connection(("127.0.0.1", port))
        break
    except ConnectionRefusedError:
        time.sleep(0.1)
answers = server.makefile("rb")
n, began = 0, time.monotonic()
while True:
    due = int((time.monotonic() - began) * rate) - n
    batch = []
    for _ in range(min(due, 1000)):
        n += 1
        value = b"v" * random.randrange(100, 2000)
        batch.append(command("SET", f"key:{n}", value, *(["EX", ttl] if ttl else [])))
        if n % 3 == 0:
            hot = b"v" * random.randrange(100, 4000)
            batch.append(command("SET", f"hot:{random.randrange(500)}", hot))
    server.sendall(b"".join(batch))
    for _ in batch:
        answers.readline()
    time.sleep(0.1)
