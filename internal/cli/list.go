package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"farcall.dev"
	"farcall.dev/naming"
)

// hiddenPrefix begins the names that are the mesh's own.
const hiddenPrefix = "farcall."

// listQuery is what list was asked to show.
type listQuery struct {
	prefix string
	tags   []string
	node   naming.NodeID
	all    bool
}

// shows reports whether inst was asked for.
func (q listQuery) shows(inst naming.Instance) bool {
	name := string(inst.Name)
	hidden := strings.HasPrefix(name, hiddenPrefix) && !q.all && !strings.HasPrefix(q.prefix, hiddenPrefix)
	return !hidden && strings.HasPrefix(name, q.prefix) && inst.HasTags(q.tags...) &&
		(q.node == "" || inst.Node == q.node)
}

// listCommand is "client list".
func (a *app) listCommand() *cobra.Command {
	var q listQuery
	var watch bool
	cmd := &cobra.Command{
		Use:     "list [PREFIX]",
		GroupID: groupLook,
		Short:   "List the names that are registered",
		Long: `list shows every registered name, or those that begin with PREFIX, and where
they are served. Names that begin with "farcall." belong to the mesh itself and
are shown with --all, or when PREFIX begins so.

With --watch it shows each instance there is, and then each change as it
happens, until it is interrupted (exit code 0): "+" for an instance that came,
"~" for one that changed, "-" for one that is gone. As JSON each of these is one
line. --timeout then bounds only the way to the name server.`,
		Example: `  client list
  client list shop.
  client list --tag blue --tag canary
  client list --watch -o json | jq .`,
		RunE: a.run(func(ctx context.Context, cmd *cobra.Command, args []string) error {
			if err := wantArgs(cmd.CommandPath(), args, 0, 1, "at most one prefix", "client list shop."); err != nil {
				return err
			}
			if len(args) == 1 {
				q.prefix = args[0]
			}
			q.node = a.global.pin()
			if watch {
				return a.watch(ctx, q)
			}
			return a.inMesh(ctx, func(ctx context.Context, m *farcall.Mesh) error { return a.list(ctx, m, q) })
		}),
		ValidArgsFunction: a.completeName(anyKind),
	}
	cmd.Flags().StringArrayVar(&q.tags, "tag", nil, "only instances that carry this `tag`; repeat it to ask for several at once")
	if err := cmd.RegisterFlagCompletionFunc("tag", a.completeTag); err != nil {
		panic(err) // the flag is declared in the line above
	}
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "go on, and show each change as it happens")
	cmd.Flags().BoolVarP(&q.all, "all", "a", false, "show the mesh's own names too")
	return cmd
}

// listedName is one line of list.
type listedName struct {
	Name      naming.Name     `json:"name"`
	Kind      naming.Kind     `json:"kind"`
	Instances int             `json:"instances"`
	Live      int             `json:"live"`
	Nodes     []naming.NodeID `json:"nodes"`
	Zones     []string        `json:"zones"`
	Versions  []string        `json:"versions"`
	Tags      []string        `json:"tags"`
}

// list shows the names of q as they are now.
func (a *app) list(ctx context.Context, m *farcall.Mesh, q listQuery) error {
	entries, err := a.entries(ctx, m, q.prefix)
	if err != nil {
		return err
	}
	names := summarize(entries, q.shows)
	return a.emit(names, func(w io.Writer) error {
		if len(names) == 0 {
			_, err := fmt.Fprintln(a.opts.Stderr, "client: nothing is registered"+q.words())
			return err
		}
		rows := make([][]string, len(names))
		for i, n := range names {
			instances := strconv.Itoa(n.Instances)
			if n.Live < n.Instances {
				instances = fmt.Sprintf("%d (%d live)", n.Instances, n.Live)
			}
			rows[i] = []string{string(n.Name), string(n.Kind), instances, join(n.Nodes), join(n.Tags)}
		}
		return writeTable(w, []string{"NAME", "KIND", "INSTANCES", "NODES", "TAGS"}, rows)
	})
}

