package rmi

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"farcall.dev/naming"
)

// shelf is an object of these tests in its first version, shelf2 in another.
type (
	shelf  struct{}
	shelf2 struct{}
	shelf3 struct{}
)

func (shelf) Put(what string, count int) int { return count }
func (shelf) Pair() (string, int)            { return "two", 2 }
func (shelf) Fail(at int) (string, error) {
	return "x", Errorf(InvalidArgument, "never at %d", at)
}

func (shelf2) Put(what string) int   { return 1 }
func (shelf2) Pair() (string, int)   { return "two", 2 }
func (shelf2) Fail(at string) string { return at }

func (shelf3) Put(what string, count int) int { return count }
func (shelf3) Pair() (string, int)            { return "three", 3 }
func (shelf3) Fail(at int) (string, error)    { return "", nil }
func (shelf3) More()                          {}

// shelfInterface is what the clients of these tests were compiled against.
var shelfInterface = NewInterface[shelf](ExportOptions{})

// nodes is a way of calls to a few nodes, as a Router has it.
type nodes struct {
	tables map[naming.NodeID]*Objects

	mu        sync.Mutex
	entry     *naming.Entry   // guarded by mu
	next      int             // guarded by mu
	described int             // guarded by mu
	called    []naming.NodeID // guarded by mu
}

// newNodes exports each of objects as "shelf" on a node of its own: a, b, c.
func newNodes(t *testing.T, objects ...any) *nodes {
	t.Helper()
	n := &nodes{tables: map[naming.NodeID]*Objects{}}
	for i, v := range objects {
		o := NewObjects(ObjectsOptions{})
		err1 := o.Export("shelf", v, ExportOptions{})
		err2 := o.Export(NodeObject, NewNodeObject(o, NodeInfo{}), ExportOptions{})
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		n.tables[naming.NodeID(rune('a'+i))] = o
	}
	n.serve("a")
	return n
}

// serve makes the registry say that just these nodes serve the shelf.
func (n *nodes) serve(ids ...naming.NodeID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.entry = &naming.Entry{Name: "shelf"}
	n.next = 0
	for _, id := range ids {
		info, _ := n.tables[id].Interface("shelf")
		n.entry.Instances = append(n.entry.Instances, naming.Instance{Name: "shelf", Node: id, State: naming.StateLive, Interface: info.Digest})
	}
}

// Resolver returns n.
func (n *nodes) Resolver() naming.Resolver { return n }

// Resolve returns what serve said.
func (n *nodes) Resolve(context.Context, naming.Name) (*naming.Entry, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.entry, nil
}

// Handle calls the nodes in turn.
func (n *nodes) Handle(ctx context.Context, call *Call) (Reply, error) {
	n.mu.Lock()
	node := call.Pin
	if node == "" {
		node = n.entry.Instances[n.next%len(n.entry.Instances)].Node
		n.next++
	}
	if call.Object == NodeObject {
		n.described++
	} else {
		n.called = append(n.called, node)
	}
	n.mu.Unlock()
	if call.Sent != nil {
		call.Sent(naming.Instance{Node: node})
	}
	return n.tables[node].Handle(ctx, call)
}

// counts returns how many questions were asked, and calls made, since the last
// time.
func (n *nodes) counts() (described, called int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	described, called = n.described, len(n.called)
	n.described, n.called = 0, nil
	return described, called
}

// put calls put by c.
func put(t *testing.T, c *Client) (int, error) {
	count := 9
	err := c.Call(t.Context(), Method{Name: "put"}, Into(&count), "socks", 3)
	return count, err
}

// wantMismatch fails unless err is of code and has an InterfaceError behind it
// that names the method and the node.
func wantMismatch(t *testing.T, err error, code Code, method string, node naming.NodeID) {
	t.Helper()
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Code != code || e.Execution != NotExecuted {
		t.Errorf("got %v, want code %v, not executed", err, code)
	}
	ie, ok := errors.AsType[*InterfaceError](err)
	if !ok {
		t.Errorf("got %v, want an InterfaceError behind it", err)
		return
	}
	if _, ok := ie.of(method); !ok || len(ie.Nodes) != 1 || ie.Nodes[0] != node || ie.Name != "shelf" {
		t.Errorf("got %+v, want that %s differs on %s", ie, method, node)
	}
}

