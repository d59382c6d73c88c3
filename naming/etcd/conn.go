package etcd

import (
	"context"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	grpcbackoff "google.golang.org/grpc/backoff"
	"google.golang.org/grpc/connectivity"
)

const (
	// pingAfter and pingTimeout are when a silent connection is asked for a sign
	// of life and how long that may take. gRPC allows no earlier ping. The lease
	// and the watch look after themselves and are quicker.
	pingAfter, pingTimeout = 10 * time.Second, 3 * time.Second
	// maxRedial bounds the time between attempts to connect. It is far below
	// gRPC's two minutes, because a process must be registered again soon after
	// its etcd comes back, and jittered, because its whole fleet must.
	maxRedial = 3 * time.Second
	// maxMessage bounds a message from etcd, in bytes. A page of a listing and a
	// fragment of a watch are far smaller.
	maxMessage = 128 << 20
)

// conn is the connection to etcd that the parts of a Registry share: a client
// that is made when it is first needed, since a client with a password cannot be
// made while etcd is away, and made anew when one part finds the old one dead.
//
// A fresh client matters after a network cut: the old connection's packets are
// sent again at growing intervals, so that it may stay silent for as long again
// as the cut lasted.
type conn struct {
	opts Options
	// ready is called when the connection comes up.
	ready func()

	sem  chan struct{} // held while a client is made
	wg   sync.WaitGroup
	life context.Context // ends with close
	end  context.CancelFunc

	mu     sync.Mutex
	client *clientv3.Client   // guarded by mu; nil when there is none
	stop   context.CancelFunc // guarded by mu; ends client's follow
}

func newConn(o Options, ready func()) *conn {
	c := &conn{opts: o, ready: ready, sem: make(chan struct{}, 1)}
	c.life, c.end = context.WithCancel(context.Background())
	return c
}

// get returns the client. It blocks, and fails, only where a password must be
// checked first.
func (c *conn) get(ctx context.Context) (*clientv3.Client, error) {
	if cl := c.current(); cl != nil {
		return cl, nil
	}
	select {
	case c.sem <- struct{}{}:
		defer func() { <-c.sem }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if cl := c.current(); cl != nil {
		return cl, nil
	}
	cl, err := clientv3.New(c.config())
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.life.Err() != nil {
		cl.Close()
		return nil, context.Cause(c.life)
	}
	var follow context.Context
	follow, c.stop = context.WithCancel(c.life)
	c.client = cl
	c.wg.Go(func() { c.follow(follow, cl.ActiveConnection()) })
	return cl, nil
}

// current returns the client, or nil.
func (c *conn) current() *clientv3.Client {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.client
}

// drop closes cl, if it is still the client, so that the next get makes a new
// one. Whatever else uses cl fails.
func (c *conn) drop(cl *clientv3.Client) {
	c.mu.Lock()
	stop := c.stop
	if cl == nil || c.client != cl {
		c.mu.Unlock()
		return
	}
	c.client, c.stop = nil, nil
	c.mu.Unlock()
	stop()
	cl.Close()
}

// close closes the client for good and waits for its goroutines.
func (c *conn) close() {
	c.end()
	c.drop(c.current())
	c.wg.Wait()
}

// follow calls ready each time the connection comes up, and keeps it from
// falling idle.
func (c *conn) follow(ctx context.Context, cc *grpc.ClientConn) {
	for {
		state := cc.GetState()
		switch state {
		case connectivity.Ready:
			c.ready()
		case connectivity.Idle:
			cc.Connect()
		case connectivity.Shutdown:
			return
		}
		if !cc.WaitForStateChange(ctx, state) {
			return
		}
	}
}

// config makes the client's configuration.
func (c *conn) config() clientv3.Config {
	scheme := "http://"
	if c.opts.TLS != nil {
		scheme = "https://"
	}
	endpoints := make([]string, len(c.opts.Endpoints))
	for i, e := range c.opts.Endpoints {
		endpoints[i] = scheme + e
	}
	return clientv3.Config{
		Context:              c.life,
		Endpoints:            endpoints,
		TLS:                  c.opts.TLS,
		Username:             c.opts.Username,
		Password:             c.opts.Password,
		DialTimeout:          c.opts.DialTimeout,
		DialKeepAliveTime:    pingAfter,
		DialKeepAliveTimeout: pingTimeout,
		// One retry, for a token that etcd no longer knows. All others are
		// ours, with a backoff that suits a fleet.
		MaxUnaryRetries: 2,
		// What it would log is in the errors that we log or return.
		Logger: zap.NewNop(),
		DialOptions: []grpc.DialOption{
			grpc.WithConnectParams(grpc.ConnectParams{
				Backoff:           grpcbackoff.Config{BaseDelay: minBackoff, Multiplier: 1.6, Jitter: 0.2, MaxDelay: maxRedial},
				MinConnectTimeout: c.opts.DialTimeout,
			}),
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)),
			grpc.WithChainUnaryInterceptor(failFast),
		},
	}
}

// failFast makes calls fail as soon as no member can be reached, with the reason
// why. etcd's client waits for the call's deadline instead and reports that.
func failFast(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	return invoke(ctx, method, req, reply, cc, append(opts, grpc.WaitForReady(false))...)
}
