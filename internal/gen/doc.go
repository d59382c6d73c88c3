// Package gen writes typed clients: Go source that calls the methods of an object
// as if they were those of a value. What the methods are it is told as a
// [File], which comes from Go source (package gen/source) or from a live object
// ([Stub]).
package gen
