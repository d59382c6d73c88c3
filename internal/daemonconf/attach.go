package daemonconf

import (
	"strconv"
	"time"

	"go.yaml.in/yaml/v4"

	"farcall.dev/gateway"
)

// attachment reads one entry of attach.
func (p *parser) attachment(n *yaml.Node, where string) (Attachment, bool) {
	before := len(p.problems)
	keys := p.mapping(n, where, common("url", "methods", "dialect", "timeout", "health")...)
	if keys == nil {
		return Attachment{}, false
	}
	e := p.entry(n, keys, where)
	a := Attachment{
		Name: e.Name, Mode: e.Mode, Tags: e.Tags, Weight: e.Weight, Version: e.Version,
		Methods: p.words(keys["methods"], where+": methods"),
		Dialect: p.oneOf(keys["dialect"], where+": dialect", "standard", "plain", "apache"),
		Timeout: p.duration(keys["timeout"], where+": timeout"),
		URL:     p.text(keys["url"], where+": url"),
	}
	if keys["url"] == nil {
		p.wrong(n, "%s: url is missing: where the server is, such as %shttp://127.0.0.1:8080/RPC2", where, gateway.ForeignScheme)
	} else if _, err := gateway.ParseForeignURL(a.URL); err != nil && a.URL != "" {
		p.wrong(keys["url"], "%s: url: %v", where, err)
	}
	a.Health = p.health(keys["health"], where+": health")
	return a, len(p.problems) == before
}

// health reads how a server is watched; n may be nil.
func (p *parser) health(n *yaml.Node, where string) Health {
	if n == nil || isNull(n) {
		return Health{}
	}
	keys := p.mapping(n, where, "method", "interval", "timeout", "failures", "successes")
	return Health{
		Method:   p.text(keys["method"], where+": method"),
		Interval: p.duration(keys["interval"], where+": interval"), Timeout: p.duration(keys["timeout"], where+": timeout"),
		Failures: p.count(keys["failures"], where+": failures"), Successes: p.count(keys["successes"], where+": successes"),
	}
}

// duration reads a length of time; n may be nil.
func (p *parser) duration(n *yaml.Node, where string) time.Duration {
	if n == nil {
		return 0
	}
	d, err := time.ParseDuration(n.Value)
	if n.Kind != yaml.ScalarNode || err != nil || d <= 0 {
		p.wrong(n, "%s wants a length of time, such as 500ms or 5s", where)
		return 0
	}
	return d
}

// maxCount is the largest count of looks.
const maxCount = 1000

// count reads a count; n may be nil.
func (p *parser) count(n *yaml.Node, where string) int {
	if n == nil {
		return 0
	}
	c, err := strconv.Atoi(n.Value)
	if n.Kind != yaml.ScalarNode || err != nil || c < 1 || c > maxCount {
		p.wrong(n, "%s wants a whole number from 1 to %d", where, maxCount)
		return 0
	}
	return c
}
