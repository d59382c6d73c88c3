package transport

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// pulse decides whether the peer lives and when to ping it. It is pure: times
// come in as durations since some beginning, on the monotonic clock.
//
// Any byte from the peer is a sign of life, so bulk data in its direction cannot
// starve it. Either direction that is idle makes this side ping, so a peer that
// drowns in our data and has nothing to say of its own still sends us a pong,
// or a ping of its own, past its empty outgoing direction. A process that was
// stopped for a while starts counting when it runs again.
type pulse struct {
	interval, silence, stall time.Duration
	resumed                  time.Duration // when the process last ran again after a stop
	pinged                   time.Duration // when the last ping was sent
	due                      time.Duration // when the next look was to happen
}

// signs is what a session knows at one moment.
type signs struct {
	now, received, sent time.Duration
	writing             time.Duration // since when a write is under way; 0: none
}

// look judges s. It returns whether to ping now and how long to wait until the
// next look, or why the peer is to be given up.
func (p *pulse) look(s signs) (ping bool, wait time.Duration, verdict error) {
	if p.due != 0 && s.now-p.due > p.interval {
		p.resumed = s.now
	}
	received := max(s.received, p.resumed)
	if quiet := s.now - received; quiet >= p.silence {
		return false, 0, fmt.Errorf("%w: nothing came for %v", ErrPeerSilent, quiet.Round(time.Millisecond))
	}
	deadline := received + p.silence
	if s.writing != 0 {
		since := max(s.writing, p.resumed)
		if stuck := s.now - since; stuck >= p.stall {
			return false, 0, fmt.Errorf("%w: it took nothing for %v", ErrPeerSilent, stuck.Round(time.Millisecond))
		}
		deadline = min(deadline, since+p.stall)
	}
	idle := min(received, s.sent)
	if last := max(idle, p.pinged); s.now-last >= p.interval-p.interval/4 {
		ping = true
		p.pinged = s.now
	}
	next := max(idle, p.pinged) + p.interval - time.Duration(rand.Int64N(int64(p.interval/4)+1))
	p.due = max(min(next, deadline), s.now+time.Millisecond)
	return ping, p.due - s.now, nil
}
