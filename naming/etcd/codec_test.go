package etcd

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"farcall.dev/naming"
)

func TestDecodeReadsWhatItsVersionMayHold(t *testing.T) {
	// A value of this version, with fields that some later program adds.
	const data = `{"v":1,"incarnation":18446744073709551615,"kind":"function","state":"draining","mode":"standby",` +
		`"addrs":{"mesh":"h:1","quic":"h:2"},"tags":["b","a"],"zone":"z","weight":7,"version":"1","interface":"i",` +
		`"written":1700000000123,"later":{"x":[1]}}`
	got, written, err := decode(naming.Key{Name: "n", Node: "a"}, []byte(data))
	if err != nil {
		t.Fatal(err)
	}
	want := naming.Instance{
		Name: "n", Node: "a", Incarnation: 1<<64 - 1, Kind: naming.KindFunction, State: naming.StateDraining,
		Mode: naming.ModeStandby, Addrs: map[naming.Protocol]string{"mesh": "h:1", "quic": "h:2"},
		Tags: []string{"a", "b"}, Zone: "z", Weight: 7, Version: "1", Interface: "i",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if want := time.UnixMilli(1700000000123); !written.Equal(want) {
		t.Errorf("written: got %v, want %v", written, want)
	}
}

func TestDecodeRefuses(t *testing.T) {
	const good = `"kind":"object","state":"live","mode":"shared","weight":1`
	for what, data := range map[string]string{
		"nothing":         ``,
		"no JSON":         `rubbish`,
		"another shape":   `[1,2]`,
		"another version": `{"v":2,` + good + `}`,
		"no version":      `{` + good + `}`,
		"no state":        `{"v":1,"kind":"object","mode":"shared","weight":1}`,
		"an odd state":    `{"v":1,"kind":"object","state":"odd","mode":"shared","weight":1}`,
		"an odd mode":     `{"v":1,"kind":"object","state":"live","mode":"odd","weight":1}`,
		"too much weight": `{"v":1,"kind":"object","state":"live","mode":"shared","weight":10001}`,
		"a bad tag":       `{"v":1,` + good + `,"tags":["\u0000"]}`,
		"a large value":   `{"v":1,` + good + `,"zone":"` + strings.Repeat("z", maxValue) + `"}`,
	} {
		if _, _, err := decode(naming.Key{Name: "n", Node: "a"}, []byte(data)); err == nil {
			t.Errorf("decoding %s succeeded", what)
		}
	}
}

func TestEncodeRefusesWhatIsTooLarge(t *testing.T) {
	// The limits of each field allow this: JSON writes six bytes for one of them.
	i := naming.Instance{Name: "n", Node: "a"}
	for n := range naming.MaxTags {
		i.Tags = append(i.Tags, strings.Repeat("<", naming.MaxNameLen-n))
	}
	i, err := i.Normalize()
	if err != nil {
		t.Fatal(err)
	}
	_, err = encode(i, time.Now())
	if se, ok := errors.AsType[*SizeError](err); !ok || se.Name != "n" || se.Size <= maxValue {
		t.Errorf("got %v, want a SizeError of n", err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		`{"v":1,"incarnation":3,"kind":"object","state":"live","mode":"shared","addrs":{"mesh":"h:1"},"weight":100,"written":1}`,
		`{"v":1,"kind":"function","state":"standby","mode":"exclusive","tags":["a","a"],"weight":1}`,
		`{"v":9}`, `{}`, `null`, `{"v":1,"tags":null}`, `{"v":1,"weight":1e300}`, "\xff",
	} {
		f.Add([]byte(s))
	}
	k := naming.Key{Name: "n", Node: "a"}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, written, err := decode(k, data)
		_ = decodeClaim(data)
		if err != nil {
			return
		}
		again, err := encode(got, written)
		if _, large := errors.AsType[*SizeError](err); large {
			return // JSON may escape what came plain
		}
		if err != nil {
			t.Fatalf("encode what was decoded: %v", err)
		}
		back, _, err := decode(k, []byte(again))
		if err != nil || !reflect.DeepEqual(norm(back), norm(got)) {
			t.Fatalf("got %+v, %v, want %+v", back, err, got)
		}
	})
}

// norm makes empty and missing the same.
func norm(i naming.Instance) naming.Instance {
	if len(i.Addrs) == 0 {
		i.Addrs = nil
	}
	if len(i.Tags) == 0 {
		i.Tags = nil
	}
	return i
}
