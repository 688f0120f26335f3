"""What builds, checks and measures the product."""
