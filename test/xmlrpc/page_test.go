package xmlrpc

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the tables in docs/xmlrpc.md")

const (
	page  = "../../docs/xmlrpc.md"
	begin = "<!-- From here on the page is made by: go test ./test/xmlrpc -update -->\n"
	end   = "<!-- As far as here. -->\n"
)

// TestPage holds the tables of docs/xmlrpc.md against the expectations, which the
// other tests hold against the peers. Versions are those that were there when the
// tables were written, for they differ between machines.
func TestPage(t *testing.T) {
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := bytes.Cut(data, []byte(begin))
	old, after, ok2 := bytes.Cut(rest, []byte(end))
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the tables: it begins with %q and ends with %q", page, begin, end)
	}
	if *update {
		tables := tables(func(p *peer) string { return version(p.packages[0]) })
		if err := os.WriteFile(page, slices.Concat(before, []byte(begin), []byte(tables), []byte(end), after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	written := make(map[string]string)
	for _, m := range peerRow.FindAllStringSubmatch(string(old), -1) {
		written[m[1]] = m[2]
	}
	for _, p := range slices.Concat(clients, servers) {
		if v := version(p.packages[0]); v != "" && v != written[p.packages[0]] {
			t.Logf("%s has version %s of %s, and here is %s", page, written[p.packages[0]], p.packages[0], v)
		}
	}
	want := tables(func(p *peer) string { return written[p.packages[0]] })
	if diff := cmp.Diff(want, string(old)); diff != "" {
		t.Errorf("the tables of %s are out of date; go test ./test/xmlrpc -update writes them. -want +got:\n%s", page, diff)
	}
}

// peerRow is a row of the table of peers: its package and version.
var peerRow = regexp.MustCompile("(?m)^\\| .* \\| `(.*)` \\| (.*) \\| .* \\| .* \\|$")

// tables is what the tests know, for readers.
func tables(version func(*peer) string) string {
	var b strings.Builder
	b.WriteString("\n## Peers\n\n| peer | language | Debian's package | version | its client | its server |\n|---|---|---|---|---|---|\n")
	is := func(list []*peer, p *peer) string {
		if slices.ContainsFunc(list, func(q *peer) bool { return q.name == p.name }) {
			return "yes"
		}
		return ""
	}
	for _, p := range clients {
		fmt.Fprintf(&b, "| %s | %s | `%s` | %s | %s | %s |\n", p.name, p.language, p.packages[0], version(p), is(clients, p), is(servers, p))
	}

	fmt.Fprintf(&b, "\n## Their clients call a Handler\n\n")
	grid(&b, clients, cases)
	fmt.Fprintf(&b, "\n## A Client calls their servers\n\n")
	grid(&b, servers, slices.DeleteFunc(slices.Clone(cases), func(c testCase) bool { return !c.forServers() }))

	b.WriteString("\n## Known differences\n\nThe numbers are those in the tables above.\n")
	for _, part := range []struct {
		peers []*peer
		role  string
	}{{clients, "client"}, {servers, "server"}} {
		for _, p := range part.peers {
			if len(p.differences) == 0 {
				continue
			}
			fmt.Fprintf(&b, "\n%s's %s (%s):\n\n", p.name, part.role, p.language)
			for i, d := range p.differences {
				fmt.Fprintf(&b, "%d. `%s`: %s.\n", i+1, d.name, d.text)
			}
		}
	}
	return b.String()
}

// grid is a table of what works with which peer.
func grid(b *strings.Builder, peers []*peer, cases []testCase) {
	b.WriteString("|")
	for _, p := range peers {
		b.WriteString(" | " + p.name)
	}
	b.WriteString(" |\n|" + strings.Repeat("---|", len(peers)+1) + "\n")
	for _, c := range cases {
		b.WriteString("| " + c.title)
		for _, p := range peers {
			b.WriteString(" | " + p.cell(c))
		}
		b.WriteString(" |\n")
	}
}

// cell says whether a case works with the peer.
func (p *peer) cell(c testCase) string {
	i := slices.IndexFunc(p.differences, func(d difference) bool {
		_, ok := d.cases[c.name]
		return ok
	})
	if i < 0 {
		return "yes"
	}
	return fmt.Sprintf("%s (%d)", p.differences[i].mark, i+1)
}
