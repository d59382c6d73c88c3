package rmi

// SpaceStats count what a [Space] holds for its peers.
type SpaceStats struct {
	// Sessions are those that have not ended.
	Sessions int
	// Records are the numbered calls of peers that run here or whose answers are
	// kept, and RecordedBytes what these answers have together.
	Records, RecordedBytes int
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
	return stats
}
