"""What several test files share."""

from datetime import datetime, timezone

NOW = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)
