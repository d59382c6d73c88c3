package boot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// ErrAborted is the cause of Signals.Abort's end.
var ErrAborted = errors.New("aborted by a second signal")

// lastWord is how long a command has between the second signal and the end.
const lastWord = time.Second

// Signals turns SIGINT and SIGTERM into two contexts: the first signal asks the
// command to stop, the second to stop at once.
type Signals struct {
	// Stop ends at the first signal; its cause names the signal.
	Stop context.Context
	// Abort ends at the second, with [ErrAborted]. Work that belongs to an
	// orderly stop hangs on it.
	Abort context.Context

	cancels []context.CancelCauseFunc
	source  chan os.Signal
	done    chan struct{}
	loop    sync.WaitGroup
	exit    func(int)
}

// notify returns the Signals that come from source, or this process's own when
// source is nil. A command that has not ended one second after the second
// signal, or at the third, is ended by force: by exit, with [ExitAborted].
func notify(ctx context.Context, source chan os.Signal, exit func(int)) *Signals {
	if source == nil {
		source = make(chan os.Signal, 3)
		signal.Notify(source, os.Interrupt, syscall.SIGTERM)
	}
	s := &Signals{source: source, done: make(chan struct{}), exit: exit}
	stop, cancelStop := context.WithCancelCause(ctx)
	abort, cancelAbort := context.WithCancelCause(context.WithoutCancel(ctx))
	s.Stop, s.Abort = stop, abort
	s.cancels = []context.CancelCauseFunc{cancelStop, cancelAbort}
	s.loop.Go(s.run)
	return s
}

// close gives the signals back to Go's defaults and ends both contexts.
func (s *Signals) close() {
	signal.Stop(s.source)
	close(s.done)
	s.loop.Wait()
	for _, cancel := range s.cancels {
		cancel(context.Canceled)
	}
}

// run waits for the signals, one after the other.
func (s *Signals) run() {
	for _, step := range []func(os.Signal){
		func(sig os.Signal) { s.cancels[0](fmt.Errorf("received %s", name(sig))) },
		func(os.Signal) { s.cancels[1](ErrAborted) },
	} {
		select {
		case sig := <-s.source:
			step(sig)
		case <-s.done:
			return
		}
	}
	timer := time.NewTimer(lastWord)
	defer timer.Stop()
	select {
	case <-s.done:
	case <-s.source:
		s.exit(int(ExitAborted))
	case <-timer.C:
		s.exit(int(ExitAborted))
	}
}

// name returns a signal's usual name.
func name(sig os.Signal) string {
	switch sig {
	case os.Interrupt:
		return "SIGINT"
	case syscall.SIGTERM:
		return "SIGTERM"
	}
	return sig.String()
}
