package source

import (
	"encoding"
	"go/types"
	"io"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"

	"farcall.dev/internal/gen/source/testdata/kinds"
	"farcall.dev/rmi"
)

// TestAgreesWithRMI fails when this package and package rmi do not say the same
// of a type, be it in other words.
func TestAgreesWithRMI(t *testing.T) {
	pkgs, err := packages.Load(&packages.Config{Mode: packages.NeedTypes | packages.NeedImports | packages.NeedDeps | packages.NeedSyntax | packages.NeedTypesInfo | packages.NeedName,
		Dir: "testdata/kinds"}, ".")
	if err != nil || len(pkgs) != 1 || len(pkgs[0].Errors) > 0 {
		t.Fatalf("load: got %v, %v", pkgs, err)
	}
	source := pkgs[0].Types.Scope().Lookup("Kinds").Type().Underlying().(*types.Struct)
	compiled := reflect.TypeFor[kinds.Kinds]()
	if source.NumFields() != compiled.NumField() {
		t.Fatalf("got %d fields in the source and %d compiled", source.NumFields(), compiled.NumField())
	}
	space := rmi.NewSpace(rmi.SpaceOptions{Node: "here", Incarnation: 1, Proxies: []rmi.Proxy{
		rmi.ProxyOf(func(*rmi.Ref) io.Reader { return nil }),
		rmi.ProxyOf(func(*rmi.Ref) encoding.TextMarshaler { return nil }),
	}})
	defer space.Close()
	refused := 0
	for i := range compiled.NumField() {
		name, typ := compiled.Field(i).Name, compiled.Field(i).Type
		if typ == reflect.TypeFor[error]() || strings.HasPrefix(typ.String(), "context.") {
			continue // these have a meaning of their own in a signature; see TestProblems
		}
		for _, tt := range []struct {
			dir direction
			fn  reflect.Type
		}{
			{inward, reflect.FuncOf([]reflect.Type{typ}, nil, false)},
			{outward, reflect.FuncOf(nil, []reflect.Type{typ}, false)},
		} {
			want := ""
			fn := reflect.MakeFunc(tt.fn, nil).Interface()
			if err := rmi.NewObjects(rmi.ObjectsOptions{Space: space}).ExportFunc("f", fn, rmi.ExportOptions{}); err != nil {
				want = strings.ReplaceAll(err.Error()[strings.LastIndex(err.Error(), " 1: ")+4:], "interface {}", "any")
			}
			got := ""
			if _, err := whole(source.Field(i).Type(), tt.dir); err != nil {
				got = err.Error()
			}
			got = got[strings.LastIndex(got, " 1: ")+1:]
			got = strings.TrimPrefix(got, "1: ")
			if plain(got) != plain(want) {
				t.Errorf("%s, outward %v:\nfarcall-gen says %q\nrmi says         %q", name, tt.dir, got, want)
			}
			if want != "" {
				refused++
			}
		}
	}
	if refused < 30 {
		t.Errorf("only %d types were refused: the test sees little", refused)
	}
}

// plain is text without that in which packages reflect and go/types write types
// differently.
func plain(text string) string {
	return strings.NewReplacer("farcall.dev/internal/gen/source/testdata/", "", " ", "", "kinds.hidden", "hidden").Replace(text)
}
