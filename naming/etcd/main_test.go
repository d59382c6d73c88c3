package etcd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"farcall.dev/internal/etcdserver"
	"farcall.dev/naming"
)

const (
	// patience bounds whatever a test waits for.
	patience = 30 * time.Second
	// testTTL is the lease of the tests. The server's elections allow one second;
	// two leave room for a busy machine.
	testTTL = 2 * time.Second
)

// shared is the etcd that the tests of this package share, each under a prefix
// of its own. It is started when it is first needed.
var shared struct {
	once   sync.Once
	server *etcdserver.Server
	err    error
	tests  atomic.Int64
}

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.server != nil {
		shared.server.Close()
	}
	if code == 0 {
		// The members of one etcd cluster leave their idle connections to each other
		// to a read timeout of five seconds, at both ends.
		err := goleak.Find(
			goleak.IgnoreAnyFunction("go.etcd.io/etcd/client/pkg/v3/transport.timeoutConn.Read"),
			goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"),
			goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"),
			goleak.IgnoreAnyFunction("net/http.(*connReader).abortPendingRead"),
		)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// devOptions are those of an etcd for tests.
func devOptions() etcdserver.Options {
	return etcdserver.Options{
		Dev: true, ListenClient: []string{"127.0.0.1:0"}, ListenPeer: []string{"127.0.0.1:0"},
		Heartbeat: 50 * time.Millisecond, Election: 500 * time.Millisecond,
	}
}

// startEtcd starts an etcd that ends with the test.
func startEtcd(t testing.TB, o etcdserver.Options) *etcdserver.Server {
	t.Helper()
	s, err := etcdserver.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	awaitReady(t, s)
	return s
}

func awaitReady(t testing.TB, s *etcdserver.Server) {
	t.Helper()
	select {
	case <-s.Ready():
	case <-time.After(patience):
		t.Fatal("etcd is not ready")
	}
}

// world is an empty store with a client that does to it what no registry would.
type world struct {
	t      testing.TB
	server *etcdserver.Server
	proxy  *proxy
	client *clientv3.Client
	keys   layout
}

// newWorld returns an empty part of the shared etcd, behind a proxy of its own.
func newWorld(t testing.TB) *world {
	t.Helper()
	shared.once.Do(func() {
		shared.server, shared.err = etcdserver.Start(context.Background(), devOptions())
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	awaitReady(t, shared.server)
	return newWorldOn(t, shared.server)
}

// newWorldOn is newWorld on an etcd of the test's own.
func newWorldOn(t testing.TB, s *etcdserver.Server) *world {
	t.Helper()
	w := &world{t: t, server: s, proxy: newProxy(t, endpoint(s))}
	w.keys = layout{prefix: fmt.Sprintf("/test%d/", shared.tests.Add(1))}
	w.client = dial(t, s)
	return w
}

// endpoint returns the host:port of s.
func endpoint(s *etcdserver.Server) string {
	addr, _, _ := parseEndpoint(s.Endpoints()[0])
	return addr
}

// dial returns a client of s that ends with the test.
func dial(t testing.TB, s *etcdserver.Server) *clientv3.Client {
	t.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: s.Endpoints(), Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// open returns a registry on the world that ends with the test.
func (w *world) open() *Registry {
	w.t.Helper()
	return openRegistry(w.t, Options{Endpoints: []string{w.proxy.addr}, Prefix: w.keys.prefix, TTL: testTTL, Logger: testLog(w.t)})
}

// openRegistry returns a registry that ends with the test.
func openRegistry(t testing.TB, o Options) *Registry {
	t.Helper()
	r, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		r.Close(ctx)
	})
	return r
}

// testLog logs to t at debug level when the tests are verbose.
func testLog(t testing.TB) *slog.Logger {
	if !testing.Verbose() {
		return nil
	}
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// context returns a context that ends with the test, or with patience.
func (w *world) context() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	w.t.Cleanup(cancel)
	return ctx
}

// revoke revokes r's lease.
func (w *world) revoke(r naming.Registry) {
	w.t.Helper()
	if _, err := w.client.Revoke(w.context(), clientv3.LeaseID(r.Status().Lease)); err != nil && !isLeaseLost(err) {
		w.t.Fatalf("revoke the lease: %v", err)
	}
}

// compact makes etcd forget all but the present.
func (w *world) compact() {
	w.t.Helper()
	g, err := w.client.Get(w.context(), "nothing")
	if err == nil {
		_, err = w.client.Compact(w.context(), g.Header.Revision)
	}
	if err != nil && !errors.Is(err, rpctypes.ErrCompacted) {
		w.t.Fatalf("compact: %v", err)
	}
}

// put writes a key by hand.
func (w *world) put(key, value string) {
	w.t.Helper()
	if _, err := w.client.Put(w.context(), key, value); err != nil {
		w.t.Fatal(err)
	}
}

// delete deletes a key by hand.
func (w *world) delete(key string) {
	w.t.Helper()
	if _, err := w.client.Delete(w.context(), key); err != nil {
		w.t.Fatal(err)
	}
}

// until waits until ok.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("never: %s", what)
		}
	}
}

// inst returns a record for tests.
func inst(name naming.Name, node naming.NodeID, mode naming.Mode) naming.Instance {
	return naming.Instance{
		Name: name, Node: node, Incarnation: 1, Mode: mode,
		Addrs: map[naming.Protocol]string{naming.ProtocolMesh: "127.0.0.1:7500"},
	}
}

// register registers and fails the test when that fails.
func (w *world) register(r *Registry, i naming.Instance) {
	w.t.Helper()
	if err := r.Register(w.context(), i); err != nil {
		w.t.Fatal(err)
	}
}

// dump logs what etcd holds.
func (w *world) dump() {
	g, err := w.client.Get(w.context(), w.keys.prefix, clientv3.WithPrefix())
	if err != nil {
		w.t.Log(err)
		return
	}
	for _, kv := range g.Kvs {
		w.t.Logf("%s = %s (created %d, modified %d, lease %x)", kv.Key, kv.Value, kv.CreateRevision, kv.ModRevision, kv.Lease)
	}
}

// fill writes count instances, from number first on, in one transaction.
func (w *world) fill(ctx context.Context, first, count int) {
	w.t.Helper()
	var ops []clientv3.Op
	for i := range count {
		key := w.keys.key(instances, naming.Name(fmt.Sprintf("n%06d", first+i)), "a")
		ops = append(ops, clientv3.OpPut(key, `{"v":1,"kind":"object","state":"live","mode":"shared","weight":1}`))
	}
	if _, err := w.client.Txn(ctx).Then(ops...).Commit(); err != nil {
		w.t.Fatal(err)
	}
}

// prefixOption makes a Get one of all keys with its key's prefix.
func prefixOption() clientv3.OpOption { return clientv3.WithPrefix() }
