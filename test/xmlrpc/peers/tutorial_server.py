"""The server that tutorials begin with; the port is its argument."""

import sys
from xmlrpc.server import SimpleXMLRPCServer


def add(x, y):
    return x + y


server = SimpleXMLRPCServer(("127.0.0.1", int(sys.argv[1])))
server.register_function(add, "add")
print("http://127.0.0.1:%d" % server.server_address[1], flush=True)
server.serve_forever()
