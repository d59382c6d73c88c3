package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

const (
	// readTimeout bounds the reading of a request; none has a body to speak of.
	readTimeout = 10 * time.Second
	// writeTimeout bounds the answering of a request. Profiles extend it by
	// their own duration.
	writeTimeout = 30 * time.Second
	// idleTimeout bounds how long a kept connection does nothing.
	idleTimeout = 2 * time.Minute
	// maxHeader is the largest request header, in bytes.
	maxHeader = 16 << 10
)

// Server is an HTTP listener that serves a [NewHandler]. Its methods may be
// called from any number of goroutines.
type Server struct {
	http *http.Server
	addr net.Addr
	done chan struct{} // closed when Serve returned
	err  error         // why Serve returned; set before done is closed
}

// Listen starts to serve o at address, host:port with port 0 for a free one.
// The server runs until Shutdown or Close.
func Listen(address string, o Options) (*Server, error) {
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen for admin requests: %w", err)
	}
	logger := o.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		addr: ln.Addr(),
		done: make(chan struct{}),
		http: &http.Server{
			Handler:           NewHandler(o),
			ReadTimeout:       readTimeout,
			ReadHeaderTimeout: readTimeout,
			WriteTimeout:      writeTimeout,
			IdleTimeout:       idleTimeout,
			MaxHeaderBytes:    maxHeader,
			// What a stranger sends wrong is no concern of the operator's.
			ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
		},
	}
	go func() {
		defer close(s.done)
		if err := s.http.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			s.err = fmt.Errorf("serve admin requests on %s: %w", s.addr, err)
		}
	}()
	return s, nil
}

// Addr returns the address listened on, with the port that was picked.
func (s *Server) Addr() net.Addr { return s.addr }

// Done is closed when the server has stopped, whether asked to or not.
func (s *Server) Done() <-chan struct{} { return s.done }

// Err returns why the server stopped by itself; nil while it runs and after
// Shutdown or Close. It is of use once Done is closed.
func (s *Server) Err() error {
	select {
	case <-s.done:
		return s.err
	default:
		return nil
	}
}

// Shutdown stops listening, waits for the requests being answered and closes;
// when ctx ends first it cuts them off and returns ctx's error. It may be
// called twice.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if err != nil {
		s.http.Close()
	}
	<-s.done
	return err
}

// Close stops the server now. It may be called twice.
func (s *Server) Close() error {
	err := s.http.Close()
	<-s.done
	return err
}
