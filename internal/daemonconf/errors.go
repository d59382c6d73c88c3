package daemonconf

import (
	"fmt"
	"strings"
)

// maxShown is how many problems an Error's text lists.
const maxShown = 20

// Error says everything that is wrong with a configuration.
type Error struct {
	// Source is the file.
	Source string
	// Problems holds at least one problem, sorted by line.
	Problems []Problem
}

// Problem is one thing that is wrong.
type Problem struct {
	// Line is where, from 1; 0 when it concerns the whole.
	Line int
	// Text says what.
	Text string
}

// Error lists the problems, one a line, the first 20 of them.
func (e *Error) Error() string {
	var b strings.Builder
	for i, p := range e.Problems {
		if i == maxShown {
			fmt.Fprintf(&b, "\n%s: and %d more problems", e.Source, len(e.Problems)-i)
			break
		}
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(e.Source)
		if p.Line > 0 {
			fmt.Fprintf(&b, ":%d", p.Line)
		}
		b.WriteString(": " + p.Text)
	}
	return b.String()
}
