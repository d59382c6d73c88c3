package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"runtime/pprof"
	"sync"
	"time"

	"farcall.dev/naming"
	"farcall.dev/rmi"
	"farcall.dev/transport"
)

// scaleRole is what the processes of a scale run are called instead of a
// contestant.
const scaleRole = "scale"

// scaleIdle is how long a worker without work is kept in a scale run.
const scaleIdle = time.Second

// scale is what is to be measured of many sessions, from one process to another.
type scale struct {
	// Sessions are open, of which Active call, one caller each, for Time.
	Sessions, Active int
	Time             time.Duration
	// Waiting calls are in flight at last, over Active sessions.
	Waiting int
}

// manySessions is a scale run of n sessions.
func manySessions(n int) scale {
	return scale{Sessions: n, Active: 100, Time: 2 * time.Second, Waiting: 10_000}
}

// scaleCommand asks a child of a scale run for something; one field is set.
type scaleCommand struct {
	// Dial has the client open sessions until there are as many, with one call on
	// each new one.
	Dial int `json:",omitempty"`
	// Address is where Dial goes.
	Address string `json:",omitempty"`
	// Work has one caller on each of the first sessions call.
	Work *work `json:",omitempty"`
	// Wait has the client begin calls that do not return until the end.
	Wait int `json:",omitempty"`
	// Memory asks for what the process holds now.
	Memory bool `json:",omitempty"`
}

// memory is what a process holds.
type memory struct {
	// Resident is all, as the system sees it; Heap are the live objects, Stacks
	// those of goroutines, in bytes.
	Resident, Heap, Stacks float64
	Goroutines             float64
}

// held returns what this process holds after a collection.
func held() (memory, error) {
	debug.FreeOSMemory()
	debug.FreeOSMemory() // stacks shrink, and what they leave is freed in the second
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
	metrics.Read(s)
	resident, err := procNumber("/proc/self/status", "VmRSS:")
	return memory{float64(resident << 10), float64(s[0].Value.Uint64()), float64(s[1].Value.Uint64()), float64(runtime.NumGoroutine())}, err
}

// per returns what one of n takes of what has come to m since before.
func (m memory) per(before memory, n int) memory {
	share := func(now, then float64) float64 { return (now - then) / float64(n) }
	return memory{share(m.Resident, before.Resident), share(m.Heap, before.Heap), share(m.Stacks, before.Stacks), share(m.Goroutines, before.Goroutines)}
}

// String writes m for people.
func (m memory) String() string {
	return fmt.Sprintf("%.1f KiB resident, %.1f KiB heap, %.1f KiB stacks, %.1f goroutines",
		m.Resident/1024, m.Heap/1024, m.Stacks/1024, m.Goroutines)
}

// waiter is an object whose method returns when the caller has gone.
type waiter struct{}

// Wait waits.
func (waiter) Wait(ctx context.Context) { <-ctx.Done() }

// beScaleServer serves sessions until the input ends.
func beScaleServer() error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	space := rmi.NewSpace(rmi.SpaceOptions{Node: "server", Incarnation: 1})
	objects := rmi.NewObjects(rmi.ObjectsOptions{Space: space})
	err = errors.Join(objects.Export("echo", echo{}, rmi.ExportOptions{}), objects.Export("waiter", waiter{}, rmi.ExportOptions{}))
	if err != nil {
		return err
	}
	server := rmi.NewServer(objects, rmi.ServerOptions{
		Transport: transport.Options{Hello: transport.Hello{Node: "server", Incarnation: 1}},
		// So that what is idle is soon without the worker of its last call.
		Conn: rmi.ConnOptions{Space: space, WorkerIdle: scaleIdle},
	})
	go server.Serve(ln)
	defer server.Close()
	return answers(answer{Address: ln.Addr().String()}, func(cmd command) answer { return answer{Error: "a server only tells its memory"} })
}

// scaleClient is a process with many sessions.
type scaleClient struct {
	conns []*rmi.Conn
	echos []func(context.Context, []byte) ([]byte, error)
}

// beScaleClient opens sessions and calls until the input ends.
func beScaleClient() error {
	c := &scaleClient{}
	ctx, cancel := context.WithCancel(context.Background())
	defer func() {
		cancel()
		var all sync.WaitGroup
		for _, conn := range c.conns {
			all.Go(func() { conn.Close() })
		}
		all.Wait()
	}()
	return answers(answer{}, func(cmd command) answer {
		var err error
		switch s := cmd.Scale; {
		case s == nil:
			err = errors.New("a client of a scale run is told to dial, work or wait")
		case s.Dial > 0:
			err = c.dial(ctx, s.Address, s.Dial)
		case s.Work != nil:
			var o outcome
			if o, err = drive(ctx, c, *s.Work); err == nil {
				return answer{Outcome: &o}
			}
		case s.Wait > 0:
			err = c.wait(ctx, s.Wait)
		}
		if err != nil {
			return answer{Error: err.Error()}
		}
		return answer{}
	})
}

// dial opens sessions until there are n, each as a process of its own.
func (c *scaleClient) dial(ctx context.Context, address string, n int) error {
	for len(c.conns) < n {
		node := fmt.Sprintf("client-%d", len(c.conns))
		conn, err := rmi.DialConn(ctx, address, rmi.DialOptions{
			Transport: transport.Options{Hello: transport.Hello{Node: node, Incarnation: 1}},
			Conn:      rmi.ConnOptions{Space: rmi.NewSpace(rmi.SpaceOptions{Node: naming.NodeID(node), Incarnation: 1})},
		})
		if err != nil {
			return fmt.Errorf("session %d: %w", len(c.conns), err)
		}
		var stub struct {
			Echo func(context.Context, []byte) ([]byte, error)
		}
		if err := rmi.Bind(conn, "echo", &stub); err != nil {
			return err
		}
		if _, err := stub.Echo(ctx, []byte("hello")); err != nil {
			return err
		}
		c.conns, c.echos = append(c.conns, conn), append(c.echos, stub.Echo)
	}
	return nil
}

