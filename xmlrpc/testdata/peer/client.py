# Calls everything that a test server has, at the URL that is the argument.
import base64
import datetime
import sys
import urllib.request
from xmlrpc.client import Binary, DateTime, Fault, MultiCall, ProtocolError, ServerProxy

url = sys.argv[1]
server = ServerProxy(url)


def check(what, got, want):
    if got != want:
        sys.exit("%s: got %r, want %r" % (what, got, want))


def fault(what, code, call):
    try:
        got = call()
    except Fault as f:
        check(what, f.faultCode, code)
        return f.faultString
    sys.exit("%s: got %r, want a fault" % (what, got))


check("add", server.add(3, 4), 7)
for value in [
    0, -1, 2**31 - 1, -(2**31), True, False, 0.5, -1e300, 5e-324, "", " a ", "<&>'\"]]>", "line\nline\ttab",
    "grüße, 世界 🎉", "x" * 1000000, [], [1, "a", [2.5, []]], {}, {"a": {"b": [1]}, "": 2, " blank ": 3, "ü": 4},
    list(range(10000)), {"m%d" % i: i for i in range(1000)},
]:
    check("echo", server.echo(value), value)
data = bytes(range(256)) * 5000
check("base64", server.echo(Binary(data)).data, data)
check("empty base64", server.echo(Binary(b"")).data, b"")
when = DateTime(datetime.datetime(1998, 7, 17, 14, 8, 55))
check("date", server.echo(when).value, "19980717T14:08:55")
native = ServerProxy(url, use_builtin_types=True)
check("native date", native.echo(datetime.datetime(2001, 2, 3, 4, 5, 6)), datetime.datetime(2001, 2, 3, 4, 5, 6))
check("native bytes", native.echo(b"\x00\xff"), b"\x00\xff")

check("object", server.greeting.get_fortune("letian"), "Hello, letian. \n")
check("Go name", server.greeting.GetFortune("letian"), "Hello, letian. \n")
check("two results", server.greeting.two(), [1, "b"])
check("variadic", server.greeting.sum(1, 2, 3), 6)
check("no result", server.none(), True)

check("fault", fault("fault", 42, lambda: server.fail(42)), "as you wish <&>")
fault("no method", -32601, lambda: server.nosuch())
fault("no private method", -32601, lambda: getattr(server, "greeting.__class__.__name__")())
fault("wrong type", -32602, lambda: server.add(1, "2"))
fault("wrong number", -32602, lambda: server.add(1))
fault("panic", -32603, lambda: server.panic())
fault("nil", -32603, lambda: ServerProxy(url, allow_none=True).echo(None))

multi = MultiCall(server)
multi.add(3, 4)
multi.nosuch()
multi.greeting.get_fortune("a")
multi.echo({"faultCode": 1, "faultString": "no fault"})
results = multi()
check("multicall", results[0], 7)
fault("multicall fault", -32601, lambda: results[1])
check("multicall after a fault", results[2], "Hello, a. \n")
check("multicall struct", results[3]["faultCode"], 1)

check("listMethods", [m for m in server.system.listMethods() if "." not in m], ["add", "echo", "fail", "none", "panic", "raw", "secret"])
check("methodSignature", server.system.methodSignature("add"), [["int", "int", "int"]])
check("methodHelp", server.system.methodHelp("add"), "Adds two numbers.")
check("getCapabilities", server.system.getCapabilities()["xmlrpc"]["specVersion"], 1)

with ServerProxy(url.replace("http://", "http://us%40er:p%3Aw@"), headers=[("X-Test", "1")]) as other:
    check("with user", other.add(3, 4), 7)
with urllib.request.urlopen(url) as page:
    check("page", page.headers["Content-Type"], "text/html; charset=utf-8")
    check("page has add", b"add(int, int)" in page.read(), True)
try:
    ServerProxy(url.replace("/RPC2", "/nowhere")).add(1, 2)
    sys.exit("a wrong path: no error")
except ProtocolError as e:
    check("wrong path", e.errcode, 404)
print("all is well")
