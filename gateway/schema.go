package gateway

import (
	"math"

	"farcall.dev/rmi"
)

// schemaOf returns the JSON Schema of t as [appendJSON] writes it and
// rmi.ParseJSON reads it. A struct inside itself is described once.
func schemaOf(t rmi.TypeInfo) object {
	s := bareSchema(t)
	if !t.Nullable || t.Kind == rmi.KindAny {
		return s
	}
	if kind, ok := s["type"].(string); ok {
		s["type"] = []string{kind, "null"}
		return s
	}
	return object{"anyOf": []object{s, {"type": "null"}}}
}

// bareSchema is schemaOf for a value that is not null.
func bareSchema(t rmi.TypeInfo) object {
	if t.Recursive {
		return object{"description": "once more a " + t.Go}
	}
	switch t.Kind {
	case rmi.KindBool:
		return object{"type": "boolean"}
	case rmi.KindInt:
		return intSchema(t)
	case rmi.KindFloat:
		return object{"oneOf": []object{
			{"type": "number"}, {"type": "string", "enum": []string{"NaN", "Infinity", "-Infinity"}},
		}}
	case rmi.KindString:
		return object{"type": "string"}
	case rmi.KindBytes:
		return object{"type": "string", "contentEncoding": "base64"}
	case rmi.KindTime:
		return object{"type": "string", "format": "date-time"}
	case rmi.KindDuration:
		return object{"type": "integer", "format": "int64", "description": "nanoseconds"}
	case rmi.KindList:
		return listSchema(t)
	case rmi.KindStream: // as a parameter; a result has a media type of its own
		return object{"type": "array", "items": schemaOf(t.Item())}
	case rmi.KindMap:
		s := object{"type": "object"}
		if t.Elem != nil {
			s["additionalProperties"] = schemaOf(*t.Elem)
		}
		return s
	case rmi.KindStruct:
		return structSchema(t)
	}
	return object{}
}

// intSchema describes an integer and its range, as far as numbers in every
// reader of the schema are exact.
func intSchema(t rmi.TypeInfo) object {
	s := object{"type": "integer"}
	switch {
	case t.Bits == 0:
		return s
	case t.Bits == 32 && !t.Unsigned:
		s["format"] = "int32"
	case t.Bits == 64 && !t.Unsigned:
		s["format"] = "int64"
	}
	if t.Unsigned {
		s["minimum"] = 0
	}
	if t.Bits < 53 {
		bits := t.Bits
		if !t.Unsigned {
			bits--
			s["minimum"] = -int64(math.Exp2(float64(bits)))
		}
		s["maximum"] = int64(math.Exp2(float64(bits))) - 1
	}
	return s
}

// listSchema describes a list.
func listSchema(t rmi.TypeInfo) object {
	s := object{"type": "array"}
	if t.Elem != nil {
		s["items"] = schemaOf(*t.Elem)
	}
	if t.Length > 0 {
		s["minItems"], s["maxItems"] = t.Length, t.Length
	}
	return s
}

// structSchema describes a struct, whose fields may all be left out.
func structSchema(t rmi.TypeInfo) object {
	if t.Positional {
		items := make([]object, len(t.Fields))
		for i, f := range t.Fields {
			items[i] = schemaOf(f.Type)
		}
		return object{"type": "array", "prefixItems": items}
	}
	properties := object{}
	for _, f := range t.Fields {
		properties[f.Name] = schemaOf(f.Type)
	}
	s := object{"type": "object", "properties": properties}
	if t.Go != "" {
		s["title"] = t.Go
	}
	return s
}
