package etcd

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// The watcher
//
// One goroutine, run, owns one watch stream, on which it follows any number of
// feeds: ranges of keys, each for a sink. There is a feed for each call of Watch,
// and two for the registrar while it has records. With no feeds there is no
// stream. All feeds live and die with the stream:
//
//	session: identify the store
//	         open the stream
//	         start each feed: list it, unless it can resume; watch from there
//	         identify the store again, once etcd has confirmed the watches
//	         hand on what comes; ask for progress; start and end feeds
//	         ... until anything is wrong: then tell the sinks, back off, and
//	         begin another session
//
// The stream is spoken here and not through the client library's Watch, which
// reconnects behind its caller's back. It resumes at the revision it had reached,
// on whatever answers: on an etcd that lost its data that revision lies in the
// future, and the watch is silent until the new store has counted so far, missing
// all that happened. It tries again every 100 ms, without jitter. A watch that is
// given up keeps its stream alive as long as another one shares it, however dead
// the stream is. And it buffers without bound for a slow reader.
//
// What must never happen, and what prevents it:
//
//   - A change is missed. A feed resumes only from the revision that its sink has
//     reached in the same store. The store is the same when the word under its
//     key "store" is, when its cluster id is, and when its revision has not gone
//     back; in any doubt, and after compaction, the feed is listed anew. The check
//     after the watches are confirmed catches a store that was replaced between
//     the first check and the opening of the stream.
//   - The watch is dead and nobody knows. Progress is asked for every few seconds,
//     on the same stream, and a stream that brings nothing for three times as long
//     is torn down. A member that has lost its leader ends the stream by itself,
//     because the stream requires a leader.
//   - Memory grows. The watcher keeps no copy of what it hands on; a sink that
//     cannot follow drops what it has and is told everything again.
//   - A fleet comes back in step. Every pause has full jitter.
type watcher struct {
	conn *conn
	keys layout
	log  *slog.Logger
	// probe is how often progress is asked for, silence how long nothing may
	// come.
	probe, silence time.Duration

	ctx  context.Context
	stop context.CancelFunc
	wake chan struct{} // holds one; feeds were added or removed, or an overflow
	up   chan struct{} // holds one; the connection came up
	done chan struct{}

	mu     sync.Mutex
	feeds  map[int64]*feed // guarded by mu; the feeds' fields are run's
	lastID int64           // guarded by mu

	// The rest is run's own.

	word    string // the store's word; empty when there is none
	cluster uint64
	first   int64 // the lowest revision from which a feed may resume
	high    int64 // the highest revision seen of the store
	told    int64 // the highest revision seen of any store
	failing bool
}

const (
	// callTimeout bounds one request to etcd.
	callTimeout = 5 * time.Second
	// maxProbe bounds the time between requests for progress.
	maxProbe = 5 * time.Second
)

func newWatcher(c *conn, keys layout, log *slog.Logger, ttl time.Duration) *watcher {
	probe := min(max(ttl/2, 500*time.Millisecond), maxProbe)
	w := &watcher{
		conn: c, keys: keys, log: log, probe: probe, silence: 3 * probe,
		wake: make(chan struct{}, 1), up: make(chan struct{}, 1), done: make(chan struct{}),
		feeds: map[int64]*feed{},
	}
	w.ctx, w.stop = context.WithCancel(context.Background())
	return w
}

// add starts a feed of the keys that begin with key. after is what the sink
// knows already, or 0.
func (w *watcher) add(key string, lists bool, after int64, s sink) *feed {
	w.mu.Lock()
	w.lastID++
	f := &feed{id: w.lastID, key: key, lists: lists, after: after, sink: s}
	w.feeds[f.id] = f
	w.mu.Unlock()
	poke(w.wake)
	return f
}

// remove ends f. Its sink may be told something for a moment yet.
func (w *watcher) remove(f *feed) {
	w.mu.Lock()
	delete(w.feeds, f.id)
	w.mu.Unlock()
	poke(w.wake)
}

// snapshot returns the feeds in the order in which they were added.
func (w *watcher) snapshot() []*feed {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := make([]*feed, 0, len(w.feeds))
	for _, f := range w.feeds {
		all = append(all, f)
	}
	slices.SortFunc(all, func(a, b *feed) int { return int(a.id - b.id) })
	return all
}

// run follows the feeds until close.
func (w *watcher) run() {
	defer close(w.done)
	pause := backoff{max: maxBackoff}
	for w.ctx.Err() == nil {
		if len(w.snapshot()) == 0 {
			select {
			case <-w.wake:
			case <-w.ctx.Done():
			}
			continue
		}
		worked, err := w.session()
		if err == nil || w.ctx.Err() != nil {
			continue
		}
		w.fail(err)
		if errors.Is(err, errSilent) {
			w.conn.drop(w.conn.current())
		}
		if worked {
			pause.reset()
		}
		// While etcd is in reach but does not serve, as without a leader, this
		// alone decides how soon its return is noticed: hence the bound.
		pause.max = min(maxBackoff, max(w.silence/3, time.Second))
		if hopeless(err) {
			pause.max = maxBackoff
		}
		w.sleep(pause.next())
	}
}

// close ends the watcher and waits for it.
func (w *watcher) close() {
	w.stop()
	<-w.done
}

