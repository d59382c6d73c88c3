package etcd

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Renewing the lease
//
// The client library offers two ways to renew a lease, and neither suits.
//
// Its KeepAlive hides what the registrar must know. It reconnects by itself with
// a fixed half second between attempts, so that a fleet that lost one member
// falls on the next in step; it renews at exactly a third of the TTL after each
// answer, so that processes that started together stay together for ever; and it
// closes its channel, without a reason, only when the whole TTL has passed in
// silence, which is when the lease is gone already.
//
// Its KeepAliveOnce opens a stream for each renewal, and each stream begins with
// a log-in where there is a password, which costs etcd a bcrypt of about 0.1 s.
// While etcd is away it tries again without any pause.
//
// So keep below speaks the lease stream itself: one stream for as long as it
// works, a jittered renewal three times per TTL from a random phase, and an end,
// with its reason, at the first error or after half a TTL of silence. What then
// happens is the registrar's business, and the other half is left for it.

// keep renews lease id over one stream until that fails, and returns why:
// rpctypes.ErrLeaseNotFound when the lease has ended, errSilent when no answer
// came for patience, or for half of ttl after the first. It calls ack for each
// answer, and renews at once when now is set, else at a random time.
func keep(ctx context.Context, cl *clientv3.Client, id clientv3.LeaseID, ttl, patience time.Duration, now bool, ack func()) error {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	answers := make(chan int64)
	failed := make(chan error, 1)
	opened := make(chan etcdserverpb.Lease_LeaseKeepAliveClient, 1)
	received := make(chan struct{})
	defer func() { cancel(); <-received }()
	go func() {
		defer close(received)
		// Opening the stream waits for a connection, so it is done here.
		stream, err := etcdserverpb.NewLeaseClient(cl.ActiveConnection()).LeaseKeepAlive(ctx)
		if err != nil {
			failed <- err
			return
		}
		opened <- stream
		for {
			r, err := stream.Recv()
			if err != nil {
				failed <- err
				return
			}
			select {
			case answers <- r.TTL:
			case <-ctx.Done():
				return
			}
		}
	}()

	period := ttl / 3
	first := time.Duration(0)
	if !now {
		first = rand.N(period)
	}
	renew := time.NewTimer(first)
	defer renew.Stop()
	silence := time.NewTimer(patience)
	defer silence.Stop()
	var stream etcdserverpb.Lease_LeaseKeepAliveClient
	for {
		// A nil stream is not open yet; its first renewal waits for that.
		due := renew.C
		if stream == nil {
			due = nil
		}
		select {
		case stream = <-opened:
		case <-due:
			// An error of Send is only io.EOF; failed tells the reason.
			_ = stream.Send(&etcdserverpb.LeaseKeepAliveRequest{ID: int64(id)})
			renew.Reset(jitter(period))
		case left := <-answers:
			if left <= 0 {
				return rpctypes.ErrLeaseNotFound
			}
			silence.Reset(ttl / 2)
			ack()
		case err := <-failed:
			return clean(err)
		case <-silence.C:
			return fmt.Errorf("renew the lease: %w", errSilent)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
