# Runs a server program with its port changed to any, and says which it is.
import socketserver
import sys

activate = socketserver.TCPServer.server_activate


def say_port(server):
    activate(server)
    print(server.server_address[1], flush=True)


socketserver.TCPServer.server_activate = say_port
with open(sys.argv[1]) as f:
    exec(compile(f.read().replace("8080", "0"), sys.argv[1], "exec"))
