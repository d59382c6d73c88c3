module farcall.dev/bench

go 1.26.0

require (
	farcall.dev v0.0.0
	github.com/kolo/xmlrpc v0.0.0-20220921171641-a4b6fa1dd06b
)

replace farcall.dev => ../
