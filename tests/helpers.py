"""What several test files use: one moment for all, and small helpers."""

from datetime import datetime, timezone

NOW = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)
