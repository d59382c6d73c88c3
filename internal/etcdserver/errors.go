package etcdserver

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"syscall"
)

// The conditions callers branch on; test for them with errors.Is.
var (
	// ErrClosed means that the server was closed.
	ErrClosed = errors.New("etcd server is closed")
	// ErrNoLeader means that the cluster has no leader, mostly because too few
	// of its members can talk to each other.
	ErrNoLeader = errors.New("etcd has no leader")
	// ErrFull means that the database has reached its quota.
	ErrFull = errors.New("etcd's database has reached its quota and takes no more writes")
	// ErrInUse means that another process uses the data directory.
	ErrInUse = errors.New("another process uses the data directory")
)

// OptionError says which option is unusable and why.
type OptionError struct {
	// Field is the option's field in [Options], Value what it holds, Reason
	// what is wrong with it.
	Field, Value, Reason string
}

// Error names the option, its value where it has one, and the reason.
func (e *OptionError) Error() string {
	if e.Value == "" {
		return fmt.Sprintf("etcd server option %s: %s", e.Field, e.Reason)
	}
	return fmt.Sprintf("etcd server option %s: %q: %s", e.Field, e.Value, e.Reason)
}

// ListenError says that an address could not be listened on.
type ListenError struct {
	Addr string
	Err  error
}

// Error names the address, what happened and what to do.
func (e *ListenError) Error() string {
	why := e.Err.Error()
	switch {
	case errors.Is(e.Err, syscall.EADDRINUSE):
		why = "another process listens there; stop it or choose another address"
	case errors.Is(e.Err, syscall.EACCES):
		why = "this user may not listen there; choose a port above 1023"
	case errors.Is(e.Err, syscall.EADDRNOTAVAIL):
		why = "this host has no such address; listen on one of its own"
	}
	return fmt.Sprintf("listen for etcd on %s: %s", e.Addr, why)
}

// Unwrap returns the network's error.
func (e *ListenError) Unwrap() error { return e.Err }

// DataDirError says that a data directory cannot be used.
type DataDirError struct {
	Dir string
	Err error
}

// Error names the directory and what is wrong with it.
func (e *DataDirError) Error() string {
	if errors.Is(e.Err, fs.ErrPermission) {
		return fmt.Sprintf("use data directory %s: this user may not read and write it: %v", e.Dir, e.Err)
	}
	return fmt.Sprintf("use data directory %s: %v", e.Dir, e.Err)
}

// Unwrap returns the cause.
func (e *DataDirError) Unwrap() error { return e.Err }

// OwnerError says that a data directory holds the data of another member or
// another cluster.
type OwnerError struct {
	// Has is whom the data belongs to, Want who was started on it.
	Has, Want Owner
}

// Error says whose the data is.
func (e *OwnerError) Error() string {
	return fmt.Sprintf("it holds the data of member %q of cluster %q, not of member %q of cluster %q; "+
		"use another directory, or the name and token it belongs to",
		e.Has.Name, e.Has.ClusterToken, e.Want.Name, e.Want.ClusterToken)
}

// startError gives what embed returned a type and a hint.
func startError(o Options, err error) error {
	var op *net.OpError
	switch {
	case errors.As(err, &op) && op.Op == "listen":
		addr := "?"
		if op.Addr != nil {
			addr = op.Addr.String()
		}
		return &ListenError{Addr: addr, Err: err}
	case errors.Is(err, fs.ErrPermission):
		return &DataDirError{Dir: o.DataDir, Err: err}
	// etcd has no sentinel for this one, and what to do about it is not obvious.
	case strings.Contains(err.Error(), "has already been bootstrapped"):
		return fmt.Errorf("start etcd member %q: its cluster knows this member, but its data is gone from %s: "+
			"bring the data back, or remove the member from the cluster and add it anew: %w", o.Name, o.DataDir, err)
	}
	return fmt.Errorf("start etcd member %q: %w", o.Name, err)
}
