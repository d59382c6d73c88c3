package naming

import "testing"

func TestMemoIsItsOwners(t *testing.T) {
	type owner struct{ int }
	a, b := &owner{1}, &owner{1}
	e := newEntry("name", []Instance{{Name: "name"}}, 1)
	if got := e.Memo(a); got != nil {
		t.Errorf("a new entry: got %v, want nil", got)
	}
	e.SetMemo(a, "a's")
	if got := e.Memo(a); got != "a's" {
		t.Errorf("the owner: got %v, want what it has set", got)
	}
	if got := e.Memo(b); got != nil {
		t.Errorf("another owner: got %v, want nil", got)
	}
	e.SetMemo(b, "b's")
	if got := e.Memo(a); got != nil {
		t.Errorf("after another owner's: got %v, want nil", got)
	}
	if got := testing.AllocsPerRun(100, func() { e.Memo(b) }); got != 0 {
		t.Errorf("Memo allocates %v times, want 0", got)
	}
}
