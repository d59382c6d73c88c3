package rmi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"farcall.dev/naming"
	"farcall.dev/transport"
)

// serve starts a server on loopback and returns it with its address. It is
// closed when the test ends.
func serve(t testing.TB, h Handler, opts ServerOptions) (*Server, string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	opts.Transport.Hello = transport.Hello{Node: "server", Incarnation: 7}
	s := NewServer(h, opts)
	done := make(chan error, 1)
	go func() { done <- s.Serve(ln) }()
	t.Cleanup(func() {
		s.Close()
		if err := waitFor(t, "Serve", done); err != transport.ErrClosed {
			t.Errorf("Serve returned %v, want %v", err, transport.ErrClosed)
		}
	})
	return s, ln.Addr().String()
}

// dial connects to addr until the test ends.
func dial(t testing.TB, addr string, opts DialOptions) *Conn {
	t.Helper()
	c, err := DialConn(t.Context(), addr, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestServerServesManySessions(t *testing.T) {
	s, addr := serve(t, echo, ServerOptions{})
	var all sync.WaitGroup
	for i := range 8 {
		c := dial(t, addr, DialOptions{Transport: transport.Options{Hello: transport.Hello{Node: fmt.Sprint("client", i)}}})
		if c.Peer().Node != "server" || c.Peer().Incarnation != 7 {
			t.Errorf("got the peer %+v, want server, incarnation 7", c.Peer())
		}
		for range 16 {
			all.Go(func() {
				for _, size := range []int{1, 1000, LargePayload * 2} {
					reply, err := c.Handle(t.Context(), callOf("echo", make([]byte, size)))
					if err != nil || len(reply.Result.Data) != size {
						t.Errorf("got %d bytes, %v, want %d", len(reply.Result.Data), err, size)
					}
				}
			})
		}
	}
	all.Wait()
	if got := len(s.Conns()); got != 8 {
		t.Errorf("%d sessions are open, want 8", got)
	}
	s.Conns()[0].Close()
	waitUntil(t, "the end of a session", func() bool { return len(s.Conns()) == 7 })
}

func TestServerServesSessionsInMemory(t *testing.T) {
	s := NewServer(echo, ServerOptions{MaxSessions: 1})
	sa, sb := transport.Pipe(transport.Options{}, transport.Options{})
	if _, err := s.ServeSession(sb); err != nil {
		t.Fatal(err)
	}
	c := NewConn(sa, nil, ConnOptions{})
	defer c.Close()
	if _, err := c.Handle(t.Context(), callOf("echo", nil)); err != nil {
		t.Error(err)
	}
	_, sb = transport.Pipe(transport.Options{}, transport.Options{})
	_, err := s.ServeSession(sb)
	wantError(t, err, ResourceExhausted, NotExecuted, "1 are open")
	s.Close()
	if _, err := s.ServeSession(sb); err != transport.ErrClosed {
		t.Errorf("closed: got %v, want %v", err, transport.ErrClosed)
	}
	waitFor(t, "the end", c.Done())
}

func TestServerTurnsAwayWhatIsTooMuch(t *testing.T) {
	var log lockedBuffer
	s, addr := serve(t, echo, ServerOptions{MaxSessions: 2, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	first := dial(t, addr, DialOptions{})
	dial(t, addr, DialOptions{})
	for range 5 {
		_, err := DialConn(t.Context(), addr, DialOptions{})
		wantError(t, err, Unavailable, NotExecuted, addr)
	}
	if n := strings.Count(log.String(), "too many sessions"); n < 1 || n > 2 {
		t.Errorf("it was logged %d times, want once a second", n)
	}
	first.Close()
	waitUntil(t, "room", func() bool { return len(s.Conns()) == 1 })
	if _, err := dial(t, addr, DialOptions{}).Handle(t.Context(), callOf("x", nil)); err != nil {
		t.Errorf("with room again: %v", err)
	}
}

// Connections that say nothing, or nonsense, must not keep others out.
func TestServerSurvivesBadConnections(t *testing.T) {
	_, addr := serve(t, echo, ServerOptions{MaxHandshakes: 4, Transport: transport.Options{HandshakeTimeout: 200 * time.Millisecond}})
	good := dial(t, addr, DialOptions{})
	for i := range 8 {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if i%2 == 0 {
			io.WriteString(conn, "GET / HTTP/1.1\r\n\r\n")
		}
	}
	if _, err := dial(t, addr, DialOptions{}).Handle(t.Context(), callOf("x", nil)); err != nil {
		t.Errorf("behind bad connections: %v", err)
	}
	if _, err := good.Handle(t.Context(), callOf("x", nil)); err != nil {
		t.Errorf("before bad connections: %v", err)
	}
}

// A peer that breaks the protocol must lose its own session only.
func TestServerKeepsSessionsApart(t *testing.T) {
	h, began, release := held()
	_, addr := serve(t, h, ServerOptions{})
	good := dial(t, addr, DialOptions{})
	result := make(chan error, 1)
	go func() {
		_, err := good.Handle(t.Context(), callOf("wait", nil))
		result <- err
	}()
	waitFor(t, "the call", began)
	bad, err := transport.Dial(t.Context(), addr, transport.DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer bad.Close()
	openLane(t, bad).Write([]byte{0, 0, 0, 0})
	waitFor(t, "the end of the bad session", bad.Done())
	close(release)
	if err := waitFor(t, "the good call", result); err != nil {
		t.Errorf("the good session suffered: %v", err)
	}
}

func TestServerShutdownDrainsAllSessions(t *testing.T) {
	h, began, release := held()
	s, addr := serve(t, h, ServerOptions{})
	const clients = 5
	results := make(chan error, clients)
	var conns []*Conn
	for range clients {
		c := dial(t, addr, DialOptions{})
		conns = append(conns, c)
		go func() {
			_, err := c.Handle(t.Context(), callOf("wait", nil))
			results <- err
		}()
		waitFor(t, "the call", began)
	}
	down := make(chan error, 1)
	go func() { down <- s.Shutdown(t.Context()) }()
	for _, c := range conns { // all are told before any has ended
		waitFor(t, "GOAWAY", c.PeerGoingAway())
	}
	if _, err := DialConn(t.Context(), addr, DialOptions{}); err == nil {
		t.Error("a server that shuts down took a new session")
	}
	close(release)
	for range clients {
		if err := waitFor(t, "a call", results); err != nil {
			t.Errorf("a call under way failed: %v", err)
		}
	}
	if err := waitFor(t, "Shutdown", down); err != nil || len(s.Conns()) != 0 {
		t.Errorf("Shutdown: %v, %d sessions are open", err, len(s.Conns()))
	}
}

func TestServerShutdownCutsOffWhatIsLeft(t *testing.T) {
	h, began, ended := waiting()
	s, addr := serve(t, h, ServerOptions{})
	c := dial(t, addr, DialOptions{})
	result := make(chan error, 1)
	go func() {
		_, err := c.Handle(t.Context(), callOf("wait", nil))
		result <- err
	}()
	waitFor(t, "the call", began)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the deadline's error", err)
	}
	wantError(t, waitFor(t, "the call", result), Unavailable, Executed, "")
	waitFor(t, "the handler", ended)
}

func TestDialConnKnowsWhomItWants(t *testing.T) {
	_, addr := serve(t, echo, ServerOptions{})
	for _, tc := range []struct {
		node naming.NodeID
		inc  naming.Incarnation
		text string
	}{
		{"", 0, ""}, {"server", 0, ""}, {"server", 7, ""},
		{"other", 0, "expected node other there, and node server answered"},
		{"server", 6, "expected incarnation 6 of node server there, and incarnation 7 answered"},
	} {
		c, err := DialConn(t.Context(), addr, DialOptions{Node: tc.node, Incarnation: tc.inc})
		if tc.text == "" {
			if err != nil {
				t.Errorf("%s %d: %v", tc.node, tc.inc, err)
				continue
			}
			c.Close()
			continue
		}
		wantError(t, err, Unavailable, NotExecuted, tc.text)
	}
}

func TestDialConnFailures(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = DialConn(ctx, addr, DialOptions{}) // nobody accepts
	wantError(t, err, DeadlineExceeded, NotExecuted, addr)
	ln.Close()
	_, err = DialConn(t.Context(), addr, DialOptions{})
	wantError(t, err, Unavailable, NotExecuted, addr)
}
