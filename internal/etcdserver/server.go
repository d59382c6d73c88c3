package etcdserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"syscall"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"google.golang.org/grpc"
)

// portTries bounds how often Start picks ports anew when another process was
// quicker to listen on one that was free.
const portTries = 5

// Server is a running etcd member. Its methods may be called from any number
// of goroutines.
type Server struct {
	opts      Options
	dir       *dataDir
	etcd      *embed.Etcd
	endpoints []string

	closing context.Context // ends when Close begins
	close   context.CancelFunc
	late    context.Context // ends closeGrace after that
	hurry   context.CancelFunc
	ready   chan struct{}
	done    chan struct{}
	wg      sync.WaitGroup
	once    sync.Once

	mu  sync.Mutex
	err error // guarded by mu; why the server ended
}

// Start starts a member and returns when it listens; [Server.Ready] tells when
// it has joined its cluster and serves. A member whose data directory holds
// data restarts from it.
//
// Starting is not interrupted when ctx ends, since etcd cannot be, but takes
// seconds at most; the member is closed again then. Errors: [*OptionError],
// [*ListenError], [*DataDirError] (which wraps [*OwnerError], [ErrInUse] or the
// file system's error), and etcd's own.
func Start(ctx context.Context, o Options) (*Server, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{opts: o, ready: make(chan struct{}), done: make(chan struct{})}
	s.closing, s.close = context.WithCancel(context.WithoutCancel(ctx))
	s.late, s.hurry = context.WithCancel(context.WithoutCancel(ctx))
	if s.dir, err = acquire(o); err != nil {
		s.close()
		s.hurry()
		return nil, err
	}
	s.opts.DataDir = s.dir.path
	for try := 1; ; try++ {
		var cfg *embed.Config
		var picked bool
		cfg, picked, err = s.config()
		if err == nil {
			s.etcd, err = startEtcd(cfg)
		}
		if err == nil || !picked || try == portTries || !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
	}
	if err == nil {
		err = s.dir.claim()
	}
	if err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		s.close()
		if s.etcd != nil {
			s.stopEtcd()
		}
		s.hurry()
		s.dir.release()
		return nil, startError(s.opts, err)
	}
	s.wg.Go(s.watch)
	return s, nil
}

// Endpoints returns the URLs at which this host's clients reach the member.
func (s *Server) Endpoints() []string { return append([]string(nil), s.endpoints...) }

// DataDir returns where the member keeps its data.
func (s *Server) DataDir() string { return s.opts.DataDir }

// Name returns the member's name.
func (s *Server) Name() string { return s.opts.Name }

// Ready is closed once the member has joined its cluster and serves.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// Done is closed once the member has ended: after Close, or by itself, as when
// its cluster removed it or its listener failed. It must be closed all the
// same.
func (s *Server) Done() <-chan struct{} { return s.done }

// Err returns why the member ended, [ErrClosed] after Close, and nil while it
// runs.
func (s *Server) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Close ends the member and waits for it: watches and lease streams end at
// once with an error that clients retry on, other requests within a second. It may be called twice, and returns an error only when a
// temporary data directory could not be removed.
func (s *Server) Close() error {
	var err error
	s.once.Do(func() {
		s.end(ErrClosed)
		s.close()
		hurry := time.AfterFunc(closeGrace, s.hurry)
		s.stopEtcd()
		hurry.Stop()
		s.hurry()
		s.wg.Wait()
		err = s.dir.release()
	})
	<-s.done
	return err
}

// watch sees the member become ready, and end.
func (s *Server) watch() {
	defer close(s.done)
	ready := s.etcd.Server.ReadyNotify()
	for {
		select {
		case <-ready:
			close(s.ready)
			ready = nil
		case err, ok := <-s.etcd.Err():
			if !ok || err == nil {
				err = errors.New("one of its listeners ended")
			}
			s.end(fmt.Errorf("etcd member %q ended: %w", s.opts.Name, err))
			return
		case <-s.etcd.Server.StopNotify():
			s.end(fmt.Errorf("etcd member %q ended by itself; was it removed from its cluster?", s.opts.Name))
			return
		}
	}
}

// stopEtcd stops etcd and waits for it. Etcd's Close waits for listeners that
// begin to serve only when the member is ready, and so for ever when it never
// becomes that, unless the member itself is stopped first.
func (s *Server) stopEtcd() {
	select {
	case <-s.etcd.Server.ReadyNotify():
	default:
		s.etcd.Server.HardStop()
	}
	s.etcd.Close()
}

// end records why the member ended, unless that is known.
func (s *Server) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
	}
}

// config makes etcd's configuration, and reports whether it holds a port that
// was picked here.
func (s *Server) config() (*embed.Config, bool, error) {
	o := s.opts
	cfg := embed.NewConfig()
	cfg.Name, cfg.Dir = o.Name, o.DataDir
	var err error
	if cfg.ListenClientUrls, cfg.AdvertiseClientUrls, err = addresses("Client", o.ListenClient, o.AdvertiseClient); err != nil {
		return nil, false, err
	}
	if cfg.ListenPeerUrls, cfg.AdvertisePeerUrls, err = addresses("Peer", o.ListenPeer, o.AdvertisePeer); err != nil {
		return nil, false, err
	}
	picked := hasPortZero(o.ListenClient) || hasPortZero(o.ListenPeer)
	s.endpoints = dialable(cfg.ListenClientUrls)

	cfg.ClusterState = embed.ClusterStateFlagNew
	cfg.InitialCluster = o.InitialCluster
	if cfg.InitialCluster == "" {
		cfg.InitialCluster = cfg.InitialClusterFromName(o.Name)
	}
	cfg.InitialClusterToken = o.ClusterToken
	cfg.TickMs = uint(o.Heartbeat.Milliseconds())
	cfg.ElectionMs = uint(o.Election.Milliseconds())
	cfg.AutoCompactionMode = embed.CompactorModePeriodic
	cfg.AutoCompactionRetention = o.History.String()
	cfg.QuotaBackendBytes = o.Quota
	if o.Dev {
		cfg.UnsafeNoFsync = true
		cfg.BcryptCost = 4 // the least that bcrypt takes; its default costs 0.1 s a log-in
	}
	cfg.EnableGRPCGateway = false
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(newZap(o.Logger.With(slog.String("member", o.Name)), s.closing.Done()))
	cfg.GRPCAdditionalServerOptions = []grpc.ServerOption{grpc.ChainStreamInterceptor(s.boundStreams), grpc.ChainUnaryInterceptor(s.boundCalls)}
	return cfg, picked, nil
}

// addresses returns where to listen and what to advertise. side is Client or
// Peer.
func addresses(side string, listen, advertise []string) (l, a []url.URL, err error) {
	if l, err = parseURLs("Listen"+side, listen); err != nil {
		return nil, nil, err
	}
	if err = pickPorts(l); err != nil {
		return nil, nil, err
	}
	if len(advertise) == 0 {
		return l, advertised(l), nil
	}
	a, err = parseURLs("Advertise"+side, advertise)
	return l, a, err
}

// startEtcd starts etcd, and returns as an error what etcd calls fatal.
func startEtcd(cfg *embed.Config) (e *embed.Etcd, err error) {
	defer func() {
		if p := recover(); p != nil {
			e, err = nil, fmt.Errorf("etcd gave up: %v", p)
		}
	}()
	return embed.StartEtcd(cfg)
}
