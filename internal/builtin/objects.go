package builtin

import (
	"context"
	"iter"
	"sync/atomic"
	"time"

	"farcall.dev/naming"
	"farcall.dev/rmi"
)

const (
	// defaultWord is what a Greeting says first.
	defaultWord = "Hello"
	// maxSleep bounds Echo.Sleep: longer than anybody waits for a call.
	maxSleep = 10 * time.Minute
)

// Greeting greets people by name.
type Greeting struct{ word string }

// NewGreeting returns a Greeting that says word, such as "Hello".
func NewGreeting(word string) *Greeting { return &Greeting{word} }

// GetFortune returns the greeting for name, such as "Hello, letian. " and a
// line break.
func (g *Greeting) GetFortune(name string) string { return g.word + ", " + name + ". \n" }

// greetingThing describes a Greeting that says word.
func greetingThing(word string) Thing {
	return Thing{
		Kind:  naming.KindObject,
		Value: NewGreeting(word),
		Docs: rmi.Docs{
			Doc:        "Greets people by name.",
			Methods:    map[string]string{"get_fortune": "Returns the greeting for name, such as \"" + word + ", letian. \", with a line break."},
			Params:     map[string][]string{"get_fortune": {"name"}},
			Idempotent: []string{"get_fortune"},
		},
	}
}

// Echo does what it is told, so that everything around a call can be tried out.
type Echo struct{}

// Echo returns its arguments; see the function echo.
func (Echo) Echo(values ...any) any { return echo(values...) }

// Sleep returns after a number of seconds, at most 600, or when the caller
// gives up.
func (Echo) Sleep(ctx context.Context, seconds float64) error {
	if !(seconds >= 0 && seconds <= maxSleep.Seconds()) {
		return rmi.Errorf(rmi.InvalidArgument, "sleep: seconds is %v, and must be between 0 and %v", seconds, maxSleep.Seconds())
	}
	timer := time.NewTimer(time.Duration(seconds * float64(time.Second)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Count returns the numbers from 1 to n, one each so many seconds, until the
// caller wants no more.
func (Echo) Count(ctx context.Context, n int64, every float64) (iter.Seq2[int64, error], error) {
	if !(every >= 0 && every <= maxSleep.Seconds()) {
		return nil, rmi.Errorf(rmi.InvalidArgument, "count: every is %v seconds, and must be between 0 and %v", every, maxSleep.Seconds())
	}
	return func(yield func(int64, error) bool) {
		for i := int64(1); i <= n; i++ {
			if i > 1 {
				if err := (Echo{}).Sleep(ctx, every); err != nil {
					yield(0, err)
					return
				}
			}
			if !yield(i, nil) {
				return
			}
		}
	}, nil
}

// Repeat returns each value as it comes.
func (Echo) Repeat(values iter.Seq2[any, error]) iter.Seq2[any, error] { return values }

// Total returns the sum of the numbers.
func (Echo) Total(numbers iter.Seq2[float64, error]) (sum float64, err error) {
	for n, err := range numbers {
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

// Fail returns an error with that message.
func (Echo) Fail(message string) error { return &EchoError{message} }

// EchoError is the error that a caller of Echo.Fail asked for.
type EchoError struct{ message string }

// Error returns the message asked for.
func (e *EchoError) Error() string { return e.message }

// echoThing describes an Echo.
func echoThing() Thing {
	return Thing{
		Kind:  naming.KindObject,
		Value: Echo{},
		Docs: rmi.Docs{
			Doc: "Does what it is told, to try out calls.",
			Methods: map[string]string{
				"echo":   "Returns its argument: several as a list, none as null.",
				"sleep":  "Returns after that many seconds, at most 600, or when the caller gives up.",
				"fail":   "Returns an error with that message.",
				"count":  "Streams the numbers from 1 to n, with a pause of that many seconds between two.",
				"repeat": "Streams each value back as it comes.",
				"total":  "Returns the sum of a stream of numbers.",
			},
			Params: map[string][]string{
				"echo": {"values"}, "sleep": {"seconds"}, "fail": {"message"},
				"count": {"n", "every"}, "repeat": {"values"}, "total": {"numbers"},
			},
			Idempotent: []string{"echo", "sleep", "fail", "count"},
		},
	}
}

// Counter counts. Each instance has a count of its own, so it shows which
// instance a call went to, and what an exclusive name is good for.
type Counter struct{ n atomic.Int64 }

// Increment adds one and returns the new count.
func (c *Counter) Increment() int64 { return c.n.Add(1) }

// Count returns the count.
func (c *Counter) Count() int64 { return c.n.Load() }

// counterThing describes a new Counter.
func counterThing() Thing {
	c := new(Counter)
	return Thing{
		Kind:  naming.KindObject,
		Value: c,
		Properties: []rmi.Property{
			{Name: "value", Doc: "The count.", Get: c.n.Load, Set: c.n.Store},
		},
		Docs: rmi.Docs{
			Doc: "Counts from 0, in this process: each instance has a count of its own.",
			Methods: map[string]string{
				"increment": "Adds one and returns the new count.",
				"count":     "Returns the count.",
			},
			Idempotent: []string{"count"},
		},
	}
}
