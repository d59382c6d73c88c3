"""Serves the cases, and validator1, by Python's xmlrpc.server."""

import xmlrpc.client
import xmlrpc.server

import validator1
import values


def describe(value):
    """Returns the words for an argument."""
    return values.write(value)


def echo(value):
    return value


def none():
    return "nothing"


def fault(_):
    raise xmlrpc.client.Fault(42, "no such luck: <&>")


def add(x, y):
    return x + y


with xmlrpc.server.SimpleXMLRPCServer(
    ("127.0.0.1", 0), allow_none=True, logRequests=False
) as server:
    for function in (describe, echo, none, fault, add):
        server.register_function(function)
    for name, function in validator1.METHODS.items():
        server.register_function(function, "validator1." + name)
    server.register_introspection_functions()
    server.register_multicall_functions()
    print("http://127.0.0.1:%d/RPC2" % server.server_address[1], flush=True)
    server.serve_forever()
