package cli

import (
	"fmt"
	"io"

	"farcall.dev/gateway"
	"farcall.dev/internal/gen"
	"farcall.dev/naming"
	"farcall.dev/rmi"
)

// The formats of -o that describe has beside the others.
const (
	formatGo         = "go"
	formatOpenAPI    = "openapi"
	formatJSONSchema = "jsonschema"
)

// emitInterface shows info in the format that was asked for.
func (a *app) emitInterface(info rmi.InterfaceInfo, entry *naming.Entry) error {
	var doc []byte
	var err error
	switch a.global.output {
	case formatGo:
		file := gen.Stub(info, "")
		file.By = fmt.Sprintf("client describe %s -o go", cleanLine(quoted(string(info.Name))))
		doc, err = file.Source()
	case formatOpenAPI:
		doc, err = gateway.OpenAPI(string(info.Name), a.version(entry), info)
	case formatJSONSchema:
		doc, err = gateway.JSONSchema(info)
	default:
		return a.emit(info, func(w io.Writer) error { return describeText(w, info, entry) })
	}
	if err != nil {
		return &failure{code: ExitInternal, err: fmt.Errorf("describe %s as %s: %w", info.Name, a.global.output, err)}
	}
	_, err = a.opts.Stdout.Write(doc)
	return outputFailed(err)
}

// version returns what the instances of entry say of their version, where they
// agree or one of them is asked for; else "0".
func (a *app) version(entry *naming.Entry) string {
	version := ""
	for n, inst := range entry.Instances {
		switch {
		case a.global.node != "" && inst.Node != a.global.pin():
		case a.global.node != "":
			return orZero(inst.Version)
		case n == 0:
			version = inst.Version
		case inst.Version != version:
			return "0"
		}
	}
	return orZero(version)
}

// orZero returns version, or "0" for none: OpenAPI wants one.
func orZero(version string) string {
	if version == "" {
		return "0"
	}
	return version
}
