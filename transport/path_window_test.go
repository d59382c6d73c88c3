package transport

import (
	"testing"
	"time"
)

// pathModel is a path, and the two ends of a lane on it, in a time of its own: a
// sender that always has bulk data, and a receiver that says what has arrived as a
// wire does.
type pathModel struct {
	delay time.Duration // each way
	rate  float64       // bytes a second that the path carries
	takes float64       // bytes a second that the receiver takes

	window      pathWindow
	now         time.Duration
	sent, taken uint64
	pathFree    time.Duration // when the path has carried all that was sent
	takerFree   time.Duration // when the receiver has taken all of it
	said        uint64        // what the receiver has told of, or will have
	news        []pathNews    // what is on its way back, in order
}

// pathNews says that so much has arrived, and when the sender hears of it.
type pathNews struct {
	due   time.Duration
	taken uint64
}

func newPathModel(delay time.Duration, rate, takes float64) *pathModel {
	return &pathModel{delay: delay, rate: rate, takes: takes, window: newPathWindow()}
}

// run has d pass and returns how many bytes a second the sender heard of
// meanwhile, and the most that waited in front of the path.
func (m *pathModel) run(d time.Duration) (rate float64, queue int64) {
	end, before := m.now+d, m.taken
	for {
		for int64(m.sent-m.taken)+startPiece <= m.window.size {
			m.send(startPiece)
			queue = max(queue, int64((m.pathFree-m.now).Seconds()*m.rate))
		}
		m.window.limited = true
		if len(m.news) == 0 || m.news[0].due > end {
			m.now = end
			return float64(m.taken-before) / d.Seconds(), queue
		}
		m.now, m.taken = m.news[0].due, m.news[0].taken
		m.news = m.news[1:]
		m.window.taken(int64(m.now), m.taken)
	}
}

// send sends n bytes and works out what becomes of them.
func (m *pathModel) send(n int) {
	m.sent += uint64(n)
	m.window.sent(int64(m.now), m.sent, m.taken)
	lasts := func(rate float64) time.Duration { return time.Duration(float64(n) / rate * float64(time.Second)) }
	m.pathFree = max(m.pathFree, m.now) + lasts(m.rate)
	m.takerFree = max(m.takerFree, m.pathFree+m.delay) + lasts(m.takes)
	if m.sent-m.said >= takenStep {
		m.said = m.sent
		m.news = append(m.news, pathNews{m.takerFree + m.delay, m.said})
	}
}

const (
	gigabit = 125e6 // bytes a second
	quick   = 5e9   // of a receiver that does not hold anybody up
)

func TestPathWindowFillsALongPath(t *testing.T) {
	m := newPathModel(25*time.Millisecond, gigabit, quick)
	m.run(time.Second)
	holds := int64(gigabit * 0.05)
	if got := m.window.size; got < holds || got > 4*holds {
		t.Errorf("after a second the window is %d, want %d, which the path holds, to four times as much", got, holds)
	}
	rate, queue := m.run(time.Second)
	if rate < 0.95*gigabit {
		t.Errorf("the path carries %.0f bytes a second, want %.0f", rate, gigabit)
	}
	if queue > 3*holds {
		t.Errorf("%d bytes wait in front of the path, want at most %d", queue, 3*holds)
	}
}

func TestPathWindowStaysSmallOnALocalPath(t *testing.T) {
	for _, rate := range []float64{gigabit, 10 * gigabit, quick} {
		m := newPathModel(20*time.Microsecond, rate, quick)
		got, _ := m.run(2 * time.Second)
		if m.window.size > 2*minPathWindow {
			t.Errorf("at %.0f bytes a second the window is %d, want at most %d", rate, m.window.size, 2*minPathWindow)
		}
		if got < 0.95*rate {
			t.Errorf("the path carries %.0f bytes a second, want %.0f", got, rate)
		}
	}
}

// A receiver that takes little has little under way, and as much as the path
// holds again once it is quick.
func TestPathWindowToleratesASlowReceiver(t *testing.T) {
	const slow = 4e6
	for name, delay := range map[string]time.Duration{"local": 20 * time.Microsecond, "long": 25 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			m := newPathModel(delay, gigabit, slow)
			if got, _ := m.run(10 * time.Second); got < 0.95*slow {
				t.Errorf("the receiver gets %.0f bytes a second, want the %.0f that it takes", got, slow)
			}
			if m.window.size > 2*minPathWindow {
				t.Errorf("the window is %d, want at most %d", m.window.size, 2*minPathWindow)
			}
			m.takes = quick
			m.run(time.Second)
			if got, _ := m.run(time.Second); got < 0.95*gigabit {
				t.Errorf("once it is quick it gets %.0f bytes a second, want %.0f", got, gigabit)
			}
			m.takes = slow
			m.run(30 * time.Second)
			if m.window.size > 2*minPathWindow {
				t.Errorf("slow again, the window is %d, want at most %d", m.window.size, 2*minPathWindow)
			}
		})
	}
}

// Who sends little learns nothing of what the path holds.
func TestPathWindowLearnsNothingFromASparseSender(t *testing.T) {
	w := newPathWindow()
	w.size = 8 << 20
	for i := range uint64(100) {
		now := int64(i) * int64(time.Second)
		w.sent(now, i*takenStep+takenStep, i*takenStep)
		w.taken(now+int64(50*time.Millisecond), i*takenStep+takenStep)
	}
	if w.size != 8<<20 {
		t.Errorf("the window is %d, want %d still", w.size, 8<<20)
	}
}

// A receiver that once held the sender up costs no more than a quarter.
func TestPathWindowForgetsSlowly(t *testing.T) {
	m := newPathModel(25*time.Millisecond, gigabit, quick)
	m.run(time.Second)
	before := m.window.size
	m.window.mark = 0
	m.window.sent(int64(m.now), m.sent, m.taken)
	m.window.limited = true
	m.window.taken(int64(m.now+time.Second), m.sent)
	if got, want := m.window.size, before*3/4; got != want {
		t.Errorf("after a second in which nothing came the window is %d, want %d of %d", got, want, before)
	}
}

func TestPathWindowHasBounds(t *testing.T) {
	m := newPathModel(time.Second, 1e9, quick)
	m.run(time.Minute)
	if m.window.size != maxPathWindow {
		t.Errorf("on a path that holds 2 GB the window is %d, want %d", m.window.size, maxPathWindow)
	}
	m = newPathModel(time.Second, 1000, quick)
	m.run(time.Hour)
	if m.window.size != minPathWindow {
		t.Errorf("on a path that holds 2 KB the window is %d, want %d", m.window.size, minPathWindow)
	}
}
