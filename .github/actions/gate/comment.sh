#!/usr/bin/env bash
# The step of the action that writes the report into a comment: its own of the run before, which a mark in it tells, or a new one.
set -euo pipefail
if [ ! -s "$REPORTS/gate.md" ]; then
  echo "::warning title=evalspan gate::there is no report to comment with"
  exit 0
fi
mark="<!-- evalspan gate: $MARK -->"
# GitHub takes 65,536 characters.
{ echo "$mark"; head -c 60000 "$REPORTS/gate.md"; } > "$REPORTS/comment.md"
own=$(gh api --paginate "repos/$REPOSITORY/issues/$NUMBER/comments" \
  --jq ".[] | select(.user.type == \"Bot\" and (.body | startswith(\"$mark\"))) | .id" | sed -n 1p)
if [ -n "$own" ]; then
  gh api --silent --method PATCH "repos/$REPOSITORY/issues/comments/$own" --field "body=@$REPORTS/comment.md"
else
  gh pr comment "$NUMBER" --repo "$REPOSITORY" --body-file "$REPORTS/comment.md"
fi
