package xmlrpc

import "time"

// parseDate reads a date and time: 19980717T14:08:55, with or without dashes and
// colons, with a fraction after a point or a comma, and with a zone Z, +hh, +hhmm
// or +hh:mm. Without a zone it is in loc, and with one it is converted to loc. All
// zeros, which is how some databases say that there is no date, is the zero time.
func parseDate(b []byte, loc *time.Location, strict bool) (t time.Time, ok bool) {
	p := dateParser{b: b, ok: true}
	year := p.digits(4)
	dashed := !strict && p.skip('-')
	month := p.digits(2)
	if dashed && !p.skip('-') {
		return t, false
	}
	day := p.digits(2)
	if !p.skip('T') {
		return t, false
	}
	hour := p.digits(2)
	colons := p.skip(':')
	minute := p.digits(2)
	if colons != p.skip(':') || strict && !colons {
		return t, false
	}
	second := p.digits(2)
	nanos := 0
	if !strict && (p.skip('.') || p.skip(',')) {
		nanos = p.fraction()
	}
	zone, zoned := 0, false
	if !strict {
		zone, zoned = p.zone()
	}
	if !p.ok || len(p.b) > 0 {
		return t, false
	}
	if !strict && year|month|day|hour|minute|second|nanos == 0 {
		return t, true
	}
	if month < 1 || month > 12 || day < 1 || day > daysIn(year, month) || hour > 23 || minute > 59 || second > 59 {
		return t, false
	}
	if zoned {
		t = time.Date(year, time.Month(month), day, hour, minute, second, nanos, time.UTC)
		return t.Add(time.Duration(-zone) * time.Minute).In(loc), true
	}
	return time.Date(year, time.Month(month), day, hour, minute, second, nanos, loc), true
}

func daysIn(year, month int) int {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// dateParser takes a date apart. Once something is missing ok is false.
type dateParser struct {
	b  []byte
	ok bool
}

// digits reads a number of n digits.
func (p *dateParser) digits(n int) int {
	if len(p.b) < n {
		p.ok = false
		return 0
	}
	v := 0
	for _, c := range p.b[:n] {
		if classes[c]&classDigit == 0 {
			p.ok = false
			return 0
		}
		v = v*10 + int(c-'0')
	}
	p.b = p.b[n:]
	return v
}

// skip reports whether c comes next, and skips it.
func (p *dateParser) skip(c byte) bool {
	if len(p.b) == 0 || p.b[0] != c {
		return false
	}
	p.b = p.b[1:]
	return true
}

// fraction reads the digits of a fraction of a second. Those beyond nanoseconds
// are dropped.
func (p *dateParser) fraction() int {
	nanos, scale, n := 0, 100_000_000, 0
	for ; n < len(p.b) && classes[p.b[n]]&classDigit != 0; n++ {
		nanos += int(p.b[n]-'0') * scale
		scale /= 10
	}
	p.ok = p.ok && n > 0
	p.b = p.b[n:]
	return nanos
}

// zone reads a zone, in minutes east of UTC.
func (p *dateParser) zone() (minutes int, ok bool) {
	if p.skip('Z') {
		return 0, true
	}
	sign := 1
	switch {
	case p.skip('+'):
	case p.skip('-'):
		sign = -1
	default:
		return 0, false
	}
	hours := p.digits(2)
	if p.skip(':') || len(p.b) > 0 {
		minutes = p.digits(2)
	}
	p.ok = p.ok && hours <= 23 && minutes <= 59
	return sign * (hours*60 + minutes), true
}

// appendDate appends the legal form of t, which has a year of four digits.
func appendDate(dst []byte, t time.Time) []byte {
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	two := func(v int) { dst = append(dst, byte('0'+v/10), byte('0'+v%10)) }
	two(year / 100)
	two(year % 100)
	two(int(month))
	two(day)
	dst = append(dst, 'T')
	two(hour)
	dst = append(dst, ':')
	two(minute)
	dst = append(dst, ':')
	two(second)
	return dst
}
