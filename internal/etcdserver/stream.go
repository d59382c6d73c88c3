package etcdserver

import (
	"context"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc"
)

// boundStreams ends every stream, such as a watch or the renewal of leases,
// when the server begins to close: gRPC's graceful stop waits for streams, and
// these have no end of their own. The error is one that etcd's clients retry
// on, at another member where there is one.
func (s *Server) boundStreams(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	defer context.AfterFunc(s.closing, cancel)()
	err := handle(srv, &boundStream{ServerStream: stream, ctx: ctx})
	if s.closing.Err() != nil && stream.Context().Err() == nil {
		return rpctypes.ErrGRPCStopped
	}
	return err
}

// closeGrace is how long requests under way when the server begins to close may
// take. One that waits for a quorum that is gone would hold it up for seconds.
const closeGrace = time.Second

// boundCalls ends requests some time after the server began to close.
func (s *Server) boundCalls(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	bound, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.late, cancel)()
	resp, err := handle(bound, req)
	if err != nil && s.late.Err() != nil && ctx.Err() == nil {
		return nil, rpctypes.ErrGRPCStopped
	}
	return resp, err
}

// boundStream is a stream with a context of its own.
type boundStream struct {
	grpc.ServerStream
	ctx context.Context
}

// Context implements grpc.ServerStream.
func (b *boundStream) Context() context.Context { return b.ctx }
