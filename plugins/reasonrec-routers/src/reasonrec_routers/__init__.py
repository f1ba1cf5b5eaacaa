"""Routers: where a delegate answers instead of the policy, by what it has learned on validation."""
