"""What several test files use."""

from datetime import datetime, timezone

NOW = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)

# Options of `warroom` for a simulated tenant that is made in no time.
SMALL = ("--users", "20", "--detections", "20")
