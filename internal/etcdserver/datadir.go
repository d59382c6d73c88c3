package etcdserver

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"go.etcd.io/etcd/client/pkg/v3/fileutil"
)

const (
	ownerFile = "farcall-owner.json"
	lockFile  = "farcall.lock"
	// maxOwnerFile bounds what is read of an owner file, in bytes.
	maxOwnerFile = 4096
)

// Owner says whose a data directory is.
type Owner struct {
	// Name is the member's name.
	Name string `json:"name"`
	// ClusterToken is its cluster's token.
	ClusterToken string `json:"clusterToken"`
}

// dataDir is a data directory that this process holds the lock of.
type dataDir struct {
	path  string
	temp  bool // removed by release
	owner Owner
	lock  *fileutil.LockedFile
}

// acquire makes the data directory that o asks for where there is none, locks
// it and checks whose it is.
func acquire(o Options) (*dataDir, error) {
	d := &dataDir{path: o.DataDir, owner: Owner{o.Name, o.ClusterToken}}
	if d.path == "" {
		p, err := os.MkdirTemp("", "farcall-etcd-")
		if err != nil {
			return nil, fmt.Errorf("make a temporary data directory: %w", err)
		}
		d.path, d.temp = p, true
	}
	if err := d.open(); err != nil {
		d.release()
		return nil, &DataDirError{Dir: d.path, Err: err}
	}
	return d, nil
}

// open locks the directory and checks its owner.
func (d *dataDir) open() error {
	if err := os.MkdirAll(d.path, 0o700); err != nil {
		return err
	}
	lock, err := fileutil.TryLockFile(filepath.Join(d.path, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if errors.Is(err, fileutil.ErrLocked) {
		return ErrInUse
	}
	if err != nil {
		return err
	}
	d.lock = lock
	has, err := readOwner(filepath.Join(d.path, ownerFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil // new, or made by another program: etcd itself judges the data
	case err != nil:
		return err
	case has != d.owner:
		return &OwnerError{Has: has, Want: d.owner}
	}
	return nil
}

// readOwner reads an owner file.
func readOwner(path string) (Owner, error) {
	f, err := os.Open(path)
	if err != nil {
		return Owner{}, err
	}
	defer f.Close()
	buf := make([]byte, maxOwnerFile)
	n, err := f.Read(buf)
	if err != nil {
		return Owner{}, fmt.Errorf("read %s: %w", ownerFile, err)
	}
	var o Owner
	if err := json.Unmarshal(buf[:n], &o); err != nil {
		return Owner{}, fmt.Errorf("read %s: %w", ownerFile, err)
	}
	return o, nil
}

// claim writes whose the directory is. It is called once etcd has started on
// it, so that a failed first start claims nothing.
func (d *dataDir) claim() error {
	data, err := json.Marshal(d.owner)
	if err != nil {
		return err
	}
	tmp := filepath.Join(d.path, ownerFile+".tmp")
	if err := os.WriteFile(tmp, append(data, '\n'), 0o600); err != nil {
		return &DataDirError{Dir: d.path, Err: err}
	}
	if err := os.Rename(tmp, filepath.Join(d.path, ownerFile)); err != nil {
		return &DataDirError{Dir: d.path, Err: err}
	}
	return nil
}

// release unlocks the directory, and removes a temporary one.
func (d *dataDir) release() error {
	if d.lock != nil {
		d.lock.Close()
	}
	if d.temp {
		return os.RemoveAll(d.path)
	}
	return nil
}
