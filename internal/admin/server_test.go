package admin

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
)

// listen starts a server on a free port of this machine.
func listen(t *testing.T, o Options) *Server {
	t.Helper()
	s, err := Listen("127.0.0.1:0", o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestProbeTellsReadyFromNotReadyAndFromNobody(t *testing.T) {
	var reason error
	s := listen(t, Options{Checks: []Check{{"etcd", func(context.Context) error { return reason }}}})
	_, port, _ := net.SplitHostPort(s.Addr().String())
	for _, address := range []string{s.Addr().String(), ":" + port, "0.0.0.0:" + port, "[::]:" + port} {
		if got, err := Probe(t.Context(), address, "/readyz"); err != nil || got != "ready\netcd: ready" {
			t.Errorf("%s: got %q, %v; want ready", address, got, err)
		}
	}
	reason = errors.New("no leader")
	_, err := Probe(t.Context(), s.Addr().String(), "/readyz")
	if err == nil || !strings.Contains(err.Error(), "status 503: not ready; etcd: not ready: no leader") {
		t.Errorf("not ready: got %v, want the status and the reason", err)
	}
	s.Close()
	if _, err := Probe(t.Context(), s.Addr().String(), "/readyz"); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("nobody listens: got %v, want connection refused", err)
	}
}

func TestListenOnATakenPortFails(t *testing.T) {
	s := listen(t, Options{})
	_, err := Listen(s.Addr().String(), Options{})
	if err == nil || !strings.Contains(err.Error(), s.Addr().String()) {
		t.Errorf("got %v, want an error that names %s", err, s.Addr())
	}
}

func TestShutdownWaitsForTheRequestBeingAnswered(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	s := listen(t, Options{Pages: []Page{{Path: "/slow", Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-release
		w.Write([]byte("done"))
	})}}})
	answer := make(chan string, 1)
	go func() {
		text, err := Probe(context.Background(), s.Addr().String(), "/slow")
		answer <- fmt.Sprint(text, err)
	}()
	<-entered
	stopped := make(chan error, 1)
	go func() { stopped <- s.Shutdown(context.Background()) }()
	<-s.Done()
	if err := s.Err(); err != nil {
		t.Errorf("Err after Shutdown: got %v, want nil", err)
	}
	close(release)
	if got, want := <-answer, "done<nil>"; got != want {
		t.Errorf("the request under way: got %q, want %q", got, want)
	}
	if err := <-stopped; err != nil {
		t.Errorf("Shutdown: got %v, want nil", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close after Shutdown: got %v, want nil", err)
	}
}

func TestShutdownCutsOffWhatOutlastsItsContext(t *testing.T) {
	entered := make(chan struct{})
	s := listen(t, Options{Pages: []Page{{Path: "/slow", Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
	})}}})
	gone := make(chan error, 1)
	go func() {
		_, err := Probe(context.Background(), s.Addr().String(), "/slow")
		gone <- err
	}()
	<-entered
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown: got %v, want %v", err, context.Canceled)
	}
	if err := <-gone; err == nil {
		t.Error("the request went on")
	}
}

func TestHeadersHaveALimit(t *testing.T) {
	s := listen(t, Options{})
	conn, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// The server's limit is maxHeader and a slop of 4 KiB.
	go fmt.Fprintf(conn, "GET /healthz HTTP/1.1\r\nHost: x\r\nX: %s\r\n\r\n", strings.Repeat("x", maxHeader+8<<10))
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil || !strings.Contains(line, "431") {
		t.Errorf("got %q, %v; want status 431", line, err)
	}
}
