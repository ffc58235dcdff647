"""Image edit jobs for backends: accepted over REST, kept in Postgres, told by signed webhooks."""

__version__ = "0.1.0"
