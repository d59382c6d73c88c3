package etcd

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"farcall.dev/naming"
)

const (
	// codecVersion is the version of values that this package writes, and the
	// only one that it reads. Fields may be added within a version; readers
	// ignore those that they do not know.
	codecVersion = 1
	// maxValue bounds one value, in bytes. A larger one is not written, and is
	// skipped when it is read.
	maxValue = 64 << 10
)

// value is an instance as etcd holds it. Name and node are in the key.
type value struct {
	V           int                        `json:"v"`
	Incarnation naming.Incarnation         `json:"incarnation"`
	Kind        naming.Kind                `json:"kind"`
	State       naming.State               `json:"state"`
	Mode        naming.Mode                `json:"mode"`
	Addrs       map[naming.Protocol]string `json:"addrs,omitempty"`
	Tags        []string                   `json:"tags,omitempty"`
	Zone        string                     `json:"zone,omitempty"`
	Weight      int                        `json:"weight"`
	Version     string                     `json:"version,omitempty"`
	Interface   string                     `json:"interface,omitempty"`
	// Written is when the process wrote this, by its own clock, in
	// milliseconds since 1970.
	Written int64 `json:"written"`
}

// encode returns the value of inst, written at now.
func encode(inst naming.Instance, now time.Time) (string, error) {
	data, err := json.Marshal(value{
		V: codecVersion, Incarnation: inst.Incarnation, Kind: inst.Kind, State: inst.State, Mode: inst.Mode,
		Addrs: inst.Addrs, Tags: inst.Tags, Zone: inst.Zone, Weight: inst.Weight, Version: inst.Version,
		Interface: inst.Interface, Written: now.UnixMilli(),
	})
	if err != nil {
		return "", err
	}
	if len(data) > maxValue {
		return "", &SizeError{Name: inst.Name, Size: len(data)}
	}
	return string(data), nil
}

// decode reads the value under k. It returns an instance that is normalized, or
// the reason to skip the value.
func decode(k naming.Key, data []byte) (inst naming.Instance, written time.Time, err error) {
	if len(data) > maxValue {
		return inst, written, fmt.Errorf("it has %d bytes, and the most allowed is %d", len(data), maxValue)
	}
	var v value
	if err := json.Unmarshal(data, &v); err != nil {
		return inst, written, err
	}
	if v.V != codecVersion {
		return inst, written, fmt.Errorf("it has version %d, and this program reads version %d", v.V, codecVersion)
	}
	if v.State == "" || v.Mode == "" || v.Kind == "" || v.Weight == 0 {
		return inst, written, errors.New("it lacks its state, mode, kind or weight")
	}
	inst, err = naming.Instance{
		Name: k.Name, Node: k.Node, Incarnation: v.Incarnation, Kind: v.Kind, State: v.State, Mode: v.Mode,
		Addrs: v.Addrs, Tags: v.Tags, Zone: v.Zone, Weight: v.Weight, Version: v.Version, Interface: v.Interface,
	}.Normalize()
	if v.Written > 0 {
		written = time.UnixMilli(v.Written)
	}
	return inst, written, err
}

// SizeError says that a record is too large to be kept.
type SizeError struct {
	Name naming.Name
	// Size is the record's size in bytes.
	Size int
}

// Error names the record, its size and the bound.
func (e *SizeError) Error() string {
	return fmt.Sprintf("the record of %q has %d bytes, and the most allowed is %d: use fewer or shorter tags, addresses and texts",
		e.Name, e.Size, maxValue)
}
