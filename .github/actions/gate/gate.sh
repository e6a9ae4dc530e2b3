#!/usr/bin/env bash
# The step of the action that runs the gate; inputs come as variables, never as text of a script.
set -euo pipefail
mkdir -p "$REPORTS"
# Quotes and lines as a shell reads them; nothing in them is expanded or run.
mapfile -d '' -t more < <(python -c '
import os, shlex, sys
sys.stdout.write("".join(f"{one}\0" for one in shlex.split(os.environ["ARGUMENTS"], comments=True)))')
[ -z "$PARTITION" ] || more+=(--partition "$PARTITION")
[ -z "$BASELINE" ] || more+=(--baseline "$BASELINE")
code=0
evalspan gate --dataset "$DATASET" --target "$TARGET" --suite "$SUITE" --format markdown \
  --junit "$REPORTS/gate.xml" --report "$REPORTS/gate.json" --no-input "${more[@]}" > "$REPORTS/gate.md" || code=$?
cat "$REPORTS/gate.md"
case $code in
  0) verdict=passed ;;
  3) verdict=failed ;;
  4) verdict=inconclusive ;;
  *) verdict=error ;;
esac
{
  echo "verdict=$verdict"
  echo "report=$REPORTS/gate.json"
  echo "junit=$REPORTS/gate.xml"
} >> "$GITHUB_OUTPUT"
if [ "$code" = 4 ] && [ "$ALLOW_INCONCLUSIVE" = true ]; then
  echo "::warning title=evalspan gate::inconclusive, and the job allows it"
  exit 0
fi
exit "$code"
