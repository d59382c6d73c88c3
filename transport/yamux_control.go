package transport

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"time"
)

// This file is a session's side of the control stream: the control reader
// (listen, hear), the control writer (tell, speak) and the pulse's timer (beat).

// outbox is what the control writer has to say. Each thing is there at most
// once, so that no peer can make it long.
type outbox struct {
	ping, pong           []byte
	goAway, settled, bye bool
	complete             bool // with bye
	stop                 []uint32
	said                 chan struct{} // closed when bye was written
}

// maxStops bounds the stop frames that wait to be written; a peer that reads its
// control stream never lets so many come together.
const maxStops = 1 << 15

// listen reads the control stream until the session ends, and is the one to
// say so when that is the connection's doing.
func (s *yamuxSession) listen() {
	r := bufio.NewReaderSize(s.control, 512)
	buf := make([]byte, maxControl)
	for {
		f, err := readControl(r, buf)
		if err != nil {
			s.parted.fire()
			s.end(s.cause(err), nil)
			return
		}
		s.hear(f)
	}
}

// hear acts on a control frame. It must not block.
func (s *yamuxSession) hear(f controlFrame) {
	switch f.typ {
	case framePing:
		pong := append([]byte{}, f.body...)
		s.tell(func(o *outbox) { o.pong = pong })
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
		s.tell(func(o *outbox) { o.settled = true })
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
			m.refuse() // the acceptor came in between
		}
	}
}

// stop tells the peer that nobody reads stream id any more.
func (s *yamuxSession) stop(id uint32) {
	flooded := false
	s.tell(func(o *outbox) {
		o.stop = append(o.stop, id)
		flooded = len(o.stop) > maxStops
	})
	if flooded {
		s.end(fmt.Errorf("%w: it does not read its control stream", ErrProtocol), nil)
	}
}

// tell has the control writer say what add puts into the outbox.
func (s *yamuxSession) tell(add func(*outbox)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.muted {
		return
	}
	add(&s.outbox)
	if !s.speaking {
		s.speaking = true
		s.tasks.Go(s.speak) // a task runs still: muted is set before the tasks are waited for
	}
}

// speak is the control writer: it writes the outbox until it is empty.
func (s *yamuxSession) speak() {
	for {
		s.mu.Lock()
		o := s.outbox
		s.outbox = outbox{}
		if o.empty() || s.muted {
			s.speaking = false
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		if o.settled {
			// Whoever opens without having seen the peer's GoAway has sent its
			// SYN once this lock is ours.
			s.opening.Lock()
			//lint:ignore SA2001 to have had it is all that is wanted
			s.opening.Unlock()
		}
		s.control.Write(o.encode()) // an error ends the session, and listen sees it
		if o.said != nil {
			close(o.said)
		}
	}
}

func (o *outbox) empty() bool {
	return o.ping == nil && o.pong == nil && !o.goAway && !o.settled && !o.bye && len(o.stop) == 0
}

// encode returns o's frames. The close comes last.
func (o *outbox) encode() []byte {
	var b []byte
	if o.pong != nil {
		b = controlFrame{typ: framePong, body: o.pong}.append(b)
	}
	if o.ping != nil {
		b = controlFrame{typ: framePing, body: o.ping}.append(b)
	}
	for _, id := range o.stop {
		b = controlFrame{typ: frameStop, id: id}.append(b)
	}
	if o.goAway {
		b = controlFrame{typ: frameGoAway}.append(b)
	}
	if o.settled {
		b = controlFrame{typ: frameSettled}.append(b)
	}
	if o.bye {
		b = controlFrame{typ: frameClose, done: o.complete}.append(b)
	}
	return b
}

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
		s.tell(func(o *outbox) { o.ping = body })
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.muted {
		s.timer.Reset(wait)
	}
}
