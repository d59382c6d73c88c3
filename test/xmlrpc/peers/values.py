"""Values of XML-RPC as words, as value_test.go describes them."""

import datetime
import xmlrpc.client


def read(words):
    """Takes one value from the front of the list of words."""
    kind = words.pop(0)
    if kind in ("int", "i8"):
        return int(words.pop(0))
    if kind == "boolean":
        return words.pop(0) == "1"
    if kind == "double":
        return float(words.pop(0))
    if kind == "date":
        return xmlrpc.client.DateTime(words.pop(0))
    if kind == "string":
        return text(words.pop(0)).decode()
    if kind == "base64":
        return xmlrpc.client.Binary(text(words.pop(0)))
    if kind == "array":
        return [read(words) for _ in range(int(words.pop(0)))]
    if kind == "struct":
        members = {}
        for _ in range(int(words.pop(0))):
            name = text(words.pop(0)).decode()
            members[name] = read(words)
        return members
    assert kind == "nil", kind
    return None


def write(value):
    """Returns the words for a value."""
    if value is None:
        return "nil"
    if isinstance(value, bool):
        return "boolean %d" % value
    if isinstance(value, int):
        return "%s %d" % ("int" if -(2**31) <= value < 2**31 else "i8", value)
    if isinstance(value, float):
        return "double %r" % value
    if isinstance(value, str):
        return "string " + word(value.encode())
    if isinstance(value, xmlrpc.client.DateTime):
        return "date " + value.value
    if isinstance(value, datetime.datetime):
        return "date " + value.strftime("%Y%m%dT%H:%M:%S")
    if isinstance(value, xmlrpc.client.Binary):
        return "base64 " + word(value.data)
    if isinstance(value, bytes):
        return "base64 " + word(value)
    if isinstance(value, (list, tuple)):
        return " ".join(["array %d" % len(value)] + [write(v) for v in value])
    if isinstance(value, dict):
        return " ".join(
            ["struct %d" % len(value)]
            + [word(k.encode()) + " " + write(v) for k, v in value.items()]
        )
    return error("no words for " + repr(value))


def fault(f):
    return "fault %d %s" % (f.faultCode, word(f.faultString.encode()))


def error(message):
    return "error " + word(str(message).encode())


def text(w):
    return bytes.fromhex(w[1:])


def word(b):
    return "x" + b.hex()


def write_all(results):
    """Returns the words for an array of results, which are words already."""
    results = list(results)
    return " ".join(["array %d" % len(results)] + results)
