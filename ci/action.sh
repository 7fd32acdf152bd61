#!/usr/bin/env bash
# Run by action.yml. The variables COMMAND, PATHS, TARGET, ARGUMENTS and SARIF are the inputs; PATHS and ARGUMENTS have
# one argument per line. Results are written to GITHUB_OUTPUT and GITHUB_STEP_SUMMARY. The program itself reads
# DBOS_SYSTEM_DATABASE_URL.
set -euo pipefail

case "$COMMAND" in
  validate | plan | apply) ;;
  *)
    echo "::error::the command is validate, plan or apply"
    exit 2
    ;;
esac

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

words=()
while IFS= read -r line; do [ -z "$line" ] || words+=("$line"); done <<<"$ARGUMENTS"
words+=(--)
while IFS= read -r line; do [ -z "$line" ] || words+=("$line"); done <<<"$PATHS"

folder=$(mktemp -d "${RUNNER_TEMP:-/tmp}/dbos-manifest.XXXXXX")
markdown="$folder/$COMMAND.md"
plan="$folder/plan.jsonl"
state="$folder/lockfiles.json"
options=(-o "markdown=$markdown")
[ -z "$SARIF" ] || options+=(-o "sarif=$SARIF")
[ -z "$TARGET" ] || [ "$COMMAND" = validate ] || options+=("--target=$TARGET")

case "$COMMAND" in
  plan)
    options+=(--exit-code)
    if [ -n "${DBOS_SYSTEM_DATABASE_URL:-}" ]; then
      options+=(--out "$plan")
    else
      echo "no DBOS_SYSTEM_DATABASE_URL: comparing with the lockfiles only" >&2
      options+=(--against lock)
    fi
    ;;
  apply) python -I "$here/lockfiles.py" save "$state" ;;
esac

code=0
dbos-manifest "$COMMAND" "${options[@]}" "${words[@]}" || code=$?

[ ! -f "$markdown" ] || cat "$markdown" >>"$GITHUB_STEP_SUMMARY"
{
  echo "exit-code=$code"
  [ ! -f "$markdown" ] || echo "markdown=$markdown"
  case "$COMMAND" in
    plan)
      [ ! -f "$plan" ] || echo "plan=$plan"
      if [ "$code" = 10 ]; then echo "changes=true"; else echo "changes=false"; fi
      ;;
    apply)
      # compare files, because a killed run has written lockfiles but no results
      python -I "$here/lockfiles.py" compare "$state"
      ;;
  esac
} >>"$GITHUB_OUTPUT"

# exit code 10 means that there is something to enqueue, which is no failure of a plan
[ "$COMMAND" != plan ] || [ "$code" != 10 ] || code=0
exit "$code"