// sleep waits for d, or until the connection comes up.
func (w *watcher) sleep(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-w.up:
	case <-w.ctx.Done():
	}
}

// fail tells every sink that the watcher is out of touch.
func (w *watcher) fail(err error) {
	level := slog.LevelDebug
	if !w.failing {
		level = slog.LevelWarn
	}
	w.failing = true
	w.log.Log(w.ctx, level, "watch of etcd is out of touch", "err", err)
	for _, f := range w.snapshot() {
		f.sink.fail(err)
	}
}

// session runs one stream until something is wrong, or no feeds are left. worked
// says that it had come so far as to follow them.
func (w *watcher) session() (worked bool, err error) {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(w.ctx))
	defer cancel()
	cl, err := w.conn.get(ctx)
	if err != nil {
		return false, clean(err)
	}
	current, err := w.identify(ctx, cl)
	if err != nil {
		return false, err
	}
	stream, err := etcdserverpb.NewWatchClient(cl.ActiveConnection()).Watch(ctx)
	if err != nil {
		return false, fmt.Errorf("open a watch: %w", clean(err))
	}
	s := &session{
		watcher: w, ctx: ctx, client: cl, stream: stream, feeds: map[int64]*feed{},
		messages: make(chan *etcdserverpb.WatchResponse), failed: make(chan error, 1),
	}
	received := make(chan struct{})
	defer func() { cancel(); <-received }()
	go func() {
		defer close(received)
		s.failed <- receive(ctx, stream, s.messages)
	}()

	probe := time.NewTimer(0)
	defer probe.Stop()
	heard := time.Now()
	for stale := true; ; {
		if stale {
			// Starting feeds takes requests of their own, each with a time limit.
			// What etcd sends meanwhile waits in the stream.
			started, err := s.adjust(current)
			switch {
			case err != nil:
				return s.verified, err
			case len(s.feeds) == 0:
				return s.verified, nil
			case started:
				heard = time.Now()
				probe.Reset(0)
			}
			stale = false
		}
		select {
		case m := <-s.messages:
			heard = time.Now()
			if err := s.handle(m); err != nil {
				return s.verified, err
			}
		case err := <-s.failed:
			return s.verified, fmt.Errorf("watch: %w", clean(err))
		case <-probe.C:
			if quiet := time.Since(heard); quiet > w.silence {
				return s.verified, fmt.Errorf("watch: %w: nothing came for %v", errSilent, quiet.Round(time.Millisecond))
			}
			if s.askProgress() != nil {
				return s.verified, s.cause()
			}
			probe.Reset(s.nextProbe())
		case <-w.wake:
			stale = true
		case <-ctx.Done():
			return s.verified, ctx.Err()
		}
	}
}

// receive hands on what the stream brings, until it ends.
func receive(ctx context.Context, stream etcdserverpb.Watch_WatchClient, to chan<- *etcdserverpb.WatchResponse) error {
	for {
		m, err := stream.Recv()
		if err != nil {
			return err
		}
		select {
		case to <- m:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// identify finds out which store this is, and forgets what was known of another
// one. It returns the store's revision.
func (w *watcher) identify(ctx context.Context, cl *clientv3.Client) (rev int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	word, header, err := storeWord(ctx, cl, w.keys.store())
	if err != nil {
		return 0, fmt.Errorf("identify the store: %w", clean(err))
	}
	rev = header.Revision
	if word == "" || word != w.word || header.ClusterId != w.cluster || rev < w.high {
		if w.word != "" && word != w.word {
			w.log.Warn("etcd holds another store than before", "cluster", header.ClusterId)
		}
		// A revision that was told of the store before means nothing here.
		w.word, w.cluster, w.first, w.high = word, header.ClusterId, max(rev, w.told+1), rev
		for _, f := range w.snapshot() {
			f.rev, f.after = 0, 0
		}
	}
	w.saw(rev)
	return rev, nil
}

// saw notes that the store has come to rev.
func (w *watcher) saw(rev int64) {
	w.high, w.told = max(w.high, rev), max(w.told, rev)
}

// storeWord reads the word that tells one store from the next, and writes one
// where there is none. A user who may not write gets along without.
func storeWord(ctx context.Context, cl *clientv3.Client, key string) (string, *etcdserverpb.ResponseHeader, error) {
	get := clientv3.OpGet(key)
	r, err := cl.Get(ctx, key)
	if err == nil && len(r.Kvs) > 0 {
		return string(r.Kvs[0].Value), r.Header, nil
	}
	if err != nil && !errors.Is(err, rpctypes.ErrPermissionDenied) {
		return "", nil, err
	}
	word := rand.Text()
	t, err := cl.Txn(ctx).If(clientv3.Compare(clientv3.CreateRevision(key), "=", 0)).
		Then(clientv3.OpPut(key, word)).Else(get).Commit()
	switch {
	case errors.Is(err, rpctypes.ErrPermissionDenied) && r != nil:
		return "", r.Header, nil
	case err != nil:
		return "", nil, err
	case t.Succeeded:
		return word, t.Header, nil
	}
	kvs := t.Responses[0].GetResponseRange().Kvs
	if len(kvs) == 0 {
		return "", t.Header, nil
	}
	return string(kvs[0].Value), t.Header, nil
}

// poke makes c's reader look again. c holds one.
func poke(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
