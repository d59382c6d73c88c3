package etcd

import (
	"context"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// hurry is how often progress is asked for while a feed waits to hear for the
// first time that it is in touch.
const hurry = 100 * time.Millisecond

// session is one stream of the watcher and the feeds that run on it.
type session struct {
	*watcher
	ctx      context.Context
	client   *clientv3.Client
	stream   etcdserverpb.Watch_WatchClient
	feeds    map[int64]*feed
	messages chan *etcdserverpb.WatchResponse
	failed   chan error // holds one: why the stream ended
	verified bool       // the store was identified after etcd had confirmed the watches
	eager    bool       // some feed has not been confirmed since it started
	// asked and answered count requests for progress and answers to them. etcd
	// leaves those out that come while it has something else to tell.
	asked, answered int
}

// cause returns why the stream ended, after a send on it failed.
func (s *session) cause() error {
	for {
		select {
		case <-s.messages:
		case err := <-s.failed:
			return fmt.Errorf("watch: %w", clean(err))
		}
	}
}

// adjust starts feeds that were added or must be told everything again, and
// ends those that were removed. current is the store's revision when the
// session began.
func (s *session) adjust(current int64) (started bool, err error) {
	wanted := map[int64]bool{}
	for _, f := range s.snapshot() {
		wanted[f.id] = true
		fresh := s.feeds[f.id] == nil
		if fresh && f.rev == 0 && f.after >= s.first && f.after <= s.high {
			// The sink saw this revision of this very store.
			f.rev = f.after
		}
		if f.sink.overflown() {
			f.rev = 0
			if !fresh {
				if f.cancel(s.stream) != nil {
					return started, s.cause()
				}
				s.rename(f)
				wanted[f.id] = true
				fresh = true
			}
		}
		if !fresh {
			continue
		}
		if err := f.prepare(s.ctx, s.client, current); err != nil {
			return started, err
		}
		if f.watch(s.stream) != nil {
			return started, s.cause()
		}
		f.after, f.skip, f.told = 0, s.asked-s.answered, false
		s.saw(f.rev)
		s.feeds[f.id], s.eager, started = f, true, true
	}
	for id, f := range s.feeds {
		if !wanted[id] {
			delete(s.feeds, id)
			if f.cancel(s.stream) != nil {
				return started, s.cause()
			}
		}
	}
	return started, nil
}

// rename gives f another id, because etcd may yet send something for a watch
// that was cancelled under the old one.
func (s *session) rename(f *feed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.feeds, f.id)
	_, there := s.watcher.feeds[f.id]
	delete(s.watcher.feeds, f.id)
	s.lastID++
	f.id = s.lastID
	if there {
		s.watcher.feeds[f.id] = f
	}
}

// handle takes in one message.
func (s *session) handle(m *etcdserverpb.WatchResponse) error {
	f := s.feeds[m.WatchId]
	switch {
	case m.Created && m.Canceled:
		return fmt.Errorf("create a watch: %w", reason(m))
	case m.Created:
		if f != nil {
			f.created = true
		}
		return s.verify()
	case m.Canceled && f == nil:
		return nil // one that was removed
	case m.Canceled && m.CompactRevision != 0:
		s.log.Info("watch fell behind what etcd keeps; listing again", "key", f.key,
			"revision", f.rev, "compacted", m.CompactRevision)
		delete(s.feeds, f.id)
		f.rev = 0
		s.rename(f)
		poke(s.wake)
		return nil
	case m.Canceled:
		return fmt.Errorf("watch: %w", reason(m))
	case len(m.Events) == 0 && m.WatchId == clientv3.InvalidWatchID:
		s.progress(m.Header.GetRevision())
		return nil
	case f == nil:
		return nil
	case len(m.Events) == 0:
		f.confirm(m.Header.GetRevision())
		return nil
	}
	err := f.take(m)
	s.saw(f.rev)
	return err
}

// progress takes in that every feed is complete up to rev. A member may lag
// behind another that was asked before; then it confirms nothing new.
func (s *session) progress(rev int64) {
	s.saw(rev)
	s.answered++
	s.eager = false
	for _, f := range s.feeds {
		if f.skip > 0 {
			f.skip--
		} else {
			f.confirm(rev)
		}
		s.eager = s.eager || !f.told
	}
	if s.failing && s.verified {
		s.failing = false
		s.log.Info("watch of etcd is in touch again", "revision", rev)
	}
}

// verify identifies the store once all feeds that the session began with are
// confirmed: what confirmed them must be the store that they were listed from.
func (s *session) verify() error {
	if s.verified {
		return nil
	}
	if s.word == "" {
		s.verified = true // nothing to go by; every session begins anew
		return nil
	}
	for _, f := range s.feeds {
		if !f.created {
			return nil
		}
	}
	word, first := s.word, s.first
	if _, err := s.identify(s.ctx, s.client); err != nil {
		return err
	}
	if s.word != word || s.first != first {
		return errStoreChanged
	}
	s.verified = true
	return nil
}

// askProgress asks etcd to say how far it has told everything.
func (s *session) askProgress() error {
	s.asked++
	return s.stream.Send(&etcdserverpb.WatchRequest{RequestUnion: &etcdserverpb.WatchRequest_ProgressRequest{
		ProgressRequest: &etcdserverpb.WatchProgressRequest{},
	}})
}

// nextProbe returns when to ask for progress again.
func (s *session) nextProbe() time.Duration {
	if s.eager {
		return hurry
	}
	return jitter(s.probe)
}

// reason returns why etcd cancelled a watch.
func reason(m *etcdserverpb.WatchResponse) error {
	if m.CompactRevision != 0 {
		return rpctypes.ErrCompacted
	}
	return clean(status.Error(codes.FailedPrecondition, m.CancelReason))
}
