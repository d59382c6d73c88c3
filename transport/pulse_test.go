package transport

import (
	"errors"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

func TestPulseVerdicts(t *testing.T) {
	const s = time.Second
	p := pulse{interval: 3 * s, silence: 9 * s, stall: 10 * s}
	tests := []struct {
		name  string
		pulse pulse
		signs signs
		dead  bool
		ping  bool
	}{
		{"just begun", p, signs{}, false, false},
		{"busy both ways", p, signs{now: 100 * s, received: 99 * s, sent: 99 * s}, false, false},
		{"idle both ways", p, signs{now: 100 * s, received: 97 * s, sent: 97 * s}, false, true},
		{"peer quiet while we send", p, signs{now: 100 * s, received: 97 * s, sent: 100 * s}, false, true},
		{"we are quiet while it sends", p, signs{now: 100 * s, received: 100 * s, sent: 97 * s}, false, true},
		{"pinged already", pulse{interval: 3 * s, silence: 9 * s, stall: 10 * s, pinged: 99 * s},
			signs{now: 100 * s, received: 95 * s, sent: 99 * s}, false, false},
		{"silent for too long", p, signs{now: 100 * s, received: 91 * s, sent: 100 * s}, true, false},
		{"silent for not quite too long", p, signs{now: 100 * s, received: 91*s + 1, sent: 100 * s}, false, true},
		{"sends but takes nothing", p, signs{now: 100 * s, received: 100 * s, sent: 90 * s, writing: 90 * s}, true, false},
		{"takes slowly", p, signs{now: 100 * s, received: 100 * s, sent: 99 * s, writing: 91 * s}, false, false},
		{"we were stopped meanwhile", pulse{interval: 3 * s, silence: 9 * s, stall: 10 * s, due: 50 * s},
			signs{now: 100 * s, received: 48 * s, sent: 48 * s, writing: 49 * s}, false, true},
		{"we were merely late", pulse{interval: 3 * s, silence: 9 * s, stall: 10 * s, due: 99 * s},
			signs{now: 100 * s, received: 90 * s, sent: 100 * s}, true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ping, wait, verdict := tt.pulse.look(tt.signs)
			if (verdict != nil) != tt.dead || tt.dead && !errors.Is(verdict, ErrPeerSilent) {
				t.Errorf("got verdict %v, want dead %v", verdict, tt.dead)
			}
			if ping != tt.ping {
				t.Errorf("got ping %v, want %v", ping, tt.ping)
			}
			if !tt.dead && (wait <= 0 || wait > 3*s) {
				t.Errorf("looks again after %v, want within the interval", wait)
			}
		})
	}
}

// mortal is one side of a connection for TestPulseInTime: a pulse, and what it
// knows.
type mortal struct {
	pulse pulse
	signs signs
	dead  time.Duration
	pings int
}

// Two sides that say nothing but pings keep each other alive, at no more than
// one exchange per interval; when the network vanishes, both know in under 10 s.
func TestPulseInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		now := func() time.Duration { return time.Since(start) }
		defaults, err := Options{}.withDefaults()
		if err != nil {
			t.Fatal(err)
		}
		var sides [2]mortal
		for i := range sides {
			sides[i].pulse = pulse{interval: defaults.KeepAliveInterval, silence: defaults.PeerTimeout, stall: defaults.WriteTimeout}
		}
		const vanish = 10 * time.Minute
		step := func(me, other *mortal) time.Duration {
			me.signs.now = now()
			ping, wait, verdict := me.pulse.look(me.signs)
			if verdict != nil {
				me.dead = now()
				return time.Hour
			}
			if ping {
				me.pings++
				me.signs.sent = now()
				if now() < vanish { // the pong is there at once
					other.signs.received, other.signs.sent, me.signs.received = now(), now(), now()
				}
			}
			return wait
		}
		next := [2]time.Duration{}
		for sides[0].dead == 0 || sides[1].dead == 0 {
			i := 0
			if next[1] < next[0] {
				i = 1
			}
			pass(next[i] - now())
			next[i] = now() + step(&sides[i], &sides[1-i])
		}
		for i, side := range sides {
			if after := side.dead - vanish; after < 0 || after >= 10*time.Second {
				t.Errorf("side %d: verdict %v after the network vanished, want under 10s", i, after)
			}
		}
		exchanges := int(vanish / defaults.KeepAliveInterval)
		if got := sides[0].pings + sides[1].pings; got < exchanges/2 || got > exchanges*3/2+10 {
			t.Errorf("got %d pings in %v, want about %d", got, vanish, exchanges)
		}
	})
}

// Sessions that begin together must not ping together.
func TestPulseJitters(t *testing.T) {
	waits := map[time.Duration]bool{}
	for range 1000 {
		p := pulse{interval: 3 * time.Second, silence: 9 * time.Second, stall: 10 * time.Second}
		_, wait, _ := p.look(signs{})
		if wait < 3*time.Second*3/4 || wait > 3*time.Second {
			t.Fatalf("got %v, want between 2.25s and 3s", wait)
		}
		waits[wait/(10*time.Millisecond)] = true
	}
	if len(waits) < 50 {
		t.Errorf("1000 sessions begin at %d different moments of 75, want most of them", len(waits))
	}
}

// However signs come, a peer heard of within the limits lives, and the next look
// is never put off beyond the moment of the verdict.
func FuzzPulse(f *testing.F) {
	f.Add(uint64(1))
	f.Fuzz(func(t *testing.T, seed uint64) {
		rng := rand.New(rand.NewPCG(seed, 0))
		p := pulse{interval: 3 * time.Second, silence: 9 * time.Second, stall: 10 * time.Second}
		var s signs
		for range 50 {
			_, wait, verdict := p.look(s)
			if verdict != nil {
				if s.now-s.received < p.silence && (s.writing == 0 || s.now-s.writing < p.stall) {
					t.Fatalf("%v with %+v", verdict, s)
				}
				return
			}
			if s.now+wait > max(s.received, p.resumed)+p.silence+time.Millisecond {
				t.Fatalf("looks again %v after %+v, when the peer would be silent for too long", wait, s)
			}
			s.now += wait + time.Duration(rng.Int64N(int64(time.Second)))
			if rng.IntN(3) > 0 {
				s.received = s.now - time.Duration(rng.Int64N(int64(time.Second)))
			}
			if rng.IntN(3) > 0 {
				s.sent = s.now
			}
			s.writing = 0
			if rng.IntN(4) == 0 {
				s.writing = s.now - time.Duration(rng.Int64N(int64(s.now)))
			}
		}
	})
}
