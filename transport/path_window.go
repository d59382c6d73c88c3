package transport

// pathWindow says how many bytes of bulk data may be under way: twice what the
// path holds, as far as has been seen. It is measured in rounds: one byte is marked
// when it is sent, and when the peer says that it has arrived, what arrived
// meanwhile over the time that took is the rate, and the shortest such time is
// that of the path itself. Times are in nanoseconds since some beginning.
//
// A larger window would only make a queue in front of what is sent next, such as
// small messages. Rounds in which the window did not hold the sender up tell
// nothing of the path's rate.
type pathWindow struct {
	size    int64
	limited bool // the window has held the sender up in this round

	mark      uint64 // the byte whose arrival ends the round; 0 between rounds
	markedAt  int64
	markTaken uint64 // what had arrived when it was sent
	shortest  int64
}

// The bounds of a window: the least fills any local path.
const (
	minPathWindow = 512 << 10
	maxPathWindow = 32 << 20
)

func newPathWindow() pathWindow { return pathWindow{size: minPathWindow} }

// sent takes note that sent bytes have been sent, of which taken have arrived.
func (p *pathWindow) sent(now int64, sent, taken uint64) {
	if p.mark == 0 {
		p.mark, p.markedAt, p.markTaken, p.limited = sent, now, taken, false
	}
}

// taken takes note that so many bytes have arrived.
func (p *pathWindow) taken(now int64, taken uint64) {
	if p.mark == 0 || taken < p.mark {
		return
	}
	trip := max(now-p.markedAt, 1)
	if p.shortest == 0 || trip < p.shortest {
		p.shortest = trip
	}
	if p.limited {
		holds := float64(taken-p.markTaken) / float64(trip) * float64(p.shortest)
		p.size = min(max(int64(2*holds), p.size*3/4, minPathWindow), maxPathWindow)
	}
	p.mark = 0
}
