package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime/pprof"
	"time"
)

// A child process is a contestant's server or its client. It reads commands from
// its standard input, one JSON document a line, answers each by one on its
// standard output, and ends when the input does.

// command asks a child to do something; one of its fields is set.
type command struct {
	// Dial has a client connect.
	Dial *dialCommand `json:",omitempty"`
	// Work has a client call.
	Work *work `json:",omitempty"`
	// Usage asks for what the process has used.
	Usage bool `json:",omitempty"`
	// Scale is for the processes of a scale run.
	Scale *scaleCommand `json:",omitempty"`
}

type dialCommand struct {
	Address string
	Callers int
}

// answer is what a child says.
type answer struct {
	Error   string   `json:",omitempty"`
	Address string   `json:",omitempty"`
	Outcome *outcome `json:",omitempty"`
	Usage   *usage   `json:",omitempty"`
	Memory  *memory  `json:",omitempty"`
}

// profileCPU writes a CPU profile of this process, who it is in its name, if the
// environment asks for it. What it returns ends that.
func profileCPU(who string) (stop func()) {
	prefix := os.Getenv("CALLBENCH_PROFILES")
	if prefix == "" {
		return func() {}
	}
	f, err := os.Create(prefix + "-" + who + ".cpu")
	if err != nil || pprof.StartCPUProfile(f) != nil {
		return func() {}
	}
	return func() {
		pprof.StopCPUProfile()
		f.Close()
	}
}

// beServer is the server of c.
func beServer(c contestant) error {
	address, stop, err := c.serve()
	if err != nil {
		return err
	}
	defer stop.Close()
	out := json.NewEncoder(os.Stdout)
	if err := out.Encode(answer{Address: address}); err != nil {
		return err
	}
	return commands(func(command) answer { return answer{Error: "a server only tells its usage"} })
}

// beClient is the client of c.
func beClient(c contestant) error {
	var conn client
	defer func() {
		if conn != nil {
			conn.Close()
		}
	}()
	ctx := context.Background()
	return commands(func(cmd command) answer {
		switch {
		case cmd.Dial != nil:
			if conn != nil {
				conn.Close()
			}
			var err error
			if conn, err = c.dial(ctx, cmd.Dial.Address, cmd.Dial.Callers); err != nil {
				return answer{Error: err.Error()}
			}
			return answer{}
		case cmd.Work != nil && conn != nil:
			o, err := drive(ctx, conn, *cmd.Work)
			if err != nil {
				return answer{Error: err.Error()}
			}
			return answer{Outcome: &o}
		}
		return answer{Error: "a client dials first, and then works"}
	})
}

// sayHello says what a child says first.
func sayHello(a answer) error { return json.NewEncoder(os.Stdout).Encode(a) }

// commands carries out what comes by standard input.
func commands(do func(command) answer) error {
	in, out := json.NewDecoder(bufio.NewReader(os.Stdin)), json.NewEncoder(os.Stdout)
	for {
		var cmd command
		if err := in.Decode(&cmd); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		var a answer
		if cmd.Usage {
			u, err := used()
			if a.Usage = &u; err != nil {
				a.Error = err.Error()
			}
		} else {
			a = do(cmd)
		}
		if err := out.Encode(a); err != nil {
			return err
		}
	}
}

// child is a process that was started to serve or to call.
type child struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *json.Decoder
}

// start starts this program again, as the role of a contestant.
func start(role, contestant string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &child{cmd: exec.Command(self, role, contestant)}
	c.cmd.Stderr = os.Stderr
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.out = json.NewDecoder(out)
	return c, c.cmd.Start()
}

// listen reads one answer.
func (c *child) listen() (answer, error) {
	var a answer
	if err := c.out.Decode(&a); err != nil {
		return a, fmt.Errorf("%v gave no answer: %w", c.cmd.Args[1:], err)
	}
	if a.Error != "" {
		return a, fmt.Errorf("%v: %s", c.cmd.Args[1:], a.Error)
	}
	return a, nil
}

// ask sends a command and returns the answer.
func (c *child) ask(cmd command) (answer, error) {
	if err := json.NewEncoder(c.in).Encode(cmd); err != nil {
		return answer{}, err
	}
	return c.listen()
}

// stop ends the process.
func (c *child) stop() {
	c.in.Close()
	ended := time.AfterFunc(10*time.Second, func() { c.cmd.Process.Kill() })
	defer ended.Stop()
	c.cmd.Wait()
}

// pair is a contestant's server and its client.
type pair struct {
	contestant
	server, client *child
	address        string
	callers        int // that the client has dialled for
}

// startPair starts both.
func startPair(c contestant) (*pair, error) {
	p := &pair{contestant: c}
	var err error
	if p.server, err = start("serve", c.name); err != nil {
		return nil, err
	}
	a, err := p.server.listen()
	if err != nil {
		return nil, err
	}
	p.address = a.Address
	p.client, err = start("call", c.name)
	return p, err
}

// sample is what one round of one contestant gave.
type sample struct {
	Round      int
	Contestant string
	Work       work
	outcome
	// Server is what its server used; Usage is the client's.
	Server usage
}

// round has p do w.
func (p *pair) round(w work, n int) (sample, error) {
	if callers := w.Callers + w.Bulk; p.callers != callers {
		if _, err := p.client.ask(command{Dial: &dialCommand{p.address, callers}}); err != nil {
			return sample{}, err
		}
		p.callers = callers
	}
	before, err := p.server.ask(command{Usage: true})
	if err != nil {
		return sample{}, err
	}
	a, err := p.client.ask(command{Work: &w})
	if err != nil {
		return sample{}, err
	}
	after, err := p.server.ask(command{Usage: true})
	if err != nil {
		return sample{}, err
	}
	return sample{Round: n, Contestant: p.name, Work: w, outcome: *a.Outcome, Server: after.Usage.since(*before.Usage)}, nil
}

func (p *pair) stop() {
	if p.client != nil {
		p.client.stop()
	}
	p.server.stop()
}
