package xmlrpc

// Kind is the type of a value in a document.
type Kind uint8

// The kinds. KindInvalid is that of the zero RawValue, which is no value at all.
const (
	KindInvalid Kind = iota
	KindInt          // int, i4, i1, i2: 32 bits at most
	KindI8           // i8: 64 bits
	KindBoolean
	KindString
	KindDouble // double, float
	KindDateTime
	KindBase64
	KindArray
	KindStruct
	KindNil
	KindBigInteger
	KindBigDecimal
	KindDOM          // embedded XML, see DecodeOptions.Opaque
	KindSerializable // a stream of Java objects, see DecodeOptions.Opaque
)

var kindNames = [...]string{
	KindInvalid:      "invalid",
	KindInt:          "int",
	KindI8:           "i8",
	KindBoolean:      "boolean",
	KindString:       "string",
	KindDouble:       "double",
	KindDateTime:     "dateTime.iso8601",
	KindBase64:       "base64",
	KindArray:        "array",
	KindStruct:       "struct",
	KindNil:          "nil",
	KindBigInteger:   "biginteger",
	KindBigDecimal:   "bigdecimal",
	KindDOM:          "dom",
	KindSerializable: "serializable",
}

// String is the name of the type as system.methodSignature gives it, such as
// "int" or "dateTime.iso8601".
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return kindNames[KindInvalid]
}
