package xmlrpc

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"farcall.dev/xmlrpc"
)

// seed makes the data of validator1.
var seed = flag.Uint64("seed", 0, "repeats a run of validator1; 0 is another one each time")

// rounds is how often each of validator1's methods is called.
const rounds = 20

// TestValidator1 runs the old test suite for servers against ours, and against
// Python's, which shows that the suite itself is right.
func TestValidator1(t *testing.T) {
	t.Run("Handler", func(t *testing.T) {
		h, err := xmlrpc.NewHandler(xmlrpc.HandlerOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for name, fn := range validator1 {
			if err := h.Func("validator1."+name, fn); err != nil {
				t.Fatal(err)
			}
		}
		server := httptest.NewServer(h)
		t.Cleanup(server.Close)
		drive(t, server.URL)
	})
	t.Run("Python", func(t *testing.T) {
		pythonPeer.need(t)
		drive(t, startServer(t, []string{"/usr/bin/python3", "peers/python_server.py"}))
	})
}

// stooges is a struct of the suite.
type stooges struct {
	Moe   int `xmlrpc:"moe"`
	Larry int `xmlrpc:"larry"`
	Curly int `xmlrpc:"curly"`
}

func (s stooges) sum() int { return s.Moe + s.Larry + s.Curly }

// entities are how many there are of the characters that XML has other uses for.
type entities struct {
	Left        int `xmlrpc:"ctLeftAngleBrackets"`
	Right       int `xmlrpc:"ctRightAngleBrackets"`
	Ampersands  int `xmlrpc:"ctAmpersands"`
	Apostrophes int `xmlrpc:"ctApostrophes"`
	Quotes      int `xmlrpc:"ctQuotes"`
}

// times are multiples of a number.
type times struct {
	Ten      int `xmlrpc:"times10"`
	Hundred  int `xmlrpc:"times100"`
	Thousand int `xmlrpc:"times1000"`
}

// calendar is years of months of days.
type calendar map[string]map[string]map[string]stooges

// validator1 are the methods that a server has to have, as Go functions.
var validator1 = map[string]any{
	"arrayOfStructsTest": func(structs []stooges) (sum int) {
		for _, s := range structs {
			sum += s.Curly
		}
		return sum
	},
	"countTheEntities": countEntities,
	"easyStructTest":   stooges.sum,
	"echoStructTest":   func(s map[string]any) map[string]any { return s },
	"manyTypesTest": func(n int, b bool, s string, d float64, t time.Time, data []byte) []any {
		return []any{n, b, s, d, t, data}
	},
	"moderateSizeArrayCheck": func(a []string) string { return a[0] + a[len(a)-1] },
	"nestedStructTest":       func(c calendar) int { return c["2000"]["04"]["01"].sum() },
	"simpleStructReturnTest": func(n int) times { return times{10 * n, 100 * n, 1000 * n} },
}

func countEntities(s string) entities {
	return entities{
		Left: strings.Count(s, "<"), Right: strings.Count(s, ">"), Ampersands: strings.Count(s, "&"),
		Apostrophes: strings.Count(s, "'"), Quotes: strings.Count(s, `"`),
	}
}

// drive calls the methods of validator1 at url with random data.
func drive(t *testing.T, url string) {
	t.Helper()
	from := *seed
	if from == 0 {
		from = rand.Uint64()
	}
	t.Logf("the data is from -seed=%d", from)
	d := driver{Rand: rand.New(rand.NewPCG(from, 1)), t: t, client: newClient(t, url, xmlrpc.ClientOptions{})}
	for range rounds {
		d.round()
		if t.Failed() {
			t.Fatalf("repeat it by -args -seed=%d", from)
		}
	}
}

// A driver calls one server.
type driver struct {
	*rand.Rand

	t      *testing.T
	client *xmlrpc.Client
}

// round calls each method once.
func (d *driver) round() {
	d.t.Helper()
	structs := make([]stooges, d.IntN(20))
	curly := 0
	for i := range structs {
		structs[i] = d.stooges()
		curly += structs[i].Curly
	}
	check(d, "arrayOfStructsTest", curly, structs)

	text := d.text()
	check(d, "countTheEntities", countEntities(text), text)

	three := d.stooges()
	check(d, "easyStructTest", three.sum(), three)

	echo := make(map[string]any)
	for range d.IntN(10) {
		echo["substruct"+d.text()] = d.members()
	}
	check(d, "echoStructTest", echo, echo)

	data := make([]byte, d.IntN(200))
	for i := range data {
		data[i] = byte(d.Uint32())
	}
	date := time.Unix(d.Int64N(4_000_000_000), 0).UTC()
	many := []any{d.number(), d.IntN(2) == 1, d.text(), d.NormFloat64() * 1e6, date, data}
	check(d, "manyTypesTest", many, many...)

	texts := make([]string, 100+d.IntN(101))
	for i := range texts {
		texts[i] = d.text()
	}
	check(d, "moderateSizeArrayCheck", texts[0]+texts[len(texts)-1], texts)

	years := d.calendar()
	check(d, "nestedStructTest", years["2000"]["04"]["01"].sum(), years)

	n := d.IntN(1_000_000)
	check(d, "simpleStructReturnTest", times{10 * n, 100 * n, 1000 * n}, n)
}

// check calls a method, and compares what it returns.
func check[T any](d *driver, method string, want T, args ...any) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), patience)
	defer cancel()
	var got T
	if err := d.client.Call(ctx, "validator1."+method, &got, args...); err != nil {
		d.t.Errorf("%s(%.500s): %v", method, fmt.Sprint(args...), err)
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		d.t.Errorf("%s(%.500s), -want +got:\n%s", method, fmt.Sprint(args...), diff)
	}
}

func (d *driver) number() int { return int(int32(d.Uint32())) }

// stooges are small enough for their sums.
func (d *driver) stooges() stooges {
	return stooges{d.IntN(1 << 29), d.IntN(1 << 29), -d.IntN(1 << 26)}
}

func (d *driver) members() map[string]any {
	return map[string]any{"moe": d.number(), "larry": d.text(), "curly": d.NormFloat64()}
}

// text has many of the characters that XML has other uses for, and some that ASCII
// does not have.
func (d *driver) text() string {
	const letters = `<>&'"<>&'" ab]]>&amp;<![CDATA[`
	others := []rune("éßλЖ世😀\t\n")
	var b strings.Builder
	for range d.IntN(60) {
		if d.IntN(4) == 0 {
			b.WriteRune(others[d.IntN(len(others))])
		} else {
			b.WriteByte(letters[d.IntN(len(letters))])
		}
	}
	return b.String()
}

// calendar has the spring of 2000 in it, by names of two digits.
func (d *driver) calendar() calendar {
	c := make(calendar)
	for _, year := range []string{"1999", "2000", "2001"} {
		c[year] = make(map[string]map[string]stooges)
		for _, month := range []string{"03", "04", "05"} {
			c[year][month] = make(map[string]stooges)
			for _, day := range []string{"01", "02", "30"} {
				c[year][month][day] = d.stooges()
			}
		}
	}
	return c
}
