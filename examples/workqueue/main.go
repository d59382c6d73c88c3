// Command workqueue spreads jobs over several workers that share a name, and
// takes the results in the order in which they are ready: futures, and one-way
// calls for what nobody waits for.
//
//	go run ./examples/workqueue
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"slices"
	"time"

	"farcall.dev"
	"farcall.dev/naming"
	"farcall.dev/rmi"
)

// Worker does jobs. Several nodes have one, all by the name of "worker".
type Worker struct {
	journal struct {
		// A one-way call returns when it is with the connection.
		Log func(ctx context.Context, line string) error `rmi:",oneway"`
	}
}

// Render takes the longer the more frames a scene has.
func (w *Worker) Render(ctx context.Context, scene string, frames int) (string, error) {
	if frames <= 0 {
		return "", fmt.Errorf("scene %s has %d frames", scene, frames)
	}
	if err := w.journal.Log(ctx, "begin "+scene); err != nil {
		return "", err
	}
	select {
	case <-time.After(time.Duration(frames) * 20 * time.Millisecond):
		return fmt.Sprintf("%s.mov, %d frames", scene, frames), nil
	case <-ctx.Done(): // the caller has given up
		return "", ctx.Err()
	}
}

// Journal takes lines from everywhere.
type Journal struct{ lines chan string }

// Log takes one.
func (j *Journal) Log(line string) { j.lines <- line }

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// run runs the whole mesh in this process; each Join could be in one of its own.
func run(ctx context.Context, out io.Writer) error {
	store := naming.NewMemory()
	join := func(listen string) (*farcall.Mesh, error) {
		return farcall.Join(ctx, farcall.Options{Registry: store.Registry(), Listen: listen})
	}
	office, err := join("127.0.0.1:0")
	if err != nil {
		return err
	}
	defer office.Shutdown(ctx)
	journal := &Journal{lines: make(chan string, 16)}
	if err := office.Register(ctx, "journal", journal, farcall.RegisterOptions{}); err != nil {
		return err
	}

	for range 3 {
		mesh, err := join("127.0.0.1:0")
		if err != nil {
			return err
		}
		defer mesh.Shutdown(ctx)
		worker := new(Worker)
		if err := mesh.Bind("journal", &worker.journal); err != nil {
			return err
		}
		if err := mesh.Register(ctx, "worker", worker, farcall.RegisterOptions{}); err != nil {
			return err
		}
	}

	// A func whose only result is a Future begins the call and returns.
	var workers struct {
		Render func(ctx context.Context, scene string, frames int) *rmi.Future[string]
	}
	if err := office.Bind("worker", &workers); err != nil {
		return err
	}
	scenes := []string{"storm", "harbour", "feast", "empty", "duel"}
	frames := []int{12, 3, 9, 0, 6}
	films := make([]*rmi.Future[string], len(scenes))
	for i, scene := range scenes {
		films[i] = workers.Render(ctx, scene, frames[i])
	}
	fmt.Fprintf(out, "%d jobs are under way\n", len(films))

	// Completed yields the futures as they end.
	for i, film := range rmi.Completed(films...) {
		name, err := film.Wait(ctx)
		if err != nil {
			fmt.Fprintf(out, "%s failed: %v\n", scenes[i], err)
			continue
		}
		fmt.Fprintf(out, "%s is done: %s\n", scenes[i], name)
	}

	var begun []string
	for range 4 {
		begun = append(begun, <-journal.lines)
	}
	slices.Sort(begun)
	fmt.Fprintf(out, "journal: %q\n", begun)
	return nil
}
