package xmlrpc

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
)

// Fault codes of the interoperability specification of 2001, which reserves -32768
// to -32000. Applications use others.
const (
	// CodeNotWellFormed is for a document that is no XML.
	CodeNotWellFormed = -32700
	// CodeUnsupportedEncoding is for a document in an unknown charset.
	CodeUnsupportedEncoding = -32701
	// CodeInvalidCharacter is for a character that its charset or XML does not have.
	CodeInvalidCharacter = -32702
	// CodeInvalidRequest is for a document that is XML but no XML-RPC.
	CodeInvalidRequest = -32600
	// CodeMethodNotFound is for a method that the server does not have.
	CodeMethodNotFound = -32601
	// CodeInvalidParams is for arguments that do not fit the method.
	CodeInvalidParams = -32602
	// CodeInternal is for an error in the server itself.
	CodeInternal = -32603
	// CodeApplication is for an error of the method that has no code of its own.
	CodeApplication = -32500
	// CodeSystem is for an error of the system that the server runs on.
	CodeSystem = -32400
	// CodeTransport is for an error of the transport.
	CodeTransport = -32300
	// CodeLimit is for a document that exceeds a limit. It is from the range that
	// the specification leaves to implementations.
	CodeLimit = -32001
)

// FaultCode is the code of the fault that tells a caller of err: that of a
// [*Fault], [*SyntaxError] or [*LimitError], CodeInvalidParams for arguments that
// do not fit, CodeInternal for a result that cannot be encoded, and
// CodeApplication for anything else.
func FaultCode(err error) int {
	if f, ok := errors.AsType[*Fault](err); ok {
		return f.Code
	}
	if s, ok := errors.AsType[*SyntaxError](err); ok {
		return s.Code
	}
	if _, ok := errors.AsType[*LimitError](err); ok {
		return CodeLimit
	}
	if _, ok := errors.AsType[*ArgumentError](err); ok {
		return CodeInvalidParams
	}
	if _, ok := errors.AsType[*UnmarshalTypeError](err); ok {
		return CodeInvalidParams
	}
	if _, ok := errors.AsType[*UnsupportedValueError](err); ok {
		return CodeInternal
	}
	if _, ok := errors.AsType[*UnsupportedTypeError](err); ok {
		return CodeInternal
	}
	return CodeApplication
}

// A SyntaxError is a document that is no XML, or no XML-RPC.
type SyntaxError struct {
	// Code is CodeNotWellFormed, CodeUnsupportedEncoding, CodeInvalidCharacter or
	// CodeInvalidRequest.
	Code int
	// Msg says what is wrong, without the place.
	Msg string
	// Offset is the byte of the document, once it is in UTF-8, at which it was
	// noticed, and Line the line, counted from 1. A Line of 0 means that the place
	// is not known.
	Offset, Line int
	// Path is the value that is wrong, such as "params[1].name", if that is where
	// it is.
	Path string
}

// Error says what is wrong, and where.
func (e *SyntaxError) Error() string {
	s := "xmlrpc: " + at(e.Path) + e.Msg
	if e.Line > 0 {
		s += fmt.Sprintf(" (line %d, byte %d)", e.Line, e.Offset)
	}
	return s
}

// A LimitError is a document that exceeds one of the [Limits].
type LimitError struct {
	// Name is the field of Limits, and Limit its value. Two limits are fixed:
	// "Method", of 255 bytes, and "Namespaces", of 64 declarations in scope.
	Name  string
	Limit int
	// Offset is the byte of the document at which it was noticed.
	Offset int
}

// Error says what is wrong, and where.
func (e *LimitError) Error() string {
	return fmt.Sprintf("xmlrpc: document exceeds the limit of %d on %s at byte %d", e.Limit, limitNouns[e.Name], e.Offset)
}

var limitNouns = map[string]string{
	"Bytes":      "its bytes (Limits.Bytes)",
	"Depth":      "nested values (Limits.Depth)",
	"Elements":   "elements (Limits.Elements)",
	"Text":       "the bytes of a text (Limits.Text)",
	"Number":     "the characters of a number (Limits.Number)",
	"Namespaces": "namespace declarations in scope",
	"Method":     "the bytes of a method name",
}

