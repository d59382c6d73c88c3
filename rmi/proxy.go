package rmi

import "reflect"

// Proxy makes the values of one interface type that stand for objects of other
// processes; see [ProxyOf].
type Proxy struct {
	typ reflect.Type
	of  func(*Ref) any
}

// ProxyOf tells [SpaceOptions].Proxies how a reference becomes a T, an interface
// that methods take or return. What of returns calls the methods of the object by
// the Ref, as [Ref.Bind] makes it easy to do, and should be a [Referencer], so
// that passing it on passes the reference on.
func ProxyOf[T any](of func(*Ref) T) Proxy {
	return Proxy{reflect.TypeFor[T](), func(r *Ref) any { return of(r) }}
}
