package cli

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// writeTable writes rows under head in aligned columns. Cells come from the
// registry and from peers, so they are cleaned; an empty one is a dash.
func writeTable(w io.Writer, head []string, rows [][]string) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if _, err := fmt.Fprintln(tw, strings.Join(head, "\t")); err != nil {
		return err
	}
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = "-"
			if cell != "" {
				cells[i] = cleanLine(cell)
			}
		}
		if _, err := fmt.Fprintln(tw, strings.Join(cells, "\t")); err != nil {
			return err
		}
	}
	return tw.Flush()
}

// join writes words with commas between.
func join[S ~string](words []S) string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = string(w)
	}
	return strings.Join(out, ",")
}

// count writes n things, with the plural where there are not one.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// ago formats an age in its largest unit, as operators read it.
func ago(d time.Duration) string {
	switch {
	case d < 0:
		return "in the future"
	case d < time.Second:
		return short(d.Round(time.Millisecond)) + " ago"
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds ago", int(d/time.Second))
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm ago", int(d/time.Minute))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh ago", int(d/time.Hour))
	}
	return fmt.Sprintf("%dd ago", int(d/(24*time.Hour)))
}

// orList joins words as a, b or c.
func orList[S ~string](words []S) string { return series(words, " or ") }

// andList joins words as a, b and c.
func andList[S ~string](words []S) string { return series(words, " and ") }

// series joins words with commas, and the last one with the word last.
func series[S ~string](words []S, last string) string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = quoted(string(w))
	}
	if len(out) < 2 {
		return strings.Join(out, "")
	}
	return strings.Join(out[:len(out)-1], ", ") + last + out[len(out)-1]
}
