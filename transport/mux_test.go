package transport

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"farcall.dev/internal/memnet"
)

// logBuffer collects what is logged.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// muxTest is a Mux at "b:1" of an in-memory network.
type muxTest struct {
	*Mux
	t    *testing.T
	net  *memnet.Network
	log  *logBuffer
	done chan error // what Serve returned
}

func newMuxTest(t *testing.T, opts MuxOptions) *muxTest {
	t.Helper()
	m := &muxTest{t: t, net: memnet.New(memnet.Options{}), log: &logBuffer{}, done: make(chan error, 1)}
	ln, err := m.net.Listen("b:1")
	if err != nil {
		t.Fatal(err)
	}
	opts.Logger = slog.New(slog.NewTextHandler(m.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	m.Mux = NewMux(ln, opts)
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if err := <-m.done; err != nil {
			t.Errorf("serve: %v", err)
		}
		m.net.Close()
	})
	return m
}

func (m *muxTest) serve() { go func() { m.done <- m.Serve() }() }

// dial connects and sends head, nothing when head is empty: a connection that is
// refused may be closed by then.
func (m *muxTest) dial(head string) net.Conn {
	m.t.Helper()
	c, err := m.net.Dial(context.Background(), "a", "b:1")
	if err != nil {
		m.t.Fatal(err)
	}
	if head == "" {
		return c
	}
	if _, err := c.Write([]byte(head)); err != nil {
		m.t.Fatal(err)
	}
	return c
}

func TestMuxTellsProtocolsApartAndReplaysWhatItRead(t *testing.T) {
	m := newMuxTest(t, MuxOptions{})
	listeners := map[string]net.Listener{"mesh": m.Mesh(), "HTTP": m.HTTP(), "Pyro": m.Pyro()}
	if m.Mesh() != listeners["mesh"] {
		t.Error("Mesh gave another listener the second time")
	}
	m.serve()
	for text, proto := range map[string]string{
		preface + "rest":              "mesh",
		"GET / HTTP/1.1\r\n\r\n":      "HTTP",
		"POST /RPC2 HTTP/1.0\r\n\r\n": "HTTP",
		"OPTIONS * HTTP/1.1\r\n\r\n":  "HTTP",
		"PYRO\x01\xf6":                "Pyro",
	} {
		c := m.dial(text)
		c.Close()
		got, err := listeners[proto].Accept()
		if err != nil {
			t.Fatal(err)
		}
		if all, err := io.ReadAll(got); string(all) != text || err != nil {
			t.Errorf("%s: got %q, %v; want %q", proto, all, err, text)
		}
		got.Close()
	}
}

func TestMuxClosesWhatItDoesNotKnowAndSaysWhy(t *testing.T) {
	for name, tt := range map[string]struct{ head, level, why string }{
		"unknown":              {"\x00\x01\x02", "WARN", `\\x00\\x01\\x02`},
		"nobody asked for it":  {"PYRO", "WARN", `nobody serves Pyro here"`},
		"TLS is not set up":    {"\x16\x03\x01", "WARN", "TLS, which is not set up"},
		"a listener is closed": {preface, "DEBUG", `nobody serves mesh here any more"`},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMuxTest(t, MuxOptions{})
			m.HTTP()
			m.Mesh().Close()
			m.serve()
			c := m.dial(tt.head)
			if _, err := c.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("got %v, want EOF", err)
			}
			eventually(t, "the reason is logged", func() bool { return strings.Contains(m.log.String(), tt.why) })
			if log := m.log.String(); !strings.Contains(log, "level="+tt.level) {
				t.Errorf("got log %q, want level %s", log, tt.level)
			}
			c.Close()
		})
	}
}

func TestMuxLogsAtMostALineASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		buf := &logBuffer{}
		l := limiter{log: slog.New(slog.NewTextHandler(buf, nil)), every: time.Second}
		for range 100 {
			l.warn("closed")
		}
		synctest.Wait()
		if got := strings.Count(buf.String(), "\n"); got != 1 {
			t.Errorf("got %d lines at once, want 1", got)
		}
		pass(1500 * time.Millisecond)
		if got := buf.String(); strings.Count(got, "\n") != 2 || !strings.Contains(got, "suppressed=99") {
			t.Errorf("got\n%swant two lines, the second for 99 suppressed", got)
		}
		pass(time.Minute)
		l.warn("closed again")
		if got := buf.String(); strings.Count(got, "\n") != 3 {
			t.Errorf("got\n%swant three lines", got)
		}
		l.stop()
	})
}

