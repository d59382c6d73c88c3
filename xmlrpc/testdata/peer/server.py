# A server with all that Python's has.
import sys
import threading
from socketserver import ThreadingMixIn
from xmlrpc.client import Fault
from xmlrpc.server import DocXMLRPCRequestHandler, SimpleXMLRPCRequestHandler, SimpleXMLRPCServer


class Handler(SimpleXMLRPCRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass


class Server(ThreadingMixIn, SimpleXMLRPCServer):
    daemon_threads = True


class Greeting:
    def get_fortune(self, name):
        """Tells a fortune."""
        return "Hello, " + name + ". \n"


class Root:
    def __init__(self):
        self.greeting = Greeting()


def fail(code):
    raise Fault(code, "as you wish <&>")


def crash():
    raise ValueError("böse")


server = Server(("127.0.0.1", 8080), Handler, allow_none=True, use_builtin_types=True)
server.register_introspection_functions()
server.register_multicall_functions()
server.register_function(lambda x, y: x + y, "add")
server.register_function(lambda v: v, "echo")
server.register_function(fail)
server.register_function(crash)
server.register_instance(Root(), allow_dotted_names=True)
server.serve_forever()
