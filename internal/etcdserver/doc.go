// Package etcdserver runs an etcd member inside this process: the store behind
// a name server that depends on nothing else.
//
// [Start] brings one member up, from its data where there is any, and [Server]
// says when it serves, how it stands and when it ended. Several servers may run
// in one process; none touches a process-wide logger. The package is the only
// importer of etcd's server.
//
// What an embedded etcd does by default and this package does not:
//
//   - It exits the process on errors it calls fatal. Here those that happen
//     while starting are returned by Start.
//   - It waits for ever for a data directory that another process uses. Here
//     that is an error that says so.
//   - Given data of another member or another cluster, it quietly becomes that
//     member. Here a small file beside the data says whose it is, and a
//     mismatch is an error.
//   - Its Close waits about seven seconds for watches, which never end by
//     themselves. Here they are ended first, with an error clients retry on.
//   - It keeps every revision for ever. Here an hour of them is kept.
package etcdserver
