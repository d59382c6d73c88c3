package rmi

// Ref is a reference to an object without a name, here or on another node.
type Ref struct{}
