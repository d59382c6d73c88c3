#!/bin/sh
# Writes the reference page of a long-running program from its own help:
# reference.sh PROGRAM >docs/PROGRAM.md. The program must be in bin/.
set -eu

cd "$(dirname "$0")/.."
program=${1:?usage: reference.sh nameserver|daemon}

cat <<EOF
# $program

Made from the program's own help by \`make generate\`.

\`\`\`text
$("bin/$program" --help)
\`\`\`

\`$program probe\` asks a running one, for health checks:

\`\`\`text
$("bin/$program" probe --help)
\`\`\`
EOF
