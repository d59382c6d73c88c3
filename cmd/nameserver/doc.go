// Command nameserver keeps the names of a mesh: which objects and functions
// there are, and where. It runs etcd in its own process, so that one nameserver
// is a whole name service, and serves its health and metrics over HTTP.
//
//	nameserver              keeps its data in ./farcall-data
//	nameserver --dev        keeps nothing
//	nameserver --help       lists every flag, its variable, and the exit codes
package main
