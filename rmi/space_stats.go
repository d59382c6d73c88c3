package rmi

// SpaceStats count what a [Space] holds for its peers.
type SpaceStats struct {
	// Sessions are those that have not ended.
	Sessions int
	// Records are the numbered calls of peers that run here or whose answers are
	// kept, and RecordedBytes what these answers have together.
	Records, RecordedBytes int
	// Exported are the objects without a name that others may call, of which
	// Waiting are in transit and held by nobody. Lent counts them once for each
	// session that holds one.
	Exported, Waiting, Lent int
	// Held are the references to other processes' objects that are in use, or
	// whose owner is yet to be told that they are not.
	Held int
}

// Stats returns what s holds now.
func (s *Space) Stats() SpaceStats {
	sessions := s.Sessions()
	stats := SpaceStats{Sessions: len(sessions)}
	for _, sess := range sessions {
		calls, size := sess.records.stats()
		stats.Records += calls
		stats.RecordedBytes += size
	}
	s.refs.stats(sessions, &stats)
	return stats
}
