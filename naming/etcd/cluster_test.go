package etcd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"farcall.dev/internal/etcdserver"
	"farcall.dev/naming"
)

// startCluster starts an etcd of count members that ends with the test.
func startCluster(t *testing.T, count int) []*etcdserver.Server {
	t.Helper()
	opts := make([]etcdserver.Options, count)
	var members []string
	for i := range opts {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		opts[i] = devOptions()
		opts[i].Name, opts[i].ListenPeer = fmt.Sprintf("m%d", i), []string{l.Addr().String()}
		members = append(members, fmt.Sprintf("m%d=http://%s", i, l.Addr()))
		l.Close()
	}
	servers := make([]*etcdserver.Server, count)
	var wg sync.WaitGroup
	for i := range opts {
		opts[i].InitialCluster = strings.Join(members, ",")
		wg.Go(func() {
			var err error
			if servers[i], err = etcdserver.Start(context.Background(), opts[i]); err != nil {
				t.Errorf("start %s: %v", opts[i].Name, err)
			}
		})
	}
	wg.Wait()
	for _, s := range servers {
		if s == nil {
			t.FailNow()
		}
		t.Cleanup(func() { s.Close() })
		awaitReady(t, s)
	}
	return servers
}

func TestLeaderLost(t *testing.T) {
	t.Parallel() // it mostly waits
	members := startCluster(t, 3)
	o := Options{Prefix: "/leader/", TTL: testTTL, Logger: testLog(t)}
	for _, m := range members {
		o.Endpoints = append(o.Endpoints, endpoint(m))
	}
	r := openRegistry(t, o)
	w := &world{t: t, server: members[0]}
	w.register(r, inst("n", "a", naming.ModeExclusive))
	v := view(t, openRegistry(t, o), "")
	v.untilIs("n@a:live")
	for _, m := range members {
		if st := m.Status(); st.ID == st.Leader {
			m.Close()
			break
		}
	}
	began := time.Now()
	w.register(r, inst("m", "a", naming.ModeShared))
	v.untilIs("m@a:live n@a:live")
	t.Logf("registered another name %v after the leader was lost", time.Since(began).Round(time.Millisecond))
	until(t, "live", func() bool { return r.Status().State == naming.StatusLive })
}

func TestQuorumLost(t *testing.T) {
	t.Parallel() // it mostly waits
	// The members reach their clients, but not each other's majority.
	members := startCluster(t, 2)
	o := Options{Endpoints: []string{endpoint(members[0])}, Prefix: "/quorum/", TTL: testTTL, Logger: testLog(t)}
	r := openRegistry(t, o)
	w := &world{t: t, server: members[0]}
	w.register(r, inst("n", "a", naming.ModeShared))
	v := view(t, openRegistry(t, o), "")
	v.untilIs("n@a:live")
	members[1].Close()
	v.untilErr() // the connection stands; only etcd's leader is gone
	until(t, "suspect", func() bool { return r.Status().State == naming.StatusSuspect })
	v.mu.Lock()
	if len(v.view) != 1 {
		t.Errorf("out of touch the watch shows %d records, want the one it knew", len(v.view))
	}
	v.mu.Unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := r.Close(ctx); !errors.Is(err, naming.ErrUnavailable) {
		t.Errorf("close without a quorum: got %v, want ErrUnavailable", err)
	}
}
