package gateway

import (
	"context"
	"fmt"
	"sync"

	"farcall.dev/naming"
	"farcall.dev/rmi"
)

// Listing is one name that can be called.
type Listing struct {
	// Name is what it is called.
	Name naming.Name `json:"name"`
	// Kind is object or function.
	Kind naming.Kind `json:"kind"`
	// Instances counts the instances that take calls.
	Instances int `json:"instances"`
	// Digest is that of its interface; empty when it is not known.
	Digest string `json:"digest,omitempty"`
	// Revision changes with everything that is registered under the name.
	Revision uint64 `json:"-"`
}

// Directory tells what can be called. Its methods may be called from any number
// of goroutines.
type Directory interface {
	// Lookup returns what is known of name, and whether that is anything. It is
	// asked for each call: it waits for nothing but the first listing of the
	// names, and no longer than ctx.
	Lookup(ctx context.Context, name naming.Name) (Listing, bool)
	// List returns what begins with prefix, sorted by name.
	List(ctx context.Context, prefix string) ([]Listing, error)
	// Describe asks for the interface of name.
	Describe(ctx context.Context, name naming.Name) (rmi.InterfaceInfo, error)
}

// ObjectsDirectory returns the Directory of what one node exports.
func ObjectsDirectory(objects *rmi.Objects) Directory { return objectsDirectory{objects} }

// objectsDirectory is a Directory of one node's objects.
type objectsDirectory struct{ objects *rmi.Objects }

var _ Directory = objectsDirectory{}

// Lookup looks name up in the node's table.
func (d objectsDirectory) Lookup(_ context.Context, name naming.Name) (Listing, bool) {
	info, ok := d.objects.Interface(name)
	return Listing{Name: name, Kind: info.Kind, Instances: 1, Digest: info.Digest}, ok
}

// List lists the node's table.
func (d objectsDirectory) List(ctx context.Context, prefix string) ([]Listing, error) {
	var all []Listing
	for _, name := range d.objects.Names() {
		if len(name) < len(prefix) || string(name[:len(prefix)]) != prefix {
			continue
		}
		if l, ok := d.Lookup(ctx, name); ok {
			all = append(all, l)
		}
	}
	return all, nil
}

// Describe describes name.
func (d objectsDirectory) Describe(_ context.Context, name naming.Name) (rmi.InterfaceInfo, error) {
	info, ok := d.objects.Interface(name)
	if !ok {
		return info, &rmi.Error{Code: rmi.NotFound, Message: fmt.Sprintf("nothing is named %q here", name), Execution: rmi.NotExecuted}
	}
	return info, nil
}

// maxDescribed is how many interfaces are remembered.
const maxDescribed = 4096

// described is a Directory that remembers the interfaces that it was told, by
// their digest and what was registered at the time: names of parameters do not
// enter the digest, and arguments are given by them.
type described struct {
	Directory

	mu    sync.RWMutex
	known map[naming.Name]knownInterface // guarded by mu
}

// knownInterface is an interface and what it was told for.
type knownInterface struct {
	digest   string
	revision uint64
	info     rmi.InterfaceInfo
}

// newDescribed returns dir with a memory.
func newDescribed(dir Directory) *described {
	return &described{Directory: dir, known: make(map[naming.Name]knownInterface)}
}

// remembered returns the interface of what is listed as now, if it is known.
func (d *described) remembered(now Listing) (rmi.InterfaceInfo, bool) {
	if now.Digest == "" {
		return rmi.InterfaceInfo{}, false
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	known, ok := d.known[now.Name]
	return known.info, ok && known.digest == now.Digest && known.revision == now.Revision
}

// Describe returns the interface of name. It is shared and read-only.
func (d *described) Describe(ctx context.Context, name naming.Name) (rmi.InterfaceInfo, error) {
	now, ok := d.Lookup(ctx, name)
	if ok {
		if info, hit := d.remembered(now); hit {
			return info, nil
		}
	}
	info, err := d.Directory.Describe(ctx, name)
	if err != nil || !ok || now.Digest == "" || info.Digest != now.Digest {
		return info, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, there := d.known[name]; !there && len(d.known) >= maxDescribed {
		for any := range d.known { // one or the other
			delete(d.known, any)
			break
		}
	}
	d.known[name] = knownInterface{now.Digest, now.Revision, info}
	return info, nil
}

// maxDescribing is how many names are described at a time for a listing.
const maxDescribing = 16

// describeAll describes all of list, in order. What cannot be described is left
// out, unless ctx has ended, which is an error.
func (d *described) describeAll(ctx context.Context, list []Listing) ([]rmi.InterfaceInfo, error) {
	infos := make([]rmi.InterfaceInfo, len(list))
	var work sync.WaitGroup
	slots := make(chan struct{}, maxDescribing)
	for i, l := range list {
		slots <- struct{}{}
		work.Go(func() {
			defer func() { <-slots }()
			if info, err := d.Describe(ctx, l.Name); err == nil {
				infos[i] = info
			}
		})
	}
	work.Wait()
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("describe %d names: %w", len(list), err)
	}
	found := infos[:0]
	for _, info := range infos {
		if info.Name != "" {
			found = append(found, info)
		}
	}
	return found, nil
}