// An UnmarshalTypeError is a value that does not fit the Go type it is read into.
type UnmarshalTypeError struct {
	// Value is what was there, such as "string" or "int 300".
	Value string
	// Type is the Go type that it was to be read into.
	Type reflect.Type
	// Path is where, such as "[3].name"; it is empty for the value itself.
	Path string
	// Offset is the byte of the document, once it is in UTF-8, where the value
	// begins. It is 0 if the value is a clone.
	Offset int
	// Err is the error of an [Unmarshaler] or encoding.TextUnmarshaler that refused
	// the value; it is nil otherwise.
	Err error
}

// Error says what is wrong, and where.
func (e *UnmarshalTypeError) Error() string {
	s := "xmlrpc: " + at(e.Path) + "cannot read " + e.Value + " into Go value of type " + e.Type.String()
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns Err.
func (e *UnmarshalTypeError) Unwrap() error { return e.Err }

// An InvalidUnmarshalError is an attempt to read into something that is not a
// pointer, or a nil one.
type InvalidUnmarshalError struct {
	// Type is that of the argument; nil if that was nil.
	Type reflect.Type
}

// Error says what is wrong, and where.
func (e *InvalidUnmarshalError) Error() string {
	switch {
	case e.Type == nil:
		return "xmlrpc: cannot read into nil: a pointer is needed"
	case e.Type.Kind() != reflect.Pointer:
		return "xmlrpc: cannot read into " + e.Type.String() + ": a pointer is needed"
	}
	return "xmlrpc: cannot read into a nil " + e.Type.String()
}

// An UnsupportedTypeError is a Go type that XML-RPC has nothing for, such as a
// channel.
type UnsupportedTypeError struct {
	// Type is the type.
	Type reflect.Type
	// Path is where the value is, such as "params[1].name".
	Path string
}

// Error says what is wrong, and where.
func (e *UnsupportedTypeError) Error() string {
	return "xmlrpc: " + at(e.Path) + "cannot write Go type " + e.Type.String()
}

// An UnsupportedValueError is a Go value that XML-RPC, or the [Dialect], has
// nothing for. Nothing has been written.
type UnsupportedValueError struct {
	// Reason says what is wrong and what helps.
	Reason string
	// Path is where the value is, such as "params[1].name".
	Path string
	// Err is the error of a [Marshaler] or encoding.TextMarshaler that gave up; it
	// is nil otherwise.
	Err error
}

// Error says what is wrong, and where.
func (e *UnsupportedValueError) Error() string {
	s := "xmlrpc: " + at(e.Path) + e.Reason
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns Err.
func (e *UnsupportedValueError) Unwrap() error { return e.Err }

// An ArgumentError is a list of parameters that does not fit a function.
type ArgumentError struct {
	// Index is the parameter, counted from 0, that does not fit. It is -1 if their
	// number does not.
	Index int
	// Got is how many there are, and Want how many the function takes, or takes at
	// least if it is Variadic.
	Got, Want int
	Variadic  bool
	// Err says why the parameter at Index does not fit.
	Err error
}

// Error says what is wrong, and where.
func (e *ArgumentError) Error() string {
	if e.Index >= 0 {
		return "xmlrpc: argument " + strconv.Itoa(e.Index+1) + ": " + trimPrefix(e.Err)
	}
	least := ""
	if e.Variadic {
		least = "at least "
	}
	noun := "arguments"
	if e.Want == 1 {
		noun = "argument"
	}
	return fmt.Sprintf("xmlrpc: takes %s%d %s, got %d", least, e.Want, noun, e.Got)
}

// Unwrap returns Err.
func (e *ArgumentError) Unwrap() error { return e.Err }

// at introduces a message about the value at path.
func at(path string) string {
	if path == "" {
		return ""
	}
	return path + ": "
}

// trimPrefix is the text of err without the name of the package.
func trimPrefix(err error) string {
	const prefix = "xmlrpc: "
	s := err.Error()
	if len(s) > len(prefix) && s[:len(prefix)] == prefix {
		return s[len(prefix):]
	}
	return s
}
