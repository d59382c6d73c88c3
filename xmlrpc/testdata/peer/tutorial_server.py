# The server of the tutorial.
from xmlrpc.server import SimpleXMLRPCServer


def add(x, y):
    return x + y


server = SimpleXMLRPCServer(("127.0.0.1", 8080))
server.register_function(add, "add")
server.serve_forever()
