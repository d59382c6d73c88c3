package transport

import (
	"encoding/binary"
	"time"
)

// This file is what a session says to its peer and hears from it by control
// frames, and the pulse's timer.

// say sends a control frame. It does not wait: when it returns, f stands behind
// all that this side has written on streams before.
func (s *yamuxSession) say(f controlFrame) { s.wire.post(f.append(nil), true) }

// hear acts on a control frame. Who reads the connection calls it, so it must not
// block.
func (s *yamuxSession) hear(f controlFrame) {
	switch f.typ {
	case framePing:
		s.say(controlFrame{typ: framePong, body: f.body})
	case framePong:
		if len(f.body) == 8 {
			sent := int64(binary.BigEndian.Uint64(f.body))
			if trip := s.wire.now() - sent; sent >= 0 && trip > 0 {
				s.roundTrip.Store(trip)
			}
		}
	case frameGoAway:
		s.refused.Store(true)
		s.rotating.fire()
		// Whoever opens without having seen this has sent its SYN once the lock is
		// ours. It is not held for long: to open waits for nobody.
		s.opening.Lock()
		s.opening.Unlock()
		s.say(controlFrame{typ: frameSettled})
	case frameSettled:
		s.settled.fire()
	case frameClose:
		s.complete.Store(f.done)
		s.parted.fire()
		s.end(ErrPeerClosed, nil)
	case frameStop:
		if m, ok := s.streams.get(f.id); ok {
			m.refuse()
			return
		}
		s.early.put(f.id)
		if m, ok := s.streams.get(f.id); ok && s.early.take(f.id) {
			m.refuse() // it came in between
		}
	}
}

// stop tells the peer that nobody reads stream id any more.
func (s *yamuxSession) stop(id uint32) { s.say(controlFrame{typ: frameStop, id: id}) }

// beat is the timer's callback: it looks at the peer's signs of life.
func (s *yamuxSession) beat() {
	ping, wait, verdict := s.pulse.look(signs{
		now:      time.Duration(s.wire.now()),
		received: time.Duration(s.wire.lastReceived.Load()),
		sent:     time.Duration(s.wire.lastSent.Load()),
		writing:  time.Duration(s.wire.writingSince.Load()),
	})
	if verdict != nil {
		s.end(verdict, nil)
		return
	}
	if ping {
		body := binary.BigEndian.AppendUint64(nil, uint64(s.wire.now()))
		s.say(controlFrame{typ: framePing, body: body})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.over {
		s.timer.Reset(wait)
	}
}