func TestMuxSlowConnectionsBlockNobodyAndTimeOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMuxTest(t, MuxOptions{})
		mesh := m.Mesh()
		m.serve()
		slow := m.dial("GE")
		silent := m.dial("")
		quick := m.dial(preface)
		c, err := mesh.Accept()
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		for _, s := range []net.Conn{slow, silent} {
			if _, err := s.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("got %v, want EOF", err)
			}
		}
		if got := time.Since(start); got != 5*time.Second {
			t.Errorf("slow connections were closed after %v, want 5s", got)
		}
		for _, c := range []net.Conn{c, slow, silent, quick} {
			c.Close()
		}
	})
}

func TestMuxConnectionNobodyAcceptsIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMuxTest(t, MuxOptions{PrefaceTimeout: time.Minute})
		m.Pyro()
		m.serve()
		c := m.dial("PYRO")
		start := time.Now()
		if _, err := c.Read(make([]byte, 1)); err != io.EOF || time.Since(start) != time.Minute {
			t.Errorf("got %v after %v, want EOF after 1m", err, time.Since(start))
		}
		c.Close()
	})
}

func TestMuxAtItsBoundOfPendingClosesTheOldest(t *testing.T) {
	m := newMuxTest(t, MuxOptions{MaxPending: 2, PrefaceTimeout: time.Hour})
	mesh := m.Mesh()
	m.serve()
	var conns []net.Conn
	for range 3 {
		conns = append(conns, m.dial(""))
	}
	if _, err := conns[0].Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("oldest: got %v, want EOF", err)
	}
	for _, c := range conns[1:] {
		c.Write([]byte(preface))
		got, err := mesh.Accept()
		if err != nil {
			t.Fatal(err)
		}
		got.Close()
		c.Close()
	}
	conns[0].Close()
}

func TestMuxAtItsBoundOfConnsClosesTheNewestAndRecovers(t *testing.T) {
	m := newMuxTest(t, MuxOptions{MaxConns: 1})
	mesh := m.Mesh()
	m.serve()
	first := m.dial(preface)
	got, err := mesh.Accept()
	if err != nil {
		t.Fatal(err)
	}
	second := m.dial("")
	if _, err := second.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("second: got %v, want EOF", err)
	}
	eventually(t, "the log names the limit", func() bool { return strings.Contains(m.log.String(), "limit=1") })
	got.Close()
	got.Close()
	third := m.dial(preface)
	if got, err = mesh.Accept(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []net.Conn{got, first, second, third} {
		c.Close()
	}
}

func TestMuxCloseEndsListenersAndPending(t *testing.T) {
	m := newMuxTest(t, MuxOptions{})
	mesh := m.Mesh()
	m.serve()
	pending := m.dial("")
	accepted := m.dial(preface)
	c, err := mesh.Accept()
	if err != nil {
		t.Fatal(err)
	}
	result := make(chan error, 1)
	go func() {
		_, err := mesh.Accept()
		result <- err
	}()
	if err := m.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if err := <-result; !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept: got %v, want %v", err, net.ErrClosed)
	}
	if _, err := m.HTTP().Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept of a listener asked for too late: got %v, want %v", err, net.ErrClosed)
	}
	if _, err := pending.Read(make([]byte, 1)); err == nil {
		t.Error("the pending connection is still open")
	}
	if _, err := c.Write([]byte("x")); err != nil {
		t.Errorf("the accepted connection was closed: %v", err)
	}
	for _, c := range []net.Conn{c, pending, accepted} {
		c.Close()
	}
}

// badListener fails Accept as one that is out of file descriptors does, and
// then for good.
type badListener struct {
	net.Listener
	temporary int
}

type temporaryError struct{ error }

func (temporaryError) Temporary() bool { return true }

func (l *badListener) Accept() (net.Conn, error) {
	if l.temporary--; l.temporary >= 0 {
		return nil, temporaryError{errors.New("too many open files")}
	}
	return nil, errors.New("gone")
}

