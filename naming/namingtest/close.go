package namingtest

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"

	"farcall.dev/naming"
)

func closeTests() []test {
	return []test{
		{"removes every record before it returns", nil, closeRemoves},
		{"may be called twice and side by side", nil, closeTwice},
		{"of an unused registry is no error", nil, func(s *suite) { s.open("a").close() }},
		{"makes later calls fail with ErrClosed", nil, closedRefuses},
		{"leaves no goroutine", nil, closeLeavesNothing},
	}
}

func closeRemoves(s *suite) {
	a, b := s.open("a"), s.open("b")
	f := b.follow("", 0)
	a.register("n", "m")
	b.register("n")
	f.untilHas("n@a", "m@a", "n@b")
	a.close()
	if got := b.listing(""); !got.has("n@b") {
		s.Errorf("after Close returned, another process lists %v, want only its own record", got)
	}
	f.untilHas("n@b")
}

func closeTwice(s *suite) {
	a := s.open("a")
	a.register("n")
	ctx := s.context()
	var wg sync.WaitGroup
	errs := make([]error, 4)
	for i := range errs {
		wg.Go(func() { errs[i] = a.Close(ctx) })
	}
	wg.Wait()
	errs = append(errs, a.Close(ctx))
	for i, err := range errs {
		if err != nil {
			s.Errorf("Close number %d: %v, want nil", i+1, err)
		}
	}
}

func closedRefuses(s *suite) {
	a, b := s.open("a"), s.open("b")
	a.register("n")
	a.close()
	ctx := s.context()
	for what, err := range map[string]error{
		"Register":   a.Register(ctx, a.instance("n", shared)),
		"Unregister": a.Unregister(ctx, "n"),
		"Drain":      a.Drain(ctx),
		"Watch":      a.Watch(ctx, "", 0, func(naming.Update) { s.Error("fn was called on a closed registry") }),
	} {
		if !errors.Is(err, naming.ErrClosed) {
			s.Errorf("%s after Close: got %v, want ErrClosed", what, err)
		}
	}
	if got := b.listing(""); !got.has() {
		s.Errorf("the listing shows %v, want nothing", got)
	}
}

func closeLeavesNothing(s *suite) {
	before := goroutines()
	a, b := s.open("a"), s.open("b")
	f := b.follow("", 0)
	a.register("n")
	b.registerAs("w", standby)
	f.untilHas("n@a", "w@b")
	ctx, cancel := context.WithCancel(s.context())
	cancel()
	_ = a.Register(ctx, a.instance("late", shared))
	f.stop()
	a.close()
	b.close()
	var now string
	s.poll(func() bool { now = goroutines(); return strings.Count(now, "\n\n") <= strings.Count(before, "\n\n") },
		func() string { return "goroutines are left after Close; before:\n" + before + "\nnow:\n" + now })
}

// goroutines returns the stacks of those goroutines that run, or were started
// by, a naming package other than this one. Those of an embedded server, or of
// the library that an implementation uses, are the implementation's to check.
func goroutines() string {
	buf := make([]byte, 4<<20)
	buf = buf[:runtime.Stack(buf, true)]
	var ours strings.Builder
	for stack := range strings.SplitSeq(string(buf), "\n\n") {
		if strings.Contains(stack, "farcall.dev/naming") && !strings.Contains(stack, "naming/namingtest.") {
			ours.WriteString(stack + "\n\n")
		}
	}
	return ours.String()
}
