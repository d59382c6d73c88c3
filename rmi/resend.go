package rmi

import (
	"context"
)

// sendTo sends call to the process peer, on a connection from get.
func sendTo(ctx context.Context, call *Call, peer peerID, get func(context.Context) (*Conn, error)) (Reply, error) {
	conn, err := get(ctx)
	if err != nil {
		return Reply{}, err
	}
	return conn.Handle(ctx, call)
}
