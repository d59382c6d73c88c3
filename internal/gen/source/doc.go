// Package source reads from Go source what package gen writes clients for: the
// methods of a type, with the words of its author. What can travel it decides as
// rmi.Objects.Export does, but on types that have not been compiled, so that it
// can say where the trouble is.
package source
