package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync"

	"farcall.dev/rmi"
)

// maxLine bounds a line of standard input, which is one item of a stream.
const maxLine = rmi.DefaultMaxPayload

// feed is what a stream parameter gets from standard input.
type feed struct {
	used bool

	mu  sync.Mutex
	err error // guarded by mu; why the stream broke off here
}

// lines returns the lines of r as items of type t, as they come.
func (f *feed) lines(r io.Reader, t rmi.TypeInfo) iter.Seq2[any, error] {
	f.used = true
	return func(yield func(any, error) bool) {
		for v, err := range jsonLines(r, t) {
			if err != nil {
				err = usagef("write one JSON value a line", "standard input: %w", err)
				f.mu.Lock()
				f.err = err
				f.mu.Unlock()
				err = rmi.Errorf(rmi.Canceled, "what feeds the stream broke off")
			}
			if !yield(v, err) {
				return
			}
		}
	}
}

// failure returns why the stream broke off here; nil when it did not.
func (f *feed) failure() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// jsonLines reads one JSON value of type t from each line of r, and passes over
// empty ones.
func jsonLines(r io.Reader, t rmi.TypeInfo) iter.Seq2[any, error] {
	return func(yield func(any, error) bool) {
		s := bufio.NewScanner(r)
		s.Buffer(nil, maxLine)
		line := 0
		for s.Scan() {
			line++
			if len(s.Bytes()) == 0 {
				continue
			}
			v, err := rmi.ParseJSON(s.Bytes(), t)
			if err != nil {
				yield(nil, fmt.Errorf("line %d: %w", line, err))
				return
			}
			if !yield(v, nil) {
				return
			}
		}
		if err := s.Err(); errors.Is(err, bufio.ErrTooLong) {
			yield(nil, fmt.Errorf("line %d: it has more than %d MiB", line+1, maxLine>>20))
		} else if err != nil {
			yield(nil, fmt.Errorf("line %d: %w", line+1, err))
		}
	}
}

// listOfLines reads the items of a stream from a file.
func listOfLines(r io.Reader, t rmi.TypeInfo) (any, error) {
	list := []any{}
	for v, err := range jsonLines(r, t) {
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}

// emitStream prints the items of s as they come, until ctx ends.
func (a *app) emitStream(ctx context.Context, s *rmi.Stream[any]) error {
	defer s.Close()
	for {
		item, err := s.Recv(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = outputFailed(a.emitItem(item))
		}
		if err != nil {
			return err
		}
	}
}

// emitItem prints one item in a line; as YAML it is a document.
func (a *app) emitItem(item any) error {
	switch a.global.output {
	case formatText:
		if line, ok := inLine(item); ok {
			_, err := io.WriteString(a.opts.Stdout, line+"\n")
			return err
		}
	case formatYAML:
		if _, err := io.WriteString(a.opts.Stdout, "---\n"); err != nil {
			return err
		}
		return writeYAML(a.opts.Stdout, item)
	}
	return writeJSON(a.opts.Stdout, item, false)
}
