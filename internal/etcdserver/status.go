package etcdserver

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/version"
	"go.etcd.io/etcd/client/pkg/v3/types"
)

// Member is one member of the cluster, as this member knows it.
type Member struct {
	// ID is the member's number in its cluster.
	ID uint64 `json:"id"`
	// Name is empty until the member has started for the first time.
	Name string `json:"name"`
	// PeerURLs and ClientURLs are what the member advertises.
	PeerURLs   []string `json:"peerURLs"`
	ClientURLs []string `json:"clientURLs"`
	// Leader and Learner say what part the member plays; a learner has no vote.
	Leader  bool `json:"leader"`
	Learner bool `json:"learner"`
}

// Status is how a member stands.
type Status struct {
	// ID is this member's number in its cluster, Leader that of the leader; 0
	// when there is none.
	ID, Leader uint64
	// Members holds the cluster's members, sorted by name.
	Members []Member
	// Revision is the newest revision of this member's store.
	Revision int64
	// Bytes is the size of the database, BytesInUse what of that is in use.
	Bytes, BytesInUse int64
	// Version is etcd's version.
	Version string
}

// Health returns nil when the member can serve: it runs, its cluster has a
// leader, a read that asks the quorum succeeds before ctx ends, and the
// database takes writes. Otherwise the error says which of these fails.
func (s *Server) Health(ctx context.Context) error {
	if err := s.Err(); err != nil {
		return err
	}
	select {
	case <-s.ready:
	default:
		return fmt.Errorf("etcd member %q has not joined its cluster yet", s.opts.Name)
	}
	if s.etcd.Server.Leader() == types.ID(0) {
		return ErrNoLeader
	}
	if err := s.etcd.Server.LinearizableReadNotify(ctx); err != nil {
		return fmt.Errorf("read from etcd's quorum: %w", err)
	}
	for _, a := range s.etcd.Server.Alarms() {
		switch a.Alarm {
		case pb.AlarmType_NOSPACE:
			return ErrFull
		case pb.AlarmType_CORRUPT:
			return fmt.Errorf("etcd member %x reports that its data is corrupt", a.MemberID)
		}
	}
	return nil
}

// Status tells how the member stands, from what it knows itself.
func (s *Server) Status() Status {
	srv := s.etcd.Server
	st := Status{
		ID:      uint64(srv.MemberID()),
		Leader:  uint64(srv.Leader()),
		Version: version.Version,
	}
	if s.Err() == nil { // after that the store is closed
		st.Revision = srv.KV().Rev()
		st.Bytes = srv.Backend().Size()
		st.BytesInUse = srv.Backend().SizeInUse()
	}
	for _, m := range srv.Cluster().Members() {
		st.Members = append(st.Members, Member{
			ID: uint64(m.ID), Name: m.Name,
			PeerURLs:   slices.Clone(m.PeerURLs),
			ClientURLs: slices.Clone(m.ClientURLs),
			Leader:     uint64(m.ID) == st.Leader,
			Learner:    m.IsLearner,
		})
	}
	slices.SortFunc(st.Members, func(a, b Member) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	return st
}
