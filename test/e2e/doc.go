// Package e2e brings up docker-compose.yml on a Docker engine and calls across
// its containers, so that the Dockerfile, the compose file, the configuration of
// Prometheus and the programs are seen to fit together.
//
// Its tests run under the build tag e2e (make e2e). They need an engine, but no
// registry of images: in place of the two public images, Go's and Prometheus's,
// they make stand-ins out of what this machine has (see standin_test.go), under names
// of their own, so that nobody takes them for the real ones. Who wants the real
// ones names them in the variables GO_IMAGE and PROMETHEUS_IMAGE.
package e2e
