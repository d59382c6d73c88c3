package transport

// turn is a writer's place in the queue.
type turn struct {
	n       int
	granted chan struct{}
}

// reserve asks to pass n bytes of data to yamux. It returns nil when they may
// go, and else the writer's turn, to be waited for or cancelled.
func (w *wire) reserve(n int) *turn {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) == 0 && w.fitsLocked(n) {
		w.reserved += n
		return nil
	}
	t := &turn{n, make(chan struct{})}
	w.queue = append(w.queue, t)
	return t
}

// release says that n reserved bytes are in the buffer, or never will be.
func (w *wire) release(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reserved -= n
	w.grantLocked()
}

// cancel gives a turn back, come or not.
func (w *wire) cancel(t *turn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, q := range w.queue {
		if q == t {
			w.queue = append(w.queue[:i], w.queue[i+1:]...)
			w.grantLocked()
			return
		}
	}
	w.reserved -= t.n
	w.grantLocked()
}

func (w *wire) grantLocked() {
	for len(w.queue) > 0 && (w.err != nil || w.fitsLocked(w.queue[0].n)) {
		t := w.queue[0]
		w.queue[0] = nil
		w.queue = w.queue[1:]
		w.reserved += t.n
		close(t.granted)
	}
}

// fitsLocked reports whether n more bytes of data may go. What is in the buffer
// and still reserved counts twice for a moment, which errs on the safe side.
func (w *wire) fitsLocked(n int) bool {
	held := w.reserved + w.unsent
	return held == 0 || held+n <= writeBudget
}
