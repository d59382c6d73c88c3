"""The client that tutorials begin with; the server's URL is its argument."""

import sys
from xmlrpc.client import ServerProxy

server = ServerProxy(sys.argv[1])
print(server.add(3, 4))