// Echo implements client: each caller has a session of its own.
func (c *scaleClient) Echo(ctx context.Context, caller int, p []byte) ([]byte, error) {
	return c.echos[caller](ctx, p)
}

// Close implements client.
func (c *scaleClient) Close() error { return nil }

// wait begins n calls that do not return, over a hundred sessions, and returns
// when the peer has them all.
func (c *scaleClient) wait(ctx context.Context, n int) error {
	conns := c.conns[:min(100, len(c.conns))]
	var sent []uint64
	for _, conn := range conns {
		sent = append(sent, conn.Stats().CallsOut)
	}
	for i := range n {
		go rmi.Invoke(ctx, conns[i%len(conns)], "waiter", "wait")
	}
	for i, conn := range conns {
		for conn.Stats().CallsOut < sent[i]+uint64(n/len(conns)) {
			time.Sleep(time.Millisecond)
		}
	}
	time.Sleep(time.Second) // for the last to have begun over there
	return nil
}

// answers says hello and carries out what comes by standard input, memory too.
func answers(hello answer, do func(command) answer) error {
	if err := sayHello(hello); err != nil {
		return err
	}
	return commands(func(cmd command) answer {
		if cmd.Scale == nil || !cmd.Scale.Memory {
			return do(cmd)
		}
		m, err := held()
		if prefix := os.Getenv("CALLBENCH_PROFILES"); prefix != "" {
			profiles(fmt.Sprintf("%s-%d", prefix, os.Getpid()))
		}
		if err != nil {
			return answer{Error: err.Error()}
		}
		return answer{Memory: &m}
	})
}

// profiles writes what holds memory to files that begin with prefix.
func profiles(prefix string) {
	for _, what := range []string{"heap", "goroutine"} {
		if f, err := os.Create(prefix + "." + what); err == nil {
			pprof.Lookup(what).WriteTo(f, 0)
			f.Close()
		}
	}
}

// scaled is what came of a scale run.
type scaled struct {
	scale
	// Few and Many are the calls of the active sessions while there are no others,
	// and while all are open.
	Few, Many outcome
	// Idle is what one session takes on each side, Call what one waiting call does.
	IdleClient, IdleServer, CallClient, CallServer memory
}

// measure carries out s.
func (s scale) measure() (*scaled, error) {
	server, err := start("serve", scaleRole)
	if err != nil {
		return nil, err
	}
	defer server.stop()
	hello, err := server.listen()
	if err != nil {
		return nil, err
	}
	client, err := start("call", scaleRole)
	if err != nil {
		return nil, err
	}
	defer client.stop()
	if _, err := client.listen(); err != nil {
		return nil, err
	}

	r := &scaled{scale: s}
	ask := func(cmd scaleCommand) answer {
		var a answer
		if err == nil {
			a, err = client.ask(command{Scale: &cmd})
		}
		return a
	}
	both := func() (c, s memory) {
		for _, p := range []struct {
			*child
			m *memory
		}{{client, &c}, {server, &s}} {
			if err == nil {
				var a answer
				if a, err = p.ask(command{Scale: &scaleCommand{Memory: true}}); err == nil {
					*p.m = *a.Memory
				}
			}
		}
		return c, s
	}
	work := work{Callers: s.Active, Size: 16, Time: s.Time}
	ask(scaleCommand{Dial: s.Active, Address: hello.Address})
	ask(scaleCommand{Work: &work}) // to warm up
	time.Sleep(3 * scaleIdle)
	c0, s0 := both()
	few := ask(scaleCommand{Work: &work})
	ask(scaleCommand{Dial: s.Sessions, Address: hello.Address})
	time.Sleep(3 * scaleIdle)
	c1, s1 := both()
	many := ask(scaleCommand{Work: &work})
	time.Sleep(3 * scaleIdle)
	c2, s2 := both()
	ask(scaleCommand{Wait: s.Waiting})
	c3, s3 := both()
	if err != nil {
		return nil, err
	}
	r.Few, r.Many = *few.Outcome, *many.Outcome
	r.IdleClient, r.IdleServer = c1.per(c0, s.Sessions-s.Active), s1.per(s0, s.Sessions-s.Active)
	r.CallClient, r.CallServer = c3.per(c2, s.Waiting), s3.per(s2, s.Waiting)
	return r, nil
}

// print writes r for people.
func (r *scaled) print(w io.Writer) {
	line := func(what string, o outcome) {
		fmt.Fprintf(w, "%s: %.0f calls/s, p50 %v, p99 %v\n", what, float64(o.Calls)/o.Elapsed.Seconds(), o.P50, o.P99)
	}
	line(fmt.Sprintf("%d sessions, all active", r.Active), r.Few)
	line(fmt.Sprintf("%d sessions, %d active", r.Sessions, r.Active), r.Many)
	fmt.Fprintf(w, "an idle session, client: %v\nan idle session, server: %v\n", r.IdleClient, r.IdleServer)
	fmt.Fprintf(w, "a waiting call, client: %v\na waiting call, server: %v\n", r.CallClient, r.CallServer)
}
