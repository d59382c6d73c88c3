"""Calls the cases on its standard input with aioxmlrpc."""

import asyncio
import json
import sys
import xmlrpc.client

import aioxmlrpc.client

import values


async def call(url, method, args):
    server = aioxmlrpc.client.ServerProxy(url, allow_none=True)
    if method != "system.multicall":
        return values.write(await getattr(server, method)(*args))
    # The library has no more of it than the method itself.
    batch = [
        {"methodName": "add", "params": [3, 4]},
        {"methodName": "probe.fault", "params": [1]},
    ]
    return values.write_all(slot(s) for s in await server.system.multicall(batch))


def slot(s):
    if isinstance(s, dict):
        return values.fault(xmlrpc.client.Fault(s["faultCode"], s["faultString"]))
    return values.write(s[0])


async def main():
    for line in sys.stdin:
        case, url, method, *words = line.split()
        try:
            got = await call(url, method, [values.read(words)] if words else [])
        except xmlrpc.client.Fault as f:
            got = values.fault(f)
        except Exception as e:
            got = values.error(type(e).__name__ + ": " + str(e))
        print(json.dumps({"case": case, "got": got}), flush=True)


asyncio.run(main())