func TestClientOfEqualInterfaceAsksNothing(t *testing.T) {
	n := newNodes(t, shelf{})
	c := NewClient(n, "shelf", shelfInterface)
	for range 3 {
		if got, err := put(t, c); got != 3 || err != nil {
			t.Errorf("got %d, %v; want 3", got, err)
		}
	}
	if described, called := n.counts(); described != 0 || called != 3 {
		t.Errorf("got %d questions and %d calls, want 0 and 3", described, called)
	}
}

func TestClientOfAnotherInterfaceIsToldBeforeItCalls(t *testing.T) {
	n := newNodes(t, shelf2{})
	c := NewClient(n, "shelf", shelfInterface)
	got, err := put(t, c)
	wantMismatch(t, err, Unimplemented, "put", "a")
	if got != 0 || !strings.Contains(err.Error(), "put: 2 arguments are sent, and it takes 1 argument; the client wants put(string, int) -> int, and it has put(string) -> int") {
		t.Errorf("got %d and %v", got, err)
	}
	_, err = put(t, c)
	wantMismatch(t, err, Unimplemented, "put", "a")
	var text string
	var count int
	if err := c.Call(t.Context(), Method{Name: "pair"}, Into(&text, &count)); err != nil || text != "two" || count != 2 {
		t.Errorf("the method that does not differ: got %q, %d, %v", text, count, err)
	}
	if described, called := n.counts(); described != 1 || called != 1 {
		t.Errorf("got %d questions and %d calls, want 1 and 1", described, called)
	}
}

func TestClientOfCompatibleInterfaceAsksOnce(t *testing.T) {
	n := newNodes(t, shelf3{})
	c := NewClient(n, "shelf", shelfInterface)
	for range 3 {
		if got, err := put(t, c); got != 3 || err != nil {
			t.Errorf("got %d, %v; want 3", got, err)
		}
	}
	if described, called := n.counts(); described != 1 || called != 3 {
		t.Errorf("got %d questions and %d calls, want 1 and 3", described, called)
	}
}

func TestClientOfMixedVersionsCallsAndExplains(t *testing.T) {
	n := newNodes(t, shelf{}, shelf2{})
	n.serve("a", "b")
	c := NewClient(n, "shelf", shelfInterface)
	if got, err := put(t, c); got != 3 || err != nil {
		t.Errorf("on the node that fits: got %d, %v; want 3", got, err)
	}
	if described, _ := n.counts(); described != 0 {
		t.Errorf("got %d questions while one fits, want none", described)
	}
	_, err := put(t, c)
	wantMismatch(t, err, InvalidArgument, "put", "b")
	if !strings.Contains(err.Error(), "it takes 1 argument and got 2") {
		t.Errorf("got %v, want what the node said, too", err)
	}
}

func TestClientNoticesUpgrades(t *testing.T) {
	n := newNodes(t, shelf{}, shelf2{}, shelf3{})
	c := NewClient(n, "shelf", shelfInterface)
	for _, step := range []struct {
		node naming.NodeID
		fits bool
	}{{"a", true}, {"b", false}, {"c", true}, {"b", false}, {"a", true}} {
		n.serve(step.node)
		_, err := put(t, c)
		if (err == nil) != step.fits {
			t.Errorf("on %s: got %v, want that it fits: %v", step.node, err, step.fits)
		}
	}
	if described, _ := n.counts(); described != 2 {
		t.Errorf("got %d questions, want one for each other interface", described)
	}
}

func TestClientLeavesOtherErrorsAlone(t *testing.T) {
	n := newNodes(t, shelf{})
	c := NewClient(n, "shelf", shelfInterface)
	text := "before"
	err := c.Call(t.Context(), Method{Name: "fail"}, Into(&text), 7)
	if e, ok := errors.AsType[*Error](err); !ok || e.Message != "never at 7" || text != "" {
		t.Errorf("got %v and %q, want the method's own error and nothing", err, text)
	}
	err = c.Call(t.Context(), Method{Name: "put"}, nil, make(chan<- int))
	if _, ok := errors.AsType[*ArgumentError](err); !ok {
		t.Errorf("got %v, want an ArgumentError", err)
	}
	if described, _ := n.counts(); described != 0 {
		t.Errorf("got %d questions, want none", described)
	}
}

