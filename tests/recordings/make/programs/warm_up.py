# A server that imports its modules, fills its caches of compiled expressions and pages, and then serves.
#   warm_up.py PORT PAGES [SHAPE]: there are so many pages; with a SHAPE (of a Pareto distribution) some
#   are asked for far more often than others.
import importlib, random, re, sys, time
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MODULES = """argparse asyncio bz2 calendar cgi cmd code concurrent.futures configparser csv ctypes dataclasses
datetime decimal difflib dis email.mime.text fractions ftplib gzip hashlib heapq html.parser http.cookies imaplib
ipaddress json logging.handlers lzma mailbox multiprocessing optparse pdb pickletools plistlib pydoc smtplib
sqlite3 ssl statistics tarfile tempfile tkinter.constants tokenize turtledemo typing unittest.mock urllib.request
uuid wsgiref.simple_server xml.dom.minidom xml.etree.ElementTree xml.sax xmlrpc.client zipfile zoneinfo""".split()

for module in MODULES:
    try:
        importlib.import_module(module)
    except ImportError:
        pass
    time.sleep(0.3)

port, pages = int(sys.argv[1]), int(sys.argv[2])
shape = float(sys.argv[3]) if len(sys.argv) > 3 else None


@lru_cache(maxsize=2000)
def page(n):
    words = [format(random.random(), ".12f") for _ in range(300)]
    return re.sub(r"0+", "0", " ".join(words)).encode()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        n = random.paretovariate(shape) if shape else random.randrange(pages)
        body = page(int(n) % pages)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
