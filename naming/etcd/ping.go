package etcd

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"farcall.dev/naming"
)

const (
	// diagnosis bounds how long Ping looks for the reason of a failure.
	diagnosis = 2 * time.Second
	// maxAnswer bounds what Ping reads of whatever answers at an endpoint.
	maxAnswer = 4 << 10
)

// Ping returns nil when etcd can be used: it is there, has a leader, and lets us
// read. Otherwise it returns an [*UnavailableError] that says what answers at the
// endpoints, if anything, and what to check. It returns soon after ctx ends, and
// before that when nothing can be gained by waiting.
func (r *Registry) Ping(ctx context.Context) error {
	cl, err := r.conn.get(ctx)
	if err == nil {
		_, err = cl.Get(ctx, r.keys.store(), clientv3.WithCountOnly())
	}
	switch {
	case err == nil:
		return nil
	case r.conn.life.Err() != nil:
		return fmt.Errorf("ping: %w", naming.ErrClosed)
	}
	err = clean(err)
	u := &UnavailableError{Endpoints: r.opts.Endpoints, Hint: hint(err), Err: err}
	if u.Hint == "" {
		u.Hint = r.opts.diagnose(ctx)
	}
	return u
}

// diagnose says for each endpoint what is there.
func (o *Options) diagnose(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), diagnosis)
	defer cancel()
	found := make([]string, len(o.Endpoints))
	var wg sync.WaitGroup
	for i, addr := range o.Endpoints {
		wg.Go(func() { found[i] = addr + " " + o.inspect(ctx, addr) })
	}
	wg.Wait()
	return strings.Join(found, "; ")
}

// inspect says what answers at addr, and what to do about it.
func (o *Options) inspect(ctx context.Context, addr string) string {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		var dns *net.DNSError
		switch {
		case errors.As(err, &dns):
			return "has no address: check the host's name"
		case ctx.Err() != nil:
			return "does not answer: check the address, and what lies between"
		}
		return "does not answer: check that etcd runs there, and the port"
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if o.TLS != nil {
		cfg := o.TLS.Clone()
		if cfg.ServerName == "" {
			cfg.ServerName, _, _ = net.SplitHostPort(addr)
		}
		secure := tls.Client(conn, cfg)
		if err := secure.HandshakeContext(ctx); err != nil {
			if _, ok := errors.AsType[tls.RecordHeaderError](err); ok || errors.Is(err, io.EOF) {
				return "does not speak TLS: use no TLS, or another port"
			}
			return fmt.Sprintf("refuses TLS, or is refused (%v): check the certificates", err)
		}
		conn = secure
	}
	return askVersion(conn, addr)
}

// askVersion asks for /version, which etcd answers beside its gRPC, and says
// what came.
func askVersion(conn net.Conn, addr string) string {
	fmt.Fprintf(conn, "GET /version HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", addr)
	answer, _ := io.ReadAll(io.LimitReader(bufio.NewReader(conn), maxAnswer))
	switch {
	case bytes.Contains(answer, []byte("etcdserver")):
		return "is an etcd, but does not serve: check that most of its members run"
	case bytes.Contains(answer, []byte("HTTPS server")), len(answer) > 0 && answer[0] == 0x15:
		return "speaks TLS: use https"
	case bytes.HasPrefix(answer, []byte("HTTP/")):
		return "is an HTTP server, but no etcd: check the port"
	case len(answer) == 0:
		return "accepts connections, but says nothing that etcd would: check the port, and whether it wants TLS"
	}
	return "is no etcd: check the port"
}
