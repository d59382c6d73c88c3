package etcd

import (
	"testing"

	"farcall.dev/naming"
)

// TestSightingsOutOfStep has the feed of claims tell an older change after the
// feed of instances told a newer one.
func TestSightingsOutOfStep(t *testing.T) {
	l := layout{prefix: "/p/"}
	r := newRegistrar(Options{TTL: testTTL}, nil, nil, l)
	defer r.stop()
	rec := &record{inst: inst("n", "a", naming.ModeStandby), role: serving, written: 19}
	r.add(rec)
	o := observer{r}
	o.change([]item{{key: l.key(owners, "n", "a"), mod: 19}}, 19)
	r.notice()
	if rec.todo != rest {
		t.Error("our own write made the registrar look at it")
	}
	o.change([]item{{key: l.key(instances, "n", "a"), mod: 20, deleted: true}}, 20)
	o.change([]item{{key: l.key(owners, "n", "a"), mod: 19}}, 19)
	r.notice()
	if rec.todo != check {
		t.Error("a deletion was forgotten because an older change was told later")
	}
	rec.todo, rec.written = rest, 20
	o.change([]item{{key: l.key(instances, "n", "b"), mod: 21}, {key: l.key(instances, "m", "a"), mod: 21}}, 21)
	r.notice()
	if rec.todo != rest {
		t.Error("somebody else's key made an owner look at its own")
	}
	rec.role = waiting
	o.change([]item{{key: l.key(owners, "n", "b"), mod: 22, deleted: true}}, 22)
	r.notice()
	if rec.todo != look {
		t.Error("one that waits did not look when somebody left")
	}
	rec.todo, rec.role = rest, serving
	o.reset(nil, 3)
	r.notice()
	if rec.todo != check {
		t.Error("after a gap the registrar did not look")
	}
}
