// Package naming says what a thing is called and where it lives.
//
// A [Name] is a human-readable word for an object or a function. Each process
// that serves the thing publishes one [Instance] under that name; a [Registry]
// keeps the instances and lets everybody follow them, and a [Resolver] answers
// "where is it?" without a lock, a round trip or an allocation.
//
// The package itself holds the records, the two interfaces, an in-memory
// registry ([Memory]) and the resolver that every client uses ([Cache]).
// Package naming/etcd keeps the same records in etcd; package
// naming/namingtest is the contract that both must pass.
package naming
