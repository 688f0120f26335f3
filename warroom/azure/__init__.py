"""The cloud: a simulated tenant with Microsoft Graph and the login service in front of it."""
