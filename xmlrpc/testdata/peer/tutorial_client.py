# The client of the tutorial.
from xmlrpc.client import ServerProxy

server = ServerProxy("http://127.0.0.1:8080")
print(server.add(3, 4))