// entries returns what is known of the names that begin with prefix, once
// something is known.
func (a *app) entries(ctx context.Context, m *farcall.Mesh, prefix string) ([]*naming.Entry, error) {
	if err := m.Resolver().Ready(ctx); err != nil {
		return nil, a.unjoined(err)
	}
	return m.Resolver().List(prefix), nil
}

// words says what q asks for, for the end of a sentence.
func (q listQuery) words() string {
	var b strings.Builder
	if q.prefix != "" {
		fmt.Fprintf(&b, " that begins with %s", quoted(q.prefix))
	}
	if len(q.tags) > 0 {
		fmt.Fprintf(&b, " with tag %s", strings.Join(q.tags, " and "))
	}
	if q.node != "" {
		fmt.Fprintf(&b, " on node %s", q.node)
	}
	return b.String()
}

// summarize makes one line of each entry that has an instance that shows.
func summarize(entries []*naming.Entry, shows func(naming.Instance) bool) []listedName {
	out := make([]listedName, 0, len(entries))
	for _, entry := range entries {
		n := listedName{Name: entry.Name}
		for _, inst := range entry.Instances {
			if !shows(inst) {
				continue
			}
			n.Kind = inst.Kind
			n.Instances++
			if inst.State == naming.StateLive {
				n.Live++
			}
			n.Nodes = append(n.Nodes, inst.Node)
			n.Tags = append(n.Tags, inst.Tags...)
			if inst.Zone != "" {
				n.Zones = append(n.Zones, inst.Zone)
			}
			if inst.Version != "" {
				n.Versions = append(n.Versions, inst.Version)
			}
		}
		if n.Instances > 0 {
			n.Nodes, n.Tags, n.Zones, n.Versions = set(n.Nodes), set(n.Tags), set(n.Zones), set(n.Versions)
			out = append(out, n)
		}
	}
	return out
}

// set returns a copy of words, sorted and without repeats; never nil, so that
// JSON shows a list.
func set[S ~string](words []S) []S {
	out := append([]S{}, words...)
	slices.Sort(out)
	return slices.Compact(out)
}

// listEvent is one line of list --watch.
type listEvent struct {
	Event    string           `json:"event"`
	Name     naming.Name      `json:"name"`
	Node     naming.NodeID    `json:"node"`
	Revision naming.Revision  `json:"revision"`
	Instance *naming.Instance `json:"instance,omitempty"`
}

// sign is how the event looks in text.
func (e listEvent) sign() string {
	switch e.Event {
	case eventAdd:
		return "+"
	case eventRemove:
		return "-"
	}
	return "~"
}

// The words of listEvent.Event.
const (
	eventAdd    = "add"
	eventChange = "change"
	eventRemove = "remove"
)

// watch shows the instances of q and each change until ctx ends.
func (a *app) watch(ctx context.Context, q listQuery) error {
	joining, cancel := context.WithTimeout(ctx, a.global.timeout)
	m, err := a.join(joining)
	cancel()
	if err != nil {
		return err
	}
	defer a.leave(m)

	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	f := follower{query: q, known: make(map[naming.Key]naming.Instance)}
	lost := false
	err = m.Registry().Watch(ctx, q.prefix, 0, func(u naming.Update) {
		if u.Err != nil {
			if !lost {
				fmt.Fprintf(a.opts.Stderr, "client: out of touch with the name server, what is shown still stands: %s\n", cleanLine(u.Err.Error()))
			}
			lost = true
			return
		}
		if lost {
			lost = false
			fmt.Fprintln(a.opts.Stderr, "client: in touch with the name server again")
		}
		for _, e := range f.follow(u) {
			if err := a.emitEvent(e); err != nil {
				stop(outputFailed(err))
				return
			}
		}
	})
	if _, ok := errors.AsType[*outputError](context.Cause(ctx)); ok {
		return context.Cause(ctx)
	}
	if ctx.Err() != nil {
		return errDone
	}
	return fmt.Errorf("watch the names: %w", err)
}

// errDone ends a command that goes on until it is interrupted: that is success.
var errDone = errors.New("done")

