# One image with the three programs, so that their versions cannot drift apart:
#
#   docker build -t farcall:dev .
#   docker run --rm farcall:dev client version
#
# It holds nothing else: no shell, no package manager. Health checks run a
# program's own `probe`; which program that is, and so the check itself, is up
# to whoever starts the container (see docker-compose.yml and deploy/k8s).
#
# The file keeps to what both BuildKit and Docker's older builder understand.

ARG GO_IMAGE=golang:1.26-alpine

FROM ${GO_IMAGE} AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=devel
RUN CGO_ENABLED=0 go build -trimpath \
      -ldflags "-s -w -X farcall.dev/internal/buildinfo.version=${VERSION}" \
      -o /out/bin/ ./cmd/nameserver ./cmd/daemon ./cmd/client \
 && mkdir -p /out/data

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/bin/ /bin/
# A new volume takes over the owner of the folder that it is mounted on.
COPY --from=build --chown=65532:65532 /out/data /var/lib/farcall
ENV PATH=/bin
# A number, since Kubernetes' runAsNonRoot cannot tell what a name stands for.
USER 65532:65532
WORKDIR /var/lib/farcall
EXPOSE 2379 2380 7400 7500 7501
STOPSIGNAL SIGTERM
CMD ["client", "help"]
LABEL org.opencontainers.image.title="Farcall" \
      org.opencontainers.image.description="Calls any object or function on any node by its name" \
      org.opencontainers.image.licenses="Apache-2.0"