// TestClientWithoutRegistryExplainsFailures goes straight to the objects.
func TestClientWithoutRegistryExplainsFailures(t *testing.T) {
	n := newNodes(t, shelf2{})
	o := n.tables["a"]
	c := NewClient(o, "shelf", shelfInterface)
	_, err := put(t, c)
	if e, ok := errors.AsType[*InterfaceError](err); !ok || len(e.Methods) != 2 || len(e.Nodes) != 0 {
		t.Errorf("got %v, want an InterfaceError with two methods", err)
	}
	// The result cannot be read: the method ran.
	err = NewClient(o, "shelf", NewInterface[interface{ Pair() string }](ExportOptions{})).Call(t.Context(), Method{Name: "pair"}, Into(new(string)))
	if e, ok := errors.AsType[*Error](err); !ok || e.Code != Internal || e.Execution != Executed {
		t.Errorf("got %v, want INTERNAL", err)
	}
	if _, ok := errors.AsType[*InterfaceError](err); !ok {
		t.Errorf("got %v, want an InterfaceError behind it", err)
	}
	if _, err := put(t, NewClient(o, "shelf", nil)); err == nil || strings.Contains(err.Error(), "compiled against") {
		t.Errorf("without an interface: got %v, want what the object says", err)
	}
	if o.Remove(NodeObject); !o.Remove("shelf") {
		t.Fatal("the shelf is gone")
	}
	if _, err := put(t, c); err == nil || !strings.HasPrefix(err.Error(), "NOT_FOUND") {
		t.Errorf("without the object: got %v, want NOT_FOUND", err)
	}
}

func TestClientOfAnInterfaceThatCannotTravelSaysSo(t *testing.T) {
	n := newNodes(t, shelf{})
	c := NewClient(n, "shelf", NewInterface[interface{ Put(chan int) }](ExportOptions{}))
	if _, err := put(t, c); err == nil || !strings.HasPrefix(err.Error(), "INTERNAL: ") || !strings.Contains(err.Error(), "chan int is a channel") {
		t.Errorf("got %v, want INTERNAL and why", err)
	}
}

func TestClientResultsMustFit(t *testing.T) {
	o := NewObjects(ObjectsOptions{})
	if err := o.Export("shelf", shelf{}, ExportOptions{}); err != nil {
		t.Fatal(err)
	}
	c := NewClient(o, "shelf", nil)
	text, count, third := "before", 9, 9
	for _, tt := range []struct {
		into []any
		want string
	}{
		{Into(&text, &count, &third), "want 3 results, got a list of 2"},
		{Into(&count, &text), "[0]: want int, got a string"},
		{Into(&text, &text), "[1]: want string, got an integer (2)"},
	} {
		err := c.Call(t.Context(), Method{Name: "pair"}, tt.into)
		if err == nil || !strings.Contains(err.Error(), tt.want) || text != "" {
			t.Errorf("got %v and %q, want %s and nothing half decoded", err, text, tt.want)
		}
	}
}

// TestClientForgetsVerdicts fails when a registry that shows ever new digests
// makes a client grow.
func TestClientForgetsVerdicts(t *testing.T) {
	n := newNodes(t, shelf2{})
	c := NewClient(n, "shelf", shelfInterface)
	for i := range 3 * maxVerdicts {
		n.mu.Lock()
		n.entry = &naming.Entry{Name: "shelf", Instances: []naming.Instance{{Name: "shelf", Node: "a", State: naming.StateLive, Interface: fmt.Sprint(i)}}}
		n.mu.Unlock()
		if _, err := put(t, c); err == nil {
			t.Fatal("got no error")
		}
	}
	if got := len(c.check.verdicts); got > maxVerdicts {
		t.Errorf("got %d verdicts, want at most %d", got, maxVerdicts)
	}
}