// emitEvent writes one event of a watch.
func (a *app) emitEvent(e listEvent) error {
	switch a.global.output {
	case formatJSON:
		return writeJSON(a.opts.Stdout, e, false)
	case formatYAML:
		if _, err := io.WriteString(a.opts.Stdout, "---\n"); err != nil {
			return err
		}
		return writeYAML(a.opts.Stdout, e)
	}
	line := fmt.Sprintf("%s %s %s", e.sign(), e.Name, e.Node)
	if i := e.Instance; i != nil {
		line += fmt.Sprintf(" %s %s %s", i.Kind, i.State, addresses(*i))
		if i.Zone != "" {
			line += " zone=" + i.Zone
		}
		if i.Weight != naming.DefaultWeight {
			line += " weight=" + strconv.Itoa(i.Weight)
		}
		if i.Version != "" {
			line += " version=" + i.Version
		}
		if len(i.Tags) > 0 {
			line += " tags=" + join(i.Tags)
		}
	}
	_, err := fmt.Fprintln(a.opts.Stdout, cleanLine(line))
	return err
}

// follower turns updates of a watch into the events of a query.
type follower struct {
	query listQuery
	known map[naming.Key]naming.Instance
}

// follow returns what u changes in what the query shows.
func (f *follower) follow(u naming.Update) []listEvent {
	var events []listEvent
	gone := func(k naming.Key) {
		if _, ok := f.known[k]; ok {
			delete(f.known, k)
			events = append(events, listEvent{Event: eventRemove, Name: k.Name, Node: k.Node, Revision: u.Revision})
		}
	}
	if u.Reset {
		put := make(map[naming.Key]bool, len(u.Put))
		for _, inst := range u.Put {
			put[inst.Key()] = true
		}
		for _, k := range slices.SortedFunc(maps.Keys(f.known), compareKeys) {
			if !put[k] {
				gone(k)
			}
		}
	}
	for _, k := range u.Delete {
		gone(k)
	}
	for _, inst := range slices.SortedFunc(slices.Values(u.Put), func(a, b naming.Instance) int { return compareKeys(a.Key(), b.Key()) }) {
		k := inst.Key()
		if !f.query.shows(inst) {
			gone(k)
			continue
		}
		old, ok := f.known[k]
		if ok && sameInstance(old, inst) {
			continue
		}
		f.known[k] = inst
		event := eventAdd
		if ok {
			event = eventChange
		}
		events = append(events, listEvent{Event: event, Name: k.Name, Node: k.Node, Revision: u.Revision, Instance: &inst})
	}
	return events
}

// compareKeys orders instances by name, then by node.
func compareKeys(a, b naming.Key) int {
	if a.Name != b.Name {
		return strings.Compare(string(a.Name), string(b.Name))
	}
	return strings.Compare(string(a.Node), string(b.Node))
}

// sameInstance reports whether two records of an instance say the same.
func sameInstance(a, b naming.Instance) bool {
	if !maps.Equal(a.Addrs, b.Addrs) || !slices.Equal(a.Tags, b.Tags) {
		return false
	}
	return a.Incarnation == b.Incarnation && a.Kind == b.Kind && a.State == b.State && a.Mode == b.Mode &&
		a.Zone == b.Zone && a.Weight == b.Weight && a.Version == b.Version && a.Interface == b.Interface
}

// addresses writes where an instance is reached: the mesh's address as it is,
// the others with their protocol.
func addresses(inst naming.Instance) string {
	var out []string
	if mesh, ok := inst.Addrs[naming.ProtocolMesh]; ok {
		out = append(out, mesh)
	}
	for _, p := range slices.Sorted(maps.Keys(inst.Addrs)) {
		if p != naming.ProtocolMesh {
			out = append(out, fmt.Sprintf("%s=%s", p, inst.Addrs[p]))
		}
	}
	return strings.Join(out, " ")
}

// started returns when the process of an incarnation started; zero when the
// number is no time.
func started(inc naming.Incarnation) time.Time {
	t := time.Unix(0, int64(inc))
	if inc > 1<<63-1 || t.Year() < 2000 {
		return time.Time{}
	}
	return t
}
