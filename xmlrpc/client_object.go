package xmlrpc

import "context"

// An Object is an object of a server: the methods whose names begin with its own
// and a dot. It may be used by many goroutines at a time.
type Object struct {
	c    *Client
	name string
}

// Object returns the object of that name. Nothing is asked of the server: there
// may be none.
func (c *Client) Object(name string) *Object { return &Object{c, name} }

// Object returns the object of that name within o.
func (o *Object) Object(name string) *Object { return &Object{o.c, o.name + "." + name} }

// Call calls a method of the object, as [Client.Call] does: method "get_fortune"
// of the object "greeting" is "greeting.get_fortune".
func (o *Object) Call(ctx context.Context, method string, result any, args ...any) error {
	return o.c.Call(ctx, o.name+"."+method, result, args...)
}

// ListMethods returns the names of the server's methods.
func (c *Client) ListMethods(ctx context.Context) ([]string, error) {
	var names []string
	err := c.Call(ctx, "system.listMethods", &names)
	return names, err
}

// MethodSignature returns the signatures of a method: lists of the names of types,
// such as "int", each led by that of the result. They are nil if the server does
// not know them.
func (c *Client) MethodSignature(ctx context.Context, method string) ([][]string, error) {
	var v RawValue
	if err := c.Call(ctx, "system.methodSignature", &v, method); err != nil {
		return nil, err
	}
	if v.Kind() != KindArray {
		return nil, nil // Python says it in words, xmlrpc-c by "undef".
	}
	var signatures [][]string
	err := v.Decode(&signatures)
	return signatures, err
}

// MethodHelp returns what the server says that a method does.
func (c *Client) MethodHelp(ctx context.Context, method string) (string, error) {
	var help string
	err := c.Call(ctx, "system.methodHelp", &help, method)
	return help, err
}

// Capabilities returns what the server says that it can do beyond calls, by name.
func (c *Client) Capabilities(ctx context.Context) (map[string]Capability, error) {
	var can map[string]Capability
	err := c.Call(ctx, "system.getCapabilities", &can)
	return can, err
}
