#!/usr/bin/env bash
# Run by action.yml: install the program into an environment of its own and put its command on the PATH of the job.
# The checkout is not trusted, so Python is isolated (-I) and ignores its modules; every package is checked by its hash.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
environment="${RUNNER_TEMP:?}/dbos-manifest"
unset ${!PYTHON@} # PYTHONPATH and others would also reach the processes that pip starts
cd "$RUNNER_TEMP"

python -I -m venv "$environment"
pip=("$environment/bin/python" -I -m pip --quiet --disable-pip-version-check)
"${pip[@]}" install --require-hashes --only-binary :all: --requirement "$here/requirements.txt"
"${pip[@]}" install --no-deps --no-build-isolation -- "$(dirname "$here")" # the commit that the job names

mkdir -p "$environment/commands"
command="$environment/commands/dbos-manifest"
printf '#!/bin/sh\nexec "%s" -I -m dbos_manifest "$@"\n' "$environment/bin/python" >"$command"
chmod +x "$command"
dirname "$command" >>"$GITHUB_PATH"
