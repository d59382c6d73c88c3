package gateway

import (
	"farcall.dev/rmi"
	"farcall.dev/xmlrpc"
)

// typeName is what introspection calls a type; "undef" where it has no word.
func typeName(t rmi.TypeInfo) string {
	switch t.Kind {
	case rmi.KindBool:
		return xmlrpc.KindBoolean.String()
	case rmi.KindInt, rmi.KindDuration:
		return xmlrpc.KindInt.String()
	case rmi.KindFloat:
		return xmlrpc.KindDouble.String()
	case rmi.KindString:
		return xmlrpc.KindString.String()
	case rmi.KindBytes:
		return xmlrpc.KindBase64.String()
	case rmi.KindTime:
		return xmlrpc.KindDateTime.String()
	case rmi.KindList, rmi.KindStream:
		return xmlrpc.KindArray.String()
	case rmi.KindMap, rmi.KindStruct:
		if t.Positional {
			return xmlrpc.KindArray.String()
		}
		return xmlrpc.KindStruct.String()
	}
	return "undef"
}

// TypeOf returns the type that introspection calls name: one that takes anything
// for a name that is not known.
func TypeOf(name string) rmi.TypeInfo {
	anything := rmi.TypeInfo{Kind: rmi.KindAny, Nullable: true}
	switch name {
	case "int", "i4":
		return rmi.TypeInfo{Kind: rmi.KindInt, Bits: 32}
	case "i1":
		return rmi.TypeInfo{Kind: rmi.KindInt, Bits: 8}
	case "i2":
		return rmi.TypeInfo{Kind: rmi.KindInt, Bits: 16}
	case "i8", "ex:i8":
		return rmi.TypeInfo{Kind: rmi.KindInt, Bits: 64}
	case "boolean", "bool":
		return rmi.TypeInfo{Kind: rmi.KindBool}
	case "double", "float":
		return rmi.TypeInfo{Kind: rmi.KindFloat, Bits: 64}
	case "string":
		return rmi.TypeInfo{Kind: rmi.KindString}
	case "base64":
		return rmi.TypeInfo{Kind: rmi.KindBytes}
	case "dateTime.iso8601", "dateTime":
		return rmi.TypeInfo{Kind: rmi.KindTime}
	case "array":
		return rmi.TypeInfo{Kind: rmi.KindList, Elem: &anything}
	case "struct":
		return rmi.TypeInfo{Kind: rmi.KindMap, Key: &rmi.TypeInfo{Kind: rmi.KindString}, Elem: &anything}
	}
	return anything
}
