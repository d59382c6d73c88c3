package etcdserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// testTimeout bounds whatever a test waits for.
const testTimeout = 30 * time.Second

// devOptions are those of a member for one test: free ports and short, legal
// elections.
func devOptions() Options {
	return Options{
		Dev:          true,
		ListenClient: []string{"127.0.0.1:0"},
		ListenPeer:   []string{"127.0.0.1:0"},
		Heartbeat:    20 * time.Millisecond,
		Election:     200 * time.Millisecond,
	}
}

// start starts a member that ends with the test, and waits until it serves.
func start(t *testing.T, o Options) *Server {
	t.Helper()
	s, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	await(t, s.Ready(), "ready")
	return s
}

// await waits for c, which stands for what.
func await(t *testing.T, c <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(testTimeout):
		t.Fatalf("not %s within %v", what, testTimeout)
	}
}

// dial returns a client of s.
func dial(t *testing.T, s *Server) *clientv3.Client {
	t.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: s.Endpoints(), Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func put(t *testing.T, c *clientv3.Client, key, value string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	if _, err := c.Put(ctx, key, value); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, c *clientv3.Client, key string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	r, err := c.Get(ctx, key)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Kvs) == 0 {
		return ""
	}
	return string(r.Kvs[0].Value)
}

func TestDevServesAndLeavesNothingBehind(t *testing.T) {
	s := start(t, devOptions())
	c := dial(t, s)
	put(t, c, "k", "v")
	if got, want := get(t, c, "k"), "v"; got != want {
		t.Errorf("value: got %q, want %q", got, want)
	}
	if err := s.Health(t.Context()); err != nil {
		t.Errorf("health: %v", err)
	}
	st := s.Status()
	if len(st.Members) != 1 || !st.Members[0].Leader || st.Members[0].Name != DefaultName || st.Leader != st.ID || st.Revision < 2 {
		t.Errorf("status: got %+v, want one member, %q, that leads, and a revision above 1", st, DefaultName)
	}
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	await(t, s.Done(), "done")
	if !errors.Is(s.Err(), ErrClosed) || !errors.Is(s.Health(t.Context()), ErrClosed) {
		t.Errorf("after close: got %v and %v, want ErrClosed", s.Err(), s.Health(t.Context()))
	}
	if _, err := os.Stat(s.DataDir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the temporary data directory is still there: %v", err)
	}
}

func TestTwoServersInOneProcess(t *testing.T) {
	a, b := start(t, devOptions()), start(t, devOptions())
	ca, cb := dial(t, a), dial(t, b)
	put(t, ca, "k", "a")
	put(t, cb, "k", "b")
	if got := get(t, ca, "k") + get(t, cb, "k"); got != "ab" {
		t.Errorf("values: got %q, want %q", got, "ab")
	}
	a.Close()
	if got, want := get(t, cb, "k"), "b"; got != want {
		t.Errorf("after the other closed: got %q, want %q", got, want)
	}
}

func TestRestartsFromItsData(t *testing.T) {
	o := devOptions()
	o.DataDir = t.TempDir()
	s := start(t, o)
	put(t, dial(t, s), "k", "v")
	s.Close()
	o.InitialCluster = "someone-else=http://127.0.0.1:1" // counts only for a new member
	s = start(t, o)
	if got, want := get(t, dial(t, s), "k"), "v"; got != want {
		t.Errorf("after a restart: got %q, want %q", got, want)
	}
}

func TestCloseDoesNotWaitForWatches(t *testing.T) {
	s := start(t, devOptions())
	c := dial(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w := c.Watch(ctx, "k", clientv3.WithCreatedNotify())
	<-w
	closed := make(chan struct{})
	go func() { s.Close(); close(closed) }()
	// Without ended streams it takes ReqTimeout, 5.4 s with these elections.
	select {
	case <-closed:
	case <-time.After(4 * time.Second):
		t.Error("close waits for a watch")
		<-closed
	}
	select {
	case r, ok := <-w:
		t.Errorf("the client's watch ended for good: %v %v", r, ok)
	default: // it retries
	}
}

func TestCloseDoesNotWaitForAClusterThatNeverForms(t *testing.T) {
	o := devOptions()
	o.Name, o.AdvertisePeer = "a", []string{"http://127.0.0.1:1"}
	o.InitialCluster = "a=http://127.0.0.1:1,b=http://127.0.0.1:2"
	s, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}()
	await(t, closed, "closed")
}

