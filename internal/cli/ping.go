package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"farcall.dev"
	"farcall.dev/naming"
	"farcall.dev/rmi"
)

// maxPings bounds the pings of one command.
const maxPings = 100_000

// pingOptions say how ping goes about it.
type pingOptions struct {
	count    int
	interval time.Duration
}

// pingCommand is "client ping".
func (a *app) pingCommand() *cobra.Command {
	o := pingOptions{}
	cmd := &cobra.Command{
		Use:     "ping [NAME]",
		GroupID: groupLook,
		Short:   "Measure the round trip to each instance of a name",
		Long: `ping calls the node of each instance of NAME, or the one given with --node, and
shows how long the round trips through the mesh took. CONNECT is the first one,
which includes the way to a connection; it is not in the other figures.

--timeout bounds each ping, not the whole. The exit code is 5 when a node did
not answer at all.`,
		Example: `  client ping greeting
  client ping --node daemon-1 -c 100 -i 10ms`,
		RunE: a.run(func(ctx context.Context, cmd *cobra.Command, args []string) error {
			if err := wantArgs(cmd.CommandPath(), args, 0, 1, "one NAME", "client ping greeting"); err != nil {
				return err
			}
			var name naming.Name
			switch {
			case len(args) == 1:
				var err error
				if name, err = parseName(args[0]); err != nil {
					return err
				}
			case a.global.node == "":
				return usagef("for example: client ping greeting, or client ping --node daemon-1", "client ping needs a NAME or a --node")
			default:
				name = rmi.NodeObject
			}
			if o.count < 1 || o.count > maxPings {
				return usagef("for example: -c 10", "--count %d is not between 1 and %d", o.count, maxPings)
			}
			if o.interval < 0 {
				return usagef("for example: -i 200ms", "--interval %s is less than nothing", o.interval)
			}
			return a.ping(ctx, name, o)
		}),
		ValidArgsFunction: a.completeName(anyKind),
	}
	cmd.Flags().IntVarP(&o.count, "count", "c", 5, "how many `times` to ping each instance")
	cmd.Flags().DurationVarP(&o.interval, "interval", "i", 200*time.Millisecond, "how long to wait between the pings of an instance")
	return cmd
}

// pinged is what ping found out about one instance.
type pinged struct {
	Node    naming.NodeID `json:"node"`
	Address string        `json:"address"`
	Sent    int           `json:"sent"`
	Lost    int           `json:"lost"`
	// In milliseconds; absent when nothing came back.
	Connect *float64 `json:"connect_ms,omitempty"`
	Min     *float64 `json:"min_ms,omitempty"`
	Median  *float64 `json:"median_ms,omitempty"`
	Max     *float64 `json:"max_ms,omitempty"`
	Error   string   `json:"error,omitempty"`

	err error
}

// ping pings the instances of name, all at the same time, each one ping after
// the other.
func (a *app) ping(ctx context.Context, name naming.Name, o pingOptions) error {
	joining, cancel := context.WithTimeout(ctx, a.global.timeout)
	defer cancel()
	m, err := a.join(joining)
	if err != nil {
		return err
	}
	defer a.leave(m)
	entry, err := a.lookup(joining, m, name, "object or function")
	if err != nil {
		return err
	}

	var targets []naming.Instance
	for _, inst := range entry.Instances {
		if a.global.node == "" || inst.Node == a.global.pin() {
			targets = append(targets, inst)
		}
	}
	results := make([]pinged, len(targets))
	var wg sync.WaitGroup
	for i, inst := range targets {
		wg.Go(func() { results[i] = a.pingInstance(ctx, m, inst, o) })
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}

	err = a.emit(results, func(w io.Writer) error {
		rows := make([][]string, len(results))
		for i, r := range results {
			rows[i] = []string{
				string(r.Node), r.Address, strconv.Itoa(r.Sent), strconv.Itoa(r.Lost),
				millis(r.Connect), millis(r.Min), millis(r.Median), millis(r.Max),
			}
		}
		return writeTable(w, []string{"NODE", "ADDRESS", "SENT", "LOST", "CONNECT", "MIN", "MEDIAN", "MAX"}, rows)
	})
	if err != nil {
		return err
	}
	for _, r := range results {
		if r.Lost == r.Sent {
			return &failure{
				code: ExitUnavailable,
				err:  fmt.Errorf("node %s does not answer: %w", r.Node, r.err),
				hint: fmt.Sprintf("see whether %s can be reached from here, and what the log of the node says", r.Address),
			}
		}
	}
	return nil
}

// pingInstance pings one instance until it has done so o.count times.
func (a *app) pingInstance(ctx context.Context, m *farcall.Mesh, inst naming.Instance, o pingOptions) pinged {
	p := pinged{Node: inst.Node, Address: inst.Addrs[naming.ProtocolMesh]}
	var times []time.Duration
	for i := range o.count + 1 { // the first one connects
		if i > 1 && !pause(ctx, o.interval) {
			return p
		}
		took, err := a.pingOnce(ctx, m, inst.Node)
		if i == 0 {
			if err == nil {
				p.Connect = new(toMillis(took))
			} else {
				p.err = err
				a.verbosef("node %s: connect: %v", inst.Node, err)
			}
			continue
		}
		p.Sent++
		if err != nil {
			p.Lost++
			p.err, p.Error = err, rmi.FromError(err).Message
			a.verbosef("node %s: ping %d: %v", inst.Node, i, err)
			continue
		}
		a.verbosef("node %s: ping %d: %s", inst.Node, i, short(took))
		times = append(times, took)
	}
	if len(times) > 0 {
		slices.Sort(times)
		p.Min = new(toMillis(times[0]))
		p.Median = new(toMillis(times[len(times)/2]))
		p.Max = new(toMillis(times[len(times)-1]))
	}
	return p
}

// pause waits for d, and reports false when ctx ends first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// toMillis returns d in milliseconds, to the microsecond.
func toMillis(d time.Duration) float64 {
	return float64(d.Round(time.Microsecond)) / float64(time.Millisecond)
}

// millis writes a figure of ping; nothing when there is none.
func millis(ms *float64) string {
	if ms == nil {
		return ""
	}
	return short(time.Duration(*ms * float64(time.Millisecond)).Round(time.Microsecond))
}

// pingOnce calls a node and returns how long it took to answer.
func (a *app) pingOnce(ctx context.Context, m *farcall.Mesh, node naming.NodeID) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, a.global.timeout)
	defer cancel()
	start := time.Now()
	err := rmi.InvokeInto(ctx, m.OnNode(node), nil, rmi.NodeObject, "ping")
	return time.Since(start), err
}
