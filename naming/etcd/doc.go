// Package etcd keeps a [naming.Registry] in etcd. It is the only importer of
// etcd's client.
//
// # Keys
//
// Everything is under one prefix, "/farcall/v1/" by default. Names and node ids
// stand in keys as they are, except that "%" is written "%25" and "/" is written
// "%2F". So a key can be read by eye and taken apart again, and the names that
// begin with some text are exactly the keys that begin with that text escaped.
//
//	key                      value                            lease
//	instances/<name>/<node>  one instance, in JSON            of its process
//	owners/<name>/<node>     a claim to an exclusive name     of its process
//	store                    a random word                    none
//
// An instance's value is a JSON object with a version "v", now 1. Readers ignore
// fields that they do not know, and skip a value that they cannot use: it is
// logged, and counts as absent.
//
// The claims to a name stand in line in the order in which etcd created them.
// The first in line owns the name; the others wait as standby. A claim is put
// in one transaction with its instance, and ends with the same lease.
//
// The word under "store" is written by whoever finds it missing, and tells one
// store from the next: an etcd that lost its data counts its revisions from the
// start again, so that a revision alone cannot tell what has been seen.
//
// # Parts
//
// A [Registry] has two goroutines at work, each of which opens its file with an
// account of itself: the registrar (registrar.go), which keeps this process's
// records published, and the watcher (watch.go), which follows everybody's. They
// share one connection (conn.go), one lease (lease.go) and one watch stream.
package etcd
