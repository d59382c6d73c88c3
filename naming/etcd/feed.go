package etcd

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	// pageSize is how many keys one request of a listing asks for.
	pageSize = 1000
	// listTries bounds how often a listing is begun anew because its revision
	// was compacted away while it was read.
	listTries = 3
	// maxFragments bounds what is kept of one response that etcd sends in
	// fragments, in events. A longer one is replaced by a listing.
	maxFragments = 1 << 20
)

// feed is one range of keys that the watcher follows for a sink. Its fields are
// the watcher's own.
type feed struct {
	id   int64  // names the feed on the stream
	key  string // the range's first key; it ends with rangeEnd(key)
	sink sink
	// lists says that the sink wants to know everything there is, and not only
	// what changes from now on.
	lists bool

	// after is a revision that the sink says it knows; 0 when it knows none.
	after int64
	// rev is the revision up to which the sink was told everything; 0 when it
	// must be told from the start.
	rev int64
	// seen is the revision up to which events were handed on or listed.
	seen int64

	// On the present stream:

	created bool // etcd confirmed the watch
	told    bool // the sink was told that it is in touch
	// skip counts the answers to requests for progress that may still come and
	// were asked for before the watch was created. They say nothing of it, and
	// etcd can send them after its confirmation.
	skip    int
	partial []*mvccpb.Event
}

// sink is told what a feed brings, always by the watcher's goroutine. It must
// not block.
type sink interface {
	// reset tells all there is at rev. A feed that does not list calls it with
	// no items, to say that anything may have happened up to rev.
	reset(items []item, rev int64)
	// change tells what was done at revision rev, one item per key.
	change(items []item, rev int64)
	// confirm tells that nothing else happened up to rev.
	confirm(rev int64)
	// fail tells that the feed is out of touch.
	fail(err error)
	// overflown reports, once, that the sink dropped something, and wants to
	// be told everything again.
	overflown() bool
}

// item is one key, and what happened to it.
type item struct {
	key     string
	value   []byte
	mod     int64
	deleted bool
}

// prepare tells the sink where it stands, unless it can go on from there.
// current is a recent revision of the store.
func (f *feed) prepare(ctx context.Context, cl *clientv3.Client, current int64) error {
	switch {
	case f.rev != 0:
	case f.lists:
		items, rev, err := list(ctx, cl, f.key)
		if err != nil {
			return err
		}
		f.rev = rev
		f.sink.reset(items, rev)
	default:
		f.rev = current
		f.sink.reset(nil, current)
	}
	f.seen = f.rev
	f.created, f.partial = false, nil
	return nil
}

// watch creates the watch on stream.
func (f *feed) watch(stream etcdserverpb.Watch_WatchClient) error {
	// From rev and not from rev+1: while nothing is written, rev+1 lies in the
	// future, and etcd reports no progress on a watch that begins there. What
	// comes again for rev itself is left out in take.
	return stream.Send(&etcdserverpb.WatchRequest{RequestUnion: &etcdserverpb.WatchRequest_CreateRequest{
		CreateRequest: &etcdserverpb.WatchCreateRequest{
			WatchId: f.id, Key: []byte(f.key), RangeEnd: []byte(rangeEnd(f.key)),
			StartRevision: f.rev, ProgressNotify: true, Fragment: true,
		},
	}})
}

// cancel ends the watch on the stream.
func (f *feed) cancel(stream etcdserverpb.Watch_WatchClient) error {
	return stream.Send(&etcdserverpb.WatchRequest{RequestUnion: &etcdserverpb.WatchRequest_CancelRequest{
		CancelRequest: &etcdserverpb.WatchCancelRequest{WatchId: f.id},
	}})
}

// take hands the events of one response to the sink, a revision at a time.
func (f *feed) take(m *etcdserverpb.WatchResponse) error {
	events := m.Events
	if m.Fragment || len(f.partial) > 0 {
		f.partial = append(f.partial, events...)
		if len(f.partial) > maxFragments {
			f.rev = 0
			return fmt.Errorf("follow %q: more than %d changes at once", f.key, maxFragments)
		}
		if m.Fragment {
			return nil
		}
		events, f.partial = f.partial, nil
	}
	var items []item
	for i, e := range events {
		rev := e.Kv.ModRevision
		if rev <= f.seen {
			continue
		}
		items = append(items, item{key: string(e.Kv.Key), value: e.Kv.Value, mod: rev, deleted: e.Type == mvccpb.Event_DELETE})
		if i+1 == len(events) || events[i+1].Kv.ModRevision != rev {
			f.seen, f.rev = rev, max(f.rev, rev)
			f.sink.change(items, rev)
			items = nil
		}
	}
	f.told = true
	return nil
}

// confirm tells the sink that it is complete up to rev.
func (f *feed) confirm(rev int64) {
	if f.created && rev >= f.rev && len(f.partial) == 0 {
		f.rev, f.told = rev, true
		f.sink.confirm(rev)
	}
}

// list returns everything under prefix at one revision, that of the first page,
// which is the newest.
func list(ctx context.Context, cl *clientv3.Client, prefix string) (items []item, rev int64, err error) {
	for range listTries {
		items, rev, err = listOnce(ctx, cl, prefix)
		if !errors.Is(err, rpctypes.ErrCompacted) {
			break
		}
	}
	if err != nil {
		return nil, 0, fmt.Errorf("list %q: %w", prefix, clean(err))
	}
	return items, rev, nil
}

func listOnce(ctx context.Context, cl *clientv3.Client, prefix string) (items []item, rev int64, err error) {
	from, end := prefix, rangeEnd(prefix)
	for {
		call, cancel := context.WithTimeout(ctx, callTimeout)
		r, err := cl.Get(call, from, clientv3.WithRange(end), clientv3.WithLimit(pageSize), clientv3.WithRev(rev))
		cancel()
		if err != nil {
			return nil, 0, err
		}
		if rev == 0 {
			rev = r.Header.Revision
		}
		for _, kv := range r.Kvs {
			items = append(items, item{key: string(kv.Key), value: kv.Value, mod: kv.ModRevision})
		}
		if !r.More || len(r.Kvs) == 0 {
			return items, rev, nil
		}
		from = string(r.Kvs[len(r.Kvs)-1].Key) + "\x00"
	}
}
