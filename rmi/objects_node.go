package rmi

import (
	"runtime"
	"time"

	"farcall.dev/naming"
)

// NodeObject is the name of the object that every node exports about itself.
const NodeObject naming.Name = "farcall.node"

// NodeInfo is what the built-in object tells of its node.
type NodeInfo struct {
	// Node and Incarnation identify it.
	Node        naming.NodeID
	Incarnation naming.Incarnation
	// Version is that of the program.
	Version string
	// Started is when it started; zero means now.
	Started time.Time
	// Records returns what the node has registered, for the mode and the state
	// of each name. It is called for each list. Nil: every name is shared and
	// live.
	Records func() []naming.Instance
}

// Node is the built-in object: it says what its node is, what it exports and
// how that is called. Export it as [NodeObject].
type Node struct {
	objects *Objects
	info    NodeInfo
}

var _ Describer = (*Node)(nil)

// NewNodeObject returns the built-in object of the node that exports objects.
func NewNodeObject(objects *Objects, info NodeInfo) *Node {
	if info.Started.IsZero() {
		info.Started = time.Now()
	}
	return &Node{objects: objects, info: info}
}

// NodeStatus is the result of info.
type NodeStatus struct {
	Node        naming.NodeID      `json:"node"`
	Incarnation naming.Incarnation `json:"incarnation"`
	// Version is that of the program, Go that of the toolchain that built it.
	Version string `json:"version,omitempty"`
	Go      string `json:"go"`
	// Started is when the node started.
	Started time.Time `json:"started"`
	// Objects counts the names that it exports.
	Objects int `json:"objects"`
}

// ObjectStatus is one element of the result of list.
type ObjectStatus struct {
	Name  naming.Name  `json:"name"`
	Kind  naming.Kind  `json:"kind"`
	Mode  naming.Mode  `json:"mode"`
	State naming.State `json:"state"`
	// Methods counts its methods; 1 for a function.
	Methods int `json:"methods"`
	// Doc says what it is; empty when nobody said.
	Doc string `json:"doc,omitempty"`
	// Digest is that of its interface.
	Digest string `json:"digest"`
}

// NodeCounters is the result of counters.
type NodeCounters struct {
	// Uptime is the time since the node started; it travels as nanoseconds.
	Uptime time.Duration `json:"uptime"`
	// Methods are the counts of each method since it was exported.
	Methods []MethodCounters `json:"methods"`
}

// Info tells what the node is.
func (n *Node) Info() NodeStatus {
	return NodeStatus{
		Node: n.info.Node, Incarnation: n.info.Incarnation, Version: n.info.Version, Go: runtime.Version(),
		Started: n.info.Started.Round(0), Objects: len(n.objects.Names()),
	}
}

// Ping answers.
func (n *Node) Ping() string { return "pong" }

// List lists what the node exports.
func (n *Node) List() []ObjectStatus {
	records := map[naming.Name]naming.Instance{}
	if n.info.Records != nil {
		for _, r := range n.info.Records() {
			records[r.Name] = r
		}
	}
	list := []ObjectStatus{}
	for _, name := range n.objects.Names() {
		info, ok := n.objects.Interface(name)
		if !ok {
			continue // removed since
		}
		s := ObjectStatus{Name: name, Kind: info.Kind, Mode: naming.ModeShared, State: naming.StateLive,
			Methods: len(info.Methods), Doc: info.Doc, Digest: info.Digest}
		if r := records[name]; r.Name == name {
			if r.Mode != "" {
				s.Mode = r.Mode
			}
			if r.State != "" {
				s.State = r.State
			}
		}
		list = append(list, s)
	}
	return list
}

// Describe describes one of the names that the node exports.
func (n *Node) Describe(name naming.Name) (InterfaceInfo, error) {
	info, ok := n.objects.Interface(name)
	if !ok {
		return InterfaceInfo{}, n.objects.noObject(name)
	}
	return info, nil
}

// Counters counts calls, by method.
func (n *Node) Counters() NodeCounters {
	return NodeCounters{Uptime: time.Since(n.info.Started), Methods: n.objects.Counters()}
}

// RMIDocs implements [Describer].
func (n *Node) RMIDocs() Docs {
	return Docs{
		Doc: "The node itself: what it is, what it exports, and how that is called.",
		Methods: map[string]string{
			"info":     "Tells the node's id, incarnation, version and age.",
			"ping":     `Answers "pong".`,
			"list":     "Lists the objects and functions that the node exports.",
			"describe": "Describes the methods of one of them: parameters, results and docs.",
			"counters": "Counts calls, errors and calls in flight, by method.",
		},
		Params:     map[string][]string{"describe": {"name"}},
		Idempotent: []string{"info", "ping", "list", "describe", "counters"},
	}
}
