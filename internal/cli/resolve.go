package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"farcall.dev"
	"farcall.dev/naming"
	"farcall.dev/rmi"
)

// resolveCommand is "client resolve".
func (a *app) resolveCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "resolve NAME",
		GroupID: groupLook,
		Short:   "Show the instances behind a name",
		Long: `resolve shows every instance of NAME: the node that serves it, its state, zone,
weight, version, tags, addresses and start, and how old this knowledge is: the
registry's revision at the last change of the name, and the time since the name
server last confirmed it.`,
		Example: `  client resolve greeting
  client resolve greeting -o json | jq -r '.instances[].addresses.mesh'`,
		RunE: a.run(func(ctx context.Context, cmd *cobra.Command, args []string) error {
			if err := wantArgs(cmd.CommandPath(), args, 1, 1, "the NAME of an object or function", "client resolve greeting"); err != nil {
				return err
			}
			name, err := parseName(args[0])
			if err != nil {
				return err
			}
			return a.inMesh(ctx, func(ctx context.Context, m *farcall.Mesh) error { return a.resolve(ctx, m, name) })
		}),
		ValidArgsFunction: a.completeName(anyKind),
	}
}

// resolved is what resolve shows.
type resolved struct {
	Name      naming.Name        `json:"name"`
	Kind      naming.Kind        `json:"kind"`
	Mode      naming.Mode        `json:"mode"`
	Revision  naming.Revision    `json:"revision"`
	Age       float64            `json:"age_seconds"`
	Instances []resolvedInstance `json:"instances"`
}

// resolvedInstance is one instance as resolve shows it.
type resolvedInstance struct {
	Node        naming.NodeID              `json:"node"`
	State       naming.State               `json:"state"`
	Zone        string                     `json:"zone,omitempty"`
	Weight      int                        `json:"weight"`
	Version     string                     `json:"version,omitempty"`
	Tags        []string                   `json:"tags"`
	Addresses   map[naming.Protocol]string `json:"addresses"`
	Interface   string                     `json:"interface,omitempty"`
	Incarnation naming.Incarnation         `json:"incarnation"`
	Started     *time.Time                 `json:"started,omitempty"`
}

// resolve shows the instances of name.
func (a *app) resolve(ctx context.Context, m *farcall.Mesh, name naming.Name) error {
	entry, err := a.lookup(ctx, m, name, "object or function")
	if err != nil {
		return err
	}
	age := m.Resolver().Stats().Age
	out := resolved{
		Name: name, Kind: entry.Instances[0].Kind, Mode: entry.Instances[0].Mode,
		Revision: entry.Revision, Age: age.Seconds(),
	}
	for _, inst := range entry.Instances {
		if a.global.node != "" && inst.Node != a.global.pin() {
			continue
		}
		r := resolvedInstance{
			Node: inst.Node, State: inst.State, Zone: inst.Zone, Weight: inst.Weight, Version: inst.Version,
			Tags: set(inst.Tags), Addresses: inst.Addrs, Interface: inst.Interface, Incarnation: inst.Incarnation,
		}
		if t := started(inst.Incarnation); !t.IsZero() {
			t = t.UTC()
			r.Started = &t
		}
		out.Instances = append(out.Instances, r)
	}
	return a.emit(out, func(w io.Writer) error { return a.resolvedText(w, out, entry, age) })
}

// resolvedText writes out for people.
func (a *app) resolvedText(w io.Writer, out resolved, entry *naming.Entry, age time.Duration) error {
	_, err := fmt.Fprintf(w, "%s: %s, %s, %s; revision %d, confirmed %s\n\n",
		out.Name, out.Kind, out.Mode, count(len(entry.Instances), "instance"), out.Revision, ago(age))
	if err != nil {
		return err
	}
	var rows [][]string
	for _, inst := range entry.Instances {
		if a.global.node != "" && inst.Node != a.global.pin() {
			continue
		}
		start := "incarnation " + strconv.FormatUint(uint64(inst.Incarnation), 10)
		if t := started(inst.Incarnation); !t.IsZero() {
			start = ago(a.opts.Now().Sub(t))
		}
		rows = append(rows, []string{
			string(inst.Node), string(inst.State), inst.Zone, strconv.Itoa(inst.Weight), inst.Version,
			addresses(inst), join(inst.Tags), start,
		})
	}
	return writeTable(w, []string{"NODE", "STATE", "ZONE", "WEIGHT", "VERSION", "ADDRESSES", "TAGS", "STARTED"}, rows)
}

// lookup resolves name. What says what it was to be, for the message when it is
// not there. With --node it insists on an instance there.
func (a *app) lookup(ctx context.Context, m *farcall.Mesh, name naming.Name, what string) (*naming.Entry, error) {
	entry, err := m.Resolver().Resolve(ctx, name)
	switch {
	case errors.Is(err, naming.ErrNotFound):
		return nil, a.notFound(err, what, name)
	case errors.Is(err, naming.ErrUnavailable):
		return nil, a.unjoined(err)
	case err != nil:
		return nil, err
	}
	a.verbosef("%s has %s, at revision %d, confirmed %s", name, count(len(entry.Instances), "instance"), entry.Revision, ago(m.Resolver().Stats().Age))
	if a.global.node == "" {
		return entry, nil
	}
	var nodes []naming.NodeID
	for _, inst := range entry.Instances {
		if inst.Node == a.global.pin() {
			return entry, nil
		}
		nodes = append(nodes, inst.Node)
	}
	return nil, &failure{
		code: ExitNotFound,
		err:  fmt.Errorf("%s is not served on node %s", name, quoted(a.global.node)),
		hint: fmt.Sprintf("it is on %s", andList(nodes)),
	}
}

// kindOf returns whether entry is an object or a function.
func kindOf(entry *naming.Entry) naming.Kind { return entry.Instances[0].Kind }

// methodNames returns the methods of info by their names on the wire.
func methodNames(info rmi.InterfaceInfo) []string {
	out := make([]string, len(info.Methods))
	for i, m := range info.Methods {
		out[i] = m.Name
	}
	return out
}
