#!/bin/sh
# Writes the alert rules as the Prometheus operator wants them.
set -eu

cd "$(dirname "$0")/.."
cat <<'EOF'
# Made from deploy/prometheus/rules.yml by `make generate`.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: farcall
  namespace: farcall
  labels:
    app.kubernetes.io/part-of: farcall
spec:
EOF
sed -e '/^#/d' -e 's/^./  &/' deploy/prometheus/rules.yml