func TestMuxOutlivesTemporaryErrorsAndReportsOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln, err := memnet.New(memnet.Options{}).Listen("b:1")
		if err != nil {
			t.Fatal(err)
		}
		m := NewMux(&badListener{ln, 10}, MuxOptions{})
		start := time.Now()
		if err := m.Serve(); err == nil || !strings.Contains(err.Error(), "gone") {
			t.Errorf("got %v, want the error that lasts", err)
		}
		if took := time.Since(start); took < time.Second || took > time.Minute {
			t.Errorf("ten temporary errors took %v, want pauses that grow", took)
		}
		m.Close()
	})
}

// certificate returns a server's and a client's TLS configuration.
func certificate(t *testing.T, name string) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, &tls.Config{RootCAs: pool}
}

func TestMuxTerminatesTLSForEveryProtocol(t *testing.T) {
	server, client := certificate(t, "localhost")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := NewMux(ln, MuxOptions{TLS: server})
	mesh, web := m.Mesh(), m.HTTP()
	served := make(chan error, 1)
	go func() { served <- m.Serve() }()

	httpServer := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") })}
	go httpServer.Serve(web)
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	address := net.JoinHostPort("localhost", port)
	transport := &http.Transport{TLSClientConfig: client}
	for _, scheme := range []string{"http://", "https://"} {
		response, err := (&http.Client{Transport: transport}).Get(scheme + address)
		if err != nil {
			t.Fatalf("%s: %v", scheme, err)
		}
		if body, _ := io.ReadAll(response.Body); string(body) != "hello" {
			t.Errorf("%s: got %q, want \"hello\"", scheme, body)
		}
		response.Body.Close()
	}
	transport.CloseIdleConnections()
	httpServer.Close()

	for name, config := range map[string]*tls.Config{"plain": nil, "TLS": client} {
		sessions := make(chan Session, 1)
		go func() {
			conn, err := mesh.Accept()
			if err != nil {
				t.Errorf("%s: accept: %v", name, err)
			}
			s, err := Server(context.Background(), conn, Options{})
			if err != nil {
				t.Errorf("%s: server: %v", name, err)
			}
			sessions <- s
		}()
		a, err := Dial(soon(t), address, DialOptions{TLS: config})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		b := <-sessions
		near, far := openPair(t, a, b)
		exchange(t, near, far)
		if err := a.Shutdown(soon(t)); err != nil {
			t.Errorf("%s: shutdown: %v", name, err)
		}
		wait(t, "the peer's end", b.Done())
		if err := b.Err(); !errors.Is(err, ErrPeerClosed) {
			t.Errorf("%s: got cause %v, want %v", name, err, ErrPeerClosed)
		}
		b.Close()
	}
	m.Close()
	if err := <-served; err != nil {
		t.Errorf("serve: %v", err)
	}
}

func TestDialNamesTheAddress(t *testing.T) {
	n := memnet.New(memnet.Options{})
	_, client := certificate(t, "localhost")
	for name, tt := range map[string]struct {
		opts DialOptions
		want string
	}{
		"refused": {DialOptions{Connect: n.Dialer("a")}, "connection refused"},
		"too slow": {DialOptions{Timeout: time.Millisecond, Connect: func(ctx context.Context, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, context.Cause(ctx)
		}}, "no connection within 1ms"},
		"no TLS there": {DialOptions{TLS: client, Connect: func(ctx context.Context, _ string) (net.Conn, error) {
			near, far := memConn(t, memnet.New(memnet.Options{}))
			far.Write([]byte("this is not TLS"))
			return near, nil
		}}, "first record does not look like a TLS handshake"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Dial(t.Context(), "b:9", tt.opts)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "b:9") {
				t.Errorf("got %v, want an error that names b:9 and says %q", err, tt.want)
			}
		})
	}
}

func FuzzClassify(f *testing.F) {
	for _, head := range []string{preface, "GET / HTT", "\x16\x03\x01", "PYRO", "PRI * HTTP/2.0", "P", ""} {
		f.Add([]byte(head))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, decided := classify(b)
		if !decided && len(b) >= maxHead {
			t.Fatalf("%q is not decided, and %d bytes must be enough", b, maxHead)
		}
		if !decided && p != protocolUnknown {
			t.Fatalf("%q is %v and not decided", b, p)
		}
		for n := range len(b) { // a decision is final
			if q, decided := classify(b[:n]); decided {
				if q != p {
					t.Fatalf("%q is %v, and its beginning %q is %v", b, p, b[:n], q)
				}
				break
			}
		}
	})
}
