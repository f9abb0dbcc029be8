"""inner, called by outer, sleeps."""
import time


def inner():
    print("ready", flush=True)
    time.sleep(1000)


def outer():
    inner()


outer()
