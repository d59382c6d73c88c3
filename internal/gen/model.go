package gen

import "strings"

// File is one Go file to write.
type File struct {
	// By is the command that writes the file; empty means farcall-gen.
	By string
	// Package is the name in the package clause.
	Package string
	// Doc is the comment of the package; empty for a file of a package that has
	// one elsewhere.
	Doc string
	// Imports are what the types in the file's text need. The packages that the
	// generated code itself uses are added to them.
	Imports *Imports
	// Types are declarations that go before everything else, complete Go source.
	Types []string
	// Interfaces are what clients are written for, in this order.
	Interfaces []Interface
	// Server says that functions which register objects are written, too.
	Server bool
}

// Interface is an object's type as its callers see it.
type Interface struct {
	// Name begins the names of what is generated: NameClient, NewNameClient.
	Name string
	// Type is the Go type as the file writes it: "Greeting", "*shop.Cart".
	Type string
	// Doc says what it is; may be empty.
	Doc string
	// Declare says that Type is an interface that the file declares, in the form
	// that the client has.
	Declare bool
	// Checked says that the object's interface is compared with Type.
	Checked bool
	// Implements says that the client has all methods of Type, which is an
	// interface.
	Implements bool
	// Methods are sorted by Go name.
	Methods []Method
}

// private is the name of the variable that describes i.
func (i Interface) private() string { return lowerFirst(i.Name) + "Interface" }

// bare is the type for people.
func (i Interface) bare() string { return strings.TrimLeft(i.Type, "*") }

// Declared are the names that a file declares for an interface called name.
func Declared(name string, server bool) []string {
	i := Interface{Name: name}
	names := []string{name + "Client", "New" + name + "Client", name + "FromRef", name + "Proxy", name + "Interface", i.private()}
	if server {
		names = append(names, "Register"+name)
	}
	return names
}

// Method is one method.
type Method struct {
	// Go is its name in Go, Wire that on the wire.
	Go, Wire string
	// Doc is its comment; may be empty.
	Doc string
	// Params are the parameters, without the context.
	Params []Param
	// Variadic says that the last parameter is; its type is that of an element.
	Variadic bool
	// Results are the types that the client returns, without the error.
	Results []string
	// Idempotent says that calling it twice does no harm.
	Idempotent bool
	// Way is the constant of package rmi that says what the client waits for;
	// empty for the reply.
	Way string
}

// Param is one parameter.
type Param struct {
	// Name is the author's; empty where there is none.
	Name string
	// Type is what the client takes.
	Type string
	// Typed says that it has to be sent as just that type, and not as that of what
	// is in it.
	Typed bool
}