func TestThreeMembersElectAndSurviveOne(t *testing.T) {
	var peers []string
	opts := make([]Options, 3)
	for i := range opts {
		urls, err := parseURLs("ListenPeer", []string{"127.0.0.1:0"})
		if err != nil {
			t.Fatal(err)
		}
		if err := pickPorts(urls); err != nil {
			t.Fatal(err)
		}
		opts[i] = devOptions()
		opts[i].Name = fmt.Sprintf("n%d", i)
		opts[i].ListenPeer = []string{urls[0].String()}
		opts[i].Election = time.Second // three members share the test's processors
		opts[i].Heartbeat = 50 * time.Millisecond
		peers = append(peers, opts[i].Name+"="+urls[0].String())
	}
	servers := make([]*Server, 3)
	var wg sync.WaitGroup
	for i := range opts {
		opts[i].InitialCluster = strings.Join(peers, ",")
		wg.Go(func() {
			var err error
			if servers[i], err = Start(t.Context(), opts[i]); err != nil {
				t.Errorf("start %s: %v", opts[i].Name, err)
			}
		})
	}
	wg.Wait()
	for _, s := range servers {
		if s == nil {
			t.FailNow()
		}
		defer s.Close()
		await(t, s.Ready(), "ready")
	}
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	for _, s := range servers {
		if err := s.Health(ctx); err != nil {
			t.Errorf("health of %s: %v", s.Name(), err)
		}
	}
	put(t, dial(t, servers[0]), "k", "v")
	servers[0].Close()
	if got, want := get(t, dial(t, servers[1]), "k"), "v"; got != want {
		t.Errorf("with two of three: got %q, want %q", got, want)
	}
	servers[1].Close()
	short, stop := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer stop()
	if err := servers[2].Health(short); err == nil {
		t.Error("one member of three says that it is healthy")
	}
}

func TestErrorsNameWhatFailed(t *testing.T) {
	s := start(t, devOptions())
	used := strings.TrimPrefix(s.Endpoints()[0], "http://")

	o := devOptions()
	o.ListenClient = []string{used}
	_, err := Start(t.Context(), o)
	var le *ListenError
	if !errors.As(err, &le) || !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), used) {
		t.Errorf("client port in use: got %v, want a ListenError that names %s", err, used)
	}

	o = devOptions()
	o.DataDir = s.DataDir()
	if _, err = Start(t.Context(), o); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), s.DataDir()) {
		t.Errorf("data directory in use: got %v, want ErrInUse that names %s", err, s.DataDir())
	}

	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	o.DataDir = file
	var de *DataDirError
	if _, err = Start(t.Context(), o); !errors.As(err, &de) || de.Dir != file {
		t.Errorf("a file for a directory: got %v, want a DataDirError of %s", err, file)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = Start(ctx, devOptions()); !errors.Is(err, context.Canceled) {
		t.Errorf("ended context: got %v, want context.Canceled", err)
	}
}

func TestRefusesDataOfAnother(t *testing.T) {
	o := devOptions()
	o.DataDir = t.TempDir()
	start(t, o).Close()
	for _, other := range []func(*Options){
		func(o *Options) { o.Name = "other" },
		func(o *Options) { o.ClusterToken = "other" },
	} {
		o := o
		other(&o)
		_, err := Start(t.Context(), o)
		var oe *OwnerError
		if !errors.As(err, &oe) || oe.Has.Name != DefaultName || !strings.Contains(err.Error(), o.DataDir) {
			t.Errorf("got %v, want an OwnerError that names %s and %q", err, o.DataDir, DefaultName)
		}
	}
}

func TestRefusesBadOptions(t *testing.T) {
	for field, o := range map[string]Options{
		"DataDir":         {},
		"Name":            {Dev: true, Name: "a=b"},
		"ListenClient":    {Dev: true, ListenClient: []string{"127.0.0.1"}},
		"ListenPeer":      {Dev: true, ListenClient: []string{"127.0.0.1:0"}, ListenPeer: []string{"ftp://127.0.0.1:1"}},
		"AdvertiseClient": {Dev: true, ListenClient: []string{"127.0.0.1:0"}, AdvertiseClient: []string{"http://h:99999"}},
		"Election":        {Dev: true, Election: 100 * time.Millisecond},
		"Heartbeat":       {Dev: true, Heartbeat: time.Microsecond},
		"History":         {Dev: true, History: time.Second},
		"Quota":           {Dev: true, Quota: -1},
	} {
		_, err := Start(t.Context(), o)
		var oe *OptionError
		if !errors.As(err, &oe) || oe.Field != field {
			t.Errorf("%s: got %v, want an OptionError of it", field, err)
		}
	}
}

func TestAdvertisesANameForAllAddresses(t *testing.T) {
	listen, err := parseURLs("ListenClient", []string{"0.0.0.0:2379", "http://127.0.0.1:2379"})
	if err != nil {
		t.Fatal(err)
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	adv := advertised(listen)
	if got, want := adv[0].Host, net.JoinHostPort(host, "2379"); got != want {
		t.Errorf("advertised: got %q, want %q", got, want)
	}
	if got, want := adv[1].Host, "127.0.0.1:2379"; got != want {
		t.Errorf("advertised: got %q, want %q", got, want)
	}
	if got, want := dialable(listen)[0], "http://127.0.0.1:2379"; got != want {
		t.Errorf("dialable: got %q, want %q", got, want)
	}
}
