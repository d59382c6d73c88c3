package rmi

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"farcall.dev/naming"
)

// group is what the router keeps for one name: the instances of one naming
// entry, as endpoints. It is immutable but for the endpoints' own counters.
type group struct {
	entry *naming.Entry
	// live holds the endpoints that take calls, those in the router's own zone
	// first; near counts those. draining holds the ones to use when no other
	// is left.
	live, draining []*endpoint
	near           int
}

// endpoint is one instance with what this router has seen of it.
type endpoint struct {
	inst naming.Instance
	addr string
	// weightUpTo sums the weights of its group's live (or draining) endpoints up
	// to and including this one.
	weightUpTo int
	*load
}

// load is what one router knows of one instance. It outlives changes of the
// instance's record.
type load struct {
	// inFlight counts the calls that this router has sent and not got back.
	inFlight atomic.Int64
	// downUntil is the time, in Unix nanoseconds, until which other instances
	// are preferred because this one could not be reached; 0 when it could.
	downUntil atomic.Int64
}

// newGroup makes the endpoints of entry, keeping the loads of prev, which may
// be nil.
func newGroup(entry *naming.Entry, zone string, prev *group) *group {
	g := &group{entry: entry}
	for _, inst := range entry.Instances {
		addr := inst.Addrs[naming.ProtocolMesh]
		if addr == "" || inst.State == naming.StateStandby {
			continue
		}
		e := &endpoint{inst: inst, addr: addr, load: prev.loadOf(inst, addr)}
		if inst.State == naming.StateDraining {
			g.draining = append(g.draining, e)
			continue
		}
		g.live = append(g.live, e)
	}
	if zone != "" {
		slices.SortStableFunc(g.live, func(a, b *endpoint) int {
			return cmp.Compare(far(a, zone), far(b, zone))
		})
		for g.near < len(g.live) && g.live[g.near].inst.Zone == zone {
			g.near++
		}
	}
	for _, es := range [][]*endpoint{g.live, g.draining} {
		sum := 0
		for _, e := range es {
			sum += e.inst.Weight
			e.weightUpTo = sum
		}
	}
	return g
}

// far orders endpoints of zone before the others.
func far(e *endpoint, zone string) int {
	if e.inst.Zone == zone {
		return 0
	}
	return 1
}

// loadOf returns the load kept for an instance at addr, or a new one.
func (g *group) loadOf(inst naming.Instance, addr string) *load {
	if g != nil {
		for _, es := range [][]*endpoint{g.live, g.draining} {
			for _, e := range es {
				if e.inst.Node == inst.Node && e.addr == addr && e.inst.Incarnation == inst.Incarnation {
					return e.load
				}
			}
		}
	}
	return new(load)
}

// size is the number of endpoints a call can be sent to.
func (g *group) size() int { return len(g.live) + len(g.draining) }

// pick chooses the endpoint for a call that has tried those in tried, or nil
// when none is left. It prefers reachable ones of the own zone, then any
// reachable one, then ones that could not be reached a moment ago, then
// draining ones. A zero now has the clock read if it matters.
func (g *group) pick(pin naming.NodeID, tried []*endpoint, now time.Time) *endpoint {
	if pin != "" {
		for _, es := range [][]*endpoint{g.live, g.draining} {
			for _, e := range es {
				if e.inst.Node == pin && !among(tried, e) {
					return e
				}
			}
		}
		return nil
	}
	if len(g.live) == 1 && len(tried) == 0 {
		return g.live[0]
	}
	at := clockUnread
	if !now.IsZero() {
		at = now.UnixNano()
	}
	if e := choose(g.live[:g.near], tried, at); e != nil {
		return e
	}
	if e := choose(g.live, tried, at); e != nil {
		return e
	}
	if e := choose(g.live, tried, 0); e != nil {
		return e
	}
	return choose(g.draining, tried, 0)
}

// choose takes two endpoints at random, each as often as its weight says, and
// returns the less loaded for its weight, the first when they are alike: nearly
// as even as looking at all, without the herd that follows when every caller
// finds the same one idle. It passes over those in tried, and over those that
// are down at time at unless at is 0.
func choose(es, tried []*endpoint, at int64) *endpoint {
	if len(es) == 0 {
		return nil
	}
	if len(es) > 1 {
		i, j := sample(es), sample(es)
		if i == j {
			j = (j + 1) % len(es)
		}
		if best := lightest(tried, at, es[i], es[j]); best != nil {
			return best
		}
	}
	return lightest(tried, at, es...)
}

// sample returns a random index, each as often as its endpoint's weight says.
func sample(es []*endpoint) int {
	total := es[len(es)-1].weightUpTo
	r := rand.IntN(total)
	i, _ := slices.BinarySearchFunc(es, r, func(e *endpoint, r int) int { return cmp.Compare(e.weightUpTo, r+1) })
	return i
}

// clockUnread is the time at which an endpoint is down for who has not read the
// clock: most have not been down lately, whatever the time is.
const clockUnread = int64(-1)

// down reports whether e is down at time at.
func (e *endpoint) down(at int64) bool {
	until := e.downUntil.Load()
	if until != 0 && at == clockUnread {
		at = time.Now().UnixNano()
	}
	return until > max(at, 0)
}

// lightest returns the usable endpoint with the fewest calls for its weight, the
// first of those that are alike; nil when none is usable.
func lightest(tried []*endpoint, at int64, es ...*endpoint) *endpoint {
	var best *endpoint
	for _, e := range es {
		if at != 0 && e.down(at) || among(tried, e) {
			continue
		}
		if best == nil || e.inFlight.Load()*int64(best.inst.Weight) < best.inFlight.Load()*int64(e.inst.Weight) {
			best = e
		}
	}
	return best
}

// among reports whether tried holds e's instance, perhaps from an earlier
// group of the same name.
func among(tried []*endpoint, e *endpoint) bool {
	return slices.ContainsFunc(tried, func(t *endpoint) bool { return t.load == e.load })
}
