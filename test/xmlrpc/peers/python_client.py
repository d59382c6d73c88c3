"""Calls the cases on its standard input with Python's xmlrpc.client."""

import json
import sys
import xmlrpc.client

import values


def call(url, method, args):
    with xmlrpc.client.ServerProxy(url, allow_none=True) as server:
        if method == "system.multicall":
            return values.write_all(multicall(server))
        return values.write(getattr(server, method)(*args))


def multicall(server):
    calls = xmlrpc.client.MultiCall(server)
    calls.add(3, 4)
    calls.probe.fault(1)
    results = calls()
    for i in range(2):
        try:
            yield values.write(results[i])
        except xmlrpc.client.Fault as f:
            yield values.fault(f)


if "compress" in sys.argv:
    xmlrpc.client.Transport.encode_threshold = 0

for line in sys.stdin:
    case, url, method, *words = line.split()
    try:
        got = call(url, method, [values.read(words)] if words else [])
    except xmlrpc.client.Fault as f:
        got = values.fault(f)
    except Exception as e:
        got = values.error(type(e).__name__ + ": " + str(e))
    print(json.dumps({"case": case, "got": got}), flush=True)
