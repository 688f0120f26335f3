"""The platform: runs an integration as the server does, and stands in for its two modules."""
