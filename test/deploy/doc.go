// Package deploy holds the files under deploy/, the Dockerfile and
// docker-compose.yml against each other, against the commands, and against the
// rules of those who read them: the manifests are built by kustomize, decoded
// strictly into Kubernetes' own types and checked for what the API server would
// refuse or, worse, take; the rules of Prometheus run through promtool. No
// cluster and no network is needed.
//
// It is a module of its own, so that Kubernetes' libraries never enter
// Farcall's.
package deploy
